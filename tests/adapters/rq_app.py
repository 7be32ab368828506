"""What RQ's tests enqueue, and how; ``enqueue("many", …)`` and the like are what the producer does besides.

Its workers import it as their configuration, or find it where their jobs are.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

from redis import Redis
from rq import Callback, Queue, Repeat, Retry
from rq.command import send_stop_job_command
from rq.job import Job
from rq.rate_limit import RateLimit

import clues
from clues.adapters import rq as adapter
from clues.publishers import TCPPublisher
from tests.conformance.apps import common

if receiver := os.environ.get("RQ_APP_RECEIVER"):
    host, port, spool = receiver.split(" ")
    clues.configure(TCPPublisher(host, int(port), spool=spool))
else:
    common.configure()
adapter.install()

REDIS_URL = common.REDIS_URL
connection = Redis.from_url(REDIS_URL)
HERE = "tests.adapters.rq_app"

succeed, fail, fail_first, overrun, hang, mark = (
    common.succeed, common.fail, common.fail_first, common.overrun, common.hang, common.mark,
)  # fmt: skip


@dataclass
class Order:
    """An argument whose class a worker is not to import before its horse does."""

    id: int


class Noon(tzinfo):
    """A zone of the application's own, as dateutil's are: no date can be made of one that is a stranger."""

    def utcoffset(self, _when: Any) -> timedelta:
        return timedelta(hours=12)

    def dst(self, _when: Any) -> None:
        return None

    def tzname(self, _when: Any) -> None:
        return None


class Gone:
    """Can be pickled here alone."""

    def __reduce__(self) -> Any:
        return _gone, (os.getpid(),)


def _gone(pid: int) -> Gone:
    if pid != os.getpid():
        raise RuntimeError("it can't be read here")
    return Gone()


def wait_until(when: datetime) -> None:
    clues.clues_metadata["until"] = when.isoformat()


async def coroutine() -> str:
    clues.clues_metadata["in"] = "a coroutine"
    return "done"


def take(order: Any) -> None:
    clues.clues_metadata["order"] = order.id


def give_up(path: str) -> Any:
    """Returns a `Retry` until it was there twice."""
    if Path(path).exists():
        return Retry(max=1)
    common.mark(path)
    return Retry(max=1)


def unsaved() -> Any:
    """Its result can't be pickled."""
    return lambda: None


def refused() -> None:
    """Redis will not have its result, nor its failure."""
    from rq import get_current_job

    job = get_current_job()
    assert job is not None
    connection.set(f"rq:results:{job.id}", "no stream")


def leave(status: int) -> None:
    os._exit(status)


def replace_meta() -> None:
    """Does with its job's meta what applications do."""
    from rq import get_current_job

    job = get_current_job()
    assert job is not None
    assert job.meta == {"tenant": 1}
    job.meta = {"progress": 5}
    job.save_meta()
    raise common.TellingError("told to fail")


def enqueue_another() -> None:
    queue("conformance").enqueue(f"{HERE}.succeed", 1, 1)


def raising(job: Job, *_args: Any) -> None:
    raise RuntimeError("this callback is broken")


def queue(name: str, **options: Any) -> Queue:
    return Queue(name, connection=connection, **options)


class Does:
    """What the producer does, by name; gives ids."""

    @staticmethod
    def many(name: str, before: str) -> Any:
        """One without, one with a dependency, in one call; RQ pushes it twice if that ends in the very moment."""
        jobs = queue(name).enqueue_many([
            Queue.prepare_data(f"{HERE}.succeed", (3, 4)),
            Queue.prepare_data(f"{HERE}.succeed", (5, 6), depends_on=before),
        ])  # fmt: skip
        return [job.id for job in jobs]

    @staticmethod
    def dependents(name: str, path: str) -> Any:
        first = queue(name).enqueue(f"{HERE}.hang", path)
        second = queue(name).enqueue(f"{HERE}.succeed", 1, 2, depends_on=first)
        return [first.id, second.id]

    @staticmethod
    def limited(name: str) -> Any:
        """One after the other, whatever workers there are."""
        limit = RateLimit("one-by-one", concurrency=1)
        return [queue(name).enqueue(f"{HERE}.succeed", n, 1, rate_limit=limit).id for n in range(3)]

    @staticmethod
    def piped(name: str, execute: bool) -> Any:
        """Enqueues in the application's own transaction."""
        with connection.pipeline() as pipeline:
            job = queue(name).enqueue(f"{HERE}.succeed", 1, 2, pipeline=pipeline)
            if execute:
                pipeline.execute()
        return job.id

    @staticmethod
    def inline(name: str, job: str, *args: Any) -> Any:
        return queue(name, is_async=False).enqueue(f"{HERE}.{job}", *args).id

    @staticmethod
    def shared_meta(name: str) -> Any:
        meta = {"tenant": 1}
        jobs = [queue(name).enqueue(f"{HERE}.replace_meta", meta=meta, retry=Retry(max=1)) for _ in range(2)]
        assert meta == {"tenant": 1}
        return [job.id for job in jobs]

    @staticmethod
    def order(name: str) -> Any:
        return queue(name).enqueue(f"{HERE}.take", Order(4711)).id

    @staticmethod
    def date(name: str) -> Any:
        return queue(name).enqueue(f"{HERE}.wait_until", datetime(2026, 11, 20, tzinfo=Noon())).id

    @staticmethod
    def unreadable(name: str) -> Any:
        return queue(name).enqueue(f"{HERE}.take", Gone()).id

    @staticmethod
    def garbage(name: str) -> Any:
        """A producer without clues, and one that has something else in our place."""
        job = queue(name).enqueue(f"{HERE}.succeed", 1, 2)
        connection.hset(job.key, "clues_metadata", b"\xff{garbage")
        return job.id

    @staticmethod
    def cancel(job_id: str) -> Any:
        Job.fetch(job_id, connection=connection).cancel()
        return job_id

    @staticmethod
    def delete(job_id: str) -> Any:
        Job.fetch(job_id, connection=connection).delete()
        return job_id

    @staticmethod
    def stop(job_id: str) -> Any:
        send_stop_job_command(connection, job_id)
        return job_id

    @staticmethod
    def requeue(job_id: str) -> Any:
        Job.fetch(job_id, connection=connection).requeue()
        return job_id

    @staticmethod
    def fail_and_requeue_old(name: str) -> Any:
        """Brings back a job by the object that it was enqueued with."""
        job = queue(name).enqueue(f"{HERE}.fail", retry=Retry(max=1))
        while not job.is_failed:
            pass
        job.requeue()
        return job.id


def enqueue(
    job: str, *args: Any, to: str = "conformance", delay: float | None = None, retry: Any = None, repeat: Any = None,
    timeout: int | None = None, broken_callback: bool = False, unique: bool = False,
) -> Any:  # fmt: skip
    if hasattr(Does, job):
        return getattr(Does, job)(*args)
    options: dict[str, Any] = {"job_timeout": timeout}
    if unique:
        options["unique"] = True
    if retry is not None:
        options["retry"] = Retry(**retry)
    if repeat is not None:
        options["repeat"] = Repeat(**repeat)
    if broken_callback:
        options["on_success"] = Callback(raising)
    function = job if "." in job else f"{HERE}.{job}"
    if delay is None:
        return queue(to).enqueue(function, *args, **options).id
    return queue(to).enqueue_in(timedelta(seconds=delay), function, *args, **options).id
