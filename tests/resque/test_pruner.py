"""Pruning workers that died without a word: who is dead, and what becomes of what they leave."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
import redis as redis_py

from clues.resque import Resque, pruner
from clues.resque.prune_thread import PruneThread
from clues.resque.pruner import Pruner
from clues.resque.queues import QueueList
from clues.resque.registry import Registry
from clues.resque.times import heartbeat
from clues.resque.worker import Worker
from clues.testing import capture_events
from tests.resque.cutting import cut_off, everywhere
from tests.resque.working import Latch, Running
from tests.waiting import wait_for

Redis: TypeAlias = Any  # redis-py's types allow for clients that decode, at every answer
Capture = Callable[[str], dict[str, Any]]

LONG_AGO = "2001-01-01T00:00:00+00:00"
HASH = "0123456789abcdef0123456789abcdef"
STAMPED = f'{{"class":"job","args":[1],"clues_metadata":{{"_event_hash":"{HASH}","customer_id":4}}}}'


@pytest.fixture
def client(redis_url: str) -> Resque:
    """A client with a registry of its own."""
    return Resque(redis_url, registry=Registry())


TOLD = (
    '{"event_type":"failed","timestamp":"2026-11-20T15:11:39Z","queue":"q","metadata":{"_event_id":"told"},'
    '"worker_class":"job","args":[]}'
)


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


# by the processes of this host


def judge(client: Resque, queues: str = "*", hostname: str | None = "vm") -> Pruner:
    return Pruner(client, "vm:1:pruner", queues=QueueList(queues), hostname=hostname)


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """The processes of this host that are Resque's, as a test says."""
    found: set[int] = set()
    monkeypatch.setattr(pruner, "gone", lambda pids: set(pids) - found)
    return found


@pytest.mark.parametrize(
    ("capture", "dead"), [("h-pruned-same-host", "vm:21292:golden"), ("h3-pruned-idle", "vm:21420:golden")]
)
def test_a_worker_whose_process_is_gone(
    client: Resque, redis: Redis, golden: Capture, processes: set[int], capture: str, dead: str
) -> None:
    """h, h3: what Ruby's pruner made of it, but for the pruner's own keys; its fresh heartbeat saves nobody."""
    before = golden("h-pruned-same-host")["keys_before_pruning"]
    lease = "resque:worker:vm:21292:golden"
    keys = [key for key in before if "h3" not in capture or key["name"] not in {lease, "resque:queues"}]
    text = json.dumps(keys).replace("vm:21292:golden", dead)
    restore(redis, json.loads(text))
    redis.delete("resque:pruning_dead_workers_in_progress")
    redis.hset("resque:workers:heartbeat", dead, heartbeat(client.store.time()))
    with capture_events() as recorder:
        assert judge(client).prune() == [dead]
    assert recorder.events == []  # an item without clues
    rubys = {key["name"]: key["value"] for key in golden(capture)["keys"]}
    own = {name for name in rubys if name.startswith("resque:worker")}
    assert {key.decode() for key in redis.scan_iter()} == set(rubys) - own
    if "resque:failed" in rubys:
        ours, theirs = json.loads(redis.lindex("resque:failed", 0)), json.loads(rubys["resque:failed"][0])
        assert list(ours) == list(theirs)
        del ours["failed_at"], theirs["failed_at"]
        assert ours == theirs


def test_the_event_of_a_gone_process(client: Resque, redis: Redis, processes: set[int]) -> None:
    """Ruby's words, lost, told by the pruner; no stat goes up; the hooks get the error."""
    errors: list[BaseException] = []
    hooks = {"on_failure": classmethod(lambda _, error, *__: errors.append(error)), "perform": print, "queue": "q"}
    client.registry.register(type("job", (), hooks))
    die(redis, "vm:77:q", heartbeat="")
    with capture_events() as recorder:
        judge(client).prune()
    (event,) = recorder.events
    told = {key: event.metadata[key] for key in ("_exception", "_message", "_reason", "_reporter")}
    assert told == {
        "_exception": "Resque::DirtyExit",
        "_message": "Job still being processed",
        "_reason": "lost",
        "_reporter": "pruner",
    }
    assert [(type(error).__name__, str(error)) for error in errors] == [("DirtyExit", "Job still being processed")]
    assert redis.keys("resque:stat:*") == []


@pytest.mark.parametrize(
    ("mine", "theirs", "judged"),
    [
        ("*", "a,b", True),
        ("a,*", "z", True),
        ("b,a", "a,b", True),
        ("a,b,!c", "b,a", True),
        ("a", "a,b", False),
        ("a,b", "a", False),
        ("a*", "ab", False),
        ("a", "*", False),
    ],
)
def test_whose_queues_are_ours(
    client: Resque, redis: Redis, processes: set[int], mine: str, theirs: str, judged: bool
) -> None:
    """All, or exactly the same: others may be another program's."""
    die(redis, f"vm:77:{theirs}", heartbeat="")
    assert judge(client, mine).prune() == ([f"vm:77:{theirs}"] if judged else [])


