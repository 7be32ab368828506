"""The journal: where events wait for the shipper, on disk, so that no job waits for a network.

A writer appends to the newest segment, with one write a line, and begins another when it is full. It holds a shared
lock on the segment that it writes; a segment whose lock the shipper gets alone has no writer any more, and ends there.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from clues.errors import ConfigError, JournalFullError
from clues.event import Event
from clues.forklock import ForkLock
from clues.lines import count_lines
from clues.publishers.flood import Flood
from clues.publishers.spool import Segment, Spool

Sync = Literal["never", "second", "always"]
Drop = Literal["newest", "oldest"]

SEGMENT_BYTES = 4 * 1024 * 1024
"""A segment's size, from which on another is begun; what each process that has become idle may keep from ending."""
SPOOL_BYTES = 1024 * 1024 * 1024
"""The size of all segments, from which on events are dropped."""

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOCTTY | os.O_NOFOLLOW
_LOOK_AGAIN = 1.0


@dataclass(frozen=True, slots=True)
class JournalOptions:
    """How a journal keeps events.

    Attributes:
        max_bytes: the most bytes of all segments; beyond it events are dropped and counted.
        drop: which: ``newest``, those that come, or ``oldest``, whole segments from the front.
        sync: when lines are forced to the disk: ``never`` (a crash of the machine loses what the system had not yet
            written, seconds mostly; a killed process loses nothing), ``second`` (at most one a second; loses about
            that), ``always`` (each line; milliseconds of each event's caller).
        segment_bytes: the size of a segment.
    """

    max_bytes: int = SPOOL_BYTES
    drop: Drop = "newest"
    sync: Sync = "never"
    segment_bytes: int = SEGMENT_BYTES

    def __post_init__(self) -> None:
        """Check them.

        Raises:
            ConfigError: one is mistaken.
        """
        if not 0 < self.segment_bytes <= self.max_bytes:
            msg = f"a segment's {self.segment_bytes} bytes must fit into the spool's {self.max_bytes}"
            raise ConfigError(msg)
        for name, given, known in (("drop", self.drop, get_args(Drop)), ("sync", self.sync, get_args(Sync))):
            if given not in known:
                msg = f"{name} must be {' or '.join(known)}, not {given!r}"
                raise ConfigError(msg)


class Journal:
    """Appends lines to the segments of a spool. Any number of processes and threads may, at once."""

    def __init__(
        self, folder: Path, options: JournalOptions | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Make the folder where it is missing.

        Args:
            folder: the spool's.
            options: how to keep events.
            clock: seconds, monotonic.

        Raises:
            ConfigError: the folder can't be written.
        """
        self.spool: Spool = Spool(folder)
        self.options: JournalOptions = options or JournalOptions()
        self._clock = clock
        self._using = ForkLock()
        self._fd = -1
        self._doubtful = False
        self._flood = Flood()
        self._unseen = 0  # bytes that were written since the segment was last looked at
        self._full_until = 0.0
        self._uncounted = 0, 0  # events and bytes that were dropped, when not even that could be written
        self._synced = 0.0
        self.spool.make()
        _all.add(self)

    def append(self, *events: Event) -> None:
        """Write events' standard lines, all at once.

        Raises:
            JournalFullError: the spool is full; the events are dropped, and counted.
            OSError: the lines could not be written whole.
        """
        lines = b"".join([event.line + b"\n" for event in events])
        with self._using.lock:
            while True:
                if self._fd < 0:
                    self._open_for(lines)
                self._write(lines)
                self._unseen += len(lines)
                if self._unseen < self.options.segment_bytes >> 4 and not self._flood.lets_look():
                    return
                self._unseen = 0
                found = os.fstat(self._fd)
                if found.st_nlink and found.st_size < self.options.segment_bytes:
                    return
                self.close()
                if found.st_nlink:  # it is full, and else somebody has removed it, and what was written with it
                    return

    def close(self) -> None:
        """Let go of the segment; a later event opens the newest again."""
        with self._using.lock:
            if self._fd >= 0:
                os.close(self._fd)
            self._fd = -1

    def _write(self, lines: bytes) -> None:
        torn, self._doubtful = self._doubtful, True  # until it is known that all was written
        try:
            # A torn line may stand before: it gets its end.
            written = os.write(self._fd, b"\n" + lines if torn else lines) - torn
        except OSError:
            self._count_dropped(lines)
            raise
        if written < len(lines):
            whole = lines.rfind(b"\n", 0, max(written, 0)) + 1
            self._count_dropped(lines[whole:])
            raise OSError(errno.ENOSPC, f"only {written} of {len(lines)} bytes were written", str(self.spool.folder))
        self._doubtful = False
        if self._uncounted != (0, 0):
            self._count_dropped(b"")
        if self.options.sync != "never":
            self._sync()

    def _sync(self) -> None:
        now = self._clock()
        if self.options.sync == "always" or now >= self._synced + 1.0:
            os.fdatasync(self._fd)
            self._synced = now

    # segments

    def _count_dropped(self, lines: bytes) -> None:
        events, size = self._uncounted
        self._uncounted = events + lines.count(b"\n"), size + len(lines)
        if self.spool.count_dropped(*self._uncounted):
            self._uncounted = 0, 0

    def _open_for(self, lines: bytes) -> None:
        try:
            self._enter()
        except OSError:  # it is full, or there is no descriptor left
            self._count_dropped(lines)
            raise

    def _enter(self) -> None:
        """Open the newest segment, or another one after it if it is full and there is room."""
        if self._clock() < self._full_until:
            self._refuse()
        if not self.spool.folder.is_dir():
            self.spool.make()
        while True:
            segments = self.spool.segments()
            if segments and segments[-1].size < self.options.segment_bytes:
                if self._open(segments[-1]):
                    return
            elif self._has_room(segments):
                self.spool.begin(after=segments[-1].number if segments else 0)
            else:
                self._full_until = self._clock() + _LOOK_AGAIN
                self._refuse()

    def _refuse(self) -> None:
        raise JournalFullError(str(self.spool.folder), self.options.max_bytes)

    def _open(self, segment: Segment) -> bool:
        """Open a segment; gives whether it is still there when its lock is ours."""
        try:
            fd = os.open(segment.path, _FLAGS)
        except FileNotFoundError:
            return False
        fcntl.flock(fd, fcntl.LOCK_SH)
        if not os.fstat(fd).st_nlink:  # the shipper was done with it just now
            os.close(fd)
            return False
        self._fd = fd
        return True

    def _has_room(self, segments: list[Segment]) -> bool:
        most = self.options.max_bytes - self.options.segment_bytes
        size = sum(segment.size for segment in segments)
        if self.options.drop == "oldest":
            for segment in segments:
                if size <= most:
                    break
                size -= self._drop(segment)
        return size <= most

    def _drop(self, segment: Segment) -> int:
        """Remove a segment, delivered or not; gives its size in bytes."""
        size, lines = segment.size, count_lines(segment.path)
        with contextlib.suppress(FileNotFoundError):
            segment.path.unlink()
            self.spool.count_dropped(lines, size)
        return size

    def _forget_parents(self) -> None:
        """In a forked child: what the parent has open keeps its segment from ending."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1
        self._doubtful = False
        self._uncounted = 0, 0  # the parent's to count


_all: weakref.WeakSet[Journal] = weakref.WeakSet()


def _forget_all() -> None:
    for journal in list(_all):
        journal._forget_parents()  # noqa: SLF001 - the child's side of the class


os.register_at_fork(after_in_child=_forget_all)
