"""The kit for tests: the one that clues is tested with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from clues.config import Config, configure, default
from clues.event import Event, EventType


class RecordingPublisher:
    """Keeps the events that it is given.

    Attributes:
        events: all of them, oldest first.
    """

    def __init__(self) -> None:
        """Start with none."""
        self.events: list[Event] = []

    def publish(self, event: Event, /) -> None:
        """Keep an event."""
        self.events.append(event)

    @property
    def types(self) -> list[str]:
        """The events' types, oldest first, as in ``["enqueued", "dequeued", …]``."""
        return [event.event_type.value for event in self.events]

    def of(self, event_type: EventType | str) -> list[Event]:
        """The events of one type."""
        return [event for event in self.events if event.event_type == event_type]

    def about(self, event_hash: str) -> list[Event]:
        """The events of one job."""
        return [event for event in self.events if event.metadata.get("_event_hash") == event_hash]

    def clear(self) -> None:
        """Forget all."""
        self.events.clear()


@contextmanager
def capture_events(**options: Any) -> Iterator[RecordingPublisher]:
    """Record the events of a block, in place of whatever is configured; afterwards that is back.

    Args:
        options: as for `clues.configure`, but for the publisher.

    Yields:
        The recorder.
    """
    recorder = RecordingPublisher()
    before: Config | None = default.config
    default.config = None  # so that configure finds no publisher to close
    try:
        configure(recorder, **options)
        yield recorder
    finally:
        default.config = before
