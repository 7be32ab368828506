"""clues_metadata: right in every kind of concurrency, and always reset."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import clues
from clues import clues_metadata
from clues.lifecycle import Lifecycle
from clues.runtime import JobContext, Runtime, current_job
from tests.stories import Stage, live, work

ITEM = {"class": "Job", "args": [], "clues_metadata": {"_event_hash": "h", "customer_id": 7}}


def job_of(name: str, **known: Any) -> JobContext:
    return JobContext(name, "mail", "Job", known)


@pytest.fixture
def running() -> Iterator[JobContext]:
    """A job that runs in the test's context."""
    job = job_of("h", customer_id=7, _hostname="web-1")
    job.bind()
    yield job
    job.unbind()


def test_outside_a_job_it_is_empty_and_takes_nothing() -> None:
    """The mapping is there, and holds nothing."""
    clues_metadata["pages"] = 12
    clues_metadata.update(a=1)
    assert dict(clues_metadata) == {}
    assert len(clues_metadata) == 0
    assert "pages" not in clues_metadata
    assert clues_metadata.get("pages") is None
    assert current_job() is None
    with pytest.raises(KeyError, match="'pages'"):
        clues_metadata["pages"]
    with pytest.raises(KeyError, match="'pages'"):
        del clues_metadata["pages"]


def test_the_merge_rule(running: JobContext, caplog: pytest.LogCaptureFixture) -> None:
    """No key that exists, none that begins with _; refused once aloud, at debug level, and never with an exception."""
    caplog.set_level(logging.DEBUG, "clues")
    clues_metadata["customer_id"] = 99
    clues_metadata["_hostname"] = "elsewhere"
    clues_metadata["_mine"] = 1
    clues_metadata["pages"] = 12
    clues_metadata["pages"] = 13  # its own it may change
    assert running.written == {"pages": 13}
    assert dict(clues_metadata) == {"customer_id": 7, "_hostname": "web-1", "pages": 13}
    assert [record.levelname for record in caplog.records] == ["DEBUG"]
    why = "it exists, begins with `_`, or its job is over"
    assert caplog.messages == [f"clues_metadata['customer_id'] was not set: {why}"]


def test_a_field_of_its_own_can_be_taken_back_others_cannot(running: JobContext) -> None:
    """As in a dict, a key that can't be deleted is a KeyError."""
    clues_metadata["pages"] = 12
    del clues_metadata["pages"]
    with pytest.raises(KeyError):
        del clues_metadata["customer_id"]
    assert dict(clues_metadata) == {"customer_id": 7, "_hostname": "web-1"}


def test_it_is_a_mutable_mapping(running: JobContext) -> None:
    """setdefault, update, pop, in, len, iteration, repr."""
    clues_metadata.setdefault("steps", []).append("a")
    clues_metadata.update({"b": 2}, c=3)
    assert clues_metadata.pop("b") == 2
    assert clues_metadata["steps"] == ["a"]
    assert list(clues_metadata) == ["customer_id", "_hostname", "steps", "c"]
    assert len(clues_metadata) == 4
    assert repr(clues_metadata).startswith("clues_metadata({'customer_id': 7")


class Hostile:
    def __str__(self) -> str:
        raise ValueError

    def __hash__(self) -> int:
        raise ValueError


class Underscored(str):
    __slots__ = ()

    def startswith(self, *_: Any) -> bool:
        return False

    def __str__(self) -> str:
        return "another"


def test_odd_keys_never_raise(running: JobContext) -> None:
    """Any key becomes a string, and a string subclass can't get around the rule."""
    keys: list[Any] = [1, None, ("a", 2), b"bytes", Hostile(), Underscored("_event_hash"), [], "\ud800", ""]
    for key in keys:
        clues_metadata[key] = 1
    assert all(type(key) is str for key in running.written)
    assert {"1", "None", "('a', 2)"} <= running.written.keys()
    assert running.written.keys().isdisjoint({"_event_hash", "another"})
    assert "<unreadable Hostile>" in running.written
    assert clues_metadata[1] == 1


def test_a_broken_log_handler_does_not_reach_the_job(running: JobContext) -> None:
    """A refused write is reported, and that may fail."""
    handler = logging.Handler()

    def emit(record: logging.LogRecord) -> None:
        raise RuntimeError

    handler.emit = emit  # type: ignore[method-assign]
    logger = logging.getLogger("clues")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        clues_metadata["_mine"] = 1
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def test_writes_after_the_end_are_ignored() -> None:
    """Of a stray thread for instance, which still has the job's context."""
    job = job_of("h")
    job.bind()
    clues_metadata["before"] = 1
    stray = contextvars.copy_context()
    job.unbind()

    def late() -> None:
        clues_metadata["after"] = 1
        with pytest.raises(KeyError, match="'before'"):
            del clues_metadata["before"]

    stray.run(late)
    assert job.written == {"before": 1}
    assert dict(clues_metadata) == {}


def test_an_end_in_another_context_does_not_raise() -> None:
    """Some job systems call before and after from different tasks."""
    job = job_of("h")
    contextvars.copy_context().run(job.bind)
    job.unbind()
    assert current_job() is None
    context = contextvars.copy_context()
    other = job_of("o")
    context.run(other.bind)

    def end_elsewhere() -> None:
        context.copy().run(other.unbind)

    end_elsewhere()
    other.unbind()  # and a second end changes nothing


