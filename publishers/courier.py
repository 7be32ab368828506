"""Brings one destination what it wants of a journal: in batches, again and again until each line is dealt with."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from clues.backoff import backoff
from clues.event import Sample
from clues.faults import Faults, describe
from clues.lines import salvaged
from clues.metadata import timestamp
from clues.publishers.choice import Choice
from clues.publishers.delivery import Destination, HasState, Refusal, Sent, TakesSamples
from clues.publishers.spool import Spool
from clues.publishers.tail import Batch, Tail
from clues.sanitize import for_log

POLL = 0.2
"""Seconds between two looks at a journal that had nothing new."""

_FIRST_WAIT = 0.25
_LONGEST_WAIT = 30.0
_SHOWN = 500  # characters of what a back end said
_LONGEST_RETRY_AFTER = 300.0
_PROBE_AFTER = 3  # failures in a row
_PROBE = 10  # lines
_GIVE_UP_AFTER = 20  # attempts, and
_GIVE_UP_TIME = 600.0  # seconds, with lines that a back end which works does not take
_AFTER_TROUBLE = 1.0


class Source(Protocol):
    """Where lines come from."""

    def read(self, positions: dict[int, int], max_events: int, max_bytes: int) -> Batch:
        """What stands after these positions; never waits."""


@dataclass
class Steering:
    """What couriers are told.

    Attributes:
        draining: to end when nothing is left.
        stop: to end now.
    """

    draining: bool = False
    stop: threading.Event = field(default_factory=threading.Event)


class Courier:
    """Delivers to one destination; one thread calls `run`.

    Attributes:
        steering: tells when to end.
        checkpoint: how far it is, and why it is no further.
    """

    def __init__(  # noqa: PLR0913 - its collaborators
        self,
        spool: Spool,
        destination: Destination,
        choice: Choice,
        steering: Steering,
        *,
        source: Source | None = None,
        faults: Faults | None = None,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Take up where the last one was.

        Args:
            spool: the journal's.
            destination: where to.
            choice: what it wants.
            steering: tells when to end.
            source: where lines come from; left out, the journal.
            faults: counts and says what goes wrong.
            clock: epoch seconds.
            chance: from 0 to 1, spreads retries.
        """
        self._spool = spool
        self._destination = destination
        self._choice = choice
        self.steering = steering
        self._faults = faults or Faults()
        self._clock = clock
        self._chance = chance
        self._source = source or Tail(spool)
        self._unsaved = False
        self._samples: list[Sample] | None = None
        self.checkpoint = spool.checkpoint(destination.name)
        if isinstance(destination, HasState) and self.checkpoint.state:
            destination.restore(self.checkpoint.state)

    @property
    def name(self) -> str:
        """The destination's."""
        return self._destination.name

    def offer(self, samples: Sequence[Sample]) -> None:
        """Have states sent with the next batch, in place of those that were not sent yet."""
        if isinstance(self._destination, TakesSamples):
            self._samples = list(samples)

    def run(self) -> None:
        """Deliver until told to end."""
        try:
            while not self.steering.stop.is_set():
                try:
                    found = self.step()
                except Exception as error:  # noqa: BLE001 - a full disk, say: it may be well later
                    self._faults.report(self.name, error, "its events wait in the journal")
                    self.steering.stop.wait(_AFTER_TROUBLE)
                    continue
                if not found:
                    if self.steering.draining:
                        break
                    self.steering.stop.wait(POLL)
        finally:
            with contextlib.suppress(Exception):
                self._destination.close()

    def step(self) -> bool:
        """Deliver one batch; gives whether there was anything to read, and all of it was dealt with."""
        self._send_samples()
        self._save()
        batch = self._source.read(self.checkpoint.positions, self._destination.max_events, self._destination.max_bytes)
        if not batch.lines and batch.positions == self.checkpoint.positions:
            return False
        wants = self._choice.wants
        wanted = batch.lines if self._choice.everything else [line for line in batch.lines if wants(line)]
        if not self._deliver(wanted):
            return False
        self.checkpoint.left_out += len(batch.lines) - len(wanted)
        self.checkpoint.positions = batch.positions
        if isinstance(self._destination, HasState):
            self.checkpoint.state = dict(self._destination.state())
        self._unsaved = True
        self._save()
        return True

    def _save(self) -> None:
        """Write the checkpoint, now or later: meanwhile delivery goes on, which makes room."""
        if self._unsaved:
            try:
                self._spool.save(self.checkpoint)
            except OSError as error:
                self._faults.report(self.name, error, "its checkpoint is written later")
            else:
                self._unsaved = False

    def _deliver(self, pending: list[bytes]) -> bool:
        """Send lines until each is delivered or refused; gives False if told to end before."""
        attempt, failures, since, works = 0, 0, time.monotonic(), False
        while pending:
            attempt += 1
            chunk = pending[:_PROBE] if failures >= _PROBE_AFTER else pending
            later = pending[len(chunk) :]
            sent = self._send(chunk)
            self._tell(for_log(sent.problem)[:_SHOWN] if sent.retry else "")
            retry = [*sent.retry, *self._bury(sent.refused)]
            taken = len(chunk) - len(sent.retry) - len(sent.refused)
            self.checkpoint.delivered += taken
            self.checkpoint.retried += len(sent.retry)
            pending = [*retry, *later]
            progress = taken > 0 or bool(sent.refused)
            works, failures = works or progress, 0 if progress else failures + 1
            if not pending or not sent.retry:
                continue
            if works and attempt >= _GIVE_UP_AFTER and time.monotonic() > since + _GIVE_UP_TIME:
                self._bury([Refusal(line, f"not taken in {attempt} attempts: {sent.problem}") for line in pending])
                return True
            if self.steering.stop.wait(self._pause(failures, sent.retry_after)):
                return False
        return True

    def _tell(self, problem: str) -> None:
        """Have others know why nothing is delivered; that it goes on again is told with the next checkpoint."""
        if problem != self.checkpoint.problem:
            self.checkpoint.problem, self._unsaved = problem, True
            if problem:
                self._save()

    def _send(self, chunk: list[bytes]) -> Sent:
        try:
            sent = self._destination.send(chunk)
        except Exception as error:  # noqa: BLE001 - whatever it is, the lines are still to be delivered
            self._faults.report(self.name, error, "its events wait in the journal")
            return Sent(retry=chunk, problem=describe(error))
        if sent.retry:
            self._faults.report(self.name, NotTakenError(sent.problem), f"{len(sent.retry)} events are sent again")
        return sent

    def _pause(self, failures: int, retry_after: float | None) -> float:
        pause = backoff(failures, _FIRST_WAIT, _LONGEST_WAIT) * (0.5 + self._chance() / 2)
        return max(pause, min(retry_after or 0.0, _LONGEST_RETRY_AFTER))

    def _bury(self, refused: Sequence[Refusal]) -> list[bytes]:
        """Keep what was refused in the dead letter; gives the events that stood behind another's torn line."""
        if not refused:
            return []
        reasons = [(refusal.line, refusal.reason) for refusal in refused]
        self._spool.bury(self.name, reasons, timestamp(self._clock()))
        self.checkpoint.dead_lettered += len(refused)
        self._faults.report(self.name, RefusedError(refused[0].reason), f"{len(refused)} are in its dead letter")
        return [line for refusal in refused if (line := salvaged(refusal.line))]

    def _send_samples(self) -> None:
        samples, self._samples = self._samples, None
        if samples is not None and isinstance(self._destination, TakesSamples):
            try:
                self._destination.send_samples(samples)
            except Exception as error:  # noqa: BLE001 - the next ones are as good
                self._faults.report(self.name, error, "states of this moment are lost to it")


class NotTakenError(Exception):
    """A destination asked for lines again."""


class RefusedError(Exception):
    """A destination refused lines."""
