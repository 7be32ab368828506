"""The tests on other Pythons, Redis servers and releases of libraries than this environment's.

``make matrix ARGS="--python 3.13 --redis valkey-8"``; options that are repeated are tried in all combinations, one
after the other. What follows ``--`` goes to pytest. It ends with a line for each combination, and with 1 if one failed.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from itertools import product
from pathlib import Path

from tests.matrix.pythons import environment, version_of
from tests.matrix.servers import KNOWN, said_by, server
from tests.matrix.unavailable import UnavailableError

ROOT = Path(__file__).parents[2]
PLACE = ROOT / ".matrix"
TOUCH_REDIS = [
    "tests/wire",
    "tests/resque",
    "tests/tree",
    "tests/chaos/test_kill_storm.py",
    "tests/chaos/test_outage.py",
]
TOUCH_LIBRARIES = [
    "tests/publishers",
    "tests/analysis",
    "tests/web",
    "tests/cli",
    "tests/resque",
    "tests/test_logging.py",
    "tests/test_extras.py",
]
PARTS = {"all": [], "redis": TOUCH_REDIS, "libraries": TOUCH_LIBRARIES}
_SUMMARY = re.compile(r"^=*\s*((?:\d+ \w+,? ?)+) in ")


def main() -> int:
    """Run what was asked for; the exit code."""
    asked = _parser().parse_args()
    PLACE.mkdir(exist_ok=True)
    results = [
        _cell(python, redis, libraries, PARTS[asked.only] + asked.pytest)
        for python, redis, libraries in product(
            asked.python or [sys.executable], asked.redis or [""], asked.libraries or ["newest"]
        )
    ]
    print("\n".join(text for _, text in results))
    return 0 if all(passed for passed, _ in results) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="make matrix",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--python", action="append", metavar="VERSION", help="3.13, or an interpreter's path; this one if left out")
    add("--redis", action="append", metavar="NAME", help=f"{', '.join(KNOWN)}, or a server's path")
    add("--libraries", action="append", choices=["newest", "lowest"], help="releases; tests/matrix/lowest.txt")
    add("--only", choices=sorted(PARTS), default="all", help="the tests that touch this; all if left out")
    add("pytest", nargs="*", help="after --, what goes to pytest")
    return parser


def _cell(python: str, redis: str, libraries: str, arguments: list[str]) -> tuple[bool, str]:
    """Run one combination: whether it passed, and a line on it."""
    name = "-".join(Path(part).name for part in (python, redis, libraries) if part)
    output = PLACE / f"{name}.out"
    began = time.monotonic()
    try:
        interpreter = environment(PLACE, python, libraries)
        program = server(PLACE, redis)
    except UnavailableError as error:
        return False, f"{name}: not run: {error}"
    versions = f"Python {version_of(interpreter)}, {said_by(program)}, {libraries} libraries"
    print(f"{versions}: what pytest says goes to {output}", flush=True)
    with output.open("wb") as said:
        code = subprocess.run(
            [interpreter, "-m", "pytest", *arguments],
            stdout=said,
            stderr=subprocess.STDOUT,
            check=False,
            cwd=ROOT,
            env=os.environ | {"CLUES_REDIS_SERVER": str(program), "CLUES_REQUIRE": "redis"},
        ).returncode
    lines = output.read_text(errors="replace").splitlines()
    summary = next((found[1] for line in reversed(lines) if (found := _SUMMARY.match(line))), "no summary")
    return code == 0, f"{versions}: {summary}, in {time.monotonic() - began:.0f} s"


if __name__ == "__main__":
    sys.exit(main())
