"""``python -m benchmarks``: measure, print tables, write the figures, plots and the page's tables."""

from __future__ import annotations

import argparse
import importlib.util
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import NoReturn

from benchmarks import pages, promises, results, table
from benchmarks.groups import GROUPS
from benchmarks.machine import commit, machine
from benchmarks.results import Measured, Results
from benchmarks.run import Run

_EXAMPLES = """\
examples:
  python -m benchmarks --quick                        a look at everything, in two minutes
  python -m benchmarks core memory                    two groups
  python -m benchmarks drain --json figures.json      a group at a time: those of one commit are kept together
  python -m benchmarks --json figures.json --plots docs/performance --report docs/performance.md
                                                      everything, and the page brought up to date
  python -m benchmarks --from figures.json --report docs/performance.md
                                                      nothing measured: the page from figures that were kept

groups:
"""


def main() -> None:
    """Measure what is asked for; exit status 1 when a part failed, 130 when it was interrupted."""
    options = _options()
    signal.signal(signal.SIGTERM, _terminated)
    try:
        sys.exit(_run(options))
    except KeyboardInterrupt:
        print("\ninterrupted; what was started is ended", file=sys.stderr)
        sys.exit(130)


def _terminated(*_: object) -> NoReturn:
    sys.exit(143)  # through every `with` block, which end what they started


def _run(options: argparse.Namespace) -> int:
    try:
        kept = results.read(options.figures) if options.figures else None
    except (OSError, ValueError) as error:
        print(f"python -m benchmarks: {error}", file=sys.stderr)
        return 2
    if kept is not None:
        found, failed = kept, 0
        for name in found.groups:
            _show(name, found)
    else:
        found = Results(machine(), commit())
        failed = _measure(found, options)
    print(promises.printed(found))
    _write_pages(found, options)
    return 1 if failed else 0


def _measure(found: Results, options: argparse.Namespace) -> int:
    print("\n".join(f"{name}: {value}" for name, value in found.machine.items()))
    print("medians of interleaved rounds; in brackets the smallest and the largest\n")
    failed = 0
    for name in options.groups or list(GROUPS):
        try:
            _measure_group(name, found, options)
        except Exception:  # noqa: BLE001 - the other groups go on; the exit status tells
            failed += 1
            traceback.print_exc()
            print(f"{name}: failed, see above\n", file=sys.stderr)
        _keep(found, options.json)
    return failed


def _measure_group(name: str, found: Results, options: argparse.Namespace) -> None:
    group = GROUPS[name]
    if importlib.util.find_spec(group.module) is None:
        print(f"{name}: not there yet\n", file=sys.stderr)
        return
    print(f"{name}: {group.title} …", file=sys.stderr, flush=True)
    run = Run(options.quick, options.rounds, options.deep, versions=found.versions)
    begin = time.monotonic()
    figures = tuple(group.measure(run))
    found.groups[name] = Measured(figures, round(time.monotonic() - begin, 1), options.quick, tuple(run.notes))
    _show(name, found)


def _show(name: str, found: Results) -> None:
    measured = found.groups[name]
    print(f"{GROUPS[name].title if name in GROUPS else name} ({measured.seconds:.0f} s)")
    print(table.printed(measured.figures))
    for note in measured.notes:
        print(f"  note: {note}")
    print(flush=True)


def _keep(found: Results, path: Path | None) -> None:
    if path is None:
        return
    if path.exists():
        earlier = results.read(path)
        if earlier.commit == found.commit:
            found.join(earlier)
    found.write(path)


def _write_pages(found: Results, options: argparse.Namespace) -> None:
    """Plots, and the page's tables."""
    if options.plots is not None:
        with tempfile.TemporaryDirectory() as folder:
            figures = Path(folder, "figures.json")
            found.write(figures)
            pages.draw(figures, options.plots, Run())
    if options.report is not None:
        plots = pages.plots_in(options.plots or options.report.with_suffix(""), options.report)
        page = options.report.read_text()
        options.report.write_text(pages.brought_up_to_date(page, found, plots))


def _options() -> argparse.Namespace:
    groups = "\n".join(f"  {name:<12} {group.title}" for name, group in GROUPS.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__.partition(": ")[2].capitalize(),
        epilog=_EXAMPLES + groups,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("groups", nargs="*", metavar="GROUP", help="what to measure; everything if none is named")
    parser.add_argument("--quick", action="store_true", help="a look, no figures to quote: few rounds, the light peers")
    parser.add_argument("--rounds", type=_whole, metavar="N", help="rounds of everything, in place of each group's own")
    parser.add_argument("--deep", action="store_true", help="with what takes minutes and gigabytes: 10 million jobs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures; joins those of the same commit")
    parser.add_argument("--from", type=Path, metavar="FILE", dest="figures", help="show kept figures, measure nothing")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="draw plots into a folder")
    parser.add_argument("--report", type=Path, metavar="FILE", help="bring the tables of a page up to date")
    options = parser.parse_args()
    unknown = [name for name in options.groups if name not in GROUPS]
    if unknown:
        parser.error(f"no group {', '.join(unknown)}; there are {', '.join(GROUPS)}")
    return options


def _whole(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


if __name__ == "__main__":
    main()
