"""A file's lines from its end to its start, so that the last ten of a huge log are found at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

_BLOCK = 64 * 1024


def lines_backwards(stream: IO[bytes], end: int) -> Iterator[bytes]:
    """The lines before an offset, the last one first.

    Args:
        stream: a file that can seek.
        end: the offset to begin at, just after a newline.
    """
    rest = b""
    while end > 0:
        start = max(0, end - _BLOCK)
        stream.seek(start)
        first, *lines = (stream.read(end - start) + rest).split(b"\n")
        yield from (line for line in reversed(lines) if line)
        rest, end = first, start
    if rest:
        yield rest


def end_of_whole_lines(stream: IO[bytes]) -> int:
    """The offset after the last newline: what stands behind it is half-written."""
    end = stream.seek(0, 2)
    while end > 0:
        start = max(0, end - _BLOCK)
        stream.seek(start)
        found = stream.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
