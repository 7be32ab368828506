"""The Resque job system as the documentation shows it; mypy checks it, nothing runs it."""
# ruff: noqa: T201 - usage prints

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, ClassVar

import redis

import clues
from clues import resque
from clues.resque import (
    DirtyExit,
    DontPerform,
    Failed,
    FailureBackend,
    FailureEntry,
    JobTimeout,
    Paused,
    Receipt,
    Resque,
    TermException,
)


class PdfGeneration(clues.Runtime):
    queue = "pdf_generation"
    timeout: ClassVar[float] = 600
    requeue_on_shutdown = True

    @classmethod
    def perform(cls, doc_id: int) -> None:
        cls.clues_metadata["pages"] = doc_id

    @classmethod
    def before_enqueue_check(cls, doc_id: int) -> bool:
        return doc_id > 0

    @classmethod
    @contextmanager
    def around_perform_lock(cls, doc_id: int) -> Generator[None]:
        if doc_id == 0:
            raise DontPerform
        yield

    @classmethod
    def on_failure_tell(cls, error: BaseException, *args: Any) -> None:
        print(isinstance(error, DirtyExit | JobTimeout | TermException), args)


@resque.job(queue="mailers")
def send_welcome(address: str, *, urgent: bool = False) -> str:
    return f"{address} {urgent}"


@resque.job(queue="mailers", name="SendLater")
async def send_later(address: str) -> None:
    print(address)


def a_decorated_function_is_still_itself() -> str:
    return send_welcome("a@example.com", urgent=True)


class Errors:
    """A failure backend by shape alone."""

    def save(self, entry: FailureEntry) -> None:
        print(entry.queue, entry.worker, entry.failed_at, entry.failure.exception, entry.failure.message, entry.payload)


def configured() -> None:
    backend: FailureBackend = Errors()
    client: Resque = resque.configure("redis://localhost:6379/0", namespace="shop", failure_backends=["redis", backend])
    same: Resque = resque.client()
    resque.configure(redis.Redis(), inline=True)
    other = Resque("sentinel://a:26379,b:26379/mymaster/0")
    print(client, same, other.size("mailers"))


def enqueued() -> None:
    receipt: Receipt | None = resque.enqueue(PdfGeneration, 42)
    if receipt is not None:
        print(receipt.queue, receipt.event_hash)
    resque.enqueue(send_welcome, "a@example.com")
    resque.enqueue("Ruby::Job", 1)
    resque.enqueue_to("other", send_later, "a@example.com")
    receipts: list[Receipt] = resque.enqueue_many((PdfGeneration, number) for number in range(10))
    resque.enqueue_many([("Ruby::Job", 1, {"a": 2})], queue="ruby", batch_size=100)
    again: Receipt | None = resque.reenqueue(1, 2) if resque.stopping() else None
    removed: int | None = resque.dequeue(PdfGeneration, 42)
    destroyed: int = resque.destroy("mailers", "Ruby::Job")
    print(receipts, again, removed, destroyed)
    with resque.inline():
        resque.enqueue(PdfGeneration, 1)


def queues() -> None:
    length: int = resque.push("mailers", {"class": "Ruby::Job", "args": []})
    item: Any = resque.pop("mailers") or resque.peek("mailers", 0, 10)
    names: list[str] = resque.queues()
    sizes: dict[str, int] = {name: resque.size(name) for name in names}
    removed: int = resque.remove_queue("old")
    paused: Paused = resque.pause("mailers")
    print(length, item, sizes, removed, paused.all, paused.queues, paused.holds("mailers"))
    if resque.paused():
        resque.resume()


def looked_at() -> None:
    ids: list[str] = resque.workers()
    working: dict[str, dict[str, Any]] = resque.working()
    processed: int = resque.stat("processed")
    info: dict[str, Any] = resque.info()
    failed: Failed = resque.failed()
    print(ids, working, processed, info, failed.count())
    for index, failure in failed.each():
        print(failure["exception"])
        done: bool = failed.retry(index)
        print(done, failed.remove(index))
    retried: int = failed.retry_all("mailers")
    print(retried, failed.clear())


@resque.before_first_fork
def warm_up() -> None:
    """In the mould."""


@resque.before_fork
def disconnect(job: Any) -> None:
    """In the process that forks."""


@resque.after_fork
def connect(job: Any) -> None:
    """In the worker."""


@resque.before_job
def clear(job: Any) -> None:
    """In the thread."""


@resque.before_pause
@resque.after_pause
@resque.queue_empty
@resque.shutdown
@resque.worker_exit
def told(*what: Any) -> None:
    print(what)