def test_whom_the_processes_do_not_judge(client: Resque, redis: Redis, processes: set[int]) -> None:
    """Those of other hosts, those that run, those of trees, those with a key, those that are not registered; junk."""
    processes.add(42)
    spared = ["other:77:q", "vm:42:q", "vm:43:q", "vm:44:q", "vm:45:q,~3.1"]
    junk = ["junk", "vm", "vm:", "vm:q", "vm:x:q", "vm:\u00b2:q", "vm::q", ":77:q", "", "vm:-7:q", "vm:7.5:q"]
    for worker_id in spared + junk:
        die(redis, worker_id, heartbeat="")
    redis.hset("resque:workers:tree", mapping={"vm:44:q": "{}", "vm:45:q,~3.1": "{}"})
    redis.set("resque:worker:vm:43:heartbeat", "")
    die(redis, "vm:46:q", heartbeat="")
    redis.srem("resque:workers", "vm:46:q")
    before = {key: redis.dump(key) for key in redis.scan_iter()}
    assert judge(client).prune() == []
    redis.delete("resque:pruning_dead_workers_in_progress")
    assert {key: redis.dump(key) for key in redis.scan_iter()} == before
    redis.delete("resque:pruning_dead_workers_in_progress")
    assert Pruner(client, "p").prune() == []  # one that does not say what it serves


def test_this_host(client: Resque, redis: Redis) -> None:
    """Is the system's name; its processes are looked up for real."""
    host = os.uname().nodename
    die(redis, f"{host}:{2**22 + 1}:q", heartbeat="")  # more than the kernel ever gives
    assert judge(client, hostname=None).prune() == [f"{host}:{2**22 + 1}:q"]


def test_a_worker_that_the_gem_beats_for(client: Resque, redis: Redis, golden: Capture, processes: set[int]) -> None:
    """k2: alive, whatever its heartbeat and the processes say, until its key runs out."""
    capture = golden("k2-worker-heartbeat-gem-killed")
    restore(redis, capture["keys"])
    redis.hset("resque:workers:heartbeat", "vm:25822:golden", LONG_AGO)
    redis.delete("resque:pruning_dead_workers_in_progress")
    assert judge(client).prune() == []
    redis.delete("resque:pruning_dead_workers_in_progress", "resque:worker:vm:25822:heartbeat")
    assert judge(client).prune() == ["vm:25822:golden"]


# trees


def plant(redis: Redis, worker_id: str, payload: str | None = STAMPED) -> None:
    """A worker of a tree that is dead: its key has run out."""
    die(redis, worker_id, payload, heartbeat="2999-01-01T00:00:00+00:00")
    redis.hset("resque:workers:tree", worker_id, "{}")


def revive(redis: Redis, worker_id: str) -> None:
    host, pid, _ = worker_id.split(":")
    redis.set(f"resque:worker:{host}:{pid}:heartbeat", "token")


class Waits(list[float]):
    """Waits that take no time; what is to happen meanwhile happens in them."""

    def __init__(self, *happenings: Callable[[], object]) -> None:
        self._happenings = list(happenings)

    def __call__(self, seconds: float) -> bool:
        self.append(seconds)
        return bool(self._happenings and self._happenings.pop(0)())


def test_a_dead_worker_of_a_tree(client: Resque, redis: Redis) -> None:
    """Is buried after the grace; the living, and Ruby's, are not judged so; nothing is waited for where all live."""
    plant(redis, "h:1:q")
    plant(redis, "h:2:q")
    revive(redis, "h:2:q")
    die(redis, "h:3:q")
    waits = Waits()
    with capture_events() as recorder:
        assert Pruner(client, "p", grace=7).prune_suspects(waits) == ["h:1:q"]
    assert sum(waits) == pytest.approx(7)
    assert [event.metadata["_reason"] for event in recorder.events] == ["lost"]
    assert (redis.hkeys("resque:workers:tree"), client.workers()) == ([b"h:2:q"], ["h:2:q", "h:3:q"])
    waits.clear()
    redis.delete("resque:pruning_dead_workers_in_progress")
    assert Pruner(client, "p").prune_suspects(waits) == []
    assert waits == []


def test_trees_are_judged_by_their_keys_alone(client: Resque, redis: Redis, processes: set[int]) -> None:
    """Not by an old heartbeat, nor by the processes of this host."""
    die(redis, "vm:77:q")
    redis.hset("resque:workers:tree", "vm:77:q", "{}")
    assert judge(client).prune() == []


