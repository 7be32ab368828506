"""Performing a job at once, in place of pushing it: for tests and development."""

from __future__ import annotations

from clues.lifecycle import Lifecycle
from clues.resque.enqueueing import Call
from clues.resque.job import Job


def perform_inline(lifecycle: Lifecycle, call: Call) -> None:
    """Perform a prepared call with its hooks, and tell its whole story; no Redis key is touched.

    Raises:
        BaseException: what the job raises, once its on_failure hooks have run.
    """
    job = Job(call.queue, call.raw)
    lifecycle.enqueued(call.attempt)
    attempt = lifecycle.dequeued(call.queue, job.item)
    with lifecycle.performing(attempt, call.queue, job.item):
        try:
            job.perform(call.definition)
        except BaseException as error:  # noqa: BLE001 - it is raised below, once the job is over
            failure = job.fail(call.definition, error)
            raised: BaseException | None = error
        else:
            raised = None
    if raised is not None:
        lifecycle.failed(attempt, failure)
        raise raised
    lifecycle.perform_finished(attempt)
