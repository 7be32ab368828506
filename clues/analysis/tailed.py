"""The last events of logs, then those that come; nothing in between is left out or shown twice."""

from __future__ import annotations

import heapq
import stat
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self

from clues.analysis.backwards import end_of_whole_lines, lines_backwards
from clues.analysis.facts import moment_of
from clues.analysis.follower import Follower
from clues.analysis.reader import Entry, Reader, open_log
from clues.analysis.selection import Selection

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class TailedLogs:
    """Several logs, read from their ends."""

    def __init__(self, paths: Sequence[Path], reader: Reader, wanted: Selection) -> None:
        """Tail files.

        Args:
            paths: the event logs.
            reader: what reads the lines and counts the bad ones.
            wanted: which events.
        """
        self._logs = [_TailedLog(path, reader, wanted) for path in paths]

    def __enter__(self) -> Self:
        """Tail within a ``with`` block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the files."""
        for log in self._logs:
            log.close()

    def last(self, count: int | None, *, following: bool) -> Iterator[Entry]:
        """The last events of all logs together, oldest first, as far as each log is in order.

        Args:
            count: how many; None for all.
            following: whether `new` is going to be called: then a half-written last line, or a missing file, is left
                to it.

        Raises:
            LogFileError: a file can't be read.
        """
        if count is None:
            return _merged([log.all(following=following) for log in self._logs])
        found = [log.last(count, following=following) for log in self._logs]
        return iter(deque(_merged(found), maxlen=count))

    def new(self) -> Iterator[Entry]:
        """The events that have come since, oldest first; never waits."""
        return _merged([log.new() for log in self._logs])

    def missing(self) -> list[Path]:
        """The files that are not there yet."""
        return [log.path for log in self._logs if not log.path.exists()]


class _TailedLog:
    def __init__(self, path: Path, reader: Reader, wanted: Selection) -> None:
        self.path = path
        self._reader = reader
        self._wanted = wanted
        self._offset = 0
        self._follower: Follower | None = None

    def all(self, *, following: bool) -> Iterator[Entry]:
        if not following:
            return self._chosen(self._reader.entries(self.path))
        return self.new()

    def last(self, count: int, *, following: bool) -> list[Entry]:
        if following and not self.path.exists():
            return []
        if not _can_seek(self.path):
            return list(deque(self.all(following=False), maxlen=count))
        with open_log(self.path) as stream:
            self._offset = end_of_whole_lines(stream)
            end = self._offset if following else stream.seek(0, 2)
            entries = (self._reader.parse(line, str(self.path)) for line in lines_backwards(stream, end))
            return list(islice(self._chosen(entries), count))[::-1]

    def new(self) -> Iterator[Entry]:
        if not _can_seek(self.path):
            return iter(())
        if self._follower is None:
            self._follower = Follower(self.path, offset=self._offset)
        lines = self._follower.poll()
        return self._chosen(self._reader.parse(line, str(self.path)) for line in lines)

    def close(self) -> None:
        if self._follower is not None:
            self._follower.close()

    def _chosen(self, entries: Iterator[Entry] | Iterator[Entry | None]) -> Iterator[Entry]:
        return (entry for entry in entries if entry is not None and self._wanted.wants(entry.event))


def _merged(logs: Sequence[Iterable[Entry]]) -> Iterator[Entry]:
    """By time, as far as each log is."""
    return iter(logs[0]) if len(logs) == 1 else heapq.merge(*logs, key=_moment)


def _can_seek(path: Path) -> bool:
    """Whether the file can be read from its end: not a gzipped one, nor a pipe."""
    return path.suffix != ".gz" and (not path.exists() or stat.S_ISREG(path.stat().st_mode))


def _moment(entry: Entry) -> datetime:
    return moment_of(entry.event) or _LONG_AGO
