"""The files that one log has become: ``events.log``, ``events.log.1``, ``events.log.2.gz``, ``events.log-20261120``."""

from __future__ import annotations

import re
from pathlib import Path

_NUMBER = re.compile(r"\.(\d+)(\.gz)?")  # logrotate's and RotatingFileHandler's
_DATE = re.compile(r"[.-](\d{4}-?\d{2}-?\d{2}.*?)(\.gz)?")  # logrotate's dateext, TimedRotatingFileHandler's


def siblings(path: Path) -> list[Path]:
    """The log and what it was rotated into, oldest first; the log itself comes last, if it is there."""
    rotated = [(age, found) for found in _beside(path) if (age := _age(found.name[len(path.name) :])) is not None]
    return [found for _, found in sorted(rotated)] + [path] * path.exists()


def rotate(path: Path) -> Path | None:
    """Make room for a new file: ``events.log`` becomes ``events.log.1``, what had that name ``.2``, and so on.

    Returns:
        Where the file is now, or None when there was none.
    """
    if not path.exists():
        return None
    target = path.with_name(f"{path.name}.1")
    _shift(target, 1)
    path.rename(target)
    return target


def _beside(path: Path) -> list[Path]:
    folder = path.parent
    return [found for found in folder.iterdir() if found.name.startswith(path.name)] if folder.is_dir() else []


def _age(suffix: str) -> tuple[str, int] | None:
    """What sorts the oldest first: dates rise as time passes, numbers fall."""
    if dated := _DATE.fullmatch(suffix):
        return (dated[1], 0)
    if numbered := _NUMBER.fullmatch(suffix):
        return ("", -int(numbered[1]))
    return None


def _shift(path: Path, number: int) -> None:
    if path.exists():
        older = path.with_name(path.name.removesuffix(f".{number}") + f".{number + 1}")
        _shift(older, number + 1)
        path.rename(older)
