"""``python -m docs``, or ``make docs``: the site, from the pages; a warning is an error."""

from __future__ import annotations

import argparse
import sys
import webbrowser
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> int:
    """Build; exit status 1 when there was a warning."""
    options = _options()
    from sphinx.cmd.build import build_main  # noqa: PLC0415 - `--help` needs no Sphinx

    status: int = build_main([
        *("-b", options.builder, "--fail-on-warning", "--keep-going", "--nitpicky", "--fresh-env", "--quiet"),
        *("-c", str(ROOT / "docs"), "-d", str(options.out / "doctrees")),
        *(str(ROOT), str(options.out / options.builder)),
    ])  # fmt: skip
    first = options.out / options.builder / ("index.html" if options.builder == "html" else "output.txt")
    if not status:
        print(first)
    if options.open and first.exists():
        webbrowser.open(first.as_uri())
    return status


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m docs", description="Build the documentation's site.")
    parser.add_argument(
        "builder",
        nargs="?",
        default="html",
        choices=["html", "linkcheck"],
        help="html: the site (default); linkcheck: ask each external link whether it is still there, over the network",
    )
    parser.add_argument("--open", action="store_true", help="show the site in a browser")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "docs", help="the folder, build/docs")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
