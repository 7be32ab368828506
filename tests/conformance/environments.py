"""Environments of job systems, made once: each release in one of its own under ``.adapters/3.11/`` of the checkout."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from tests.requirements import lacking

RELEASES = Path(__file__).parent / "releases"
"""``celery-newest.txt``, ``celery-oldest.txt``: what pip installs; ``clues`` itself comes from the checkout."""

ROOT = Path(__file__).parents[2]
_PLACE = ROOT / ".adapters" / "{}.{}".format(*sys.version_info)  # Pythons that run at once take none from each other
_PATIENCE = 300.0  # seconds


def python_of(name: str) -> Path:
    """The interpreter of an environment; the test is skipped with the reason where it can't be had.

    Args:
        name: of the environment and of its requirements: ``celery-newest``.
    """
    requirements = RELEASES / f"{name}.txt"
    origin = f"{sys.version}\n{requirements.read_text()}"
    place = _PLACE / name
    _PLACE.mkdir(parents=True, exist_ok=True)
    with (_PLACE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = place / "made-from.txt"
        if not made.exists() or made.read_text() != origin:
            if reason := _make(place, requirements):
                shutil.rmtree(place, ignore_errors=True)
                lacking(name.partition("-")[0], f"{name} can't be installed: {reason}")
            made.write_text(origin)
    return place / "bin" / "python"


def _make(place: Path, requirements: Path) -> str:
    """Make an environment; gives what went wrong, or nothing."""
    shutil.rmtree(place, ignore_errors=True)
    try:
        venv.create(place, symlinks=True)
        # Our own pip, for theirs would have to be unpacked first.
        done = subprocess.run(
            [sys.executable, "-m", "pip", "--python", place / "bin" / "python", "install", "--quiet",
             "--disable-pip-version-check", "--prefer-binary", "--requirement", requirements],
            capture_output=True, text=True, timeout=_PATIENCE, check=False,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    return (said or ["pip failed"])[-1] if done.returncode else ""
