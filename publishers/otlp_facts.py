"""What an event says that is counted and named by it; no OpenTelemetry is needed for it."""

from __future__ import annotations

from clues.event import Event, EventType
from clues.publishers.otlp_wire import encoded

SYSTEM = "resque"
"""The messaging system of events that don't name another in their metadata's ``_system``."""


def text(value: object) -> str:
    """A text that protobuf takes: lone surrogates are replaced."""
    found = value if isinstance(value, str) else str(value)
    return found if found.isascii() else encoded(found).decode()


def system_of(event: Event) -> str:
    """The messaging system."""
    found = event.metadata.get("_system")
    return found if isinstance(found, str) and found else SYSTEM


def error_type(event: Event) -> str:
    """What kind of error a job failed with; empty if it did not."""
    if event.event_type is not EventType.FAILED:
        return ""
    found = event.metadata.get("_exception") or event.metadata.get("_reason")
    return text(found) if isinstance(found, str) else "_OTHER"


def is_retried(event: Event) -> bool:
    """Whether it ends an attempt that another follows by itself."""
    return event.event_type is EventType.FAILED and event.metadata.get("_retrying") is True


def seconds(value: object) -> float | None:
    """A duration from metadata; None if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e10:  # noqa: PLR2004 - 300 years
        return None
    return float(value)
