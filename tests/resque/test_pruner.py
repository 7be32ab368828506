"""Pruning workers that died without a word."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from clues.resque import Resque
from clues.resque.pruner import Pruner
from clues.resque.registry import Registry
from clues.testing import capture_events
from tests.resque.working import Latch, Running

Redis: TypeAlias = Any  # redis-py's types allow for clients that decode, at every answer
Capture = Callable[[str], dict[str, Any]]

LONG_AGO = "2001-01-01T00:00:00+00:00"
HASH = "0123456789abcdef0123456789abcdef"
STAMPED = f'{{"class":"job","args":[1],"clues_metadata":{{"_event_hash":"{HASH}","customer_id":4}}}}'


@pytest.fixture
def client(redis_url: str) -> Resque:
    """A client with a registry of its own."""
    return Resque(redis_url, registry=Registry())


def restore(redis: Redis, keys: list[dict[str, Any]]) -> None:
    """Put a capture's keys into Redis."""
    for key in keys:
        name, value = key["name"], key["value"]
        {
            "string": lambda: redis.set(name, value),  # noqa: B023 - called at once
            "set": lambda: redis.sadd(name, *value),  # noqa: B023
            "hash": lambda: redis.hset(name, mapping=value),  # noqa: B023
            "list": lambda: redis.rpush(name, *value),  # noqa: B023
        }[key["type"]]()


def die(redis: Redis, worker_id: str, payload: str | None = STAMPED, heartbeat: str = LONG_AGO) -> None:
    """Leave what a worker leaves that was killed."""
    redis.sadd("resque:workers", worker_id)
    redis.set(f"resque:worker:{worker_id}:started", "2026-11-20 15:11:39 +0000")
    redis.set(f"resque:stat:processed:{worker_id}", 3)
    redis.hset("resque:workers:heartbeat", worker_id, heartbeat)
    if payload is not None:
        lease = f'{{"queue":"q","run_at":"2026-11-20T15:11:39Z","payload":{payload}}}'
        redis.set(f"resque:worker:{worker_id}", lease)


def test_rubys_dead_worker(client: Resque, redis: Redis, golden: Capture) -> None:
    """h2: what Ruby's pruner made of it, but for the pruner's own keys."""
    capture = golden("h2-pruned-expired-heartbeat")
    restore(redis, capture["keys_before_pruning"])
    redis.delete("resque:pruning_dead_workers_in_progress")
    assert Pruner(client, "pruner").prune() == [capture["dead_worker"]]
    rubys = {key["name"]: key["value"] for key in capture["keys"]}
    (raw,), (ruby_raw,) = redis.lrange("resque:failed", 0, -1), rubys["resque:failed"]
    ours, theirs = json.loads(raw), json.loads(ruby_raw)
    assert list(ours) == list(theirs)
    del ours["failed_at"], theirs["failed_at"]
    assert ours == theirs
    assert redis.get("resque:pruning_dead_workers_in_progress") == b"pruner"
    assert 0 < redis.ttl("resque:pruning_dead_workers_in_progress") <= 60
    left = {key.decode() for key in redis.scan_iter()}
    own = {name for name in rubys if "21398" in name} | {"resque:workers", "resque:workers:heartbeat"}
    assert left == set(rubys) - own


def test_the_event(client: Resque, redis: Redis) -> None:
    """Failed, by its hash, lost, told by the pruner; times that nobody knows are absent; no stat goes up."""
    die(redis, "h:1:q")
    with capture_events() as recorder:
        Pruner(client, "pruner").prune()
    (event,) = recorder.events
    assert event.event_type == "failed"
    metadata = event.metadata
    assert metadata["_event_id"] == f"{HASH}:1:end"
    assert (metadata["_reason"], metadata["_reporter"]) == ("lost", "pruner")
    assert metadata["_exception"] == "Resque::PruneDeadWorkerDirtyExit"
    assert metadata["customer_id"] == 4
    assert not {"_time_to_perform", "_time_in_queue"} & set(metadata)
    assert redis.keys("resque:stat:*") == []


