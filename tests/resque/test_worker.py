"""The worker: what it takes, how jobs end, what it survives; against a real Redis, threads as workers."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import redis as redis_py

import clues
from clues.errors import ConfigError, NoQueueError
from clues.resque import Resque
from clues.resque.registry import Registry
from clues.resque.worker import Worker
from clues.testing import capture_events
from tests.redis_server import RedisServer, private_server
from tests.resque.proxy import Proxy
from tests.resque.working import Latch, Running
from tests.waiting import wait_for

Redis: TypeAlias = Any  # redis-py's types allow for clients that decode, at every answer

Q = "resque:queue:q"


@pytest.fixture
def client(redis_url: str) -> Resque:
    """A client with a registry of its own."""
    return Resque(redis_url, registry=Registry())


@pytest.fixture
def done(client: Resque) -> list[Any]:
    """What the job `note` was called with."""
    found: list[Any] = []
    client.registry.job(queue="q", name="note")(found.append)
    return found


def work_off(client: Resque, queues: str = "q", **options: Any) -> Worker:
    """Work until the queues are empty."""
    worker = Worker(client, queues, interval=0, **options)
    worker.work()
    return worker


def job(client: Resque, function: Callable[..., Any], name: str = "job", queue: str = "q") -> None:
    """Register a job."""
    client.registry.job(queue=queue, name=name)(function)


# queues


def test_queues_go_by_priority(client: Resque, done: list[Any]) -> None:
    """What comes into an earlier queue meanwhile goes first."""

    def first(number: int) -> None:
        done.append(number)
        if number == 1:
            client.enqueue_to("high", "note", "high")

    job(client, first, "first")
    for queue, number in (("low", 3), ("mid", 1), ("mid", 2)):
        client.enqueue_to(queue, "first", number)
    work_off(client, "high,mid,low")
    assert done == [1, "high", 2, 3]


def test_patterns_see_new_queues(client: Resque, done: list[Any]) -> None:
    """Queues that nobody knew when the worker started, and not those that are left out."""
    with Running(client, "b*,*,!secret*"):
        client.enqueue_to("secret1", "note", "no")
        client.enqueue_to("zed", "note", 1)
        wait_for(lambda: done == [1])
        client.enqueue_to("brandnew", "note", 2)
        wait_for(lambda: done == [1, 2])
    assert client.size("secret1") == 1


def test_a_queue_of_another_type_keeps_nobody_waiting(
    client: Resque, redis: Redis, done: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    """The log tells, the other queues are worked, and it too once it is a queue again."""
    redis.set("resque:queue:bad", "a string")
    with caplog.at_level(logging.WARNING, "clues.resque"), Running(client, "bad,q"):
        for number in range(3):
            client.enqueue_to("q", "note", number)
        wait_for(lambda: done == [0, 1, 2])
        wait_for(lambda: "WRONGTYPE" in caplog.text)
        redis.delete("resque:queue:bad")
        client.enqueue_to("bad", "note", "was bad")
        wait_for(lambda: len(done) == 4)


def test_queue_names_that_are_no_utf8(client: Resque, redis: Redis, done: list[Any]) -> None:
    """Another program's: their jobs run like any, and fail like any."""
    redis.sadd("resque:queues", b"caf\xe9")
    redis.rpush(b"resque:queue:caf\xe9", '{"class":"note","args":[1]}', '{"class":"none","args":[]}')
    with capture_events(adopt_unstamped=True) as recorder:
        worker = work_off(client, "*")
    assert (done, worker.failed) == ([1], 1)
    assert client.failed.all()[0]["queue"] == "caf\\xe9"
    assert recorder.types.count("dequeued") == 2


# bad items

BAD = [
    b"not json",
    b"",
    b'{"class":"job","args":["caf\xe9"]}',
    b"[1]",
    b'"job"',
    b"null",
    b'{"class":"job","args":{"a":1}}',
    b'{"class":"job","args":"text"}',
    b'{"args":[1]}',
    b'{"class":null,"args":[]}',
    b'{"class":["job"],"args":[]}',
    b'{"class":"none","args":[]}',
    b'{"class":"job","args":[1,2,3]}',
    b'{"class":"a\\u0000b","args":[]}',
    b'{"class":"a\\nb","args":[]}',
    b'{"class":"' + b"x" * 1_000_000 + b'","args":[]}',
    b'{"class":"job","args":["\\ud800"]}',
    b'{"class":"job","args":' + b"[" * 5000 + b"]" * 5000 + b"}",
    b"{" * 100_000,
    b'{"class":"job","args":[],"clues_metadata":{"_event_hash":"x"}} trailing',
]


