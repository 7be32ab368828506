"""Who works: what Redis tells of trees, and of Ruby's workers."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, TypeAlias

import pytest

from clues.resque import Resque, times
from clues.resque.overview import Overview, Running, WorkerState, look
from clues.resque.registry import Registry
from clues.resque.worker import Worker
from tests.resque.counting import Counting

Redis: TypeAlias = Any  # redis-py's types allow for clients that decode, at every answer

BASE = "web-1:42:critical,default"


@pytest.fixture
def client(redis_url: str) -> Resque:
    return Resque(redis_url, registry=Registry())


def known(redis: Redis, worker_id: str, told: Mapping[str, Any] | None = None, *, beat: float | None = 5) -> None:
    """Make a worker known; with what it tells, as one of a tree."""
    redis.sadd("resque:workers", worker_id)
    if beat is not None:
        redis.hset("resque:workers:heartbeat", worker_id, times.heartbeat(time.time() - beat))
    if told:
        redis.hset("resque:workers:tree", worker_id, json.dumps(told))


def a_tree(redis: Redis) -> None:
    """Two slots with two threads each; the last has no key."""
    for slot, thread in ((1, 1), (1, 0), (0, 1), (0, 0)):
        mark = f",~{slot}.{thread}" if slot or thread else ""
        place = {"host": "web-1", "master": 42, "slot": slot, "thread": thread, "process": 50 + slot}
        known(redis, BASE + mark, {**place, "token": "t", "dead_after": 50, "pss": 1000 + slot, "paused": slot == 1})
        redis.set(f"resque:stat:processed:{BASE}{mark}", 10 * slot + thread)
        redis.set(f"resque:stat:failed:{BASE}{mark}", thread)
        if (slot, thread) != (1, 1):
            redis.set(f"resque:worker:web-1:42:heartbeat{mark}", "t", ex=50)


def only(found: Overview) -> WorkerState:
    """The one worker there is."""
    (worker,) = found.workers
    return worker


def test_nobody(client: Resque, redis: Redis) -> None:
    assert look(client.store) == Overview([], client.paused())


def test_a_tree(client: Resque, redis: Redis) -> None:
    """By slot and thread; what its workers have in common, and their memory, each process counted once."""
    a_tree(redis)
    (tree,) = look(client.store).trees
    assert [(each.slot, each.thread, each.process) for each in tree.workers] == [
        (0, 0, 50),
        (0, 1, 50),
        (1, 0, 51),
        (1, 1, 51),
    ]
    assert (tree.first.host, tree.first.master, tree.first.queues) == ("web-1", "42", "critical,default")
    assert {each.queues for each in tree.workers} == {"critical,default"}
    assert (tree.slots, tree.pss) == (2, 2001)
    assert [each.paused for each in tree.workers] == [False, False, True, True]
    assert [each.alive for each in tree.workers] == [True, True, True, False]
    assert [(each.processed, each.failed) for each in tree.workers] == [(0, 0), (1, 1), (10, 0), (11, 1)]
    assert all(each.heartbeat_age is not None and 4 < each.heartbeat_age < 60 for each in tree.workers)


def test_what_they_run(client: Resque, redis: Redis) -> None:
    """By the lease, whatever its payload is."""
    a_tree(redis)
    at = times.run_at(time.time() - 70)
    redis.set(f"resque:worker:{BASE}", f'{{"queue":"critical","run_at":"{at}","payload":{{"class":"A","args":[]}}}}')
    redis.rpush(f"resque:worker:{BASE}:batch", "x", "y")
    redis.set(f"resque:worker:{BASE},~0.1", f'{{"queue":"q","run_at":"{at}","payload":no JSON}}')
    redis.set(f"resque:worker:{BASE},~1.0", "no lease")
    redis.set(f"resque:worker:{BASE},~1.1", '{"queue":"q","run_at":"?","payload":{"class":7}}')
    first, second, third, fourth = (each.running for each in look(client.store).workers)
    assert first is not None
    assert second is not None
    assert (first.queue, first.worker_class, first.further) == ("critical", "A", 2)
    assert 69 < (first.seconds or 0) < 120
    assert (second.queue, second.worker_class) == ("q", None)
    assert third == Running("", None, None, 0)
    assert fourth == Running("q", None, None, 0)


@pytest.mark.parametrize(
    ("beat", "key", "alive"), [(5, False, True), (400, False, False), (None, False, True), (400, True, True)]
)
def test_rubys_workers(client: Resque, redis: Redis, beat: float | None, key: bool, alive: bool) -> None:
    """They have no entry for a tree; resque_worker_heartbeat's key counts where it is, else the heartbeat."""
    known(redis, "host:7:*", beat=beat)
    redis.set("resque:worker:host:7:*:started", "2026-11-20 15:09:36 +0000")
    if key:
        redis.set("resque:worker:host:7:heartbeat", "", ex=50)
    worker = only(look(client.store))
    assert (worker.ours, worker.host, worker.master, worker.queues, worker.process) == (False, "host", "7", "*", 7)
    assert (worker.alive, worker.has_key, worker.pss) == (alive, key, None)
    assert worker.started == 1795187376.0


