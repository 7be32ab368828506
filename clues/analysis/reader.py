"""Reads event logs, plain or gzipped, and keeps count of the lines that are no events."""

from __future__ import annotations

import errno
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from clues.errors import LogFileError
from clues.event import Event
from clues.lines import EVENT_START, LONGEST_LINE, opened, salvaged

_SAMPLES = 5
_SHOWN = 120
_PROGRESS_STEP = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no event.

    Attributes:
        source: the file it stands in.
        number: its line number, from 1 up; None in a file that is followed.
        text: its beginning.
        reason: what is wrong with it.
    """

    source: str
    number: int | None
    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Entry:
    """An event with its line.

    Attributes:
        event: the event.
        line: as it stands in the log, without its newline.
    """

    event: Event
    line: bytes


class Reader:
    """Turns lines into events. A bad line is counted, and the first few are kept for showing; none is fatal.

    Blank lines and comments (Ruby's Logger heads its files with one) are passed over. An event that was appended to
    another's torn line is still found.

    Attributes:
        events: how many events were read.
        bad: how many lines were none.
        samples: the first few bad lines.
        sources: the files that were read, in order.
    """

    def __init__(self, *, about: str | None = None, progress: Callable[[int], object] | None = None) -> None:
        """Start with nothing read.

        Args:
            about: give only the events whose lines hold this text, a hash for instance; the others are counted by
                their shape, without being decoded, which is many times faster.
            progress: called now and then with the number of bytes read since its last call.
        """
        self._about = None if about is None else about.encode("utf-8", "surrogatepass")
        self._progress = progress
        self.events: int = 0
        self.bad: int = 0
        self.samples: list[BadLine] = []
        self.sources: list[str] = []

    def read(self, *paths: str | os.PathLike[str]) -> Iterator[Event]:
        """Yield the events of files, one file after the other.

        Raises:
            LogFileError: a file can't be opened; say, it is not there.
        """
        return (entry.event for entry in self.entries(*paths))

    def entries(self, *paths: str | os.PathLike[str]) -> Iterator[Entry]:
        """As `read`, each event with its line."""
        for path in paths:
            yield from self._read(Path(path))

    def parse(self, line: bytes, source: str = "", number: int | None = None) -> Entry | None:
        """The event in a line, or None for a line that holds none."""
        text = line.strip()
        if not text or text.startswith(b"#"):
            return None
        try:
            event = Event.from_line(text)
        except ValueError as error:
            self._count_bad(text, source, number, error)
            return self.parse(salvaged(text))
        self.events += 1
        return Entry(event, text)

    def take_over(self, other: Reader) -> None:
        """Count what another has counted as its own."""
        self.events += other.events
        self.bad += other.bad
        self.samples += other.samples[: _SAMPLES - len(self.samples)]

    def _read(self, path: Path) -> Iterator[Entry]:
        with open_log(path) as stream:
            self.sources.append(str(path))
            unsaid = 0
            for number, line in enumerate(self._lines(stream, path), start=1):
                unsaid += len(line)
                if unsaid > _PROGRESS_STEP:
                    unsaid = self._say_progress(unsaid)
                if self._is_about_others(line):
                    self.events += 1
                    continue
                entry = self.parse(line, str(path), number)
                if entry is not None and (self._about is None or self._about in entry.line):
                    yield entry
            self._say_progress(unsaid)

    def _is_about_others(self, line: bytes) -> bool:
        """Whether a line has an event's shape and does not hold the text that is looked for."""
        return (
            self._about is not None
            and self._about not in line
            and line.startswith(EVENT_START)
            and line.endswith(b"}\n")
        )

    def _say_progress(self, size: int) -> int:
        if self._progress is not None:
            self._progress(size)
        return 0

    def _lines(self, stream: IO[bytes], path: Path) -> Iterator[bytes]:
        try:
            yield from whole_lines(stream)
        except (EOFError, OSError, zlib.error) as error:
            self._count_bad(b"", str(path), None, error)

    def _count_bad(self, text: bytes, source: str, number: int | None, error: Exception) -> None:
        self.bad += 1
        if len(self.samples) < _SAMPLES:
            shown = text[:_SHOWN].decode("utf-8", "backslashreplace")
            self.samples.append(BadLine(source, number, shown, str(error)))


def open_log(path: Path) -> IO[bytes]:
    """Open an event log for reading.

    Raises:
        LogFileError: it can't be opened.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder, name a file in it", str(path))
        return opened(path)
    except OSError as error:
        raise LogFileError(path, error) from error


def whole_lines(stream: IO[bytes]) -> Iterable[bytes]:
    """The lines of a stream; of one that is too long, only a beginning: it is never held in memory whole."""
    while line := stream.readline(LONGEST_LINE):
        yield line if line.endswith(b"\n") or len(line) < LONGEST_LINE else line[:_SHOWN]
        while not line.endswith(b"\n") and line:
            line = stream.readline(LONGEST_LINE)