@pytest.mark.parametrize("adopt", [True, False])
def test_bad_items_fail_and_the_worker_goes_on(client: Resque, redis: Redis, done: list[Any], adopt: bool) -> None:
    """An entry for each that holds what came; a good job behind them runs."""
    job(client, lambda _one: None)
    for raw in BAD:
        client.store.push("q", raw)
    client.enqueue_to("q", "note", "good")
    with capture_events(adopt_unstamped=adopt) as recorder:
        worker = work_off(client)
    assert done == ["good"]
    assert (worker.processed, worker.failed) == (len(BAD) + 1, len(BAD))
    assert (client.stat("processed"), client.stat("failed")) == (len(BAD) + 1, len(BAD))
    for raw, entry in zip(BAD, client.failed.all(0, 100), strict=True):
        payload = entry["payload"]
        if isinstance(payload, str):
            assert payload == raw.decode("utf-8", "backslashreplace")
        else:
            assert payload == json.loads(raw)
        assert entry["exception"]
        assert entry["queue"] == "q"
    assert redis.keys("resque:worker*") == []
    ended = [event for event in recorder.events if event.event_type.value in {"failed", "perform_finished"}]
    assert len(ended) == (len(BAD) + 1 if adopt else 0)


FORGED = [
    "[]",
    '"text"',
    "7",
    "null",
    '{"_event_hash":7}',
    '{"_event_hash":"","_attempt":-1}',
    '{"_event_hash":"a\\nb"}',
    '{"_event_hash":"HASH","_attempt":-3,"_enqueued_time":-1e308}',
    '{"_event_hash":"HASH","_attempt":1e400,"_enqueued_time":1e400}',
    '{"_event_hash":"HASH","_attempt":true,"_enqueued_time":"yesterday"}',
    '{"_event_hash":"HASH","_enqueued_time":' + "9" * 400 + "}",
    '{"_event_hash":"HASH","_time_in_queue":[],"_event_id":"forged","_exception":"forged","_reason":{}}',
    '{"_event_hash":"HASH","deep":' + "[" * 90 + "]" * 90 + "}",
    '{"_event_hash":"HASH","":{"":null},"a b":"\\u0000","customer_id":1e400}',
]


@pytest.mark.parametrize("metadata", FORGED, ids=range(len(FORGED)))
def test_forged_metadata(client: Resque, redis: Redis, done: list[Any], metadata: str) -> None:
    """The job runs, with its own event, or with none; what is forged of one event is not passed on."""
    metadata = metadata.replace("HASH", "0" * 32)
    redis.rpush(Q, f'{{"class":"note","args":[1],"clues_metadata":{metadata}}}')
    with capture_events() as recorder:
        assert work_off(client).failed == 0
    assert done == [1]
    assert recorder.types in ([], ["dequeued", "perform_started", "perform_finished"])
    for event in recorder.events:
        assert event.metadata["_attempt"] == 1
        assert event.metadata["_event_id"].startswith(event.metadata["_event_hash"] + ":1:")
        assert "_exception" not in event.metadata
        json.loads(event.line)


def test_a_hash_of_ten_megabytes(client: Resque, redis: Redis, done: list[Any]) -> None:
    """Is none: the item counts as not stamped."""
    redis.rpush(Q, f'{{"class":"note","args":[1],"clues_metadata":{{"_event_hash":"{"a" * 10_000_000}"}}}}')
    with capture_events() as recorder:
        work_off(client)
    assert done == [1]
    assert recorder.events == []


def test_a_huge_item(client: Resque, redis: Redis) -> None:
    """20 MB of args come whole; the event is small."""
    sizes: list[int] = []
    job(client, lambda text: sizes.append(len(text)))
    with capture_events() as recorder:
        client.enqueue_to("q", "job", "x" * 20_000_000)
        assert work_off(client).failed == 0
    assert sizes == [20_000_000]
    assert all(len(event.line) < 20_000 for event in recorder.events)


# how jobs end


class Unreadable(Exception):
    """Its message raises."""

    def __str__(self) -> str:
        raise ValueError("no message")


class Leaving(Exception):
    """Its message leaves the process."""

    def __str__(self) -> str:
        raise SystemExit(9)


def recurse() -> None:
    recurse()


def chain() -> None:
    try:
        _ = 1 / 0
    except ZeroDivisionError as error:
        raise KeyError("outer") from error


RAISED: list[tuple[Any, str, str]] = [
    (SystemExit(3), "SystemExit", "3"),
    (SystemExit(), "SystemExit", ""),
    (KeyboardInterrupt(), "KeyboardInterrupt", ""),
    (GeneratorExit("over"), "GeneratorExit", "over"),
    (asyncio.CancelledError(), "asyncio.exceptions.CancelledError", ""),
    (StopIteration(1), "StopIteration", "1"),
    (MemoryError("fake"), "MemoryError", "fake"),
    (recurse, "RecursionError", "maximum recursion depth exceeded"),
    (Unreadable(), "Unreadable", "<message can't be read>"),
    (Leaving(), "Leaving", "<the error can't be read>"),
    (RuntimeError("x" * 10_000_000), "RuntimeError", "xxx"),
    (RuntimeError("caf\udce9 \ud800"), "RuntimeError", "caf"),
    (RuntimeError(b"\xff", {1: 2}), "RuntimeError", "(b'"),
    (ExceptionGroup("several", [ValueError(1), TypeError(2)]), "ExceptionGroup", "several"),
    (chain, "KeyError", "'outer'"),
    (redis_py.ConnectionError("the job's own Redis"), "redis.exceptions.ConnectionError", "the job's own"),
]


