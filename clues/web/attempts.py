"""Attempts of jobs, put together from events; one row of the history each. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from clues.analysis.facts import (
    attempt_of,
    hash_of,
    is_retried,
    job_id_of,
    moment_of,
    parent_of,
    system_of,
    time_in_queue,
    time_to_perform,
    users_fields,
)
from clues.event import TERMINAL, Event, EventType
from clues.metadata import read_enqueued_time

STATES = ("waiting", "taken", "running", "finished", "retrying", "failed", "destroyed")
"""How far an attempt came; the later ones are the later ones."""

ENDED = STATES.index("finished")
"""The first of those that are ends."""

_TIMES = {EventType.ENQUEUED: "enqueued", EventType.DEQUEUED: "dequeued", EventType.PERFORM_STARTED: "started"}
_RANKS = {
    EventType.ENQUEUED: 0,
    EventType.DEQUEUED: 1,
    EventType.PERFORM_STARTED: 2,
    EventType.PERFORM_FINISHED: 3,
    EventType.FAILED: 5,
    EventType.DESTROYED: 6,
}
_MOST_TEXT = 500
_MOST_FIELDS = 4000

COLUMNS = (
    *("hash", "attempt", "class", "queue", "system", "job_id", "parent", "state", "enqueued", "dequeued", "started"),
    *("ended", "last", "queue_time", "run_time", "exception", "message", "reason", "host", "process", "fields"),
)
"""What is known of an attempt."""


class Attempts:
    """Merges events into attempts."""

    def __init__(self, last_attempt: Callable[[str], tuple[int, int]]) -> None:
        """Begin with none.

        Args:
            last_attempt: gives the number and state of a job's last attempt that was stored, or (1, 0).
        """
        self._rows: dict[tuple[str, int], dict[str, Any]] = {}
        self._numbers: dict[str, int] = {}
        self._last_attempt = last_attempt

    def add(self, event: Event, at: float) -> None:
        """Take an event in; one of no known job is none."""
        event_hash = hash_of(event)
        if event_hash is None:
            return
        attempt = attempt_of(event) or self._ruby_attempt(event_hash, event)
        row = self._rows.setdefault((event_hash, attempt), {"hash": event_hash, "attempt": attempt, "state": -1})
        _merge(row, event, at)

    def rows(self) -> Iterable[tuple[Any, ...]]:
        """The attempts, each with a value for each column."""
        for row in self._rows.values():
            _tell(row, row.pop("told_by"))
            yield tuple(map(row.get, COLUMNS))

    def _ruby_attempt(self, event_hash: str, event: Event) -> int:
        """Ruby numbers no attempts: what follows an end is another one."""
        number = self._numbers.get(event_hash)
        if number is None:
            number, state = self._last_attempt(event_hash)
        else:
            state = self._rows[event_hash, number]["state"]
        if state >= ENDED and event.event_type not in TERMINAL:
            number += 1
        self._numbers[event_hash] = number
        return number


def _merge(row: dict[str, Any], event: Event, at: float) -> None:
    rank = 4 if is_retried(event) else _RANKS[event.event_type]
    row["last"] = max(at, row.get("last", at))
    row[_TIMES.get(event.event_type, "ended")] = at
    if "enqueued" not in row and (known := read_enqueued_time(event.metadata)) is not None:
        row["enqueued"] = known
    if (waited := time_in_queue(event)) is not None:
        row["queue_time"] = waited
    if (ran := time_to_perform(event)) is not None:
        row["run_time"] = ran
    if rank >= row["state"]:
        row["told_by"] = event  # its words are asked for once, when all events have come
        row["state"] = rank


def _tell(row: dict[str, Any], event: Event) -> None:
    metadata = event.metadata
    row["class"], row["queue"] = as_text(event.worker_class), as_text(event.queue)
    row["system"], row["job_id"], row["parent"] = map(as_text, (system_of(event), job_id_of(event), parent_of(event)))
    row["host"], row["process"] = as_text(metadata.get("_hostname")), as_text(metadata.get("_process"))
    fields = users_fields(metadata)
    row["fields"] = as_text(json.dumps(fields, ensure_ascii=False, default=str), _MOST_FIELDS) if fields else None
    if event.event_type is EventType.FAILED:
        row["exception"], row["message"] = as_text(metadata.get("_exception")), as_text(metadata.get("_message"))
        row["reason"] = as_text(metadata.get("_reason"))


def as_text(value: object, most: int = _MOST_TEXT) -> str | None:
    """A value as text that the database takes: without lone surrogates, and not too long."""
    if value is None:
        return None
    found = (value if isinstance(value, str) else str(value))[:most]
    return found if found.isascii() else found.encode("utf-8", "replace").decode()


def moment(event: Event) -> float | None:
    """When it happened, in epoch seconds."""
    found = moment_of(event)
    return None if found is None else found.timestamp()
