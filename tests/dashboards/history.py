"""A shop's jobs over some hours, told by a real Lifecycle, with what samplers would have seen meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from clues.event import Event, EventType, Sample
from clues.metadata import failure_of
from tests.stories import Clock, Stage

MINUTES = 7 * 60
STEP = 60.0
ENDS = {EventType.PERFORM_FINISHED, EventType.FAILED}


@dataclass
class History:
    """What happened, by the minute in which it was told.

    Attributes:
        begin: epoch seconds of its first minute.
        minutes: the events of each.
        samples: the states at the end of each.
    """

    begin: float
    minutes: list[list[Event]] = field(default_factory=list)
    samples: list[list[Sample]] = field(default_factory=list)

    @property
    def end(self) -> float:
        """When its last minute was over."""
        return self.begin + STEP * len(self.minutes)

    def last(self, minutes: int, ago: int = 0) -> Iterator[Event]:
        """The events of the last minutes, or of as many before."""
        for some in self.minutes[len(self.minutes) - ago - minutes : len(self.minutes) - ago]:
            yield from some

    def state(self, name: str, **attributes: str) -> float:
        """A state at the end."""
        (found,) = (one.value for one in self.samples[-1] if (one.name, one.attributes) == (name, attributes))
        return found


def made(minutes: int = MINUTES, end: float | None = None) -> History:
    """A history that ends about now; everything in it repeats, so that any part of it is like any other."""
    begin = (end or time.time()) // STEP * STEP - minutes * STEP
    told = History(begin)
    stage = Stage(clock=Clock(begin))
    for minute in range(minutes):
        stage.recorder.clear()
        stage.clock.now = begin + minute * STEP + 50
        _minute(stage, minute, last=minute == minutes - 1)
        told.minutes.append([*stage.recorder.events])
        told.samples.append(_states(minute))
    return told


def _minute(stage: Stage, minute: int, *, last: bool) -> None:
    for number in range(3):
        again = minute % 7 == 0 and number == 0
        error: Exception | None = TimeoutError("no answer") if again else None
        _job(stage, "mail", "SendMail", 1.0, 0.2, error, retrying=again, customer=f"c{number}")
    slow = minute % 5 == 0
    error = ValueError("no such page") if minute % 4 == 0 else None
    _job(stage, "pdf", "Pdf", 45.0 if slow else 20.0, 400.0 if slow else 8.0, error, customer="c9")
    if minute % 10 == 0:
        item = _enqueued(stage, "mail", "SendMail", 2.0)
        stage.lifecycle.destroyed("mail", item)
    if last:
        _enqueued(stage, "mail", "SendMail", 3.0)
        _enqueued(stage, "pdf", "Pdf", 3.0)
        item = _enqueued(stage, "pdf", "Pdf", 3.0)
        attempt = stage.lifecycle.dequeued("pdf", item)
        with stage.lifecycle.performing(attempt, "pdf", item):
            pass


def _enqueued(stage: Stage, queue: str, name: str, wait: float, customer: str = "c0") -> dict[str, Any]:
    item: dict[str, Any] = {"class": name, "args": [1], "clues_metadata": {"customer_id": customer}}
    stage.clock.now -= wait
    stage.lifecycle.enqueued(stage.lifecycle.stamp(queue, item))
    stage.clock.now += wait
    return item


def _job(
    stage: Stage,
    queue: str,
    name: str,
    wait: float,
    took: float,
    error: Exception | None,
    *,
    retrying: bool = False,
    customer: str,
) -> None:
    item = _enqueued(stage, queue, name, wait, customer)
    attempt = stage.lifecycle.dequeued(queue, item)
    with stage.lifecycle.performing(attempt, queue, item):
        stage.monotonic.now += took
    stage.clock.now += 0.001
    if error is None:
        stage.lifecycle.perform_finished(attempt)
    else:
        reason = "killed:SIGKILL" if isinstance(error, ValueError) and took > 100 else None
        stage.lifecycle.failed(attempt, failure_of(error), reason=reason, retrying=retrying)


def _states(minute: int) -> list[Sample]:
    """What samplers see: these are states, of which the log knows nothing."""
    found = [
        Sample("clues.worker.alive", 8, "{worker}"),
        Sample("clues.worker.busy", 2 + minute % 3, "{worker}"),
        Sample("clues.delivery.published", 100 * minute, "{event}"),
        Sample("clues.delivery.dropped", 3, "{event}"),
    ]
    for number, queue in enumerate(("mail", "pdf")):
        labels = {"queue": queue}
        found += [
            Sample("clues.queue.depth", 5 + number + minute % 4, "{job}", labels),
            Sample("clues.queue.oldest.age", 12.5 * (1 + number), "s", labels),
            Sample("clues.queue.paused", number, "1", labels),
            Sample("clues.job.running.longest", 30.5 + number, "s", labels),
        ]
    for number, name in enumerate(("otlp", "elasticsearch")):
        labels = {"destination": name}
        found += [
            Sample("clues.delivery.delivered", (90 + number) * minute, "{event}", labels),
            Sample("clues.delivery.retried", 7 + number, "{event}", labels),
            Sample("clues.delivery.dead_lettered", number, "{event}", labels),
            Sample("clues.delivery.lag.events", 40 + number, "{event}", labels),
            Sample("clues.delivery.lag.duration", 2.5 + number, "s", labels),
        ]
    return found


def epoch(event: Event) -> float:
    """When an event was."""
    return datetime.fromisoformat(event.timestamp).timestamp()