@pytest.mark.parametrize("kind", range(len(RAISED)))
@pytest.mark.parametrize("async_", [False, True], ids=["ordinary", "async"])
def test_whatever_a_job_raises_fails_it(client: Resque, done: list[Any], kind: int, async_: bool) -> None:
    """Once, with its class and message; the worker goes on."""
    raised, exception, message = RAISED[kind]

    def perform() -> None:
        if callable(raised):
            raised()
        raise raised

    async def perform_async() -> None:
        await asyncio.sleep(0)
        perform()

    job(client, perform_async if async_ else perform)
    with capture_events() as recorder:
        client.enqueue("job")
        client.enqueue("note", 1)
        worker = work_off(client)
    assert done == [1]
    assert (worker.processed, worker.failed) == (2, 1)
    (entry,) = client.failed.all()
    (event,) = recorder.of("failed")
    if not (async_ and kind == 5):  # a coroutine can't raise StopIteration: Python makes a RuntimeError of it
        for found in (entry["exception"], event.metadata["_exception"]):
            assert found.endswith(exception)
        assert entry["error"].startswith(message)
    assert len(entry["error"]) <= 100_000
    assert entry["payload"]["class"] == "job"
    assert recorder.types.count("perform_finished") == 1


def test_the_backtrace_begins_in_the_job(client: Resque) -> None:
    """And goes on with the causes, innermost first."""
    job(client, chain)
    client.enqueue("job")
    work_off(client)
    backtrace = client.failed.all()[0]["backtrace"]
    assert backtrace[0].endswith("in `chain'")
    assert backtrace[1:] == ["caused by ZeroDivisionError: division by zero", backtrace[2]]
    assert not any("clues/resque" in line for line in backtrace)


def test_async_jobs(client: Resque, done: list[Any]) -> None:
    """Run, with their metadata."""

    async def perform(number: int) -> None:
        await asyncio.sleep(0)
        clues.clues_metadata["doubled"] = number * 2
        done.append(number)

    job(client, perform)
    with capture_events() as recorder:
        client.enqueue("job", 4)
        work_off(client)
    assert done == [4]
    assert recorder.of("perform_finished")[0].metadata["doubled"] == 8


@pytest.mark.parametrize(
    "error", [RuntimeError("hook"), SystemExit(1), KeyboardInterrupt()], ids=lambda e: type(e).__name__
)
def test_an_on_failure_hook_that_raises_ends_no_worker(client: Resque, done: list[Any], error: BaseException) -> None:
    """Not even by exiting; the failure tells of both."""

    def on_failure(_cls: type, *_args: Any) -> None:
        raise error

    client.registry.register(
        type(
            "Hooked", (), {"queue": "q", "perform": staticmethod(lambda: 1 / 0), "on_failure": classmethod(on_failure)}
        )
    )
    client.enqueue("Hooked")
    client.enqueue("note", 1)
    assert work_off(client).failed == 1
    assert done == [1]
    assert "ZeroDivisionError" in client.failed.all()[0]["error"]
    assert type(error).__name__ in client.failed.all()[0]["error"]


@pytest.mark.parametrize("leaves", [0, 7, None, "returns", "raises"])
def test_a_child_that_a_job_forks_is_no_second_worker(client: Resque, done: list[Any], leaves: object) -> None:
    """It ends where the job's code ends; the job's outcome is its parent's."""
    statuses: list[int] = []

    def fork() -> None:
        child = os.fork()
        if child == 0:
            if leaves == "returns":
                return
            if leaves == "raises":
                raise ValueError
            raise SystemExit(leaves)
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    job(client, fork)
    client.enqueue("job")
    client.enqueue("note", 1)
    with capture_events(adopt_unstamped=True) as recorder:
        worker = work_off(client)
    assert statuses == [{0: 0, 7: 7, None: 0, "returns": 0, "raises": 1}[leaves]]  # type: ignore[index]
    assert done == [1]
    assert (worker.processed, worker.failed, client.stat("processed")) == (2, 0, 2)
    assert recorder.types.count("perform_finished") == 2


def test_a_log_handler_that_raises_ends_no_worker(client: Resque, done: list[Any]) -> None:
    """Nor a job."""

    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "note" in record.getMessage():
                raise OSError("the log is gone")

    logger, handler = logging.getLogger("clues.resque"), Broken()
    logger.addHandler(handler)
    before = logger.level
    logger.setLevel(logging.INFO)
    try:
        client.enqueue("note", 1)
        assert work_off(client).failed == 0
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)
    assert done == [1]


