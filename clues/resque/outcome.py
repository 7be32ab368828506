"""Committing how jobs ended: one step in Redis, then the other failure backends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from clues.event import Event
from clues.faults import Faults
from clues.resque.client import Resque
from clues.resque.failure import FailureEntry
from clues.resque.job import Job
from clues.resque.records import Ending, Taken, Wanted
from clues.resque.scoreboard import Outcome

_faults = Faults()


class Ended(NamedTuple):
    """A job that has ended.

    Attributes:
        job: the job.
        outcome: how it ended.
        event: what tells of it; None for a job without events.
    """

    job: Job
    outcome: Outcome
    event: Event | None = None


def commit(  # noqa: PLR0913 - all that makes an outcome
    client: Resque,
    worker_id: str,
    ended: Sequence[Ended],
    lease: bytes,
    *,
    seq: int = 0,
    count: bool = True,
    again: bool = False,
) -> Sequence[Ended] | None:
    """Remove the lease, count, and store the failures; the outcomes stay in Redis until the worker's next job.

    Args:
        client: the Redis, and the failure backends.
        worker_id: who holds the lease.
        ended: the jobs that ended, all from one queue, in the order in which they were taken.
        lease: the first one's lease, as it was read.
        seq: the number of this commit among the worker's.
        count: whether stats go up; not for jobs of dead workers (resque ``worker.rb``).
        again: whether an earlier call of this was cut off: it may have been done, whatever became of its reply.

    Returns:
        Those whose outcomes this decided; None if somebody else has removed all that the worker held.
    """
    if again and (told := committed(client, worker_id, seq)) is not None:
        # Asked first: the lease of a job that was taken in the same step may be the same, to the byte.
        decided = ended[len(ended) - told :]
    elif client.store.finish(worker_id, _ending(client, worker_id, ended, lease, seq=seq, count=count)):
        decided = ended
    else:
        # Who knows of no batches, as Ruby's pruner, removes the lease alone, and decides the first outcome alone.
        decided = ended[1:]
        if not client.store.finish(worker_id, _ending(client, worker_id, decided, None, seq=seq, count=count)):
            return None
    _tell_others(client, worker_id, decided)
    return decided


def commit_and_take(  # noqa: PLR0913 - all that makes an outcome, and what is wanted
    client: Resque, worker_id: str, ended: Sequence[Ended], lease: bytes, wanted: Wanted, *, seq: int
) -> Taken | None:
    """Commit as `commit` does, and take the worker's next jobs, in one step; all that it held must have ended.

    Returns:
        What was taken; None if somebody else had removed the lease: then nothing was done, and `commit` tells more.
    """
    ending = _ending(client, worker_id, ended, lease, seq=seq, count=True)
    taken = client.store.finish_and_take(worker_id, ending, wanted)
    if taken is not None:
        _tell_others(client, worker_id, ended)
    return taken


def committed(client: Resque, worker_id: str, seq: int) -> int | None:
    """How many outcomes this commit has decided, by what Redis holds; None if it was not done."""
    number, *lines = client.store.outcomes(worker_id).split(b"\n")
    return len(lines) if number == b"%d" % seq else None


def untold(client: Resque, worker_id: str) -> list[bytes]:
    """The events of a dead worker's latest commit, as standard lines: it may have died before it published them."""
    return [line for line in client.store.outcomes(worker_id).split(b"\n")[1:] if line]


def _ending(  # noqa: PLR0913 - all that makes an outcome
    client: Resque, worker_id: str, ended: Sequence[Ended], lease: bytes | None, *, seq: int, count: bool
) -> Ending:
    multi_queue = "redis_multi_queue" in client.failure_backends
    stored = multi_queue or "redis" in client.failure_backends
    queue = ended[0].job.queue if ended else ""
    failed = [one for one in ended if one.outcome.failure is not None]
    return Ending(
        ended=len(ended),
        lease=lease,
        processed=len(ended) if count else 0,
        failed=sum(one.outcome.counted for one in failed) if count else 0,
        entries=[entry.encode() for entry in _failures(worker_id, failed)] if failed and stored else (),
        # A list for each queue, and the set of lists (redis_multi_queue.rb).
        failed_list=client.store.keys.failed_of(queue) if multi_queue else "",
        failed_queue=f"{queue}_failed" if multi_queue else "",
        outcomes=b"\n".join([b"%d" % seq, *(one.outcome.line for one in ended)]),
    )


def _failures(worker_id: str, ended: Sequence[Ended]) -> list[FailureEntry]:
    return [
        FailureEntry(one.outcome.at, one.job.raw, one.outcome.failure, worker_id, one.job.queue)
        for one in ended
        if one.outcome.failure is not None
    ]


def _tell_others(client: Resque, worker_id: str, ended: Sequence[Ended]) -> None:
    """Give the failures to the backends beside Redis."""
    others = [backend for backend in client.failure_backends if not isinstance(backend, str)]
    for entry in _failures(worker_id, ended) if others else ():
        for backend in others:
            try:
                backend.save(entry)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - user code
                _faults.report(f"failure backend {type(backend).__name__}", error, "the failure is kept elsewhere")
