"""Committing how a job ended: one step in Redis, then the other failure backends."""

from __future__ import annotations

from clues.faults import Faults
from clues.metadata import Failure
from clues.resque.client import Resque
from clues.resque.failure import FailureEntry
from clues.resque.job import Job

_faults = Faults()


def commit(
    client: Resque, worker_id: str, job: Job, failure: Failure | None, *, at: float, count: bool = True
) -> bool:
    """Remove the lease, count, and store the failure.

    Args:
        client: the Redis, and the failure backends.
        worker_id: who holds the lease.
        job: the job that ended.
        failure: why it failed; None if it went well.
        at: when, in epoch seconds.
        count: whether stats go up.

    Returns:
        Whether this decided the outcome: False if somebody else had removed the lease.
    """
    if failure is None:
        return client.store.finish(worker_id, None, count=count)
    entry = FailureEntry(at, job.raw, failure, worker_id, job.queue)
    failed_list, failed_queue = _place(client, job.queue)
    decided = client.store.finish(
        worker_id, entry.encode(), failed_list=failed_list, failed_queue=failed_queue, count=count
    )
    if decided:
        _tell_others(client, entry)
    return decided


def _place(client: Resque, queue: str) -> tuple[str, str]:
    """The key of the failure list, and the name for the set of lists, where there is one (redis_multi_queue.rb)."""
    if "redis_multi_queue" in client.failure_backends:
        return client.store.keys.failed_of(queue), f"{queue}_failed"
    return (client.store.keys.failed, "") if "redis" in client.failure_backends else ("", "")


def _tell_others(client: Resque, entry: FailureEntry) -> None:
    for backend in client.failure_backends:
        if isinstance(backend, str):
            continue
        try:
            backend.save(entry)
        except Exception as error:  # noqa: BLE001 - user code
            _faults.report(f"failure backend {type(backend).__name__}", error, "the failure is kept elsewhere")
