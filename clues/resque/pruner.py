"""Workers that died without a word: their jobs are failed, and they are forgotten (resque ``worker.rb``)."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Container, Mapping, Sequence

from clues.errors import CluesError, DirtyExit, PruneDeadWorkerDirtyExit
from clues.faults import Faults
from clues.metadata import Failure
from clues.resque import times
from clues.resque.client import Resque
from clues.resque.job import Job
from clues.resque.lease import Lease
from clues.resque.local_processes import gone
from clues.resque.outcome import Ended, commit, untold
from clues.resque.queues import QueueList
from clues.resque.records import Roster
from clues.resque.scoreboard import Outcome
from clues.resque.store import shown
from clues.resque.trouble import TROUBLE, UNAVAILABLE
from clues.sanitize import one_line

log = logging.getLogger("clues.resque")

PRUNE_INTERVAL = 300.0
"""Seconds without a heartbeat, by the server's clock, after which a worker is taken for dead (resque ``resque.rb``)."""

LOCK = 60
"""Seconds for which one pruner keeps the others from pruning: Resque's heartbeat interval."""

GRACE = 10.0
"""Seconds: several beats of a tree, and its longest pause between two attempts to reach Redis."""

_LOOKS = 10
_MOST_LOOKS = 100

_faults = Faults()


