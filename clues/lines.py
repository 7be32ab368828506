"""Lines of event logs, whoever reads them: how long they may be, how an event's begins, what a torn one still holds."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import IO

from clues.event import Event

LONGEST_LINE = 64 * 1024 * 1024
"""Bytes; what is longer is no event."""

EVENT_START = b'{"event_type":'
"""How each event's line begins."""

_PIECE = 1024 * 1024  # bytes that are read at a time


def opened(path: Path) -> IO[bytes]:
    """A file of lines, plain or gzipped, for reading.

    Raises:
        OSError: it can't be opened.
    """
    if path.suffix == ".gz":
        import gzip  # noqa: PLC0415 - shippers of journals never need it

        return gzip.open(path)  # type: ignore[return-value]
    return path.open("rb")


def count_lines(path: Path) -> int:
    """How many lines a plain file has, as far as it can be read."""
    count = 0
    with contextlib.suppress(OSError), path.open("rb") as file:
        while chunk := file.read(_PIECE):
            count += chunk.count(b"\n")
    return count


def salvaged(line: bytes) -> bytes:
    """The event that a process appended to another's line, which the disk's end, or a kill, had cut off.

    Empty where there is none, and for a line that is an event as a whole, whatever its args hold.
    """
    start = line.rfind(EVENT_START)
    if start <= 0 or is_event(line) or not is_event(line[start:]):
        return b""
    return line[start:]


def is_event(line: bytes) -> bool:
    """Whether a line is an event's."""
    try:
        Event.from_line(line)
    except ValueError:
        return False
    return True
