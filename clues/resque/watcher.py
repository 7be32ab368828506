"""What a worker process watches beside its jobs: their time, its orders, and whether its master lives."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from clues.errors import Interrupt, JobTimeout, TermException
from clues.resque.control import Control
from clues.resque.scoreboard import Reason
from clues.resque.signals import WakeUp
from clues.resque.worker_thread import COMMIT_AFTER, WorkerThread

log = logging.getLogger("clues.resque")

_SOON = 0.05


@dataclass(slots=True)
class _Thrown:
    """An exception that was raised in a job: the job has a while to heed it."""

    serial: int
    at: float
    reason: Reason


class Watcher:
    """A thread of a worker process; signals' handlers only note what is asked for, and wake it.

    What is asked of a job is raised in it as an exception; a job that does not heed it is ended with its process.
    """

    def __init__(  # noqa: PLR0913 - what it watches
        self,
        workers: Sequence[WorkerThread],
        control: Control,
        lifeline: int,
        *,
        term_timeout: float,
        batches: bool,
        on_orphaned: Callable[[], None],
    ) -> None:
        """Prepare; `start` begins.

        Args:
            workers: the process' workers.
            control: what steers them.
            lifeline: a descriptor whose other end the master alone holds.
            term_timeout: seconds from an exception to the end of a job that does not heed it.
            batches: whether ends of jobs may wait to be committed together.
            on_orphaned: called, in this thread, when the master is gone.
        """
        self._workers = workers
        self._control = control
        self._lifeline = lifeline
        self._term_timeout = term_timeout
        self._batches = batches
        self._on_orphaned = on_orphaned
        self._wake_up = WakeUp()
        self._cut_at = math.inf
        self._kill = False
        self._ending: Reason | None = None
        self._thrown: dict[int, _Thrown] = {}

    def start(self) -> None:
        """Begin to watch."""
        threading.Thread(target=self._run, name="clues-watcher", daemon=True).start()

    # what handlers of signals call

    def cut(self, after: float) -> None:
        """Stop; interrupt the jobs that still run after these seconds."""
        self._control.stop()
        self._cut_at = min(self._cut_at, time.monotonic() + after)
        self._wake_up.now()

    def kill_jobs(self) -> None:
        """Interrupt the jobs that run now."""
        self._kill = True
        self._wake_up.now()

    def end_jobs(self, reason: Reason) -> None:
        """Stop; end the jobs that run with their process, without asking them. Those not begun yet never are."""
        self._control.stop()
        self._control.cutting = True
        self._ending = reason
        self.die_if_busy(reason)
        self._wake_up.now()

    def die_if_busy(self, reason: Reason) -> None:
        """End the jobs that run now with their process, without asking them."""
        if any(worker.record.begun for worker in self._workers):
            self.die(reason)

    # the thread

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._wake_up, select.POLLIN)
        poll.register(self._lifeline, 0)  # tells when the other end is gone
        while True:
            timeout = self._next() - time.monotonic()
            woken = poll.poll(None if timeout == math.inf else max(0, math.ceil(timeout * 1000)))
            self._wake_up.drain()
            if any(fd == self._lifeline for fd, _ in woken):
                poll.unregister(self._lifeline)
                self._on_orphaned()
            self._look()

    def _next(self) -> float:
        """When to look next, on the monotonic clock."""
        now = time.monotonic()
        if self._thrown or (self._control.cutting and any(worker.busy for worker in self._workers)):
            return now + _SOON
        if self._batches:
            return now + (COMMIT_AFTER if any(worker.busy for worker in self._workers) else _SOON)
        deadlines = [worker.record.deadline for worker in self._workers if worker.record.deadline]
        # Deadlines are read, not told: a job that begins wakes nobody.
        return min([*deadlines, self._cut_at if not self._control.cutting else math.inf, now + self._look_every()])

    def _look_every(self) -> float:
        return _SOON * 4 if any(worker.busy for worker in self._workers) else 1.0

    def _look(self) -> None:
        now = time.monotonic()
        if now >= self._cut_at:
            self._control.cutting = True
        kill, self._kill = self._kill, False
        if self._ending is not None:  # a child may have begun its job while we were told
            self.die_if_busy(self._ending)
        for number, worker in enumerate(self._workers):
            if self._batches:
                worker.tend()
            serial = worker.interruptible.serial
            if not worker.busy:
                self._thrown.pop(number, None)
                continue
            if self._control.cutting and self._ending is None:
                self._throw(number, worker, serial, TermException, Reason.SHUTDOWN)
            elif kill:
                self._throw(number, worker, serial, TermException, Reason.KILLED)
            elif worker.record.deadline and now >= worker.record.deadline:
                self._throw(number, worker, serial, JobTimeout, Reason.TIMEOUT)
            self._end_stuck(number, worker, now)

    def _throw(self, number: int, worker: WorkerThread, serial: int, kind: type[Interrupt], reason: Reason) -> None:
        if worker.interruptible.serial == serial and not worker.interruptible.thrown:
            worker.record.reason = reason
        if worker.interruptible.throw(kind, serial):
            self._thrown[number] = _Thrown(serial, time.monotonic(), reason)

    def _end_stuck(self, number: int, worker: WorkerThread, now: float) -> None:
        """A job that has not heeded what was raised in it: no new jobs, a while to end, then the process is killed."""
        thrown = self._thrown.get(number)
        if thrown is None:
            return
        if worker.interruptible.serial != thrown.serial:
            del self._thrown[number]
            return
        if now - thrown.at > _SOON * 2:
            self._control.stop()
        if now - thrown.at > self._term_timeout:
            log.warning("%s: a job does not heed its exception; ending process %d", worker.id, os.getpid())
            self.die(thrown.reason, worker)

    def die(self, reason: Reason, *workers: WorkerThread) -> None:
        """End the jobs of these workers, or all, at once and with their process, noting why."""
        for worker in workers or self._workers:
            if worker.record.begun:
                worker.record.reason = reason
        if all(worker.interruptible.kill() for worker in workers or self._workers):
            return
        with contextlib.suppress(OSError):
            os.kill(os.getpid(), signal.SIGKILL)
