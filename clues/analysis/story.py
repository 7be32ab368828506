"""A job's story as data: its attempts, each with its events in order, and the jobs around it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from clues.analysis.facts import has_ended, is_retried, time_in_queue, time_to_perform, users_fields
from clues.event import Event, EventType

T = TypeVar("T")

_OUTCOMES = {
    EventType.ENQUEUED: "waiting",
    EventType.DEQUEUED: "taken",
    EventType.PERFORM_STARTED: "running",
    EventType.PERFORM_FINISHED: "finished",
    EventType.FAILED: "failed",
    EventType.DESTROYED: "destroyed",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One event in its place.

    Attributes:
        event: the event.
        moment: when, in UTC, or None where its timestamp is none.
        gap: seconds since the step before, negative where clocks disagree; None for the first.
        exact: whether the gap is known to fractions of a second.
    """

    event: Event
    moment: datetime | None
    gap: float | None
    exact: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed.

    Attributes:
        exception: the error's class.
        message: what it said.
        backtrace: innermost first.
        reason: set where the job did not fail by itself: ``killed:SIGKILL``, ``lost``, …
        reporter: who found that out.
    """

    exception: str
    message: str
    backtrace: tuple[str, ...]
    reason: str | None
    reporter: str | None


@dataclass(frozen=True, slots=True)
class AttemptStory:
    """What happened in one attempt.

    Attributes:
        number: from 1 up.
        steps: its events in order.
    """

    number: int
    steps: tuple[Step, ...]

    @property
    def outcome(self) -> str:
        """``waiting``, ``taken``, ``running``, ``finished``, ``failed`` or ``destroyed``: how far it came."""
        return _OUTCOMES[self._last.event_type]

    @property
    def retrying(self) -> bool:
        """Whether it failed, and another attempt follows by itself: the job has not failed."""
        return is_retried(self._last)

    @property
    def time_in_queue(self) -> float | None:
        """Seconds that it waited."""
        return first_known(time_in_queue(step.event) for step in self.steps)

    @property
    def time_to_perform(self) -> float | None:
        """Seconds that it ran."""
        return first_known(time_to_perform(step.event) for step in self.steps)

    @property
    def fields(self) -> dict[str, Any]:
        """The application's own fields."""
        return users_fields(self._last.metadata)

    @property
    def added(self) -> dict[str, Any]:
        """Those of the fields that the job wrote while it ran."""
        if not has_ended(self._last) or len(self.steps) == 1:
            return {}
        before = users_fields(self.steps[-2].event.metadata)
        return {key: value for key, value in self.fields.items() if key not in before}

    @property
    def failure(self) -> Failure | None:
        """Why it failed, if it did."""
        return _failure(self._last.metadata) if self._last.event_type is EventType.FAILED else None

    @property
    def _last(self) -> Event:
        return self.steps[-1].event


@dataclass(frozen=True, slots=True)
class Child:
    """A job that this one enqueued.

    Attributes:
        event_hash: its hash.
        worker_class: its class.
        outcome: how far it came, ``retrying`` where its last attempt failed and another follows.
    """

    event_hash: str
    worker_class: str | None
    outcome: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """One job's life.

    Attributes:
        event_hash: the job.
        worker_class: its class.
        queue: its queue.
        args: its arguments, as the events show them.
        system: the job system that it is of, where that is not our own.
        job_id: its id in that system.
        parent: the hash of the job that enqueued it, if one did.
        attempts: what happened, attempt by attempt.
        children: the jobs that it enqueued.
        duplicates: how many events were copies of others, which at-least-once delivery brings.
    """

    event_hash: str
    worker_class: str | None
    queue: str | None
    args: Sequence[Any]
    system: str | None
    job_id: str | None
    parent: str | None
    attempts: tuple[AttemptStory, ...]
    children: tuple[Child, ...]
    duplicates: int

    def as_dict(self) -> dict[str, Any]:
        """The timeline as plain JSON values."""
        return {
            "event_hash": self.event_hash,
            "worker_class": self.worker_class,
            "queue": self.queue,
            "args": list(self.args),
            "system": self.system,
            "job_id": self.job_id,
            "parent": self.parent,
            "attempts": [_attempt_as_dict(attempt) for attempt in self.attempts],
            "children": [
                {"event_hash": child.event_hash, "worker_class": child.worker_class, "outcome": child.outcome}
                for child in self.children
            ],
            "duplicates": self.duplicates,
        }


def _failure(metadata: Mapping[str, Any]) -> Failure:
    backtrace = metadata.get("_backtrace")
    lines = backtrace if isinstance(backtrace, list) else str(backtrace or "").splitlines()
    return Failure(
        exception=str(metadata.get("_exception", "an error that wasn't told")),
        message=str(metadata.get("_message", "")),
        backtrace=tuple(map(str, lines)),
        reason=_text(metadata.get("_reason")),
        reporter=_text(metadata.get("_reporter")),
    )


def _text(found: object) -> str | None:
    return None if found is None else str(found)


def first_known(found: Iterable[T | None]) -> T | None:
    """The first that is not None."""
    return next((one for one in found if one is not None), None)


def _attempt_as_dict(attempt: AttemptStory) -> dict[str, Any]:
    failure = attempt.failure
    return {
        "attempt": attempt.number,
        "outcome": attempt.outcome,
        "retrying": attempt.retrying,
        "time_in_queue": attempt.time_in_queue,
        "time_to_perform": attempt.time_to_perform,
        "fields": attempt.fields,
        "added": attempt.added,
        "failure": failure and _failure_as_dict(failure),
        "events": [_step_as_dict(step) for step in attempt.steps],
    }


def _failure_as_dict(failure: Failure) -> dict[str, Any]:
    return {
        "exception": failure.exception,
        "message": failure.message,
        "backtrace": list(failure.backtrace),
        "reason": failure.reason,
        "reporter": failure.reporter,
    }


def _step_as_dict(step: Step) -> dict[str, Any]:
    event = step.event
    return {
        "event_type": event.event_type.value,
        "timestamp": event.timestamp,
        "gap": step.gap,
        "hostname": event.metadata.get("_hostname"),
        "process": event.metadata.get("_process"),
    }
