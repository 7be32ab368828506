"""Looks at states, such as queue depths, every 15 seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

from clues.event import Sample, Sampler
from clues.faults import Faults
from clues.plugs import name_of

SAMPLE_EVERY = 15.0
"""Seconds between two looks at states."""

_TICK = 0.5


@runtime_checkable
class TakesStates(Protocol):
    """A publisher that takes states itself, where others have them shipped."""

    def publish_samples(self, samples: Iterable[Sample], /) -> None:
        """Take samples."""


class Sampling:
    """Asks samplers, when it is time."""

    def __init__(self, samplers: Sequence[Sampler], faults: Faults) -> None:
        """Prepare.

        Args:
            samplers: who knows states.
            faults: counts and says which of them raised.
        """
        self._samplers = samplers
        self._faults = faults
        self._next = 0.0

    def due(self) -> list[Sample] | None:
        """The states as they are now, without those of samplers that raise; None if it is not time yet."""
        now = time.monotonic()
        if now < self._next:
            return None
        self._next = now + SAMPLE_EVERY
        samples: list[Sample] = []
        for sampler in self._samplers:
            try:
                samples.extend(sampler.sample())
            except Exception as error:  # noqa: BLE001 - the others go on
                self._faults.report(name_of(sampler), error, "its states are left out this time")
        return samples


class Teller:
    """Gives states to publishers that take them, in a thread."""

    def __init__(self, takers: Sequence[TakesStates], samplers: Sequence[Sampler], faults: Faults) -> None:
        """Prepare; nothing is asked where nobody takes anything.

        Args:
            takers: who gets the states.
            samplers: who knows them.
            faults: counts and says what goes wrong.
        """
        self._takers = takers
        self._sampling = Sampling(samplers, faults)
        self._faults = faults
        self._stop = threading.Event()

    def start(self) -> None:
        """Begin; returns at once."""
        if self._takers:
            threading.Thread(target=self._run, daemon=True).start()

    def end(self) -> None:
        """Tell nothing more."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            samples = self._sampling.due()
            for taker in self._takers if samples else ():
                try:
                    taker.publish_samples(samples or ())
                except Exception as error:  # noqa: BLE001 - the next ones are as good
                    self._faults.report(name_of(taker), error, "states of this moment are lost to it")
            self._stop.wait(_TICK)