def test_the_lease_is_there_while_the_job_is(client: Resque, redis: Redis) -> None:
    """Not before, not after; its payload is the item to the byte."""
    latch = Latch()
    job(client, latch)
    raw = b'{ "class":"job","args":[1.0, 1e2,\t"\\u00e9"] }'
    with Running(client) as running:
        key = f"resque:worker:{running.worker.id}"
        assert redis.get(key) is None
        client.store.push("q", raw)
        assert latch.begun.wait(30)
        lease = redis.get(key)
        assert lease.startswith(b'{"queue":"q","run_at":"')
        assert lease.endswith(b'"payload":' + raw + b"}")
        assert client.working()[running.worker.id]["payload"]["args"] == [1.0, 100.0, "é"]
        assert redis.llen(Q) == 0
        latch.go_on.set()
        wait_for(lambda: redis.get(key) is None)
        assert client.store.stat_of("processed", running.worker.id) == 1
    assert client.stat("processed") == 1
    assert redis.keys("resque:worker*") == redis.keys("resque:stat:*:*") == []


def test_hooks_run_around_the_job(client: Resque) -> None:
    """With clues_metadata bound."""
    notes: list[str] = []

    def hook(name: str) -> Any:
        return classmethod(lambda _cls, *_: notes.append(f"{name} {clues.clues_metadata.get('customer_id')}"))

    names = ("before_perform", "perform", "after_perform")
    client.registry.register(type("Hooked", (), {"queue": "q", **{name: hook(name) for name in names}}))
    with capture_events(item_preprocessor=lambda _, item: item["clues_metadata"].update(customer_id=4)):
        client.enqueue("Hooked")
    work_off(client)
    assert notes == [f"{name} 4" for name in names]


# waiting and waking


def test_a_push_wakes_the_worker(client: Resque, done: list[Any]) -> None:
    """Long before the interval is over, many times in a row."""
    with Running(client, interval=600) as running:
        for number in range(20):
            client.enqueue("note", number)
            wait_for(lambda: len(done) == number + 1, timeout=60)  # noqa: B023 - called at once
    assert running.worker.processed == 20


def test_stop_wakes_the_worker(client: Resque) -> None:
    """From another thread; and before it has begun it ends at once."""
    with Running(client, interval=600):
        assert client.workers() != []
    stopped = Worker(client, "q", interval=600)
    stopped.stop()
    stopped.work()
    assert client.workers() == []


@pytest.mark.parametrize("word", ["true", " TRUE ", "\tTrue\n"])
def test_paused_by_the_key(client: Resque, redis: Redis, done: list[Any], word: str) -> None:
    """Nothing is taken; lifting the pause wakes the worker, be it deleted or overwritten."""
    key = "resque:pause-all-workers"
    lifts: list[Callable[[], object]] = [lambda: redis.delete(key), lambda: redis.set(key, "no")]
    for lift in lifts:
        redis.set(key, word)
        with Running(client, interval=600) as running:
            client.enqueue("note", len(done))
            wait_for(lambda: "Paused" in running.titles)
            assert client.size("q") == 1
            before = len(done)
            lift()
            wait_for(lambda: len(done) == before + 1, timeout=60)  # noqa: B023 - called at once


@pytest.mark.parametrize("word", ["1", "yes", "", "truely"])
def test_not_paused_by_other_words(client: Resque, redis: Redis, done: list[Any], word: str) -> None:
    """As in Resque."""
    redis.set("resque:pause-all-workers", word)
    client.enqueue("note", 1)
    work_off(client)
    assert done == [1]


def test_interval_0_ends_when_paused(client: Resque, redis: Redis, done: list[Any]) -> None:
    """As in Resque."""
    redis.set("resque:pause-all-workers", "true")
    client.enqueue("note", 1)
    work_off(client)
    assert done == []


@pytest.mark.parametrize("interval", [-1, float("nan")])
def test_mistaken_intervals(client: Resque, interval: float) -> None:
    """Are told at once."""
    with pytest.raises(ConfigError, match="interval"):
        Worker(client, "q", interval=interval)
    with pytest.raises(NoQueueError):
        Worker(client, [])


def test_a_very_long_interval(client: Resque, done: list[Any]) -> None:
    """Is no trouble for the system's clocks."""
    with Running(client, interval=1e12):
        client.enqueue("note", 1)
        wait_for(lambda: done)


# one id, one worker


def test_a_second_worker_of_an_id_is_refused(client: Resque, redis: Redis, redis_url: str) -> None:
    """In one process: it would take the first one's job for a dead worker's. Another queue, or Redis, is fine."""
    latch = Latch()
    job(client, latch)
    client.enqueue("job")
    with Running(client) as running:
        assert latch.begun.wait(30)
        with pytest.raises(ConfigError, match="already at work in this process"):
            Worker(client, "q", interval=0).work()
        Worker(client, "q", interval=0, hostname="another").work()
        Worker(Resque(redis_url, namespace="other"), "q", interval=0).work()
        assert client.working() != {}
        latch.go_on.set()
    assert (running.worker.processed, running.worker.failed) == (1, 0)
    assert client.failed.count() == 0
    Worker(client, "q", interval=0).work()


