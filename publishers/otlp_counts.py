"""What is counted of events, cumulatively, with a bounded number of series; plain Python, and plain JSON when kept."""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clues.event import Event, EventType
from clues.publishers.otlp_facts import error_type, is_retried, seconds, system_of, text

OTHER = "_OTHER"
MAX_SERIES = 500
"""Series of one metric; what would be more counts as ``_OTHER``."""
MAX_ERROR_TYPES = 50
_MAX_LABEL = 255
_REMEMBERED = 4096  # ids of events, so that one that is told twice counts once

Labels = tuple[str, str, str, str, str, str]
"""System, operation, queue, job class, outcome, error type; empty where a metric has none."""
LABEL_NAMES = (
    "messaging.system",
    "messaging.operation.name",
    "messaging.destination.name",
    "clues.job.class",
    "clues.job.outcome",
    "error.type",
)

SENT, CONSUMED = "messaging.client.sent.messages", "messaging.client.consumed.messages"
PROCESS, QUEUED = "messaging.process.duration", "clues.job.queue.duration"
DESTROYED = "clues.job.destroyed"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: its name.
        unit: its unit in UCUM.
        description: what it says.
        bounds: upper bounds of a histogram's buckets; none for a counter.
    """

    name: str
    unit: str
    description: str
    bounds: tuple[float, ...] = ()


METRICS = (
    Metric(SENT, "{message}", "Jobs enqueued."),
    Metric(CONSUMED, "{message}", "Jobs whose processing has ended, once for each attempt."),
    Metric(DESTROYED, "{job}", "Jobs removed from their queue, never performed."),
    # The conventions advise buckets up to 10 s; jobs take hours.
    Metric(
        PROCESS,
        "s",
        "How long jobs took, failed ones too.",
        (
            *(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
            *(60.0, 300.0, 900.0, 1800.0, 3600.0, 10_800.0, 21_600.0),
        ),
    ),
    Metric(
        QUEUED,
        "s",
        "How long jobs waited in their queue.",
        (
            *(0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
            *(60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14_400.0, 43_200.0),
        ),
    ),
)

_ZEROS: dict[str, list[float]] = {
    metric.name: [0] * (len(metric.bounds) + 1) + [0.0] if metric.bounds else [0] for metric in METRICS
}
_BOUNDS = {metric.name: metric.bounds for metric in METRICS}

Series = dict[str, dict[Labels, list[float]]]
"""By metric and labels: a counter's one number, or a histogram's counts by bucket and then its sum."""


class Counts:
    """Counts since a moment.

    Attributes:
        since: nanoseconds since the epoch.
        series: the numbers.
    """

    def __init__(self, since: int) -> None:
        """Begin with nothing."""
        self.since = since
        self.series: Series = {metric.name: {} for metric in METRICS}
        self._errors: set[str] = set()
        self._told: OrderedDict[str, None] = OrderedDict()
        self._mark = since
        self._starts: dict[tuple[str, Labels], int] = {}

    def add(self, event: Event) -> None:
        """Count an event, unless its id was counted lately."""
        if self._is_known(event.metadata.get("_event_id")):
            return
        if event.event_type is EventType.ENQUEUED:
            self._step(SENT, self._labels(event, "enqueue"), 1)
        elif event.event_type is EventType.DEQUEUED:
            self._record(QUEUED, self._labels(event, "dequeue"), event.metadata.get("_time_in_queue"))
        elif event.event_type in {EventType.PERFORM_FINISHED, EventType.FAILED}:
            labels = self._labels(event, "process", _outcome(event))
            self._step(CONSUMED, labels, 1)
            self._record(PROCESS, labels, event.metadata.get("_time_to_perform"))
        elif event.event_type is EventType.DESTROYED:
            self._step(DESTROYED, self._labels(event, "destroy"), 1)

    def start_of(self, name: str, labels: Labels) -> int:
        """Since when a series counts: from the moment up to which it had nothing to count."""
        return self._starts.get((name, labels), self.since)

    def mark(self, now: int) -> None:
        """Series that are new from here on have counted nothing until now."""
        self._mark = now

    def copied(self) -> Counts:
        """These counts as they are now."""
        found = Counts(self.since)
        found.series = {
            name: {labels: numbers.copy() for labels, numbers in known.items()} for name, known in self.series.items()
        }
        found._starts = self._starts.copy()
        return found

    def state(self) -> dict[str, Any]:
        """As plain JSON values."""
        series = {
            name: [[*labels, numbers.copy()] for labels, numbers in known.items()]
            for name, known in self.series.items()
        }
        starts = [[name, *labels, start] for (name, labels), start in self._starts.items()]
        bounds = {name: [*bounds] for name, bounds in _BOUNDS.items()}
        return {"since": self.since, "series": series, "bounds": bounds, "starts": starts}

    @classmethod
    def restored(cls, state: Mapping[str, Any], now: int) -> Counts:
        """What `state` gave, or nothing where that can't be read or was counted in other buckets."""
        found = cls(now)
        try:
            for name, rows in state["series"].items():
                if tuple(state["bounds"][name]) == _BOUNDS.get(name):
                    found.series[name] = dict(_read(rows, len(_ZEROS[name])))
            found.since = int(state["since"])
            found._starts = dict(_read_starts(state.get("starts", ())))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            return cls(now)
        found._errors = {labels[-1] for known in found.series.values() for labels in known} - {"", OTHER}
        return found

    def _is_known(self, event_id: object) -> bool:
        if not isinstance(event_id, str):
            return False
        if event_id in self._told:
            return True
        self._told[event_id] = None
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        return False

    def _labels(self, event: Event, operation: str, outcome: str = "") -> Labels:
        error = error_type(event)[:_MAX_LABEL]
        if error and error not in self._errors:
            if len(self._errors) < MAX_ERROR_TYPES:
                self._errors.add(error)
            else:
                error = OTHER
        queue, worker_class = _label(event.queue), _label(event.worker_class)
        return system_of(event)[:_MAX_LABEL], operation, queue, worker_class, outcome, error

    def _step(self, name: str, labels: Labels, by: int) -> None:
        self._numbers(name, labels)[0] += by

    def _record(self, name: str, labels: Labels, value: object) -> None:
        took = seconds(value)
        if took is not None:
            numbers = self._numbers(name, labels)
            numbers[bisect_left(_BOUNDS[name], took)] += 1
            numbers[-1] += took

    def _numbers(self, name: str, labels: Labels) -> list[float]:
        known = self.series[name]
        if labels not in known:
            if len(known) >= MAX_SERIES:  # one more series for each outcome is all that comes
                _, operation, _, _, outcome, error = labels
                labels = OTHER, operation, OTHER, OTHER, outcome, OTHER if error else ""
            if labels not in known:
                known[labels] = _ZEROS[name].copy()
                self._starts[name, labels] = self._mark
        return known[labels]


def _outcome(event: Event) -> str:
    if event.event_type is not EventType.FAILED:
        return "finished"
    return "retrying" if is_retried(event) else "failed"  # an alert is for jobs that have failed for good


def _label(name: object) -> str:
    return text(name)[:_MAX_LABEL] if name else ""


def _read(rows: Iterable[Sequence[Any]], size: int) -> Iterable[tuple[Labels, list[float]]]:
    for *labels, numbers in rows:
        if len(labels) != len(LABEL_NAMES) or len(numbers) != size:
            msg = "counts of another version"
            raise ValueError(msg)
        system, operation, queue, worker_class, outcome, error = map(str, labels)
        yield (system, operation, queue, worker_class, outcome, error), [*numbers]


def _read_starts(rows: Iterable[Sequence[Any]]) -> Iterable[tuple[tuple[str, Labels], int]]:
    for name, system, operation, queue, worker_class, outcome, error, start in rows:
        labels = str(system), str(operation), str(queue), str(worker_class), str(outcome), str(error)
        yield (str(name), labels), int(start)