def test_an_end_in_another_context_leaves_the_job_there_alone(running: JobContext) -> None:
    """Only a job that ends is taken from its context."""
    job = job_of("o")
    contextvars.copy_context().run(job.bind)
    job.unbind()
    assert current_job() is running


def test_an_end_in_a_copy_of_its_context_takes_it_from_there() -> None:
    """What runs there afterwards is in no job."""
    context = contextvars.copy_context()
    job = job_of("h")
    context.run(job.bind)
    copied = context.copy()
    copied.run(job.unbind)
    assert copied.run(current_job) is None


def test_an_end_without_a_beginning_does_not_raise() -> None:
    """A job system may skip what comes before a job, and not what comes after it."""
    job_of("h").unbind()
    assert current_job() is None


def test_nested_jobs_restore_the_outer_one() -> None:
    """Inline jobs inside jobs, also when they raise."""
    stage = Stage()

    def inner() -> None:
        clues_metadata["who"] = "inner"
        raise ValueError("inner")

    def outer() -> None:
        clues_metadata["who"] = "outer"
        live(stage.lifecycle, {"class": "Inner", "args": []}, inner)
        assert dict(clues_metadata)["who"] == "outer"
        clues_metadata["after"] = True

    live(stage.lifecycle, {"class": "Outer", "args": []}, outer)
    assert current_job() is None
    ends = [(event.worker_class, event.metadata["who"], event.metadata.get("after"))
            for event in stage.recorder.events if event.event_type.terminal]  # fmt: skip
    assert ends == [("Inner", "inner", None), ("Outer", "outer", True)]


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_it_is_reset_whatever_the_job_raises(error: type[BaseException]) -> None:
    """Also what no `except Exception` sees."""
    stage = Stage()
    attempt = stage.lifecycle.dequeued("mail", dict(ITEM))
    with pytest.raises(error), stage.lifecycle.performing(attempt, "mail", ITEM):
        raise error
    assert current_job() is None


def test_threads_have_their_own_jobs() -> None:
    """Eight workers in one process never see each other's fields."""
    stage = Stage()
    barrier = threading.Barrier(8, timeout=30)

    def worker(number: int) -> None:
        def job() -> None:
            barrier.wait()
            clues_metadata["number"] = number
            barrier.wait()
            assert clues_metadata["number"] == number

        for _ in range(20):
            live(stage.lifecycle, {"class": f"Job{number}", "args": []}, job)

    threads = [threading.Thread(target=worker, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ends = stage.recorder.of("perform_finished")
    assert len(ends) == 160
    assert all(event.worker_class == f"Job{event.metadata['number']}" for event in ends)


def test_asyncio_tasks_have_their_own_jobs() -> None:
    """Two jobs interleaved in one loop; the tasks and threads that a job starts write to that job."""
    stage = Stage()

    async def helper(name: str) -> None:
        await asyncio.sleep(0)
        clues_metadata[name] = True

    async def job(number: int) -> None:
        item = {"class": f"Job{number}", "args": []}
        stage.lifecycle.stamp("mail", item)
        attempt = stage.lifecycle.dequeued("mail", item)
        with stage.lifecycle.performing(attempt, "mail", item):
            clues_metadata["number"] = number
            await asyncio.sleep(0)
            await asyncio.gather(helper("gathered"), asyncio.create_task(helper("task")))
            await asyncio.to_thread(clues_metadata.__setitem__, "thread", True)
            assert clues_metadata["number"] == number
        assert current_job() is None
        stage.lifecycle.perform_finished(attempt)

    async def main() -> None:
        await asyncio.gather(*(job(number) for number in range(5)))

    asyncio.run(main())
    ends = stage.recorder.of("perform_finished")
    assert len(ends) == 5
    for event in ends:
        fields = {key: event.metadata[key] for key in ("number", "gathered", "task", "thread")}
        assert fields == {"number": int(str(event.worker_class)[-1]), "gathered": True, "task": True, "thread": True}


class Pdf(Runtime):
    queue = "pdf"

    @classmethod
    def perform(cls) -> None:
        cls.clues_metadata["on_class"] = 1
        cls().clues_metadata["on_instance"] = 2


def test_the_mixin_on_class_and_instance() -> None:
    """It is the same mapping."""
    stage = Stage()
    work(stage.lifecycle, dict(ITEM), Pdf.perform)
    end = stage.recorder.events[-1]
    assert (end.metadata["on_class"], end.metadata["on_instance"]) == (1, 2)
    assert Pdf.clues_metadata is clues_metadata
    assert Pdf().clues_metadata is clues_metadata


def test_with_clues_unconfigured_a_jobs_code_acts_the_same() -> None:
    """It reads what came with the item, and may write; nobody is told."""
    lifecycle = Lifecycle()
    assert not clues.configured()
    attempt = lifecycle.dequeued("mail", ITEM)
    with lifecycle.performing(attempt, "mail", ITEM) as context:
        clues_metadata["pages"] = 3
        assert clues_metadata["customer_id"] == 7
        clues_metadata["customer_id"] = 8
        assert dict(clues_metadata) == {"_event_hash": "h", "customer_id": 7, "pages": 3}
        assert context.event_hash == "h"
    assert attempt is None
    assert current_job() is None
