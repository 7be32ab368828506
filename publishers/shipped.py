"""The publishers whose events go to a journal on disk, and from there, off the job's way, to a back end."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from clues.errors import ConfigError
from clues.event import Event, EventType
from clues.publishers.delivery import Destination

FLUSH_TIMEOUT = 2.0
"""Seconds that a process' exit may wait for delivery; what is left stands in the journal."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which events a back end gets.

    Attributes:
        events: the event types, or None for all.
        sample: the share of jobs whose events it gets, from 0 to 1, the same jobs at every event; failures always.
    """

    events: frozenset[EventType] | None = None
    sample: float = 1.0

    @classmethod
    def of(cls, events: Iterable[str] | None, sample: float) -> Choice:
        """Check what was given.

        Raises:
            ConfigError: there is no such event type, or no such share.
        """
        if not (isinstance(sample, int | float) and 0.0 <= sample <= 1.0):
            msg = f"sample must be a share from 0 to 1, not {sample!r}"
            raise ConfigError(msg)
        try:
            kinds = None if events is None else frozenset(EventType(name) for name in events)
        except ValueError as error:
            msg = f"events: {error}; there are {', '.join(EventType)}"
            raise ConfigError(msg) from None
        return cls(kinds, float(sample))


class ShippedPublisher:
    """Journals each event for its back end.

    Subclasses call `__init__` with the options of `SHIPPING`, and give their back end by `destination`.
    """

    def __init__(
        self,
        *,
        spool: str | os.PathLike[str] | None = None,
        events: Iterable[str] | None = None,
        sample: float = 1.0,
        flush_timeout: float = FLUSH_TIMEOUT,
    ) -> None:
        """Prepare, and make sure that the journal can be written.

        Args:
            spool: the folder of the journal; left out, CLUES_SPOOL, else one of the user's own. Publishers of one
                spool share one journal and one shipper.
            events: the event types to deliver; left out, all.
            sample: the share of jobs to deliver events of, from 0 to 1; failures are always delivered.
            flush_timeout: seconds that this process' exit may wait for delivery.

        Raises:
            ConfigError: an option is mistaken, or the folder can't be written.
        """
        self.choice = Choice.of(events, sample)
        self.flush_timeout = flush_timeout
        self._spool = spool

    def publish(self, event: Event, /) -> None:
        """Append the event to the journal."""
        raise NotImplementedError

    def destination(self) -> Destination:
        """The back end; called in the process that ships, and there its library is imported."""
        raise NotImplementedError


SHIPPING = ("spool", "events", "sample", "flush_timeout")
"""The options that all shipped publishers take, by keyword."""


def shipping_options(query: dict[str, str]) -> dict[str, Any]:
    """Take what a URL's query says of shipping: ``?spool=/var/spool/clues&events=failed,enqueued&sample=0.1``.

    Args:
        query: the query's parameters; those that are used are removed.

    Raises:
        ConfigError: one of them is mistaken.
    """
    found: dict[str, Any] = {}
    if spool := query.pop("spool", ""):
        found["spool"] = spool
    if events := query.pop("events", ""):
        found["events"] = [name.strip() for name in events.split(",")]
    for name in ("sample", "flush_timeout"):
        if text := query.pop(name, ""):
            try:
                found[name] = float(text)
            except ValueError:
                msg = f"CLUES_PUBLISHERS: {name} must be a number, not {text!r}"
                raise ConfigError(msg) from None
    return found


def query_of(text: str) -> dict[str, str]:
    """A URL's query as a dictionary; of a name that is there twice, the last counts."""
    return dict(parse_qsl(text, keep_blank_values=True))


def refuse_unknown(scheme: str, query: dict[str, str]) -> None:
    """Refuse what is left of a URL's query.

    Raises:
        ConfigError: something is left.
    """
    if query:
        msg = f"CLUES_PUBLISHERS: {scheme}:// knows no option {', '.join(sorted(query))}"
        raise ConfigError(msg)