def test_one_that_comes_back(client: Resque, redis: Redis) -> None:
    """In the last moment, or in the very last: it is left alone, and the others' grace does not begin anew."""
    plant(redis, "h:1:q")
    plant(redis, "h:2:q")
    waits = Waits(*[lambda: None] * 8, lambda: revive(redis, "h:1:q"))
    assert Pruner(client, "p").prune_suspects(waits) == ["h:2:q"]
    assert sum(waits) == pytest.approx(10)
    redis.delete("resque:pruning_dead_workers_in_progress", "resque:worker:h:1:heartbeat")
    waits = Waits()
    suspicious = Pruner(client, "p")
    suspects, looks = suspicious._suspects, [0]

    def look() -> set[str]:
        found = suspects()
        looks[0] += 1
        if looks[0] == 11:
            revive(redis, "h:1:q")
        return found

    suspicious._suspects = look  # type: ignore[method-assign]
    assert suspicious.prune_suspects(waits) == []
    assert redis.exists("resque:worker:h:1:q")


@pytest.mark.parametrize(
    "trouble", [redis_py.ConnectionError("away"), redis_py.ResponseError("LOADING"), OSError("unreachable")]
)
def test_trouble_begins_the_grace_anew(client: Resque, redis: Redis, trouble: Exception) -> None:
    """Whoever lives needs as long as ever to say so."""
    plant(redis, "h:1:q")
    broken = cut_off(client, 0, trouble)
    waits = Waits(*[lambda: None] * 7, broken.__enter__, lambda: broken.__exit__(None, None, None))
    assert Pruner(client, "p").prune_suspects(waits) == ["h:1:q"]
    assert len(waits) == 8 + 10


def test_lasting_trouble(client: Resque, redis: Redis) -> None:
    """It gives up; the next pruning begins anew. So does trouble at the first look."""
    plant(redis, "h:1:q")
    broken = cut_off(client, 0, redis_py.ConnectionError("away"))
    assert Pruner(client, "p").prune_suspects(Waits(broken.__enter__)) == []
    with pytest.raises(redis_py.ConnectionError):
        Pruner(client, "p").prune_suspects(Waits())
    broken.__exit__(None, None, None)
    assert redis.exists("resque:worker:h:1:q")


def test_told_to_leave(client: Resque, redis: Redis) -> None:
    """In the middle of the grace."""
    plant(redis, "h:1:q")
    waits = Waits(lambda: False, lambda: True)
    assert Pruner(client, "p").prune_suspects(waits) == []
    assert len(waits) == 2


def test_the_lock_of_suspects(client: Resque, redis: Redis) -> None:
    """Whoever has pruned the others goes on with them; somebody else leaves them to it."""
    plant(redis, "h:1:q")
    one = Pruner(client, "one")
    assert one.prune() == []
    assert Pruner(client, "two").prune_suspects(Waits()) == []
    assert one.prune_suspects(Waits()) == ["h:1:q"]
    assert redis.get("resque:pruning_dead_workers_in_progress") == b"one"


def test_junk_among_trees(client: Resque, redis: Redis) -> None:
    """Is forgotten like a dead worker, and harms nobody."""
    plant(redis, "h:1:q")
    for junk in ("junk", "", ":", "a:b", "h:9:q:started"):
        redis.hset("resque:workers:tree", junk, "no json")
    assert "h:1:q" in Pruner(client, "p").prune_suspects(Waits())
    assert (redis.hgetall("resque:workers:tree"), client.failed.count()) == ({}, 1)


@pytest.mark.parametrize("key", ["workers", "workers:heartbeat", "workers:tree"])
def test_another_type_of_key(client: Resque, redis: Redis, key: str) -> None:
    """Is told: nobody is judged by what can't be read."""
    plant(redis, "h:1:q")
    redis.delete(f"resque:{key}")
    redis.set(f"resque:{key}", "a string")
    with pytest.raises(redis_py.ResponseError, match="WRONGTYPE"):
        judge(client).prune()
    assert redis.exists("resque:worker:h:1:q")


def test_batches(client: Resque, redis: Redis) -> None:
    """Each job that a worker holds fails; whoever knows of no batches may have removed the first one's lease."""
    for lease in (True, False):
        redis.flushall()
        plant(redis, "h:1:q")
        for number in range(3):
            stamped = STAMPED.replace(HASH, f"{number:032}")
            redis.rpush("resque:worker:h:1:q:batch", f'{{"queue":"q","run_at":"x","payload":{stamped}}}')
        if not lease:
            redis.delete("resque:worker:h:1:q")
        with capture_events() as recorder:
            assert Pruner(client, "p").prune_suspects(Waits()) == ["h:1:q"]
        hashes = [event.metadata["_event_hash"] for event in recorder.events]
        assert hashes == [HASH] * lease + [f"{number:032}" for number in range(3)]
        assert client.failed.count() == 3 + lease
        assert {entry["queue"] for entry in client.failed.all(0, 9)} == {"q"}
        assert not redis.keys("resque:worker*")