def test_two_workers_of_two_ids_share_a_client(client: Resque, redis: Redis, done: list[Any]) -> None:
    """In two threads: each job runs once."""
    client.enqueue_many([("note", number) for number in range(300)])
    with Running(client, hostname="one") as one, Running(client, hostname="two") as two:
        wait_for(lambda: len(done) == 300)
    assert sorted(done) == list(range(300))
    assert one.worker.processed + two.worker.processed == client.stat("processed") == 300


def test_nothing_is_left_running(client: Resque, redis: Redis, done: list[Any]) -> None:
    """No thread, no descriptor, and no connection but those in the client's pool."""

    def left() -> tuple[int, int, int]:
        client.store.client.connection_pool.disconnect()
        gc.collect()
        return threading.active_count(), len(list(Path("/proc/self/fd").iterdir())), len(redis.client_list())

    before = left()
    for _ in range(5):
        with Running(client):
            client.enqueue("note", 1)
            wait_for(lambda: done)
            done.clear()
    wait_for(lambda: left() == before, "what was there before to be all that is left")


# jobs and leases that others meddle with


def test_a_job_that_somebody_else_ended(client: Resque, redis: Redis, caplog: pytest.LogCaptureFixture) -> None:
    """No outcome of ours: no event, no count; the worker goes on."""
    latch = Latch()
    job(client, latch)
    with caplog.at_level(logging.WARNING, "clues.resque"), capture_events() as recorder:
        client.enqueue("job")
        with Running(client) as running:
            assert latch.begun.wait(30)
            redis.delete(f"resque:worker:{running.worker.id}")
            latch.go_on.set()
            wait_for(lambda: "ended by somebody else" in caplog.text)
            client.enqueue("job")
            wait_for(lambda: client.stat("processed") == 1)
    assert recorder.types.count("perform_finished") == 1
    assert recorder.types.count("perform_started") == 2


def test_a_stale_lease_of_its_own_id(client: Resque, redis: Redis, done: list[Any]) -> None:
    """An earlier process died on it: failed, not run, and its event is told."""
    worker = Worker(client, "q", interval=0)
    stamped = '{"class":"note","args":[1],"clues_metadata":{"_event_hash":"' + "0" * 32 + '"}}'
    redis.set(f"resque:worker:{worker.id}", f'{{"queue":"q","run_at":"2026-11-20T15:09:37Z","payload":{stamped}}}')
    redis.set(f"resque:stat:processed:{worker.id}", 7)
    with capture_events() as recorder:
        worker.work()
    assert done == []
    (entry,) = client.failed.all()
    assert entry["exception"] == "Resque::PruneDeadWorkerDirtyExit"
    assert entry["payload"] == json.loads(stamped)
    (event,) = recorder.events
    assert (event.event_type.value, event.metadata["_reason"]) == ("failed", "lost")
    assert client.stat("processed") == 0


def test_stopped_before_it_began_with_a_stale_lease(client: Resque, redis: Redis) -> None:
    """Nobody knows whether that job had begun: it is not given back, but left to whoever starts or prunes next."""
    worker = Worker(client, "q", interval=0)
    lease = b'{"queue":"q","run_at":"2026-11-20T15:09:37Z","payload":{"class":"note","args":[1]}}'
    redis.set(f"resque:worker:{worker.id}", lease)
    worker.stop()
    worker.work()
    assert redis.get(f"resque:worker:{worker.id}") == lease
    assert client.size("q") == 0


@pytest.mark.parametrize("garbage", ["no lease", "{}", "[]", '{"queue":7,"payload":{}}', "é", ""])
def test_garbage_in_the_leases_place(client: Resque, redis: Redis, done: list[Any], garbage: str) -> None:
    """Ends up in the list of failures, at the start and in the middle; the worker goes on."""
    worker = Worker(client, "q", interval=0)
    redis.set(f"resque:worker:{worker.id}", garbage)
    worker.work()
    assert client.failed.count() == 1
    redis.set(f"resque:worker:{worker.id}", garbage)
    client.enqueue("note", 1)
    while worker.work_one():
        pass
    assert done == [1]
    assert client.failed.count() == 2
    payloads = {json.dumps(entry["payload"]) for entry in client.failed.all()}
    assert payloads in ({json.dumps(garbage)}, {json.dumps(json.loads(garbage))} if garbage.startswith("{") else ())


