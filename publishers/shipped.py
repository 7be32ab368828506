"""The publishers whose events go to a journal on disk, and from there, off the job's way, to a back end."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import SplitResult

from clues.errors import ConfigError
from clues.event import Event
from clues.publishers.choice import Choice
from clues.publishers.delivery import Destination
from clues.publishers.journal import JournalOptions
from clues.publishers.outbox import Companion, Outbox, outbox_of
from clues.publishers.query import Reader, names, number, options_of, seconds, text, whole
from clues.publishers.spool import spool_folder

FLUSH_TIMEOUT = 2.0
"""Seconds that a process' exit may wait for delivery; what is left stands in the journal."""


class ShippedPublisher(ABC):
    """Journals each event for its destination. Subclasses give that by `destination`, and call `__init__`.

    Attributes:
        name: the destination's, without secrets.
        choice: which events it wants.
        outbox: the journal, and all that goes with it; shared by the publishers of one spool.
    """

    def __init__(  # noqa: PLR0913 - the options of all such publishers
        self,
        name: str,
        *,
        spool: str | os.PathLike[str] | None = None,
        events: Iterable[str] | None = None,
        sample: float = 1.0,
        flush_timeout: float = FLUSH_TIMEOUT,
        journal: JournalOptions | None = None,
    ) -> None:
        """Make sure that the journal can be written.

        Args:
            name: the destination's.
            spool: the journal's folder; left out, CLUES_SPOOL, else one of the user's own. Programs that share a spool
                share its destinations.
            events: the event types to deliver; left out, all.
            sample: the share of jobs to deliver the events of, from 0 to 1; failures are always delivered.
            flush_timeout: seconds that this process' exit may wait for delivery.
            journal: how the journal keeps events: its size, what is dropped when it is full, when it is forced to disk.

        Raises:
            ConfigError: an option is mistaken, or the folder can't be written.
        """
        self.name: str = name
        self.choice: Choice = Choice.of(events, sample)
        if not flush_timeout >= 0:
            msg = f"flush_timeout must be a number of seconds, not {flush_timeout!r}"
            raise ConfigError(msg)
        self.outbox: Outbox = outbox_of(spool_folder(spool), journal or JournalOptions())
        self.outbox.add(self, flush_timeout)

    def publish(self, event: Event, /) -> None:
        """Append the event to the journal.

        Raises:
            JournalFullError: the journal is full; the event is dropped, and counted.
            OSError: it could not be written whole.
        """
        self.outbox.publish(event)

    def publish_many(self, events: Sequence[Event]) -> None:
        """Append several events to the journal, by one write.

        Raises:
            JournalFullError: the journal is full; the events are dropped, and counted.
            OSError: they could not be written whole.
        """
        self.outbox.publish(*events)

    def flush(self, timeout: float = FLUSH_TIMEOUT) -> bool:
        """Wait until what was published is delivered, by this process or another; gives whether it is.

        Args:
            timeout: seconds.
        """
        return self.outbox.flush(timeout)

    def close(self) -> None:
        """Deliver what is left as long as `flush_timeout` allows; the rest stands in the journal."""
        self.outbox.remove(self)

    def companion(self) -> Companion:
        """What is to ship in a process of its own; this one, and those it forks, won't."""
        return Companion([self.outbox])

    @abstractmethod
    def destination(self) -> Destination:
        """The destination; called in the process that ships, and there its library is imported."""


JOURNAL_OPTIONS = {"max_spool_bytes": "max_bytes", "drop": "drop", "sync": "sync"}
"""The options in URLs that speak of the journal, and which of its options each is."""

SHIPPING: Mapping[str, Reader] = {
    "spool": text,
    "events": names,
    "sample": number,
    "flush_timeout": seconds,
    "max_spool_bytes": whole,
    "drop": text,
    "sync": text,
}
"""The options of shipping in URLs: ``?spool=/var/spool/clues&events=failed,enqueued&sample=0.1``."""


def shipping_options(url: SplitResult, known: Mapping[str, Reader]) -> dict[str, Any]:
    """The arguments that a URL's query gives for a shipped publisher, those of the journal as `JournalOptions`.

    Raises:
        ConfigError: one of them is mistaken.
    """
    found = options_of(url, known)
    journal = {ours: found.pop(name) for name, ours in JOURNAL_OPTIONS.items() if name in found}
    if journal:
        found["journal"] = JournalOptions(**journal)
    return found
