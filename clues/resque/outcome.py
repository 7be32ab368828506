"""Committing how a job ended: one step in Redis, then the other failure backends."""

from __future__ import annotations

from collections.abc import Callable

from clues.faults import Faults
from clues.metadata import Failure
from clues.resque.client import Resque
from clues.resque.failure import FailureEntry
from clues.resque.job import Job

_faults = Faults()


def commit(  # noqa: PLR0913 - all that makes an outcome
    client: Resque,
    worker_id: str,
    job: Job,
    failure: Failure | None,
    *,
    at: float,
    count: bool = True,
    lease: bytes = b"",
    already: Callable[[], bool] = lambda: False,
) -> bool:
    """Remove the lease, count, and store the failure.

    Args:
        client: the Redis, and the failure backends.
        worker_id: who holds the lease.
        job: the job that ended.
        failure: why it failed; None if it went well.
        at: when, in epoch seconds.
        count: whether stats go up.
        lease: the lease as it was read, where it may have changed meanwhile.
        already: where the lease is gone, tells whether an earlier call of this, whose reply was lost, removed it.

    Returns:
        Whether this decided the outcome: False if somebody else had removed the lease.
    """
    if failure is None:
        return client.store.finish(worker_id, count=count, lease=lease) or already()
    entry = FailureEntry(at, job.raw, failure, worker_id, job.queue)
    decided = _store_failure(client, worker_id, entry, count=count, lease=lease) or already()
    if decided:
        _tell_others(client, entry)
    return decided


def _store_failure(client: Resque, worker_id: str, entry: FailureEntry, *, count: bool, lease: bytes) -> bool:
    finish, keys = client.store.finish, client.store.keys
    if "redis_multi_queue" in client.failure_backends:
        # A list for each queue, and the set of lists (redis_multi_queue.rb).
        place = {"failed_list": keys.failed_of(entry.queue), "failed_queue": f"{entry.queue}_failed"}
        return finish(worker_id, failed=True, entry=entry.encode(), **place, count=count, lease=lease)
    kept = entry.encode() if "redis" in client.failure_backends else b""
    return finish(worker_id, failed=True, entry=kept, count=count, lease=lease)


def _tell_others(client: Resque, entry: FailureEntry) -> None:
    for backend in client.failure_backends:
        if isinstance(backend, str):
            continue
        try:
            backend.save(entry)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - user code
            _faults.report(f"failure backend {type(backend).__name__}", error, "the failure is kept elsewhere")
