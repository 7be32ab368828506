"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import subprocess
from contextlib import suppress
from pathlib import Path

from clues import __version__
from clues.demo.redis_server import programs

ROOT = Path(__file__).parents[1]


def machine() -> dict[str, str]:
    """The machine, what runs on it, and which clues this is, for readers."""
    return {
        "CPU": f"{_field('/proc/cpuinfo', 'model name') or platform.machine()}, {os.cpu_count()} cores",
        "memory": _memory(),
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "Redis": _redis(),
        "clues": f"{__version__}, commit {commit()}",
    }


def commit() -> str:
    """The commit that is checked out, with a mark if files differ from it."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--abbrev=10", "--dirty", "--exclude", "*"],  # noqa: S607
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):  # an unpacked archive
        return "unknown"
    return done.stdout.strip()


def _memory() -> str:
    with suppress(ValueError, OSError):
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    return "unknown"


def _redis() -> str:
    for program in programs():
        with suppress(OSError, subprocess.SubprocessError):
            said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
            return next((part[2:] for part in said.split() if part.startswith("v=")), said.strip())
    return "none"


def _field(path: str, name: str) -> str:
    with suppress(OSError):
        for line in Path(path).read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == name:
                return value.strip()
    return ""
