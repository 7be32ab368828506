"""A worker that forks for each job once it has taken it, as stock Resque: with a before_fork hook it must."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import signal
import time
from collections.abc import Callable
from typing import Any, NoReturn

from clues.errors import Interrupt, JobTimeout, TermException
from clues.metadata import Failure
from clues.resque import failure
from clues.resque.family import die_with_parent
from clues.resque.interrupts import InMainThread
from clues.resque.job import Job
from clues.resque.outcome import Ended
from clues.resque.scoreboard import Outcome, Reason
from clues.resque.settling import Fate, Settler
from clues.resque.worker_hooks import hooks
from clues.resque.worker_thread import WorkerThread

log = logging.getLogger("clues.resque.worker")

_PAUSE = 1.0  # seconds between two tries to fork
_SAY_EVERY = 60.0

TERMINATE = signal.SIGURG
TIME_OUT = signal.SIGVTALRM
"""At these signals the child raises in its job; TERM itself may have come to the whole process group."""

STOP = signal.SIGQUIT
"""At this one the child knows that its worker is being stopped."""

_STEERING = (
    signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT,
    TERMINATE, TIME_OUT,
)  # fmt: skip


class ForkingThread(WorkerThread):
    """Takes a job, runs the before_fork hooks, and has a child perform it; then it commits what the child has noted.

    The child writes the parent's record on the scoreboard, so that its end, good or bad, is settled like any other.
    """

    def __init__(self, *args: Any, run_at_exit_hooks: bool = False, **options: Any) -> None:
        """Prepare; nothing is written before `run`.

        Args:
            args: as for any worker.
            run_at_exit_hooks: whether children run what was registered with `atexit`.
            options: as for any worker.
        """
        super().__init__(*args, **options)
        self._run_at_exit_hooks = run_at_exit_hooks
        self._in_child = False
        self._said = -math.inf

    def _work_on(self, job: Job) -> None:
        if self._in_child:
            super()._work_on(job)
            return
        self._begun = True
        try:
            hooks.run("before_fork", job)
        except BaseException as error:
            self._fail_unforked(job, failure.describe(error))
            raise
        self._show(f"Forking at {int(self._clock())}")
        signal.pthread_sigmask(signal.SIG_BLOCK, _STEERING)  # what comes now is for us, not for the child
        try:
            child = os.fork()
        except OSError as error:  # the job stays at hand, not begun: it is tried again, or goes back to its queue
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _STEERING)
            self._begun = False
            self._wait_for_process(error)
            return
        if child == 0:
            self._be_child(job)
        self._interruptible = parent = _InChild(child)
        self._control.follow(parent.tell_to_stop)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STEERING)
        self._show(f"Forked {child} at {int(self._clock())}")
        _, status = os.waitpid(child, 0)
        parent.over()
        self._settle(child, status)
        self._begun = False

    def _wait_for_process(self, error: OSError) -> None:
        if time.monotonic() > self._said + _SAY_EVERY:
            self._said = time.monotonic()
            log.warning("the system has no process for a job (%s); trying again until it has", error.strerror or error)
        self._wake_up.wait(_PAUSE)

    def _be_child(self, job: Job) -> NoReturn:
        from clues.resque.process import leave  # noqa: PLC0415 - the process knows of us

        self._interruptible = inside = InMainThread()
        self._in_child = True
        die_with_parent()
        for number in _STEERING:
            signal.signal(number, signal.SIG_IGN)  # the parent decides
        signal.signal(TERMINATE, lambda _number, _frame: self._terminate(inside))
        signal.signal(TIME_OUT, lambda _number, _frame: inside.raise_now(JobTimeout))
        signal.signal(STOP, lambda _number, _frame: self._control.stop())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STEERING)
        try:
            self._work_on(job)
        finally:
            leave(0, run_at_exit_hooks=self._run_at_exit_hooks)
        raise AssertionError  # unreachable

    def _terminate(self, inside: InMainThread) -> None:
        """In the child: end the job, or do not begin it."""
        self._control.cutting = True
        inside.raise_now(TermException)

    def commit(self) -> None:
        """In the child, leave it to the parent."""
        if not self._in_child:
            super().commit()

    def _reason(self) -> str | None:
        if self._interruptible.thrown is TermException:
            return "shutdown" if self.record.reason == Reason.SHUTDOWN else "killed:SIGUSR1"
        return super()._reason()

    def _settle(self, child: int, status: int) -> None:
        settler = Settler(self._client, self.id, self.record, Fate(child, status, "worker"), clock=self._clock)
        failed_before = self.record.failed
        self._until_served(settler.settle)
        self.processed += 1
        self.failed += self.record.failed - failed_before
        self._holding.forget()

    def _fail_unforked(self, job: Job, failed: Failure) -> None:
        """A before_fork hook's error fails the job; stat:failed stays as it is (resque worker.rb)."""
        self._holding.begin(job)
        attempt = self._lifecycle.dequeued(job.queue, job.item)
        event = self._lifecycle.outcome(attempt, failed)
        outcome = Outcome(self._clock(), failed, b"" if event is None else event.line, counted=False)
        self._holding.end(Ended(job, outcome, event))
        self.commit()


class _InChild:
    """A job in a child process."""

    def __init__(self, child: int) -> None:
        self.serial = child
        self.thrown: type[Interrupt] | None = None
        self._child = child

    def run(self, call: Callable[[], Any]) -> NoReturn:
        """Never called: the child runs it."""
        raise NotImplementedError(call)

    def over(self) -> None:
        """The child is gone."""
        self._child = 0

    def tell_to_stop(self) -> None:
        """Have the child know."""
        self._send(STOP)

    def throw(self, kind: type[Interrupt], serial: int) -> bool:
        """Send the child the signal at which it raises."""
        if not self._child or self.thrown or serial != self.serial:
            return False
        self.thrown = kind
        self._send(TIME_OUT if issubclass(kind, JobTimeout) else TERMINATE)
        return True

    def kill(self) -> bool:
        """Kill the child."""
        self._send(signal.SIGKILL)
        return True

    def _send(self, number: signal.Signals) -> None:
        if self._child:
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.kill(self._child, number)
