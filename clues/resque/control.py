"""What a worker process is told, for all its workers to see: stop, pause, how many jobs are left to it."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from clues.resque.signals import WakeUp


class Control:
    """What steers the workers of one process. Its methods may be called from signal handlers, but for `claim`.

    Attributes:
        stopping: whether to take no more jobs, and leave.
        paused: whether to take no more jobs for now.
        cutting: whether the running jobs are to be interrupted; none is begun any more.
        patience_until: when to stop waiting for Redis, on the monotonic clock.
    """

    def __init__(self, jobs: float = math.inf, on_ending: Callable[[], None] = lambda: None) -> None:
        """Allow this many jobs in all.

        Args:
            jobs: how many.
            on_ending: called once, when the last of them were taken but for a tenth: time to make a successor ready.
        """
        self.stopping = False
        self.paused = False
        self.cutting = False
        self.patience_until = math.inf
        self._left = jobs
        self._few = 0 if math.isinf(jobs) else jobs // 10
        self._on_ending = on_ending
        self._lock = threading.Lock()
        self._wake_ups: list[WakeUp] = []
        self._on_stop: Callable[[], None] = lambda: None

    def wake_up(self) -> WakeUp:
        """Give a worker what wakes it."""
        made = WakeUp()
        self._wake_ups.append(made)
        return made

    def follow(self, on_stop: Callable[[], None]) -> None:
        """Have this called when the workers are told to leave, or now if they were."""
        self._on_stop = on_stop
        if self.stopping:
            on_stop()

    def stop(self) -> None:
        """Have the workers leave, each after the job at hand."""
        self.stopping = True
        self._on_stop()
        self.wake()

    def hurry(self, seconds: float) -> None:
        """Have them wait for Redis no longer than that: what they did stands on the scoreboard."""
        self.patience_until = min(self.patience_until, time.monotonic() + seconds)
        self.wake()

    def pause(self) -> None:
        """Have them take no more jobs."""
        self.paused = True
        self.wake()

    def resume(self) -> None:
        """Have them take jobs again."""
        self.paused = False
        self.wake()

    def wake(self) -> None:
        """Have them look around."""
        for wake_up in self._wake_ups:
            wake_up.now()

    def claim(self, most: int) -> int:
        """Ask for leave to take up to this many jobs; gives how many, 0 if none are left."""
        with self._lock:
            granted = max(0, int(min(most, self._left)))
            self._left -= granted
            return granted

    def unclaim(self, unused: int) -> None:
        """Give back the leave for jobs that were not taken, and see how many are left.

        It is less than nothing where a lost reply had taken more jobs than the next attempt had leave for.
        """
        with self._lock:
            self._left += unused
            ending, on_ending = self._left <= self._few, self._on_ending
            if ending:
                self._on_ending = lambda: None
        if ending:
            on_ending()

    @property
    def used_up(self) -> bool:
        """Whether no job is left to this process."""
        return self._left <= 0