def test_who_is_left_alone(client: Resque, redis: Redis) -> None:
    """The living, those whose heartbeat can't be read, and those of the future."""
    now = client.store.time()
    from clues.resque.times import heartbeat

    for number, beat in enumerate([heartbeat(now), heartbeat(now - 290), heartbeat(now + 9999), "yesterday", ""]):
        die(redis, f"h:{number}:q", heartbeat=beat)
    die(redis, "dead:1:q", heartbeat=heartbeat(now - 310))
    die(redis, "idle:1:q", None)
    redis.sadd("resque:workers", "never:1:beat")
    with capture_events() as recorder:
        assert sorted(Pruner(client, "pruner").prune()) == ["dead:1:q", "idle:1:q"]
    assert len(recorder.events) == 1
    assert client.workers() == [*(f"h:{number}:q" for number in range(5)), "never:1:beat"]
    assert len(client.working()) == 5


def test_the_lock(client: Resque, redis: Redis) -> None:
    """One pruner a minute."""
    die(redis, "h:1:q")
    assert Pruner(client, "one").prune() == ["h:1:q"]
    die(redis, "h:1:q")
    assert Pruner(client, "two").prune() == []
    assert redis.get("resque:pruning_dead_workers_in_progress") == b"one"


def test_a_worker_that_ended_its_job_meanwhile(client: Resque, redis: Redis) -> None:
    """Between the pruner's reading of the lease and its removal: its own outcome stands, and it stays."""
    die(redis, "h:1:q")
    read = client.store.lease

    def ended(worker_id: str) -> bytes | None:
        raw = read(worker_id)
        redis.delete(f"resque:worker:{worker_id}")
        return raw

    client.store.lease = ended  # type: ignore[method-assign]
    with capture_events() as recorder:
        assert Pruner(client, "pruner").prune() == []
    assert recorder.events == []
    assert not redis.exists("resque:failed")
    assert client.workers() == ["h:1:q"]


def test_a_worker_that_went_on_to_another_job_meanwhile(client: Resque, redis: Redis) -> None:
    """That other job's lease is no business of the pruner."""
    die(redis, "h:1:q")
    other = '{"queue":"q","run_at":"2026-11-20T15:11:40Z","payload":{"class":"job","args":[2]}}'
    read = client.store.lease

    def went_on(worker_id: str) -> bytes | None:
        raw = read(worker_id)
        redis.set(f"resque:worker:{worker_id}", other)
        return raw

    client.store.lease = went_on  # type: ignore[method-assign]
    assert Pruner(client, "pruner").prune() == []
    assert redis.get("resque:worker:h:1:q").decode() == other
    assert not redis.exists("resque:failed")


@pytest.mark.parametrize("what", ["beats", "takes a job"])
def test_an_idle_worker_that_comes_back_to_life(client: Resque, redis: Redis, what: str) -> None:
    """Before it is forgotten: it is not."""
    die(redis, "h:1:q", None)
    read = client.store.lease

    def comes_back(worker_id: str) -> bytes | None:
        raw = read(worker_id)
        if what == "beats":
            redis.hset("resque:workers:heartbeat", worker_id, "2026-11-20T15:11:39+00:00")
        else:
            die(redis, worker_id)
        return raw

    client.store.lease = comes_back  # type: ignore[method-assign]
    assert Pruner(client, "pruner").prune() == []
    assert client.workers() == ["h:1:q"]
    assert client.store.started("h:1:q") is not None


