"""What an event tells, ours or resque-clues', read with care: a log may hold anything under any key.

Ruby's events have no id and no attempt, times of whole seconds, and each system key twice, with and without ``_``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from clues.event import TERMINAL, Event, EventType
from clues.metadata import event_id, read_attempt, read_hash, read_scheduled_time

RUBY_TWINS = frozenset(
    {
        "backtrace",
        "enqueued_time",
        "event_hash",
        "exception",
        "hostname",
        "message",
        "process",
        "time_in_queue",
        "time_to_perform",
    }
)
"""The system keys that resque-clues also writes without ``_``."""


LONGEST_TIME = 1e12
"""Seconds; what is longer is no time: neither NaN, nor infinity, nor what others can't be added to."""


def hash_of(event: Event) -> str | None:
    """The job's hash, or None where the event has none."""
    return read_hash(event.metadata)


def parent_of(event: Event) -> str | None:
    """The hash of the job that enqueued this one, if a job did."""
    found = event.metadata.get("_parent_event_hash")
    return found if isinstance(found, str) else None


def attempt_of(event: Event) -> int | None:
    """Which attempt the event belongs to, or None where it doesn't say (Ruby's)."""
    return read_attempt(event.metadata) if "_attempt" in event.metadata else None


def id_of(event: Event) -> str | None:
    """The event's id, the same for each copy of it; None where no two events can be told from two copies."""
    found = event.metadata.get("_event_id")
    if isinstance(found, str):
        return found
    known, attempt = hash_of(event), attempt_of(event)
    return event_id(known, attempt, event.event_type) if known is not None and attempt is not None else None


def moment_of(event: Event) -> datetime | None:
    """When it happened, in UTC; None where the timestamp is none."""
    try:
        found = datetime.fromisoformat(event.timestamp)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def is_exact(event: Event) -> bool:
    """Whether the timestamp tells fractions of a second; Ruby's don't."""
    return "." in event.timestamp


def time_in_queue(event: Event) -> float | None:
    """Seconds that the job waited, where they are known."""
    return _seconds(event.metadata.get("_time_in_queue"))


def time_to_perform(event: Event) -> float | None:
    """Seconds that the job ran, where they are known."""
    return _seconds(event.metadata.get("_time_to_perform"))


def users_fields(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What the application wrote: keys without ``_``, less the twins that resque-clues writes of its own keys."""
    # A field named "message" is the user's own in our events, and Ruby's twin of "_message" in Ruby's.
    ruby = "event_hash" in metadata or "_event_id" not in metadata
    twins = {key for key in RUBY_TWINS if f"_{key}" in metadata} if ruby else frozenset()
    return {key: value for key, value in metadata.items() if not key.startswith("_") and key not in twins}


def system_of(event: Event) -> str | None:
    """The job system, in events of adapters."""
    found = event.metadata.get("_system")
    return found if isinstance(found, str) else None


def scheduled_of(event: Event) -> datetime | None:
    """When the job was to run, if that was not at once."""
    found = read_scheduled_time(event.metadata)
    return None if found is None else datetime.fromtimestamp(found, UTC)


def job_id_of(event: Event) -> str | None:
    """The id that the job has in its own system, in events of adapters."""
    found = event.metadata.get("_job_id")
    return found if isinstance(found, str) else None


def is_retried(event: Event) -> bool:
    """Whether it ends an attempt that has failed, and that another follows by itself."""
    return event.event_type is EventType.FAILED and event.metadata.get("_retrying") is True


def is_redelivered(event: Event) -> bool:
    """Whether a worker had the attempt before, which has not ended it."""
    return event.metadata.get("_redelivered") is True


def has_ended(event: Event) -> bool:
    """Whether an attempt of the job ends with this event."""
    return event.event_type in TERMINAL


def _seconds(found: object) -> float | None:
    if isinstance(found, int | float) and not isinstance(found, bool) and 0 <= found <= LONGEST_TIME:
        return float(found)
    return None
