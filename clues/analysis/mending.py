"""Lines that the database could not read: looked at again, one by one, by the reader, which finds what is left in them."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Collection, Iterator
from itertools import islice
from pathlib import Path
from typing import IO

from clues.analysis.facts import moment_of
from clues.analysis.reader import Reader, open_log, whole_lines
from clues.event import Event
from clues.metadata import timestamp


class Mender:
    """Writes the events of odd lines anew, as plain as they can be."""

    def __init__(self, reader: Reader, target: Path) -> None:
        """Mend lines.

        Args:
            reader: what reads them, and counts those that are no events.
            target: the file that the events are written to.
        """
        self._reader = reader
        self._target = target

    def mend_some(self, source: Path, rows: Collection[int]) -> int | None:
        """Mend some lines of a file.

        Args:
            source: the file.
            rows: which lines, from 0 up, blank ones not counted.

        Returns:
            How many events were in them; None if the file has fewer lines than that, and can't be trusted.
        """
        wanted, seen, count = set(rows), 0, 0
        with open_log(source) as stream, self._target.open("wb") as target:
            for number, row, line in islice(_not_blank(stream), max(wanted) + 1):
                seen += 1
                if row in wanted:
                    count += self._mend(line, source, number, target)
        return count if seen == max(wanted) + 1 else None

    def mend_all(self, source: Path, progress: Callable[[int], object]) -> int:
        """Mend a whole file, of which the database would have nothing."""
        count = 0
        with self._target.open("wb") as target:
            for entry in self._reader.entries(source):
                target.write(_plain(entry.event))
                progress(len(entry.line))
                count += 1
        return count

    def _mend(self, line: bytes, source: Path, number: int, target: IO[bytes]) -> int:
        entry = self._reader.parse(line, str(source), number)
        if entry is not None:
            target.write(_plain(entry.event))
        return entry is not None


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
