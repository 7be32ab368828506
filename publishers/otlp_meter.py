"""Counts events and exports the counts, never sooner than the checkpoint that holds them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from clues.event import Event, Sample
from clues.publishers.otlp_answers import Line, Verdict
from clues.publishers.otlp_batch import Writer
from clues.publishers.otlp_counts import Counts

CLOSING_TIMEOUT = 2.0
_MOST_PATIENCE = 16
_SLACK = 0.5  # seconds by which the shipper's clock, which brings the samples, may run ahead


class NotExportedError(Exception):
    """Metrics were not taken; the next export brings the same counts, and more."""


class Meter:
    """Counts what was delivered.

    Two copies keep a crash from counting twice: `count` adds to the running one, whose `state` goes into the checkpoint
    of the batch; only what was in such a state is exported. So after a restart, which begins with the last checkpoint,
    no counter is less than what the back end has seen, and events that are delivered again are counted once.
    """

    def __init__(self, line: Line, writer: Writer, interval: float, clock: Callable[[], float] = time.time) -> None:
        """Begin with nothing counted.

        Args:
            line: where to.
            writer: writes the requests.
            interval: the least seconds between two exports.
            clock: epoch seconds.
        """
        self._line = line
        self._writer = writer
        self._interval = interval
        self._clock = clock
        self._counts = Counts(self._now())
        self._kept = self._counts.copied()
        self._samples: tuple[list[Sample], int] = ([], 0)
        self._changed = False
        self._next = time.monotonic()
        self._patience = 1
        self._closed = False

    def count(self, event: Event) -> None:
        """An event was delivered."""
        self._counts.add(event)

    def state(self) -> Mapping[str, Any]:
        """The counts as plain JSON values; whoever asks keeps them before it goes on."""
        self._kept = self._counts.copied()
        self._changed = True
        return self._kept.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self._counts = Counts.restored(state, self._now())
        self._kept = self._counts.copied()
        self._changed = True

    def take(self, samples: Iterable[Sample]) -> None:
        """Have states go with the next export, in place of those that have not gone yet."""
        self._samples = [*samples], self._now()

    def export_if_due(self, timeout: float) -> None:
        """Export if the interval is over, and there is something new.

        Raises:
            NotExportedError: it was not taken.
        """
        if time.monotonic() >= self._next - _SLACK and (self._changed or self._samples[0]):
            self.export(timeout)

    def export(self, timeout: float) -> None:
        """Export.

        Raises:
            NotExportedError: it was not taken.
        """
        samples, at = self._samples
        now = self._now()
        request, left_out = self._writer.metrics(self._kept, samples, now, at)
        answer = self._line.export(request, timeout)
        taken = answer.verdict is Verdict.TAKEN
        self._patience = 1 if taken else min(2 * self._patience, _MOST_PATIENCE)
        self._next = time.monotonic() + max(self._interval * self._patience, answer.retry_after or 0.0)
        if taken:
            self._counts.mark(now)
            self._changed = False
            self._samples = ([], 0)
        problem = answer.problem or (f"{left_out} states were too many" if left_out else "")
        if problem:
            raise NotExportedError(problem)

    def close(self, timeout: float) -> None:
        """Export what is new, in a short time.

        Raises:
            NotExportedError: it was not taken.
        """
        closed = self._closed
        new = self._changed or bool(self._samples[0])
        self._closed = True
        if new and not closed:
            self.export(min(timeout, CLOSING_TIMEOUT))

    def _now(self) -> int:
        return round(self._clock() * 1e9)