def test_a_living_worker_that_was_pruned(client: Resque, redis: Redis) -> None:
    """Its job is failed as lost and its own outcome not recorded; its next heartbeat makes it known again."""
    from tests.waiting import wait_for

    latch = Latch()
    client.registry.job(queue="q", name="job")(latch)
    redis.rpush("resque:queue:q", STAMPED)
    with capture_events() as recorder, Running(client, heartbeat_interval=0.3) as running:
        assert latch.begun.wait(30)
        redis.hset("resque:workers:heartbeat", running.worker.id, LONG_AGO)
        Pruner(client, "pruner").bury(running.worker.id)
        assert client.failed.count() == 1
        latch.go_on.set()
        wait_for(lambda: running.worker.processed == 1)
        wait_for(lambda: client.workers() == [running.worker.id])
        client.store.push("q", STAMPED.replace(HASH, "f" * 32).encode())
        wait_for(lambda: client.stat("processed") == 1)
    ends = [event.metadata["_event_id"] for event in recorder.events if event.metadata["_event_id"].endswith("end")]
    assert ends == [f"{HASH}:1:end", f"{'f' * 32}:1:end"]
    assert recorder.types.count("failed") == 1


ODD = ["not json", "[1]", '{"class":"none","args":[]}', '{"class":"job","args":{}}', '{"class":["x"],"args":[]}']


@pytest.mark.parametrize("payload", ODD)
def test_odd_jobs(client: Resque, redis: Redis, payload: str) -> None:
    """Are failed like any."""
    die(redis, "h:1:q", payload)
    assert Pruner(client, "pruner").prune() == ["h:1:q"]
    (entry,) = client.failed.all()
    assert payload in (entry["payload"], json.dumps(entry["payload"], separators=(",", ":")))
    assert entry["queue"] == "q"


def test_odd_workers(client: Resque, redis: Redis, caplog: pytest.LogCaptureFixture) -> None:
    """Another type of key, no lease at all, an id that is no UTF-8: each keeps nobody else from being pruned."""
    die(redis, "a:1:q", None)
    redis.rpush("resque:worker:a:1:q", "a list")
    die(redis, "b:1:q", None)
    redis.set("resque:worker:b:1:q", "no lease")
    redis.hset("resque:workers:heartbeat", b"caf\xe9:1:q", LONG_AGO)
    redis.set(b"resque:worker:caf\xe9:1:q", f'{{"queue":"q","run_at":"x","payload":{STAMPED}}}')
    die(redis, "z:1:q")
    with caplog.at_level(logging.WARNING, "clues.resque"), capture_events() as recorder:
        pruned = Pruner(client, "pruner").prune()
    assert sorted(pruned) == ["b:1:q", "caf\udce9:1:q", "z:1:q"]
    assert "could not prune worker a:1:q" in caplog.text
    assert len(recorder.events) == 2
    assert {entry["worker"] for entry in client.failed.all()} == {"b:1:q", "caf\\xe9:1:q", "z:1:q"}
    assert redis.lrange("resque:worker:a:1:q", 0, -1) == [b"a list"]


@pytest.mark.parametrize("raising", [False, True])
def test_on_failure_hooks_run(client: Resque, redis: Redis, raising: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Where the job is registered; what they raise is told, and hurts nobody (hooks-after-pruning)."""
    told: list[Any] = []

    def on_failure(_cls: type, error: BaseException, *args: Any) -> None:
        told.append((type(error).__name__, args))
        if raising:
            raise SystemExit(1)

    hooks = {"on_failure": classmethod(on_failure), "perform": staticmethod(print), "queue": "q"}
    client.registry.register(type("job", (), hooks))
    die(redis, "h:1:q")
    die(redis, "h:2:q")
    with capture_events() as recorder:
        Pruner(client, "pruner").prune()
    assert told == [("PruneDeadWorkerDirtyExit", (1,))] * 2
    assert len(recorder.events) == client.failed.count() == 2


def test_failures_by_queue(redis_url: str, redis: Redis) -> None:
    """Where they are kept so."""
    die(redis, "h:1:q")
    Pruner(Resque(redis_url, registry=Registry(), failure_backends=["redis_multi_queue"]), "pruner").prune()
    assert redis.llen("resque:q_failed") == 1
    assert redis.smembers("resque:failed_queues") == {b"q_failed"}