# Redis going away


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A Redis that loses nothing when it is killed."""
    with private_server("--appendonly", "yes", "--appendfsync", "always") as server:
        yield server


@pytest.mark.parametrize("fails", [False, True], ids=["finishes", "fails"])
def test_redis_is_killed_while_a_job_runs(server: RedisServer, fails: bool) -> None:
    """Its outcome is recorded once, when Redis is back; the worker goes on."""
    client = Resque(server.url, registry=Registry())
    latch = Latch()

    def perform() -> None:
        latch()
        if fails:
            raise ValueError

    job(client, perform)
    with capture_events() as recorder, Running(client) as running:
        client.enqueue("job")
        assert latch.begun.wait(30)
        server.kill()
        latch.go_on.set()
        wait_for(lambda: running.worker.processed == 1)
        assert recorder.types == ["enqueued", "dequeued", "perform_started"]
        server.start()
        wait_for(lambda: len(recorder.events) == 4)
        client.enqueue("job")
        wait_for(lambda: len(recorder.events) == 8)
    assert latch.count == 2
    assert recorder.types[3] == recorder.types[7] == ("failed" if fails else "perform_finished")
    assert (client.stat("processed"), client.stat("failed"), client.failed.count()) == (2, 2 * fails, 2 * fails)


def test_redis_is_killed_while_idle(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """Twice; the log says it once each, the worker is there again when Redis is."""
    client = Resque(server.url, registry=Registry())
    done: list[int] = []
    job(client, done.append)
    with caplog.at_level(logging.INFO, "clues.resque"), Running(client):
        for number in range(2):
            server.kill()
            wait_for(lambda: caplog.text.count("does not serve") == number + 1)  # noqa: B023 - called at once
            server.start()
            wait_for(lambda: caplog.text.count("serves again") == number + 1)  # noqa: B023
            client.enqueue("job", number)
            wait_for(lambda: len(done) == number + 1)  # noqa: B023


def test_stopped_while_redis_is_away(server: RedisServer) -> None:
    """An idle worker ends at once; its heartbeat thread too."""
    client = Resque(server.url, registry=Registry())
    with Running(client, heartbeat_interval=0.01) as running:
        server.kill()
    assert running.error is None
    assert not [thread for thread in threading.enumerate() if thread.name == "clues-heartbeat"]


def test_a_redis_that_lost_its_data_knows_the_worker_again(client: Resque, redis: Redis, done: list[Any]) -> None:
    """By its next heartbeat."""
    with Running(client, heartbeat_interval=0.02) as running:
        redis.flushall()
        redis.script_flush()
        wait_for(lambda: client.workers() == [running.worker.id])
        client.enqueue("note", 1)  # the scripts are loaded anew
        wait_for(lambda: done)


def sha(client: Resque, script: str) -> bytes:
    """What stands in the command that runs a script."""
    found: str = getattr(client.store, f"_{script}").sha
    return found.encode()


def test_a_lost_reply_to_taking(redis_server: RedisServer, redis: Redis) -> None:
    """The job is found in the lease, and run once."""
    with Proxy(redis_server.port) as proxy:
        client = Resque(proxy.url, registry=Registry())
        done: list[int] = []
        job(client, done.append)
        work_off(client)  # the scripts are known from here on
        client.enqueue_many([("job", number) for number in range(5)])
        proxy.drop_reply_to(*[sha(client, "take")] * 3)
        with capture_events(adopt_unstamped=True) as recorder:
            work_off(client)
        assert proxy.dropped == 3
    assert done == [0, 1, 2, 3, 4]
    assert recorder.types == ["dequeued", "perform_started", "perform_finished"] * 5
    assert redis.get("resque:stat:processed") == b"5"


@pytest.mark.parametrize("fails", [False, True], ids=["finishes", "fails"])
@pytest.mark.parametrize("questions", [0, 1, 2])
def test_a_lost_reply_to_ending(redis_server: RedisServer, redis: Redis, fails: bool, questions: int) -> None:
    """Counted once, told once, to other failure backends too; what was taken in the same step is not lost."""
    told: list[Any] = []
    backend = type("Backend", (), {"save": staticmethod(told.append)})()
    with Proxy(redis_server.port) as proxy:
        client = Resque(proxy.url, registry=Registry(), failure_backends=["redis", backend])
        job(client, lambda: int("x" if fails else "1"))
        client.enqueue("job")
        work_off(client)
        client.store.client.script_load(client.store._finish.script)
        told.clear()
        proxy.drop_reply_to(sha(client, "finish_and_take"), *[b"GET\r\n"] * questions)  # whether it was done
        with capture_events(adopt_unstamped=True) as recorder:
            for _ in range(2):
                client.enqueue("job")
            work_off(client)
        assert proxy.dropped == 1 + questions
    story = ["dequeued", "perform_started", "failed" if fails else "perform_finished"]
    assert recorder.types == ["enqueued"] * 2 + story * 2
    assert redis.get("resque:stat:processed") == b"3"
    assert redis.llen("resque:failed") == 3 * fails
    assert len(told) == 2 * fails


def test_pruned_while_the_reply_was_lost(redis_server: RedisServer, redis: Redis) -> None:
    """A missing lease is ours only if Redis counted us: the pruner's verdict stands."""
    with Proxy(redis_server.port) as proxy:
        client = Resque(proxy.url, registry=Registry())
        worker = Worker(client, "q", interval=0)
        job(client, lambda: redis.delete(f"resque:worker:{worker.id}"))
        client.enqueue("job")
        client.store.client.script_load(client.store._finish_and_take.script)
        proxy.drop_reply_to(sha(client, "finish"))
        with capture_events(adopt_unstamped=True) as recorder:
            worker.work()
        assert proxy.dropped == 1
    assert recorder.types == ["dequeued", "perform_started"]
    assert redis.get("resque:stat:processed") is None


