"""Workers that died without a word: their jobs are failed, and they are forgotten (resque ``worker.rb``)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from clues.metadata import Failure
from clues.resque import times
from clues.resque.client import Resque
from clues.resque.failure import DIRTY_EXIT
from clues.resque.job import Job
from clues.resque.lease import Lease
from clues.resque.outcome import commit

log = logging.getLogger("clues.resque")

PRUNE_INTERVAL = 300.0
"""Seconds without a heartbeat, by the server's clock, after which a worker is taken for dead (resque ``resque.rb``)."""

LOCK = 60
"""Seconds for which one pruner keeps the others from pruning: Resque's heartbeat interval."""


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
        beats = {worker_id: times.parse_heartbeat(beat) for worker_id, beat in store.heartbeats().items()}
        dead = [worker_id for worker_id, beat in beats.items() if beat is not None and now - beat > self._prune_interval]
        for worker_id in dead:
            log.warning("pruning dead worker %s", worker_id)
            self.bury(worker_id)
        return dead

    def bury(self, worker_id: str) -> None:
        """Fail the job that a dead worker holds, if any, and forget the worker."""
        raw = self._client.store.lease(worker_id)
        if raw is not None:
            self._fail(worker_id, Lease.parse(raw))
        self._client.store.unregister(worker_id)

    def _fail(self, worker_id: str, lease: Lease) -> None:
        client = self._client
        job = Job(lease.queue, lease.payload)
        failure = Failure(
            DIRTY_EXIT, f"Worker {worker_id} did not gracefully exit while processing {job.worker_class or 'a bad item'}"
        )
        if commit(client, worker_id, job, failure, at=self._clock(), count=False):
            attempt = client.lifecycle.lost(job.queue, job.item)
            client.lifecycle.failed(attempt, failure, reason="lost", reporter="pruner")