class Pruner:
    """Prunes in the name of one worker.

    Who is dead? Workers of trees: whose key has run out, and stays away for a while in which Redis serves without a
    break. Ruby's: whose heartbeat is too old, or, on this host and with our queues, whose process is gone.
    """

    def __init__(  # noqa: PLR0913 - one parameter for each option
        self,
        client: Resque,
        worker_id: str,
        *,
        queues: QueueList | None = None,
        hostname: str | None = None,
        prune_interval: float = PRUNE_INTERVAL,
        grace: float = GRACE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare; `prune` does it.

        Args:
            client: the Redis to look at.
            worker_id: the pruning worker.
            queues: its queues; without them nobody is judged by the processes of this host.
            hostname: the host in its id; the system's name if None.
            prune_interval: seconds without a heartbeat that make a worker of Ruby's dead.
            grace: seconds for which the key of a tree's worker must stay away.
            clock: epoch seconds.
        """
        self._client = client
        self._store = client.store
        self._worker_id = worker_id
        self._queues = queues
        self._hostname = hostname or socket.gethostname()
        self._prune_interval = prune_interval
        self._grace = grace
        self._clock = clock

    def prune(self) -> list[str]:
        """Prune Ruby's dead workers, unless somebody else is at it; gives their ids."""
        if not self._store.lock_pruning(self._worker_id, LOCK):
            return []
        roster = self._store.roster()
        expired = {name: beat for name, beat in roster.heartbeats.items() if self._has_expired(beat, roster.now)}
        judged = [name for name in roster.ids if name not in expired and self._may_judge(name)]
        # Whoever has a key that has not run out, as resque_worker_heartbeat writes it, is alive whatever else.
        spared = {*roster.trees, *self._store.living([*expired, *judged]), self._worker_id}
        return [*self._prune_expired(expired, spared), *self._prune_gone(judged, spared, roster)]

    def prune_suspects(self, wait: Callable[[float], bool]) -> list[str]:
        """Prune the dead workers of trees, unless somebody else is at it; gives their ids.

        After an outage of Redis all keys have run out, and those who live need a moment to write them again. So those
        without one are looked at until they have been away for the grace period, which any trouble begins anew.

        Args:
            wait: sleeps for some seconds; true if it is time to leave.

        Raises:
            RedisError: Redis can't be reached, or refuses, at the first look.
        """
        if not self._store.lock_pruning(self._worker_id, LOCK) and self._store.pruner() != self._worker_id:
            return []
        suspects, looks, tries = self._suspects(), 0, 0
        # Looks are counted, not seconds: a host that was suspended between two of them has seen nothing meanwhile.
        while suspects and looks < _LOOKS:
            tries += 1
            if wait(self._grace / _LOOKS) or tries > _MOST_LOOKS:
                return []
            try:
                suspects &= self._suspects()
                looks += 1
            except TROUBLE:
                looks = 0
        return [
            name
            for name in sorted(suspects)
            if not self._store.living([name]) and self._prune(name, "its key has run out")
        ]

    def _suspects(self) -> set[str]:
        trees = list(self._store.trees())
        return set(trees) - set(self._store.living(trees))

    def _prune_expired(self, expired: Mapping[str, str], spared: Container[str]) -> list[str]:
        """Those whose heartbeat is too old, on any host, registered or not (resque worker.rb)."""
        return [
            name
            for name, beat in expired.items()
            if name not in spared and self._prune(name, f"its last heartbeat was at {one_line(shown(beat))}", beat)
        ]

    def _prune_gone(self, judged: Sequence[str], spared: Container[str], roster: Roster) -> list[str]:
        """Those of this host and our queues whose process is gone (resque worker.rb)."""
        pids = {name: int(name.split(":")[1]) for name in judged if name not in spared}
        no_longer = gone(set(pids.values())) if pids else ()
        return [
            name
            for name, pid in pids.items()
            if pid in no_longer
            and self._prune(
                name,
                "its process is gone",
                roster.heartbeats.get(name, ""),
                error=DirtyExit("Job still being processed"),
            )
        ]

    def _may_judge(self, worker_id: str) -> bool:
        host, pid, queues = (*worker_id.split(":", 2), "", "")[:3]
        if self._queues is None or host != self._hostname or not (pid.isascii() and pid.isdigit()):
            return False
        return "*" in self._queues.names or set(queues.split(",")) == set(self._queues.names)

    def _has_expired(self, heartbeat: str, now: float) -> bool:
        at = times.parse_heartbeat(heartbeat)
        return at is not None and now - at > self._prune_interval

    def _prune(self, worker_id: str, why: str, heartbeat: str = "", *, error: DirtyExit | None = None) -> bool:
        name = one_line(shown(worker_id))
        log.warning("pruning worker %s: %s", name, why)
        try:
            return self.bury(worker_id, heartbeat, error=error)
        except UNAVAILABLE:
            raise
        except TROUBLE as trouble:  # such as another type of key under its name; the others are pruned all the same
            log.warning("could not prune worker %s: %s", name, trouble)
            return False

    # burying

    def succeed(self, worker_id: str) -> None:
        """Before a worker starts: finish what an earlier process of its id has left, unless that one lives.

        Unknown means failed, never silently run again.

        Raises:
            RedisError: Redis can't be reached, or refuses.
        """
        if self._store.leaves_work(worker_id) and not self._store.living([worker_id]):
            self.bury(worker_id)

    def bury(self, worker_id: str, heartbeat: str = "", *, error: DirtyExit | None = None) -> bool:
        """Fail the jobs that a dead worker holds, if any, tell what it could not, and forget the worker.

        It may be cut off, and called again.

        Args:
            worker_id: the dead worker.
            heartbeat: its last one, where it may have come back to life meanwhile.
            error: what its jobs fail with, if not with the words for workers that died without one.

        Returns:
            Whether it was dead: not if it has just ended its job itself, or has beaten again.
        """
        for line in untold(self._client, worker_id):
            self._client.lifecycle.retell(line)
        while (raw := self._store.lease(worker_id)) is not None or self._store.next_of_batch(worker_id):
            if raw is not None and not self._fail(worker_id, raw, error):
                return False
        return self._store.unregister(worker_id, heartbeat)

    def _fail(self, worker_id: str, raw: bytes, error: DirtyExit | None) -> bool:
        """Fail a job by its lease, unless that is no longer the one; the worker may have gone on to another job."""
        client, lease = self._client, Lease.read(raw)
        job = Job(lease.queue, lease.payload)
        what = job.worker_class or "a bad item"
        error = error or PruneDeadWorkerDirtyExit(
            f"Worker {shown(worker_id)} did not gracefully exit while processing {what}"
        )
        failure = Failure(f"Resque::{type(error).__name__}", str(error))  # Ruby's names: plugins match on them
        attempt = client.lifecycle.attempt_of(job.queue, job.item)
        event = client.lifecycle.outcome(attempt, failure, reason="lost", reporter="pruner")
        outcome = Outcome(self._clock(), failure, b"" if event is None else event.line, counted=False)
        decided = commit(client, worker_id, [Ended(job, outcome, event)], raw, count=False)
        if not decided:
            return decided is not None
        client.lifecycle.publish(event)
        self._run_hooks(job, error)
        return True

    def _run_hooks(self, job: Job, error: DirtyExit) -> None:
        """Run the job's on_failure hooks, if it is known here; their own errors come too late to be stored."""
        try:
            hooks = job.definition(self._client.registry).hooks
        except CluesError:  # a bad item, or another program's job
            return
        try:
            hooks.run_on_failure(error, job.args)
        except (Exception, SystemExit) as hook_error:  # noqa: BLE001 - user code
            _faults.report(f"on_failure hook of {job.worker_class}", hook_error, "the failure is stored without it")
