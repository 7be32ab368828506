"""Committing how jobs ended: one step in Redis, then the other failure backends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from clues.event import Event
from clues.faults import Faults
from clues.resque.client import Resque
from clues.resque.failure import FailureEntry
from clues.resque.job import Job
from clues.resque.scoreboard import Outcome
from clues.resque.store import Ending

_faults = Faults()


@dataclass(frozen=True, slots=True)
class Ended:
    """A job, how it ended, and the event that tells of it, if there is one."""

    job: Job
    outcome: Outcome
    event: Event | None = None


def commit(  # noqa: PLR0913 - all that makes an outcome
    client: Resque,
    worker_id: str,
    ended: Sequence[Ended],
    *,
    seq: int = 0,
    count: bool = True,
    lease: bytes = b"",
    run_at: str = "",
    already: Callable[[], bool] = lambda: False,
) -> bool:
    """Remove the lease, count, and store the failures; the outcomes stay in Redis until the worker's next job.

    Args:
        client: the Redis, and the failure backends.
        worker_id: who holds the lease.
        ended: the jobs that ended, all from one queue, in the order in which they were taken.
        seq: the number of this commit among the worker's.
        count: whether stats go up; not for jobs of dead workers (resque ``worker.rb``).
        lease: the lease as it was read, where it may have changed meanwhile.
        run_at: when the rest of a batch was taken.
        already: where the lease is gone, tells whether an earlier call of this, whose reply was lost, removed it.

    Returns:
        Whether this decided the outcomes: False if somebody else had removed the lease.
    """
    queue = ended[0].job.queue
    failures = [
        FailureEntry(one.outcome.at, one.job.raw, one.outcome.failure, worker_id, queue)
        for one in ended
        if one.outcome.failure is not None
    ]
    multi_queue = "redis_multi_queue" in client.failure_backends
    ending = Ending(
        ended=len(ended),
        processed=len(ended) if count else 0,
        failed=sum(one.outcome.failure is not None and one.outcome.counted for one in ended) if count else 0,
        entries=[entry.encode() for entry in failures] if multi_queue or "redis" in client.failure_backends else (),
        # A list for each queue, and the set of lists (redis_multi_queue.rb).
        failed_list=client.store.keys.failed_of(queue) if multi_queue else "",
        failed_queue=f"{queue}_failed" if multi_queue else "",
        outcomes=_text(seq, ended),
        lease=lease,
        queue=queue,
        run_at=run_at,
    )
    decided = client.store.finish(worker_id, ending) or already()
    if decided:
        for entry in failures:
            _tell_others(client, entry)
    return decided


def is_committed(client: Resque, worker_id: str, seq: int) -> bool:
    """Whether Redis holds the outcomes of this commit: it was done, whatever became of its reply."""
    return client.store.outcomes(worker_id).partition(b"\n")[0] == b"%d" % seq


def untold(client: Resque, worker_id: str) -> list[bytes]:
    """The events of a dead worker's latest commit, as standard lines: it may have died before it published them."""
    return [line for line in client.store.outcomes(worker_id).split(b"\n")[1:] if line]


def _text(seq: int, ended: Sequence[Ended]) -> bytes:
    return b"\n".join([b"%d" % seq, *(one.outcome.line for one in ended)])


def _tell_others(client: Resque, entry: FailureEntry) -> None:
    for backend in client.failure_backends:
        if isinstance(backend, str):
            continue
        try:
            backend.save(entry)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - user code
            _faults.report(f"failure backend {type(backend).__name__}", error, "the failure is kept elsewhere")
