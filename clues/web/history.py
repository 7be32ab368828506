"""What happened: the events of logs and spools, read by a thread of its own, then followed."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from clues.analysis.facts import hash_of
from clues.analysis.reader import Entry, Reader
from clues.errors import CluesError
from clues.event import Event
from clues.publishers.otlp_counts import Counts
from clues.web.archive import Archive
from clues.web.attempts import Attempts, as_text, moment
from clues.web.sources import Source, sources_of

log = logging.getLogger("clues.web")

MOST_EVENTS = 1_000_000
"""Events that are kept; older ones stay in their files."""

_BYTES = 600  # of a usual event's line, about
_BATCH = 5_000
_LOOKED_AT = 2_000  # of the newest events, for those that a page begins with
_BEYOND = 1 << 62  # no event has that number
_LOOK = 0.1  # seconds between looks at the files

Heard = Callable[[Sequence[Event]], object]
"""Who hears of events as they come."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the reading is.

    Attributes:
        files: what is followed.
        events: how many events were read.
        bad: how many lines were none.
        loading: whether what the files held at first is still being read.
        trouble: why a file can't be read; empty if all can.
    """

    files: Sequence[str]
    events: int
    bad: int
    loading: bool
    trouble: str


class History:
    """The newest events of some files, and all that is asked of them.

    What asks needs `archive` alone, so that its source can change.

    Attributes:
        archive: the database.
        paths: the files.
    """

    def __init__(self, paths: Sequence[Path], *, most: int = MOST_EVENTS, heard: Heard = lambda _events: None) -> None:
        """Read nothing yet.

        Args:
            paths: event logs, and folders of spools.
            most: events to keep.
            heard: told of the events that come once those that were there are read.
        """
        self.paths = paths
        self.archive = Archive(most)
        self._most = most
        self._heard = heard
        self._reader = Reader()
        self._counts = Counts(time.time_ns())
        self._loading = True
        self._trouble = ""
        self._stop = threading.Event()
        self._counting = threading.Lock()
        self._thread = threading.Thread(target=self._read, name="clues-history", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def close(self) -> None:
        """Stop, and forget all."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self.archive.close()

    def standing(self) -> Standing:
        """How far the reading is."""
        reader = self._reader
        return Standing([str(path) for path in self.paths], reader.events, reader.bad, self._loading, self._trouble)

    def counts(self) -> Counts | None:
        """What was counted of all events; None as long as the first are being read, so that no rate is made up."""
        with self._counting:
            return None if self._loading else self._counts.copied()

    def events_of(self, event_hash: str) -> list[Event]:
        """A job's events, in the order they came."""
        rows = self.archive.ask("SELECT line FROM events WHERE hash = ? ORDER BY id", (event_hash,))
        return [Event.from_line(row["line"]) for row in rows]

    def latest(self, most: int, wants: Callable[[Event], bool]) -> list[Event]:
        """The newest events of some kind, the newest last; looked for among a few thousand only."""
        wanted = (event for event in islice(self._backwards(), _LOOKED_AT) if wants(event))
        return list(islice(wanted, most))[::-1]

    def _backwards(self) -> Iterator[Event]:
        """All events, the newest first; a few at a time, as some may be large."""
        query = "SELECT id, line FROM events WHERE id < ? ORDER BY id DESC LIMIT 50"
        rows = self.archive.ask(query, (_BEYOND,))
        while rows:
            yield from (Event.from_line(row["line"]) for row in rows)
            rows = self.archive.ask(query, (rows[-1]["id"],))

    def _read(self) -> None:
        sources = sources_of(self.paths)
        try:
            for source in sources:
                self._careful(partial(self._take_backlog, source))
            self._loading = False
            while not self._stop.wait(_LOOK):
                self._trouble = ""
                for source in sources:
                    self._careful(partial(self._take_news, source))
        finally:
            for source in sources:
                source.close()

    def _careful(self, step: Callable[[], object]) -> None:
        """Whatever a file does, the page goes on and says so."""
        try:
            step()
        except (CluesError, OSError) as error:
            self._trouble = str(error)
        except Exception as error:
            self._trouble = f"{type(error).__name__}: {error}"
            log.exception("reading events")

    def _take_backlog(self, source: Source) -> None:
        self._take(source.backlog(self._most * _BYTES))

    def _take_news(self, source: Source) -> None:
        self._take(source.poll(), self._heard)

    def _take(self, lines: Iterable[bytes], heard: Heard | None = None) -> None:
        lines = iter(lines)
        while not self._stop.is_set() and (batch := list(islice(lines, _BATCH))):
            entries = [entry for line in batch if (entry := self._reader.parse(line)) is not None]
            self._keep(entries)
            if heard is not None:
                heard([entry.event for entry in entries])

    def _keep(self, entries: Sequence[Entry]) -> None:
        attempts = Attempts(self.archive.last_attempt)
        kept: list[tuple[str | None, bytes]] = []
        with self._counting:
            for entry in entries:
                self._counts.add(entry.event)
        for entry in entries:
            at = moment(entry.event)
            if at is not None:
                attempts.add(entry.event, at)
                kept.append((as_text(hash_of(entry.event)), entry.line))
        self.archive.add(kept, attempts.rows())


def row_of(event: Event) -> dict[str, Any]:
    """An event as the live stream shows it."""
    metadata = event.metadata
    return {
        "type": event.event_type.value.removeprefix("perform_"),
        "at": event.timestamp,
        "class": as_text(event.worker_class),
        "queue": as_text(event.queue),
        "hash": as_text(hash_of(event)),
        "host": as_text(metadata.get("_hostname")),
        "attempt": metadata.get("_attempt"),
        "queue_time": metadata.get("_time_in_queue"),
        "run_time": metadata.get("_time_to_perform"),
        "exception": as_text(metadata.get("_exception")),
        "message": as_text(metadata.get("_message"), 200),
        "retrying": metadata.get("_retrying") is True,
    }
