"""Reads a spool's segments from where a destination is."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass, field

from clues.lines import LONGEST_LINE
from clues.publishers.spool import Segment, Spool


@dataclass(slots=True)
class Batch:
    """Lines that follow each other.

    Attributes:
        lines: without their newlines.
        positions: where their destination is when they are delivered, by segment number.
        size: bytes of the lines, newlines included.
    """

    lines: list[bytes] = field(default_factory=list)
    positions: dict[int, int] = field(default_factory=dict)
    size: int = 0


class Tail:
    """One destination's look at a spool. Several segments may grow at a time: each is read from its own position."""

    def __init__(self, spool: Spool) -> None:
        """Read nothing yet."""
        self._spool = spool

    def read(self, positions: dict[int, int], max_events: int, max_bytes: int) -> Batch:
        """What stands after these positions, oldest segment first; never waits.

        Args:
            positions: by segment number, in bytes.
            max_events: the most lines.
            max_bytes: the most bytes of them, unless the first line is longer.
        """
        segments = self._spool.segments()
        batch = Batch(positions={segment.number: _position(segment, positions) for segment in segments})
        for segment in segments:
            ended = (
                segment is not segments[-1] and segment.size > batch.positions[segment.number] and has_ended(segment)
            )
            self._read_segment(segment, batch, max_events, max_bytes, ended=ended)
            if len(batch.lines) >= max_events or batch.size >= max_bytes:
                break
        return batch

    def _read_segment(self, segment: Segment, batch: Batch, max_events: int, max_bytes: int, *, ended: bool) -> None:
        at = batch.positions[segment.number]
        if segment.size <= at:
            return
        try:
            fd = os.open(segment.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:  # dropped, for want of room
            return
        try:
            text = _read(fd, at, max(max_bytes - batch.size, 1), longer=not batch.lines)
            rest = b"\n" not in text and bool(text)
            if rest and (len(text) >= LONGEST_LINE or (ended and not os.pread(fd, 1, at + len(text)))):
                text += b"\n"  # torn, and nobody will write the rest
        finally:
            os.close(fd)
        size = segment.size
        for line in _whole(text):
            batch.positions[segment.number] = min(batch.positions[segment.number] + len(line), size)
            batch.size += len(line)
            if stripped := line.strip():
                batch.lines.append(stripped)
            if len(batch.lines) >= max_events or batch.size >= max_bytes:
                return


def _position(segment: Segment, positions: dict[int, int]) -> int:
    """Where to go on; a segment that is smaller than that is another one of its number, as after `rm -r`."""
    at = positions.get(segment.number, 0)
    return at if at <= segment.size else 0


def _read(fd: int, at: int, most: int, *, longer: bool) -> bytes:
    """So many bytes from a position on; more, where not even one line would be whole."""
    text = os.pread(fd, most, at)
    while longer and text and b"\n" not in text and len(text) < LONGEST_LINE:
        more = os.pread(fd, max(1 << 20, len(text)), at + len(text))
        if not more:
            break
        text += more
    return text


def _whole(text: bytes) -> Iterator[bytes]:
    start = 0
    while (end := text.find(b"\n", start)) >= 0:
        yield text[start : end + 1]
        start = end + 1


def has_ended(segment: Segment) -> bool:
    """Whether nobody writes a segment any more; a later one must be there, that nobody begins to again."""
    try:
        fd = os.open(segment.path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return True
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True
