"""Reads a spool's segments from where a destination is."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass, field

from clues.lines import LONGEST_LINE
from clues.publishers.spool import Segment, Spool

_USUAL_LINE = 512


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
            more = self._read_segment(segment, batch, max_events, max_bytes, ended=ended)
            if more or len(batch.lines) >= max_events or batch.size >= max_bytes:
                break
        return batch

    def _read_segment(self, segment: Segment, batch: Batch, max_events: int, max_bytes: int, *, ended: bool) -> bool:
        """Add lines of a segment; gives whether more of it is to come before those of later ones."""
        at = batch.positions[segment.number]
        if segment.size <= at:
            return False
        try:
            fd = os.open(segment.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:  # dropped, for want of room
            return False
        try:
            # No more than is likely to be taken: what is left over is read again by the next batch.
            most = max(min(max_bytes - batch.size, (max_events - len(batch.lines)) * _USUAL_LINE), 1)
            text = _read(fd, at, most, longer=not batch.lines)
            rest = b"\n" not in text and bool(text)
            if rest and (len(text) >= LONGEST_LINE or (ended and not os.pread(fd, 1, at + len(text)))):
                text += b"\n"  # torn, and nobody will write the rest
        finally:
            os.close(fd)
        whole = text.split(b"\n", 1 if len(text) > most else -1)[:-1]  # of more than was to be read, one line
        begin = consumed = 0
        while begin < len(whole) and len(batch.lines) < max_events:
            taken = whole[begin : begin + max_events - len(batch.lines)]
            begin += len(taken)
            consumed += sum(map(len, taken)) + len(taken)
            batch.lines += [stripped for line in taken if (stripped := line.strip())]
        batch.positions[segment.number] = min(at + consumed, segment.size)
        batch.size += consumed
        return len(text) >= most and bool(whole or batch.lines)


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


def has_ended(segment: Segment) -> bool:
    """Whether nobody writes a segment any more; a later one must be there, that nobody begins to again."""
    try:
        fd = os.open(segment.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return True
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True
