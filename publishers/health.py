"""How delivery goes: what was published, delivered, sent again, refused, dropped, and how far each destination lags."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from clues.event import Sample
from clues.publishers.spool import Checkpoint, Segment, Spool

log = logging.getLogger("clues.shipper")

LATE = 60.0
"""Seconds of lag that are worth a warning."""

_WARN_EVERY = 60.0
_GUESS = 64 * 1024  # bytes of a segment from whose lines the number of the others is estimated


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one destination is.

    Attributes:
        name: the destination.
        delivered: events delivered.
        retried: events sent again.
        dead_lettered: events refused for good.
        left_out: events that it did not want.
        lag_events: events that wait for it; estimated from their bytes where they are many.
        lag_bytes: their bytes.
        lag_seconds: the age of the oldest of them; 0 where none waits.
        problem: why the destination did not take what it was sent last; empty if it did.
    """

    name: str
    delivered: int
    retried: int
    dead_lettered: int
    left_out: int
    lag_events: int
    lag_bytes: int
    lag_seconds: float
    problem: str

    @property
    def late(self) -> str:
        """How late it is, and why, if that is worth a warning; else empty."""
        if self.lag_seconds <= LATE:
            return ""
        behind = f"{self.name} is {self.lag_seconds:.0f} s and some {self.lag_events} events behind"
        return f"{behind} ({self.problem})" if self.problem else behind


def published(progress: Iterable[Progress]) -> int:
    """The events that were journalled, as far as the destination that has seen most of them knows."""
    return max((one.delivered + one.left_out + one.dead_lettered + one.lag_events for one in progress), default=0)


class Health:
    """Looks at a spool; any process may."""

    def __init__(self, spool: Spool, *, clock: Callable[[], float] = time.time) -> None:
        """Look at nothing yet."""
        self._spool = spool
        self._clock = clock
        self._next_warning = 0.0
        self._told = (0, 0)

    def progress(self) -> list[Progress]:
        """How far each destination is."""
        segments = self._spool.segments()
        return [self._of(checkpoint, segments) for checkpoint in self._spool.checkpoints()]

    def sample(self) -> Iterator[Sample]:
        """The same as states: it is a `clues.event.Sampler`."""
        dropped, _ = self._spool.dropped()
        yield Sample("clues.delivery.dropped", dropped, "{event}")
        progress = self.progress()
        yield Sample("clues.delivery.published", published(progress), "{event}")
        for one in progress:
            labels = {"destination": one.name}
            yield Sample("clues.delivery.delivered", one.delivered, "{event}", labels)
            yield Sample("clues.delivery.retried", one.retried, "{event}", labels)
            yield Sample("clues.delivery.dead_lettered", one.dead_lettered, "{event}", labels)
            yield Sample("clues.delivery.lag.events", one.lag_events, "{event}", labels)
            yield Sample("clues.delivery.lag.duration", one.lag_seconds, "s", labels)

    def warn(self) -> None:
        """Say what is wrong, once a minute at most."""
        now = time.monotonic()
        if now < self._next_warning:
            return
        self._next_warning = now + _WARN_EVERY
        progress = self.progress()
        dropped, refused = self._spool.dropped()[0], sum(one.dead_lettered for one in progress)
        problems = [one.late for one in progress if one.late]
        if dropped > self._told[0]:
            problems.append(f"{dropped} events were dropped for want of room")
        if refused > self._told[1]:
            problems.append(f"{refused} events were refused, see {self._spool.folder / 'dead'}")
        self._told = dropped, refused
        if problems:
            log.warning("delivery: %s; clues doctor tells more", "; ".join(problems))

    def _of(self, checkpoint: Checkpoint, segments: list[Segment]) -> Progress:
        waiting = [
            (segment, at) for segment in segments if (at := checkpoint.positions.get(segment.number, 0)) < segment.size
        ]
        size = sum(segment.size - at for segment, at in waiting)
        events, age = self._look(waiting[0], size) if waiting else (0, 0.0)
        return Progress(
            checkpoint.name,
            checkpoint.delivered,
            checkpoint.retried,
            checkpoint.dead_lettered,
            checkpoint.left_out,
            events,
            size,
            age,
            checkpoint.problem,
        )

    def _look(self, first: tuple[Segment, int], size: int) -> tuple[int, float]:
        """About how many lines so many bytes are, and the age of the first one."""
        segment, at = first
        try:
            with segment.path.open("rb") as file:
                text = os.pread(file.fileno(), _GUESS, at)
        except OSError:
            return 0, 0.0
        lines, whole = text.count(b"\n"), text.rfind(b"\n") + 1
        events = round(size * lines / whole) if whole else 1
        return events, self._age(text.partition(b"\n")[0])

    def _age(self, line: bytes) -> float:
        try:
            at = datetime.fromisoformat(json.loads(line)["timestamp"])
            return max(0.0, self._clock() - at.timestamp())
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            return 0.0