def test_stopped_when_the_reply_to_taking_was_lost(redis_server: RedisServer, redis: Redis) -> None:
    """The job that was never begun goes back to the head of its queue, to the byte."""
    raw = b'{"class":"job", "args":[1.0]}'
    with Proxy(redis_server.port) as proxy:
        client = Resque(proxy.url, registry=Registry())
        done: list[int] = []
        job(client, done.append)
        work_off(client)
        redis.rpush(Q, raw, b'{"class":"job","args":[2]}')
        worker = Worker(client, "q", interval=600)
        worker._thread._wait_for_redis = lambda *_: worker.stop()  # type: ignore[method-assign]
        proxy.drop_reply_to(sha(client, "take"))
        worker.work()
        assert proxy.dropped == 1
    assert done == []
    assert redis.lrange(Q, 0, 0) == [raw]
    assert redis.llen(Q) == 2
    assert redis.keys("resque:worker*") == []


TORN = {
    "about to take": ("take", "before", [], 1),
    "taken": ("take", "after", [], 1),
    "before its code": ("begin", "before", [], 1),
    "begun": ("begin", "after", ["failed"], 0),
    "about to note its end": ("end", "before", ["failed"], 0),
    "ended": ("end", "after", ["perform_finished"], 0),
    "about to commit": ("commit", "before", ["perform_finished"], 0),
    "committed": ("commit", "after", ["perform_finished"], 0),
}


@pytest.mark.parametrize("moment", TORN)
def test_torn_from_a_job(client: Resque, redis: Redis, moment: str) -> None:
    """Whatever tears a worker from its job, and when: one that was begun is failed, not forgotten, nor run again."""
    method, when, ends, left = TORN[moment]
    job(client, lambda: None)
    with capture_events() as recorder:
        client.enqueue("job")
        worker = Worker(client, "q", interval=0)
        tear(worker._thread._holding, method, when)
        with pytest.raises(KeyboardInterrupt):
            worker.work()
    assert [str(event.event_type) for event in recorder.events if event.metadata["_event_id"].endswith("end")] == ends
    assert client.failed.count() == ends.count("failed")
    assert client.stat("processed") == len(ends)
    assert client.size("q") == left
    assert redis.keys("resque:worker*") == []


def tear(thing: object, method: str, when: str) -> None:
    """Have a method raise, before or after it has done its work."""
    done = getattr(thing, method)

    def torn(*args: Any, **options: Any) -> None:
        if when == "after":
            done(*args, **options)
        raise KeyboardInterrupt

    setattr(thing, method, torn)


# Redis refusing


