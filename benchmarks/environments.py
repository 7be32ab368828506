"""Each peer in an environment of its own, under ``.bench/`` of the checkout, made once from pinned requirements."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from pathlib import Path

from benchmarks.run import Run

PEERS = Path(__file__).parent / "peers"
_PLACE = Path(__file__).parents[1] / ".bench"
_PATIENCE = 300.0


def prepared(name: str, run: Run, beside: Path = PEERS) -> Path | None:
    """The folder of an environment's programs; None, with a note that says why, where it can't be had.

    Args:
        name: of the environment, and of the folder with its ``requirements.txt``.
        run: whom to tell.
        beside: where that folder is.
    """
    if name in run.missing:
        return None
    requirements = beside / name / "requirements.txt"
    wanted = requirements.read_text()
    place = _PLACE / name
    if not _is_made(place, wanted):
        run.say(f"installing {name} into .bench, once")
        reason = _make(place, requirements)
        if reason:
            shutil.rmtree(place, ignore_errors=True)
            run.missing[name] = reason
            run.note(f"{name} is left out, it can't be installed: {reason}")
            return None
    run.versions |= dict(line.split("==") for line in wanted.split() if line.startswith(f"{name}=="))
    return place / "bin"


def _is_made(place: Path, wanted: str) -> bool:
    made = place / "made-from.txt"
    return made.exists() and made.read_text() == _origin(wanted)


def _origin(wanted: str) -> str:
    return f"{sys.version}\n{wanted}"


def _make(place: Path, requirements: Path) -> str:
    """Make it; gives what went wrong, or nothing."""
    shutil.rmtree(place, ignore_errors=True)
    try:
        venv.create(place, with_pip=True)
        done = subprocess.run(
            [place / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
             "--only-binary", ":all:", "--requirement", requirements],
            capture_output=True, text=True, timeout=_PATIENCE, check=False,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["pip failed"]
        return said[-1]
    (place / "made-from.txt").write_text(_origin(requirements.read_text()))
    return ""
