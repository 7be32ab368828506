"""Running statistics over a stream of events, in bounded memory. Pure: time comes with the events.

Percentiles are exact (nearest rank) over the most recent `RECENT` values of each class, not over all that ever were.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict, deque
from collections.abc import Collection

from clues.analysis.facts import (
    attempt_of,
    has_ended,
    hash_of,
    id_of,
    is_retried,
    moment_of,
    time_in_queue,
    time_to_perform,
)
from clues.event import Event, EventType

RECENT = 2_000
"""Values of each kind that are kept for each class."""

WINDOW = 10.0
"""Seconds that throughput is measured over."""

_REMEMBERED_IDS = 50_000
_SLOTS = 20


class Recent:
    """The most recent values, and their exact percentiles."""

    def __init__(self, size: int = RECENT) -> None:
        """Keep this many."""
        self._values: deque[float] = deque(maxlen=size)

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._values)

    def add(self, value: float | None) -> None:
        """Keep a value; None is none."""
        if value is not None:
            self._values.append(value)

    def percentile(self, percent: float) -> float | None:
        """The smallest value that this percentage of the values don't exceed, or None without values."""
        return percentile(self._values, percent)


def percentile(values: Collection[float], percent: float) -> float | None:
    """The nearest-rank percentile: always one of the values."""
    if not values:
        return None
    return sorted(values)[max(math.ceil(len(values) * percent / 100), 1) - 1]


class Throughput:
    """How many a second, over a sliding window of a few slots."""

    def __init__(self, window: float = WINDOW) -> None:
        """Measure over a window in seconds."""
        self._window = window
        self._slot = window / _SLOTS
        self._counts: Counter[int] = Counter()
        self._since: float | None = None

    def add(self, at: float) -> None:
        """Count one that happened then, in epoch seconds."""
        self._since = at if self._since is None else min(self._since, at)
        self._counts[int(at / self._slot)] += 1
        while len(self._counts) > 2 * _SLOTS:
            del self._counts[min(self._counts)]

    def rate(self, now: float) -> float:
        """How many a second happened in the window that ends now; over a shorter time while there is less."""
        if self._since is None:
            return 0.0
        first, last = int((now - self._window) / self._slot), int(now / self._slot)
        counted = sum(count for slot, count in self._counts.items() if first < slot <= last)
        return counted / min(self._window, max(now - self._since, 1.0))


class ClassStats:
    """What is known of the jobs of one class.

    Attributes:
        enqueued, started, finished, failed, retried, destroyed: how many.
        queue_times: seconds in the queue.
        run_times: seconds to perform, of failures too.
    """

    def __init__(self) -> None:
        """Start with nothing."""
        self.counts: Counter[EventType] = Counter()
        self.retried: int = 0
        self.queue_times: Recent = Recent()
        self.run_times: Recent = Recent()
        self._running: set[tuple[str | None, int | None]] = set()

    @property
    def enqueued(self) -> int:
        """How many were enqueued."""
        return self.counts[EventType.ENQUEUED]

    @property
    def started(self) -> int:
        """How many attempts began to run."""
        return self.counts[EventType.PERFORM_STARTED]

    @property
    def finished(self) -> int:
        """How many ended well."""
        return self.counts[EventType.PERFORM_FINISHED]

    @property
    def failed(self) -> int:
        """How many failed for good; `retried` are the attempts that failed and were followed by another."""
        return self.counts[EventType.FAILED] - self.retried

    @property
    def destroyed(self) -> int:
        """How many were removed from their queue."""
        return self.counts[EventType.DESTROYED]

    @property
    def running(self) -> int:
        """How many run now."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """How many wait in their queue; never below zero, whatever part of the story was read."""
        return max(self.enqueued - self.counts[EventType.DEQUEUED] - self.destroyed, 0)

    def add(self, event: Event) -> None:
        """Take an event in."""
        self.counts[event.event_type] += 1
        self.retried += is_retried(event)
        attempt = hash_of(event), attempt_of(event)
        if event.event_type is EventType.DEQUEUED:
            self.queue_times.add(time_in_queue(event))
        elif event.event_type is EventType.PERFORM_STARTED:
            self._running.add(attempt)
        elif has_ended(event):
            self._running.discard(attempt)
            self.run_times.add(time_to_perform(event))


class Stats:
    """What is known of all jobs.

    A copy of an event, as at-least-once delivery brings, is counted once if it comes within the next
    50,000 events.

    Attributes:
        by_class: statistics by class, in the order the classes were first met.
        total: statistics of all classes together.
        duplicates: how many copies were passed over.
    """

    def __init__(self, *, window: float = WINDOW) -> None:
        """Start with nothing.

        Args:
            window: seconds that throughput is measured over.
        """
        self.by_class: dict[str, ClassStats] = {}
        self.total: ClassStats = ClassStats()
        self.duplicates: int = 0
        self._ends = Throughput(window)
        self._seen: OrderedDict[str, None] = OrderedDict()

    def add(self, event: Event) -> None:
        """Take an event in."""
        if self._is_copy(event):
            self.duplicates += 1
            return
        for stats in (self.by_class.setdefault(event.worker_class or "?", ClassStats()), self.total):
            stats.add(event)
        moment = moment_of(event)
        ended = event.event_type in {EventType.PERFORM_FINISHED, EventType.FAILED} and not is_retried(event)
        if moment is not None and ended:
            self._ends.add(moment.timestamp())

    def throughput(self, now: float) -> float:
        """Jobs a second that ended, well or not, within the window before now, in epoch seconds."""
        return self._ends.rate(now)

    def _is_copy(self, event: Event) -> bool:
        found = id_of(event)
        if found is None:
            return False
        if found in self._seen:
            return True
        self._seen[found] = None
        if len(self._seen) > _REMEMBERED_IDS:
            self._seen.popitem(last=False)
        return False