def test_a_full_redis_is_drained(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """A worker takes and ends jobs in spite of OOM, failures too; one that starts waits until there is room."""
    client = Resque(server.url, registry=Registry())
    raw: Redis = redis_py.Redis(port=server.port)
    done: list[int] = []
    job(client, done.append)
    job(client, lambda: 1 / 0, "broken")
    with caplog.at_level(logging.WARNING, "clues.resque"), Running(client, heartbeat_interval=0.01):
        raw.set("resque:pause-all-workers", "true")
        client.enqueue_many([("job", number) for number in range(5)] + [("broken",)])
        raw.set("filler", "x" * 100_000)
        raw.config_set("maxmemory", 1)
        with pytest.raises(redis_py.ResponseError, match="maxmemory"):
            client.enqueue("job", 9)
        raw.delete("resque:pause-all-workers")
        wait_for(lambda: client.stat("processed") == 6)
        wait_for(lambda: "heartbeat not written" in caplog.text)
        assert done == list(range(5))
        assert client.failed.count() == 1
        starting = Running(client, hostname="another", heartbeat_interval=0.01, wait=False)
        with starting:
            wait_for(lambda: "does not serve (OutOfMemoryError" in caplog.text)
            raw.config_set("maxmemory", 0)
            wait_for(lambda: starting.worker.id in client.workers())
            client.enqueue("job", 9)
            wait_for(lambda: done[-1] == 9)
    raw.close()


def test_a_failure_list_of_another_type(client: Resque, redis: Redis, caplog: pytest.LogCaptureFixture) -> None:
    """The failure waits, lease and all, until it can be stored; nothing is counted twice."""
    job(client, lambda: 1 / 0)
    redis.set("resque:failed", "a string")
    client.enqueue("job")
    with caplog.at_level(logging.WARNING, "clues.resque"), Running(client) as running:
        wait_for(lambda: "must be the list of failures" in caplog.text)
        assert redis.exists(f"resque:worker:{running.worker.id}")
        assert client.stat("failed") == 0
        redis.delete("resque:failed")
        wait_for(lambda: client.stat("failed") == 1)
    assert client.failed.count() == 1


def test_counters_of_another_type(client: Resque, redis: Redis, done: list[Any]) -> None:
    """Are nothing to stop for."""
    redis.rpush("resque:stat:processed", "a list")
    client.enqueue("note", 1)
    work_off(client)
    assert done == [1]
    assert redis.keys("resque:worker*") == []


def test_a_replica_for_a_while(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """READONLY is waited out."""
    client = Resque(server.url, registry=Registry())
    raw: Redis = redis_py.Redis(port=server.port)
    done: list[int] = []
    job(client, done.append)
    with caplog.at_level(logging.WARNING, "clues.resque"), Running(client):
        client.enqueue("job", 1)
        wait_for(lambda: done == [1])
        raw.execute_command("REPLICAOF", "127.0.0.1", "1")
        raw.client_kill_filter(_type="normal", skipme=True)
        wait_for(lambda: "does not serve" in caplog.text)
        raw.execute_command("REPLICAOF", "NO", "ONE")
        client.enqueue("job", 2)
        wait_for(lambda: done == [1, 2])
    raw.close()


ACL = ["reset", "on", ">secret", "~resque:*", "&*", "+@all", "-@dangerous", "+client"]


def test_a_user_of_the_namespace_alone(server: RedisServer) -> None:
    """An ACL of ``~resque:*`` is enough, for jobs that finish and for those that fail."""
    with redis_py.Redis(port=server.port) as raw:
        raw.execute_command("ACL", "SETUSER", "worker", *ACL)
    client = Resque(server.url.replace("redis://", "redis://worker:secret@"), registry=Registry())
    job(client, lambda number: 1 / number)
    client.enqueue("job", 1)
    client.enqueue("job", 0)
    worker = work_off(client)
    assert (worker.processed, worker.failed, client.failed.count()) == (2, 1, 1)


def test_locked_out_for_a_while(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """A command that an ACL forbids is told and tried again, not in a busy loop; the job is not lost."""
    with redis_py.Redis(port=server.port) as raw:
        raw.execute_command("ACL", "SETUSER", "worker", *ACL)
        client = Resque(server.url.replace("redis://", "redis://worker:secret@"), registry=Registry())
        latch = Latch()
        job(client, latch)
        with caplog.at_level(logging.WARNING, "clues.resque"), Running(client):
            client.enqueue("job")
            assert latch.begun.wait(30)
            raw.execute_command("ACL", "SETUSER", "worker", "-@scripting")
            latch.go_on.set()
            wait_for(lambda: "NoPermissionError" in caplog.text)
            raw.execute_command("ACL", "SETUSER", "worker", "+@scripting")
            wait_for(lambda: client.stat("processed") == 1)
    assert latch.count == 1
    assert caplog.text.count("NoPermissionError") < 20


@pytest.mark.parametrize(
    ("url", "error"),
    [("redis://127.0.0.1:1/0", redis_py.ConnectionError), ("redis://worker:wrong@{}", redis_py.AuthenticationError)],
)
def test_mistakes_at_the_start_end_it(
    redis_server: RedisServer, redis: Redis, url: str, error: type[Exception]
) -> None:
    """With the error itself, and nothing left running."""
    worker = Worker(Resque(url.format(f"127.0.0.1:{redis_server.port}/0"), registry=Registry()), "q")
    with pytest.raises(error):
        worker.work()
    assert not [thread for thread in threading.enumerate() if thread.name == "clues-heartbeat"]
    with pytest.raises(error):
        worker.work()  # the id is free again


def test_redis_dying_in_the_middle_of_the_start(server: RedisServer) -> None:
    """Ends it too, heartbeat and all."""
    client = Resque(server.url, registry=Registry())
    worker = Worker(client, "q")
    worker._pruner.prune = server.kill  # type: ignore[method-assign,assignment]
    with pytest.raises(redis_py.ConnectionError):
        worker.work()
    assert not [thread for thread in threading.enumerate() if thread.name == "clues-heartbeat"]


def test_a_loading_redis_is_waited_for(client: Resque, redis: Redis, done: list[Any]) -> None:
    """It is there, and will be ready."""
    worker = Worker(client, "q", interval=0)
    prune, loading = worker._pruner.prune, [True, True]

    def not_yet() -> list[str]:
        if loading:
            loading.pop()
            raise redis_py.BusyLoadingError("LOADING Redis is loading the dataset in memory")
        return prune()

    worker._pruner.prune = not_yet  # type: ignore[method-assign]
    client.enqueue("note", 1)
    worker.work()
    assert done == [1]


def test_the_clock_of_run_at(client: Resque, redis: Redis) -> None:
    """Is the worker's, in UTC."""
    leases: list[bytes] = []
    worker = Worker(client, "q", interval=0, clock=lambda: 1_795_187_377.9)
    job(client, lambda: leases.append(redis.get(f"resque:worker:{worker.id}")))
    client.enqueue("job")
    worker.work()
    assert json.loads(leases[0])["run_at"] == time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1_795_187_377))
