"""A job's whole story, told to a Lifecycle as a job system tells it; and the clocks that tests set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from clues.attempt import Attempt
from clues.config import Config, Settings
from clues.lifecycle import Lifecycle
from clues.metadata import failure_of
from clues.testing import RecordingPublisher

NOON = 1795176000.123456


@dataclass
class Clock:
    """Seconds that pass only when a test says so."""

    now: float = NOON

    def __call__(self) -> float:
        return self.now


@dataclass
class Stage:
    """A Lifecycle of its own with everything that goes into it in hand."""

    recorder: RecordingPublisher = field(default_factory=RecordingPublisher)
    clock: Clock = field(default_factory=Clock)
    monotonic: Clock = field(default_factory=lambda: Clock(1000.0))
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        given: dict[str, Any] = {"publisher": self.recorder, "hostname": "web-1"} | self.options
        self.config = Config(clock=self.clock, monotonic=self.monotonic, **given)
        self.lifecycle = Lifecycle(Settings(self.config))

    @property
    def metadata(self) -> list[dict[str, Any]]:
        """The metadata of all events, oldest first."""
        return [dict(event.metadata) for event in self.recorder.events]


def live(
    lifecycle: Lifecycle, item: dict[str, Any], job: Callable[[], object] = lambda: None, *, queue: str = "mail"
) -> Attempt | None:
    """Enqueue, dequeue and perform an item; what the job raises fails it."""
    lifecycle.enqueued(lifecycle.stamp(queue, item))
    return work(lifecycle, item, job, queue=queue)


def work(
    lifecycle: Lifecycle, item: dict[str, Any], job: Callable[[], object] = lambda: None, *, queue: str = "mail"
) -> Attempt | None:
    """Dequeue and perform an item; what the job raises fails it."""
    attempt = lifecycle.dequeued(queue, item)
    try:
        with lifecycle.performing(attempt, queue, item):
            job()
    except Exception as error:
        lifecycle.failed(attempt, failure_of(error))
    else:
        lifecycle.perform_finished(attempt)
    return attempt
