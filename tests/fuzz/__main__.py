"""``make fuzz``: atheris looks for bytes that break what reads foreign data, by what code they reach.

::

    make fuzz ARGS="--seconds 60"             each target, in turn
    make fuzz ARGS="--seconds 600 items wire" these

What was found is told with the bytes; `tests.fuzz.hostile.RAW` is where such go that were.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> int:
    """Fuzz each target in a process of its own, for atheris never gives one back."""
    parser = argparse.ArgumentParser(prog="make fuzz")
    parser.add_argument("--seconds", type=int, default=30, help="for each target; 30")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    parser.add_argument("targets", nargs="*", help="all if left out")
    given = parser.parse_args()
    if given.only:
        _fuzz(given.only, given.seconds)
        return 0
    from tests.fuzz.targets import TARGETS

    if unknown := set(given.targets) - set(TARGETS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    broken = []
    for name in given.targets or TARGETS:
        print(f"== {name}", flush=True)
        command = [sys.executable, "-m", "tests.fuzz", "--only", name, "--seconds", str(given.seconds)]
        if subprocess.run(command, check=False).returncode:
            broken.append(name)
    print(f"broken: {', '.join(broken)}" if broken else "nothing was found")
    return bool(broken)


def _fuzz(name: str, seconds: int) -> None:
    import atheris

    with atheris.instrument_imports(include=["clues", "json"]):
        from tests.fuzz.hostile import RAW
        from tests.fuzz.targets import TARGETS

    with tempfile.TemporaryDirectory(prefix="clues-fuzz-") as corpus:
        for number, data in enumerate(RAW):
            Path(corpus, str(number)).write_bytes(data[:4096])
        options = [
            f"-max_total_time={seconds}",
            "-max_len=4096",
            "-timeout=20",
            "-rss_limit_mb=2048",
            "-print_final_stats=1",
        ]
        atheris.Setup(
            [sys.argv[0], *options, f"-artifact_prefix={tempfile.gettempdir()}/clues-{name}-", corpus], TARGETS[name]
        )
        atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
