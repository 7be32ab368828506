"""Lines that the database could not read: looked at again by the reader, which finds what is left in them."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import IO

from clues.analysis.backwards import lines_backwards
from clues.analysis.facts import hash_of, moment_of
from clues.analysis.reader import Entry, Reader, open_log, whole_lines
from clues.event import Event
from clues.lines import EVENT_START
from clues.metadata import timestamp

_Line = tuple[int | None, bytes]
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")


class Mender:
    """Writes the events of odd lines anew, as plain as they can be.

    Attributes:
        longest: the bytes of the longest line that was ever written.
    """

    def __init__(self, reader: Reader, target: Path) -> None:
        """Mend lines.

        Args:
            reader: what reads them, and counts those that are no events.
            target: the file that the events are written to.
        """
        self._reader = reader
        self._target = target
        self.longest = 0

    def mend_some(self, source: Path, rows: Collection[int]) -> int | None:
        """Mend the odd lines of a file.

        DuckDB gives rows in the order of lines, but for the last line where that is half-written, as in a log that is
        being written: then the lines are told by their shape.

        Args:
            source: the file.
            rows: which lines, from 0 up, blank ones not counted.

        Returns:
            How many events were in them; None if it can't be told which lines they are.
        """
        wanted = frozenset(rows)
        for odd_lines in (_half_written, _by_row, _by_shape):
            scratch = Reader()
            entries = _entries(odd_lines(source, wanted), source, scratch, len(wanted))
            if entries is not None:
                with self._target.open("wb") as target:
                    for entry in entries:
                        self._write(entry, target)
                self._reader.take_over(scratch)
                return len(entries)
        return None

    def mend_all(self, source: Path, progress: Callable[[int], object]) -> int:
        """Mend a whole file, of which the database would have nothing."""
        count = 0
        with self._target.open("wb") as target:
            for entry in self._reader.entries(source):
                self._write(entry, target)
                progress(len(entry.line))
                count += 1
        return count

    def _write(self, entry: Entry, target: IO[bytes]) -> None:
        line = _plain(entry.event)
        self.longest = max(self.longest, len(line))
        target.write(line)


def _entries(lines: Iterable[_Line], source: Path, reader: Reader, count: int) -> list[Entry] | None:
    """What is left in odd lines; None if there are more or fewer of them, or one has nothing odd about it."""
    entries, seen = [], 0
    for number, line in lines:
        seen += 1
        entry = reader.parse(line, str(source), number)
        if seen > count or (entry is not None and entry.line == line.strip() and _is_sound(entry)):
            return None
        if entry is not None:
            entries.append(entry)
    return entries if seen == count else None


def _half_written(source: Path, rows: Collection[int]) -> Iterator[_Line]:
    """The last line, if it has no end and is the only odd one: nothing else has to be read."""
    if len(rows) == 1 and source.suffix != ".gz":
        with source.open("rb") as stream:
            size = stream.seek(0, 2)
            line = next(lines_backwards(stream, size), b"")
            stream.seek(size - 1)
            if stream.read(1) != b"\n":
                yield None, line


def _by_row(source: Path, rows: Collection[int]) -> Iterator[_Line]:
    """The lines that are in these places."""
    last = max(rows)
    with open_log(source) as stream:
        for number, row, line in _not_blank(stream):
            if row in rows:
                yield number, line
            if row == last:
                return


def _by_shape(source: Path, _rows: Collection[int]) -> Iterator[_Line]:
    """The lines that don't look like events."""
    with open_log(source) as stream:
        yield from ((number, line) for number, _, line in _not_blank(stream) if not _has_shape(line))


def _is_sound(entry: Entry) -> bool:
    """Whether the database must have been able to read a line."""
    plain = not any(odd in entry.line for odd in (b"NaN", b"Infinity", b"\\u"))
    return plain and hash_of(entry.event) is not None and _TIMESTAMP.fullmatch(entry.event.timestamp) is not None


def _has_shape(line: bytes) -> bool:
    """Whether a line looks like one event, on the quick."""
    return line.startswith(EVENT_START) and line.endswith(b"]}\n") and line.rfind(EVENT_START) == 0


def _not_blank(stream: IO[bytes]) -> Iterator[tuple[int, int, bytes]]:
    """Lines with their numbers, from 1 up, and their places among those that are not blank."""
    row = 0
    try:
        for number, line in enumerate(whole_lines(stream), start=1):
            if line.strip():
                yield number, row, line
                row += 1
    except (EOFError, OSError, zlib.error):
        return


def _plain(event: Event) -> bytes:
    """An event's line without what a database's text can't hold, its timestamp in UTC."""
    moment = moment_of(event)
    fields = {
        "event_type": event.event_type.value,
        "timestamp": None if moment is None else timestamp(moment.timestamp()),
        "queue": event.queue,
        "metadata": event.metadata,
        "worker_class": event.worker_class,
        "args": event.args,
    }
    text = json.dumps(fields, ensure_ascii=False)
    if "NaN" in text or "Infinity" in text:  # JSON has no such numbers
        text = json.dumps(json.loads(text, parse_constant=lambda _: None), ensure_ascii=False)
    return text.encode("utf-8", "replace") + b"\n"
