"""Workers that died without a word: their jobs are failed, and they are forgotten (resque ``worker.rb``)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from clues.errors import CluesError, PruneDeadWorkerDirtyExit
from clues.faults import Faults
from clues.metadata import Failure
from clues.resque import times
from clues.resque.client import Resque
from clues.resque.failure import DIRTY_EXIT
from clues.resque.job import Job
from clues.resque.lease import Lease
from clues.resque.outcome import Ended, commit, untold
from clues.resque.scoreboard import Outcome
from clues.resque.store import TROUBLE, UNAVAILABLE, shown
from clues.sanitize import one_line

log = logging.getLogger("clues.resque")

PRUNE_INTERVAL = 300.0
"""Seconds without a heartbeat, by the server's clock, after which a worker is taken for dead (resque ``resque.rb``)."""

LOCK = 60
"""Seconds for which one pruner keeps the others from pruning: Resque's heartbeat interval."""

_faults = Faults()


class Pruner:
    """Prunes in the name of one worker."""

    def __init__(
        self,
        client: Resque,
        worker_id: str,
        *,
        prune_interval: float = PRUNE_INTERVAL,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare; `prune` does it.

        Args:
            client: the Redis to look at.
            worker_id: the pruning worker.
            prune_interval: seconds without a heartbeat that make a worker dead.
            clock: epoch seconds.
        """
        self._client = client
        self._worker_id = worker_id
        self._prune_interval = prune_interval
        self._clock = clock

    def prune(self) -> list[str]:
        """Prune the workers whose heartbeat has expired, unless somebody else is at it; gives their ids."""
        store = self._client.store
        if not store.lock_pruning(self._worker_id, LOCK):
            return []
        now = store.time()
        return [
            worker_id
            for worker_id, beat in store.heartbeats().items()
            if self._has_expired(beat, now) and self._prune(worker_id, beat)
        ]

    def _has_expired(self, heartbeat: str, now: float) -> bool:
        at = times.parse_heartbeat(heartbeat)
        return at is not None and now - at > self._prune_interval

    def _prune(self, worker_id: str, heartbeat: str) -> bool:
        name, beat = one_line(shown(worker_id)), one_line(shown(heartbeat))
        log.warning("pruning worker %s: its last heartbeat was at %s", name, beat)
        try:
            return self.bury(worker_id, heartbeat)
        except UNAVAILABLE:
            raise
        except TROUBLE as error:  # such as another type of key under its name; the others are pruned all the same
            log.warning("could not prune worker %s: %s", name, error)
            return False

    def bury(self, worker_id: str, heartbeat: str = "", token: str = "") -> bool:
        """Fail the jobs that a dead worker holds, if any, tell what it could not, and forget the worker.

        Args:
            worker_id: the dead worker.
            heartbeat: its last one, where it may have come back to life meanwhile.
            token: its own, where it is this very process.

        Returns:
            Whether it was dead: not if it has just ended its job itself, or has beaten again.
        """
        store = self._client.store
        for line in untold(self._client, worker_id):
            self._client.lifecycle.retell(line)
        while (raw := store.lease(worker_id)) is not None:
            if not self._fail(worker_id, raw):
                return False
        return store.unregister(worker_id, heartbeat, token)

    def _fail(self, worker_id: str, raw: bytes) -> bool:
        """Fail a job by its lease, unless that is no longer the one; the worker may have gone on to another job."""
        client, lease = self._client, Lease.read(raw)
        job = Job(lease.queue, lease.payload)
        message = (
            f"Worker {shown(worker_id)} did not gracefully exit while processing {job.worker_class or 'a bad item'}"
        )
        failure = Failure(DIRTY_EXIT, message)
        attempt = client.lifecycle.lost(job.queue, job.item)
        event = client.lifecycle.outcome(attempt, failure, reason="lost", reporter="pruner")
        outcome = Outcome(self._clock(), failure, b"" if event is None else event.line, counted=False)
        ended = [Ended(job, outcome, event)]
        if not commit(client, worker_id, ended, count=False, lease=raw, run_at=lease.run_at):
            return False
        client.lifecycle.publish(event)
        self._run_hooks(job, PruneDeadWorkerDirtyExit(message))
        return True

    def _run_hooks(self, job: Job, error: PruneDeadWorkerDirtyExit) -> None:
        """Run the job's on_failure hooks, if it is known here; their own errors come too late to be stored."""
        try:
            hooks = job.definition(self._client.registry).hooks
        except CluesError:  # a bad item, or another program's job
            return
        try:
            hooks.run_on_failure(error, job.args)
        except (Exception, SystemExit) as hook_error:  # noqa: BLE001 - user code
            _faults.report(f"on_failure hook of {job.worker_class}", hook_error, "the failure is stored without it")
