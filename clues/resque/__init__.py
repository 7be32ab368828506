"""clues' own job system, wire-compatible with Ruby's Resque both ways.

A job, and how it is enqueued::

    from clues import resque

    class PdfGeneration:
        queue = "pdf_generation"

        @classmethod
        def perform(cls, doc_id): ...

    resque.enqueue(PdfGeneration, 42)

The functions here work on one process-wide client: `configure` says where it is; without, it is at ``REDIS_URL``.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any

from clues.errors import DirtyExit, DontPerform, JobTimeout, TermException
from clues.resque import registry as _registry
from clues.resque.client import Resque
from clues.resque.connect import RedisLike
from clues.resque.enqueueing import JobLike, Receipt
from clues.resque.failed import Failed
from clues.resque.failure import FailureBackend, FailureEntry, RedisBackend
from clues.resque.pausing import Paused
from clues.resque.stop_flag import stopping
from clues.resque.worker_hooks import (
    after_fork,
    after_pause,
    before_first_fork,
    before_fork,
    before_job,
    before_pause,
    queue_empty,
    shutdown,
    worker_exit,
)

__all__ = [
    "DirtyExit",
    "DontPerform",
    "Failed",
    "FailureBackend",
    "FailureEntry",
    "JobTimeout",
    "Paused",
    "Receipt",
    "Resque",
    "TermException",
    "after_fork",
    "after_pause",
    "before_first_fork",
    "before_fork",
    "before_job",
    "before_pause",
    "client",
    "configure",
    "dequeue",
    "destroy",
    "enqueue",
    "enqueue_many",
    "enqueue_to",
    "failed",
    "info",
    "inline",
    "job",
    "pause",
    "paused",
    "peek",
    "pop",
    "push",
    "queue_empty",
    "queues",
    "reenqueue",
    "remove_queue",
    "resume",
    "shutdown",
    "size",
    "stat",
    "stopping",
    "worker_exit",
    "workers",
    "working",
]

job = _registry.default.job
"""Makes a job of a function or class: ``@resque.job(queue="mailers", name="SendMail")``."""


class _Default:
    """The process-wide client, made at first use."""

    client: Resque | None = None


def configure(
    redis: RedisLike = None,
    *,
    namespace: str = "resque",
    failure_backends: Iterable[RedisBackend | FailureBackend] | None = None,
    inline: bool = False,
) -> Resque:
    """Say where the process-wide client works; the arguments are those of `Resque`."""
    _Default.client = Resque(redis, namespace=namespace, failure_backends=failure_backends, inline=inline)
    return _Default.client


def client() -> Resque:
    """The process-wide client."""
    return _Default.client or configure()


def enqueue(job: JobLike, /, *args: Any) -> Receipt | None:
    """`Resque.enqueue` on the process-wide client."""
    return client().enqueue(job, *args)


def enqueue_to(queue: str, job: JobLike, /, *args: Any) -> Receipt | None:
    """`Resque.enqueue_to` on the process-wide client."""
    return client().enqueue_to(queue, job, *args)


def enqueue_many(
    calls: Iterable[tuple[Any, ...]], *, queue: str | None = None, batch_size: int = 1000
) -> list[Receipt]:
    """`Resque.enqueue_many` on the process-wide client."""
    return client().enqueue_many(calls, queue=queue, batch_size=batch_size)


def reenqueue(*args: Any) -> Receipt | None:
    """`Resque.reenqueue` on the process-wide client: the rest of the running job's work, when it finds itself stopping.

    ::

        for position, number in enumerate(numbers):
            if resque.stopping():
                return resque.reenqueue(numbers[position:])
            work_on(number)
    """
    return client().reenqueue(*args)


def inline() -> AbstractContextManager[None]:
    """Perform jobs at once within a ``with`` block, rather than push them; ``configure(inline=True)`` is for good."""
    return client().performing_inline()


def dequeue(job: JobLike, /, *args: Any) -> int | None:
    """`Resque.dequeue` on the process-wide client."""
    return client().dequeue(job, *args)


def destroy(queue: str, job: JobLike, /, *args: Any) -> int:
    """`Resque.destroy` on the process-wide client."""
    return client().destroy(queue, job, *args)


def push(queue: str, item: Any) -> int:
    """`Resque.push` on the process-wide client."""
    return client().push(queue, item)


def pop(queue: str) -> Any:
    """`Resque.pop` on the process-wide client."""
    return client().pop(queue)


def peek(queue: str, start: int = 0, count: int = 1) -> Any:
    """`Resque.peek` on the process-wide client."""
    return client().peek(queue, start, count)


def size(queue: str) -> int:
    """`Resque.size` on the process-wide client."""
    return client().size(queue)


def queues() -> list[str]:
    """`Resque.queues` on the process-wide client."""
    return client().queues()


def remove_queue(queue: str) -> int:
    """`Resque.remove_queue` on the process-wide client."""
    return client().remove_queue(queue)


def pause(*queues: str) -> Paused:
    """`Resque.pause` on the process-wide client."""
    return client().pause(*queues)


def resume(*queues: str) -> Paused:
    """`Resque.resume` on the process-wide client."""
    return client().resume(*queues)


def paused() -> Paused:
    """`Resque.paused` on the process-wide client."""
    return client().paused()


def workers() -> list[str]:
    """`Resque.workers` on the process-wide client."""
    return client().workers()


def working() -> dict[str, dict[str, Any]]:
    """`Resque.working` on the process-wide client."""
    return client().working()


def failed() -> Failed:
    """The failures that Redis keeps."""
    return client().failed


def stat(name: str) -> int:
    """`Resque.stat` on the process-wide client."""
    return client().stat(name)


def info() -> dict[str, Any]:
    """`Resque.info` on the process-wide client."""
    return client().info()
