"""The files that are meant: event logs, plain or gzipped, patterns, spool folders, and what a log was rotated into."""

from __future__ import annotations

import errno
import glob
import os
import re
from collections.abc import Iterable
from pathlib import Path

from clues.analysis.rotation import siblings
from clues.errors import LogFileError

_SEGMENT = re.compile(r"\d{20}\.jsonl")


def found(named: Iterable[Path], *, rotated: bool = False) -> list[Path]:
    """The files, each once, in the order they were named.

    Args:
        named: files; patterns such as ``logs/*.gz``, ``**`` too; spool folders, for their segments.
        rotated: with each log all that it was rotated into, oldest first.

    Raises:
        LogFileError: there is no such file.
    """
    files: dict[Path, None] = {}
    for path in named:
        files.update(dict.fromkeys(_files(path, rotated=rotated)))
    return list(files)


def _files(path: Path, *, rotated: bool) -> list[Path]:
    if path.is_dir():
        return _segments(path)
    if not path.exists() and glob.has_magic(str(path)):
        matching = [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207 - as a shell
        return [file for file in matching if file.is_file()] or _none(path, "no file matches")
    together = siblings(path) if rotated else []
    if not together and not path.exists():
        _none(path, os.strerror(errno.ENOENT))
    return together or [path]


def _segments(folder: Path) -> list[Path]:
    """What a spool folder holds; one whose events are all delivered, or that is new, may hold none."""
    segments = sorted(file for file in folder.iterdir() if _SEGMENT.fullmatch(file.name))
    if not segments and not (folder / "destinations").is_dir():
        _none(folder, "it is a folder, and no spool: name the files in it")
    return segments


def _none(path: Path, reason: str) -> list[Path]:
    raise LogFileError(path, OSError(errno.ENOENT, reason))
