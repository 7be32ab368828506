"""Finishing the story of a dead worker process, by what it has noted on the scoreboard.

What it never began goes back to its queue; what it had begun fails; what had ended is committed and published.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from clues.attempt import Attempt
from clues.errors import CluesError, DirtyExit
from clues.faults import Faults
from clues.metadata import Failure
from clues.resque.client import Resque
from clues.resque.job import Job
from clues.resque.lease import Lease
from clues.resque.outcome import Ended, commit, committed
from clues.resque.scoreboard import Outcome, Reason, Record
from clues.sanitize import one_line

log = logging.getLogger("clues.resque")

_faults = Faults()


@dataclass(frozen=True, slots=True)
class Fate:
    """How a worker process ended.

    Attributes:
        pid: the process; 0 where nobody knows.
        status: its status as `os.waitpid` gives it; None where nobody knows.
        reporter: who found it, as events say: ``master``, ``worker``.
    """

    pid: int = 0
    status: int | None = None
    reporter: str = "master"

    @property
    def reason(self) -> str:
        """``killed:SIGKILL``, ``exit:3``, or ``lost`` where nobody knows."""
        code = self.code
        if code is None:
            return "lost"
        return f"killed:{_name(-code)}" if code < 0 else f"exit:{code}"

    @property
    def code(self) -> int | None:
        """The exit status, negative for a signal; None where nobody knows."""
        return None if self.status is None else os.waitstatus_to_exitcode(self.status)

    @property
    def message(self) -> str:
        """What the failure says; for signals in Resque's words (``worker.rb``)."""
        code = self.code
        if code is None:
            return "The worker process died before its job ended"
        if code < 0:
            # As Ruby writes a Process::Status.
            return f"Child process received unhandled signal pid {self.pid} {_name(-code)} (signal {-code})"
        return f"Child process ended before its job did: pid {self.pid} exit {code}"


_REASONS = {Reason.SHUTDOWN: "shutdown", Reason.TIMEOUT: "timeout", Reason.KILLED: "killed:SIGKILL"}


class Settler:
    """Settles one worker's record."""

    def __init__(  # noqa: PLR0913 - its collaborators
        self,
        client: Resque,
        worker_id: str,
        record: Record,
        fate: Fate,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare.

        Args:
            client: the Redis that holds the worker's jobs.
            worker_id: the worker.
            record: what it has noted; nobody else may write it meanwhile.
            fate: how its process ended.
            clock: epoch seconds.
            monotonic: the clock by which records are kept.
        """
        self._client = client
        self._store = client.store
        self._id = worker_id
        self._record = record
        self._fate = fate
        self._clock = clock
        self._monotonic = monotonic

    def settle(self) -> None:
        """Finish what the dead process has left. It may be cut off, and called again.

        Raises:
            RedisError: Redis can't be reached, or refuses; call it again.
        """
        if not self._record.sound:
            log.warning("%s: its record is torn, so that nobody knows what it has done; what it holds fails", self._id)
            self._record.distrust()
            before = None
            while (lease := self._lease()) not in {None, before}:  # of a batch, one after the other
                before = lease
                self._record.begin_unknown()
                self._finish()
        self._finish()
        self._give_back()
        self._record.idle()

    def _finish(self) -> None:
        """Finish what has ended, and what had begun."""
        if self._record.ended:
            self._finish_ended()
        if self._record.begun:
            self._note_begun()
            if self._record.ended:
                self._finish_ended()

    def _lease(self) -> bytes | None:
        """What the worker holds first, of a batch what is left."""
        lease = self._store.lease(self._id)
        if lease is None and self._store.next_of_batch(self._id):
            lease = self._store.lease(self._id)
        return lease

    def _finish_ended(self) -> None:
        """Commit the outcomes noted, unless that was done, and publish it."""
        outcomes = list(self._record.outcomes())
        decided = committed(self._client, self._id, self._record.seq)
        if decided is None:
            decided = self._commit(outcomes)
        for outcome in outcomes[len(outcomes) - decided :]:
            if outcome.line:
                self._client.lifecycle.retell(outcome.line)
        self._record.committed(rest=True)

    def _commit(self, outcomes: list[Outcome]) -> int:
        """Commit how jobs ended; gives for how many, the last ones, this has decided it."""
        lease, batch = self._store.lease(self._id) or b"", self._store.batch(self._id)
        leases = [lease, *batch]
        if len(leases) < len(outcomes):  # somebody else has decided
            return 0
        ended = [Ended(_job(raw), outcome) for raw, outcome in zip(leases, outcomes, strict=False)]
        return len(commit(self._client, self._id, ended, lease, seq=self._record.seq) or ())

    def _give_back(self) -> None:
        """What was taken and never begun."""
        lease = self._lease()
        if lease is not None:
            held = Lease.read(lease)
            given = self._store.give_back(self._id, lease, held.queue, held.payload)
            log.info("%s: %d taken by process %d and never begun went back", self._id, given, self._fate.pid)

    def _note_begun(self) -> None:
        """Note that the job that was begun has failed, unless it is to go back; the rest is as with any other end."""
        lease = self._store.lease(self._id)
        if lease is None:  # somebody else has decided
            self._record.unbegin()
            return
        job, reason = _job(lease), _REASONS.get(self._record.reason, self._fate.reason)
        failure = Failure(_EXCEPTIONS.get(reason, "Resque::DirtyExit"), self._fate.message)
        try:
            definition = job.definition(self._client.registry)
        except CluesError:  # a bad item, or one whose class is gone with the new code
            definition = None
        if reason == "shutdown" and definition is not None and definition.requeue_on_shutdown:
            log.warning("%s goes back to its queue: its worker was stopped", one_line(job.worker_class))
            self._record.unbegin()
            return
        log.warning("%s failed: %s", one_line(job.worker_class), failure.message)
        if definition is not None:
            self._run_hooks(definition.hooks.run_on_failure, job)
        attempt = self._attempt(job)
        event = self._client.lifecycle.outcome(attempt, failure, reason=reason, reporter=self._fate.reporter)
        self._record.end(Outcome(self._clock(), failure, b"" if event is None else event.line, counted=False))

    def _attempt(self, job: Job) -> Attempt | None:
        lifecycle, record = self._client.lifecycle, self._record
        attempt = lifecycle.attempt_of(job.queue, job.item)
        if attempt is not None:
            took = self._monotonic() - record.begun_monotonic
            attempt.elapsed = took if took >= 0 else None
            if attempt.enqueued_time is not None and record.begun_at:
                attempt.times["_time_in_queue"] = max(record.begun_at - attempt.enqueued_time, 0.0)
        return attempt

    def _run_hooks(self, run: Callable[..., None], job: Job) -> None:
        try:
            run(DirtyExit(self._fate.message), job.args)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - user code
            _faults.report(f"on_failure hook of {job.worker_class}", error, "the failure is stored without it")


_EXCEPTIONS = {"timeout": "clues.errors.JobTimeout"}


def _job(raw: bytes) -> Job:
    lease = Lease.read(raw)
    return Job(lease.queue, lease.payload)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"
