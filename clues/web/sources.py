"""Event lines for the page's history: what logs and spools hold, then what comes, as it comes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from clues.analysis.follower import Follower
from clues.analysis.reader import whole_lines
from clues.analysis.rotation import siblings
from clues.lines import opened
from clues.publishers.spool import Segment, Spool

_SWOLLEN = 8  # how many times its size a gzipped log holds, about


class Source(Protocol):
    """Where event lines come from."""

    def backlog(self, most: int) -> Iterator[bytes]:
        """The lines that are there, oldest first; of what is more than so many bytes, the newest."""

    def poll(self) -> Iterator[bytes]:
        """The lines that have come since; never waits."""

    def close(self) -> None:
        """Close what is open."""


def source_of(path: Path) -> Source:
    """What follows a log with all that it was rotated into, or a spool's folder."""
    return SpoolSource(path) if path.is_dir() else LogSource(path)


class LogSource:
    """A log: its rotated files first, then the log itself as it grows. It may come later."""

    def __init__(self, path: Path) -> None:
        """Follow a log."""
        self._path = path
        self._follower: Follower | None = None

    def backlog(self, most: int) -> Iterator[bytes]:
        """The lines of the rotated files, and where in the log itself to begin."""
        files = siblings(self._path) or [self._path]
        chosen: list[tuple[Path, int]] = []
        for path in reversed(files):
            size = _size(path)
            chosen.append((path, _line_after(path, size - most) if size > most else 0))
            most -= size * (_SWOLLEN if path.suffix == ".gz" else 1)
            if most <= 0:
                break
        own = [offset for path, offset in chosen if path == self._path]
        if self._path.suffix != ".gz":
            self._follower = Follower(self._path, offset=own[0] if own else 0)
        for path, offset in reversed(chosen):
            if path != self._path or self._follower is None:
                yield from _lines(path, offset)
        yield from self.poll()

    def poll(self) -> Iterator[bytes]:
        """The log's new lines."""
        return iter(()) if self._follower is None else self._follower.poll()

    def close(self) -> None:
        """Close the log."""
        if self._follower is not None:
            self._follower.close()


class SpoolSource:
    """A journal's folder: its segments in order. Those that were delivered and removed before a look are missed."""

    def __init__(self, folder: Path) -> None:
        """Follow a spool."""
        self._spool = Spool(folder)
        self._current: tuple[int, Follower] | None = None

    def backlog(self, most: int) -> Iterator[bytes]:
        """The lines of the segments that are there."""
        segments = self._spool.segments()
        while len(segments) > 1 and sum(segment.size for segment in segments) > most:
            segments.pop(0)
        if segments:
            self._turn_to(segments[0])
        yield from self.poll()

    def poll(self) -> Iterator[bytes]:
        """What was appended, segment after segment."""
        while True:
            following = self._after_current()  # looked for first: once there is a next one, ours grows no more
            if self._current is not None:
                yield from self._current[1].poll()
            if following is None:
                return
            self._turn_to(following)

    def close(self) -> None:
        """Close the segment."""
        if self._current is not None:
            self._current[1].close()

    def _after_current(self) -> Segment | None:
        number = -1 if self._current is None else self._current[0]
        return next((segment for segment in self._spool.segments() if segment.number > number), None)

    def _turn_to(self, segment: Segment) -> None:
        self.close()
        self._current = segment.number, Follower(segment.path)


def _lines(path: Path, offset: int) -> Iterator[bytes]:
    try:
        with opened(path) as stream:
            stream.seek(offset)
            yield from (line.rstrip(b"\n") for line in whole_lines(stream))
    except (OSError, EOFError):  # rotated away meanwhile, or a torn archive: what could be read was
        return


def _line_after(path: Path, offset: int) -> int:
    """Where the first line begins that is whole."""
    if path.suffix == ".gz":
        return 0
    with path.open("rb") as stream:
        stream.seek(offset)
        stream.readline()
        return stream.tell()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def sources_of(paths: Iterable[Path]) -> list[Source]:
    """What follows each of these."""
    return [source_of(path) for path in paths]
