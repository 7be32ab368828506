"""Events of jobs' whole lives, as a worker tells them: of about 470 bytes, now and then a failure."""

from __future__ import annotations

from clues.config import Config, Settings
from clues.event import Event
from clues.lifecycle import Lifecycle
from clues.metadata import failure_of

METADATA = {"customer_id": 42, "tier": "gold", "host_hint": "eu-1"}
QUEUES = ("mail", "pdfs", "reports")
_FAILS = 50  # each of so many


class _Kept:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def publish(self, event: Event) -> None:
        self.events.append(event)


def events(jobs: int) -> list[Event]:
    """Four of each job: enqueued, dequeued, perform_started, and perform_finished or failed."""
    kept = _Kept()
    lifecycle = Lifecycle(Settings(Config(kept)))
    for number in range(jobs):
        _live(lifecycle, number)
    return kept.events


def args(number: int) -> list[object]:
    """A job's arguments."""
    return [number, "quarterly-report", {"format": "pdf", "pages": [1, 2, 3], "customer": "Jürgen"}]


def _live(lifecycle: Lifecycle, number: int) -> None:
    item = {"class": "Report", "args": args(number), "clues_metadata": dict(METADATA)}
    queue = QUEUES[number % len(QUEUES)]
    lifecycle.enqueued(lifecycle.stamp(queue, item))
    attempt = lifecycle.dequeued(queue, item)
    try:
        with lifecycle.performing(attempt, queue, item):
            _perform(number)
    except ValueError as error:
        lifecycle.failed(attempt, failure_of(error))
    else:
        lifecycle.perform_finished(attempt)


def _perform(number: int) -> None:
    if number % _FAILS == 0:
        msg = f"there is no page {number}"
        raise ValueError(msg)
