"""A file's lines from its end to its start, so that the last ten of a huge log are found at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from clues.lines import LONGEST_LINE

_BLOCK = 64 * 1024


def lines_backwards(stream: IO[bytes], end: int) -> Iterator[bytes]:
    """The lines before an offset, the last one first.

    Args:
        stream: a file that can seek.
        end: the offset to begin at, just after a newline.
    """
    rest: list[bytes] = []  # of a line whose beginning is still to come, last first
    while end > 0:
        start = max(0, end - _BLOCK)
        stream.seek(start)
        first, *lines = stream.read(end - start).split(b"\n")
        if lines:
            lines[-1] += _joined(rest)
            yield from (line for line in reversed(lines) if line)
            rest = []
        if len(rest) * _BLOCK > LONGEST_LINE:  # no event: of such a line no more than a beginning is kept
            rest = []
        rest.append(first)
        end = start
    if line := _joined(rest):
        yield line


def _joined(parts: list[bytes]) -> bytes:
    return b"".join(reversed(parts))


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