# cut off


@pytest.mark.parametrize("left", ["a job", "a batch", "a batch without its lease", "outcomes", "nothing"])
def test_a_pruner_that_dies(client: Resque, redis: Redis, left: str) -> None:
    """After any of its commands: the next one finishes; each job fails once, and each outcome is told."""
    batch = [STAMPED.replace(HASH, f"{number:032}") for number in range(2 if "batch" in left else 0)]

    def prepare() -> set[str]:
        redis.flushall()
        recorder.clear()
        leased = left in {"a job", "a batch"}
        plant(redis, "h:1:q", STAMPED if leased else None)
        for payload in batch:
            redis.rpush("resque:worker:h:1:q:batch", f'{{"queue":"q","run_at":"x","payload":{payload}}}')
        ids = [f"{HASH}:1:end"] * leased + [f"{number:032}:1:end" for number in range(len(batch))]
        if left == "outcomes":
            redis.set("resque:worker:h:1:q:ended", f"7\n{TOLD}\n")
            ids.append("told")
        return set(ids)

    def check(ids: set[str]) -> None:
        assert {event.metadata["_event_id"] for event in recorder.events} == ids
        assert client.failed.count() == len(ids - {"told"})
        assert not redis.keys("resque:worker*")
        assert not redis.keys("resque:stat*")

    with capture_events() as recorder:
        commands = everywhere(client, prepare, lambda _: Pruner(client, "p").bury("h:1:q"), check)
    assert commands >= 4


def test_succeeding_an_earlier_process(client: Resque, redis: Redis) -> None:
    """What it has left is finished, unless it lives; there may be untold outcomes alone."""
    plant(redis, "h:1:q")
    revive(redis, "h:1:q")
    Pruner(client, "h:1:q").succeed("h:1:q")
    assert client.failed.count() == 0
    redis.delete("resque:worker:h:1:heartbeat")
    Pruner(client, "h:1:q").succeed("h:1:q")
    assert client.failed.count() == 1
    redis.set("resque:worker:h:1:q:ended", f"7\n{TOLD}")
    with capture_events() as recorder:
        Pruner(client, "h:1:q").succeed("h:1:q")
        Pruner(client, "h:1:q").succeed("h:1:q")
    assert recorder.types == ["failed"]


# the thread


class Recorded:
    """A pruner that notes what it is called for."""

    def __init__(self, *raised: Exception) -> None:
        self.called: list[str] = []
        self._raised = list(raised)

    def prune(self) -> list[str]:
        self.called.append("prune")
        if self._raised:
            raise self._raised.pop(0)
        return []

    def prune_suspects(self, wait: Callable[[float], bool]) -> list[str]:
        self.called.append("suspects")
        wait(0)
        if self._raised:
            raise self._raised.pop(0)
        return []


def test_the_thread(caplog: pytest.LogCaptureFixture) -> None:
    """Suspects first, then all, again and again, whatever Redis raises; it ends at once."""
    recorded = Recorded(redis_py.ConnectionError("away"), OSError("away"))
    thread = PruneThread(recorded, every=0.001)  # type: ignore[arg-type]
    thread.start()
    wait_for(lambda: len(recorded.called) > 8)
    thread.stop()
    assert recorded.called[0] == "suspects"
    assert {"prune", "suspects"} == set(recorded.called[-3:])
    assert caplog.text.count("could not prune: away") == 2
    idle = PruneThread(Recorded())  # type: ignore[arg-type]
    idle.stop()
    idle.start()
    idle.stop()
    assert not [one for one in threading.enumerate() if one.name == "clues-pruner"]


def test_a_worker_prunes_while_it_works(client: Resque, redis: Redis) -> None:
    """Suspects too; the thread ends with the worker."""
    plant(redis, "h:1:q")
    running = Running(client, "q")
    running.worker._pruner._grace = 0.01
    with running:
        wait_for(lambda: client.failed.count() == 1)
        assert [one for one in threading.enumerate() if one.name == "clues-pruner"]
    assert not [one for one in threading.enumerate() if one.name == "clues-pruner"]


def test_a_worker_prunes_by_processes_too(client: Resque, redis: Redis) -> None:
    """Those of its host that had its queues."""
    die(redis, f"vm:{2**22 + 1}:b,a", heartbeat="")
    Worker(client, "a,b", interval=0, hostname="vm").work()
    assert client.failed.all()[0]["error"] == "Job still being processed"
