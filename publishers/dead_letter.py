"""A dead letter: a file of what a destination has refused for good, with its reasons. Its size has a bound."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clues.lines import count_lines

DEAD_LETTER_BYTES = 64 * 1024 * 1024
"""A dead letter's size, from which on another is begun. The one before it is kept, and no more: a destination that
refuses everything, as after a mistaken mapping, must not fill the disk."""

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
_FILE_MODE = 0o640  # a log's


def add_letters(
    path: Path, destination: str, lines: Sequence[tuple[bytes, str]], at: str, most: int = DEAD_LETTER_BYTES
) -> tuple[int, int]:
    """Add lines to a dead letter, with one write.

    Args:
        path: the dead letter.
        destination: who has refused them.
        lines: each line, and why it was refused.
        at: when, as a timestamp.
        most: bytes, from which on another dead letter is begun.

    Returns:
        How many letters had to go for want of room, and their bytes.

    Raises:
        OSError: they can't be written.
    """
    dropped = _begin_another(path) if _size(path) >= most else (0, 0)
    _append(path, b"".join(_letter(destination, line, reason, at) for line, reason in lines))
    return dropped


def _append(path: Path, text: bytes) -> None:
    """Append all or nothing; after what somebody who was killed meanwhile has left of a line, on a line of its own."""
    fd = os.open(path, _FLAGS, _FILE_MODE)
    try:
        before = os.fstat(fd).st_size
        torn = before and os.pread(fd, 1, before - 1) != b"\n"
        text = b"\n" + text if torn else text
        written = 0
        try:
            written = os.write(fd, text)
        finally:
            if written < len(text):
                os.truncate(fd, before)
        if written < len(text):
            raise OSError(errno.ENOSPC, f"only {written} of {len(text)} bytes were written", str(path))
    finally:
        os.close(fd)


def _begin_another(path: Path) -> tuple[int, int]:
    last = path.with_suffix(f".1{path.suffix}")
    dropped = (count_lines(last), _size(last))
    path.replace(last)
    return dropped


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _letter(destination: str, line: bytes, reason: str, at: str) -> bytes:
    try:
        return _written(destination, json.loads(line), reason, at)
    except (ValueError, RecursionError):
        return _written(destination, line.decode("utf-8", "backslashreplace"), reason, at)


def _written(destination: str, event: Any, reason: str, at: str) -> bytes:
    told = {"destination": destination, "reason": reason, "at": at, "event": event}
    return json.dumps(told, separators=(",", ":")).encode() + b"\n"
