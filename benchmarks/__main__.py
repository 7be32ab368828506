"""``python -m benchmarks [--quick] [--json FILE]``: measure, print a table, write the figures."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.core import GROUPS
from benchmarks.timing import Figure
from clues import __version__

UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))


def main() -> None:
    """Measure every group, one after the other."""
    options = _options()
    print(f"clues {__version__}, {_machine()}")
    print("medians of interleaved rounds; in brackets the quickest and the slowest\n")
    found: dict[str, list[Figure]] = {}
    for title, measure in GROUPS.items():
        found[title] = measure(quick=options.quick)
        _show(title, found[title])
    if options.json is not None:
        options.json.write_text(json.dumps(_report(found, quick=options.quick), indent=2) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds: a look, no figures to quote")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures, in seconds, to a file")
    return parser.parse_args()


def _machine() -> str:
    return f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} CPUs"


def _show(title: str, figures: list[Figure]) -> None:
    print(title)
    width = max(len(figure.name) for figure in figures)
    for figure in figures:
        print(f"  {figure.name:<{width}}  {_spell(figure.seconds):>9}  [{_spell(figure.low)} … {_spell(figure.high)}]")
    print(flush=True)


def _spell(seconds: float) -> str:
    size, unit = next((one for one in UNITS if seconds >= one[0]), UNITS[-1])
    return f"{seconds / size:.3g} {unit}"


def _report(found: dict[str, list[Figure]], *, quick: bool) -> dict[str, object]:
    return {
        "clues": __version__,
        "machine": _machine(),
        "python": sys.version,
        "quick": quick,
        "figures": {title: [asdict(figure) for figure in figures] for title, figures in found.items()},
    }


if __name__ == "__main__":
    main()