def test_ours_come_first_and_each_of_rubys_is_a_tree(client: Resque, redis: Redis) -> None:
    known(redis, "a-host:1:*")
    known(redis, "a-host:2:*")
    a_tree(redis)
    found = look(client.store)
    assert [(len(tree.workers), tree.first.ours) for tree in found.trees] == [(4, True), (1, False), (1, False)]


@pytest.mark.parametrize(
    "told", ["{}", "no JSON", "[]", '{"slot":"x","host":7,"pss":-1,"paused":"yes","process":true}']
)
def test_what_a_tree_does_not_tell_its_id_does(client: Resque, redis: Redis, told: str) -> None:
    """As where a process outlives its master."""
    known(redis, f"{BASE},~3.2")
    redis.hset("resque:workers:tree", f"{BASE},~3.2", told)
    worker = only(look(client.store))
    assert (worker.ours, worker.host, worker.master, worker.slot, worker.thread) == (True, "web-1", "42", 3, 2)
    assert (worker.process, worker.pss, worker.paused, worker.queues) == (None, None, False, "critical,default")


@pytest.mark.parametrize("worker_id", ["", "host", "host:x", ":::", f"h:{'9' * 5000}:q,~{'9' * 5000}.1", "h:1:~1.2"])
def test_odd_ids(client: Resque, redis: Redis, worker_id: str) -> None:
    redis.sadd("resque:workers", worker_id)
    assert only(look(client.store)).id == worker_id


def test_what_is_left_of_forgotten_workers(client: Resque, redis: Redis) -> None:
    """A pruner of Ruby's leaves the trees' entries: one without a key is no worker, one with a key is alive."""
    redis.hset("resque:workers:tree", BASE, "{}")
    assert look(client.store).workers == []
    redis.set("resque:worker:web-1:42:heartbeat", "t")
    assert not only(look(client.store)).registered


def test_few_round_trips(counted: Resque, redis: Redis) -> None:
    """However many workers there are."""
    for number in range(300):
        known(redis, f"host:{number}:*")
    assert len(look(counted.store).workers) == 300
    assert Counting.sent == 3


def test_a_real_worker(client: Resque, redis: Redis) -> None:
    """While it runs a job."""
    seen: list[Overview] = []

    @client.registry.job(queue="q", name="Look")
    def look_around() -> None:
        seen.append(look(client.store))

    client.enqueue(look_around)
    Worker(client, "q", interval=0).work()
    worker = only(seen[0])
    assert worker.ours
    assert worker.alive
    assert worker.queues == "q"
    assert worker.running is not None
    assert (worker.running.worker_class, worker.running.queue) == ("Look", "q")
    assert look(client.store).workers == []
