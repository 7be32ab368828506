"""Samples of queues and workers."""

from __future__ import annotations

import json
import time
from typing import Any, TypeAlias

import pytest
import redis as redis_py

import clues
from clues.event import Sample
from clues.resque import Resque, times
from clues.resque.sampler import QueueSampler

Redis: TypeAlias = Any  # redis-py's types allow for clients that decode, at every answer


@pytest.fixture
def client(redis_url: str) -> Resque:
    return Resque(redis_url)


def item(age: float | None = None) -> bytes:
    """An item that waits for so long."""
    metadata = {} if age is None else {"clues_metadata": {"_enqueued_time": time.time() - age}}
    return json.dumps({"class": "A", "args": [], **metadata}).encode()


def sampled(client: Resque, most: int = 200) -> dict[tuple[str, str | None], float]:
    """The values, by name and queue."""
    found = list(QueueSampler(client, most_queues=most).sample())
    values = {(sample.name, sample.attributes.get("queue")): sample.value for sample in found}
    assert len(values) == len(found)
    return values


def test_queues(client: Resque, redis: Redis) -> None:
    """An age that nobody knows is left out, never made up."""
    client.store.push("mail", item(60), item(1))
    client.store.push("ruby", item())
    redis.sadd("resque:queues", "empty", "odd")
    redis.set("resque:queue:odd", "no list")
    client.pause("mail")
    found = sampled(client)
    age = found.pop(("clues.queue.oldest.age", "mail"))
    assert 60 <= age < 120
    assert found == {
        ("clues.queue.depth", "mail"): 2,
        ("clues.queue.depth", "ruby"): 1,
        ("clues.queue.depth", "empty"): 0,
        ("clues.queue.paused", "mail"): 1,
        ("clues.queue.paused", "ruby"): 0,
        ("clues.queue.paused", "empty"): 0,
        ("clues.worker.alive", None): 0,
        ("clues.worker.busy", None): 0,
    }


def test_units(client: Resque) -> None:
    client.store.push("mail", item(60))
    assert {(sample.name, sample.unit) for sample in QueueSampler(client).sample()} == {
        ("clues.queue.depth", "{job}"),
        ("clues.queue.oldest.age", "s"),
        ("clues.queue.paused", "1"),
        ("clues.worker.alive", "{worker}"),
        ("clues.worker.busy", "{worker}"),
    }


def test_a_pause_of_all_pauses_every_queue(client: Resque) -> None:
    client.store.push("mail", item())
    client.pause()
    assert sampled(client)["clues.queue.paused", "mail"] == 1


def test_labels_are_bounded(client: Resque) -> None:
    """The deepest keep their names; of the rest nothing is lost: depth, the oldest, a pause."""
    for number in range(1, 8):
        client.store.push(f"q{number}", *[item(1000 - number)] * number)
    client.pause("q2")
    found = sampled(client, most=3)
    assert {queue: depth for (name, queue), depth in found.items() if name == "clues.queue.depth"} == {
        "q7": 7,
        "q6": 6,
        "q5": 5,
        "other": 1 + 2 + 3 + 4,
    }
    assert 999 <= found["clues.queue.oldest.age", "other"] < 1100
    assert (found["clues.queue.paused", "other"], found["clues.queue.paused", "q7"]) == (1, 0)


def test_a_queue_that_is_named_other(client: Resque) -> None:
    """Its samples stand alone, or among the others', never beside theirs under the same label."""
    client.store.push("other", *[item()] * 5)
    client.store.push("a", item())
    assert sampled(client)["clues.queue.depth", "other"] == 5
    assert sampled(client, most=1)["clues.queue.depth", "other"] == 6


def test_workers(client: Resque, redis: Redis) -> None:
    """Those that live; a dead one that holds a job is not busy."""
    now = time.time()
    for number, age in enumerate((1, 1, 1000)):
        worker_id = f"host:{number}:*"
        redis.sadd("resque:workers", worker_id)
        redis.hset("resque:workers:heartbeat", worker_id, times.heartbeat(now - age))
        if number:
            redis.set(f"resque:worker:{worker_id}", '{"queue":"q","run_at":"","payload":{}}')
    found = sampled(client)
    assert (found["clues.worker.alive", None], found["clues.worker.busy", None]) == (2, 1)


def test_a_redis_that_is_away_is_an_error_to_whoever_samples() -> None:
    with pytest.raises(redis_py.ConnectionError):
        QueueSampler(Resque("redis://127.0.0.1:1")).sample()


def test_it_is_a_sampler_for_the_configuration(client: Resque) -> None:
    config = clues.configure(print, samplers=[QueueSampler(client)])
    (sampler,) = config.samplers
    client.push("mail", {"class": "Job", "args": []})
    samples = list(sampler.sample())
    assert samples
    assert all(isinstance(sample, Sample) for sample in samples)


def test_the_longest_running_job(client: Resque, redis: Redis) -> None:
    """By queue, of workers that live; none where none runs."""
    assert not [name for name, _ in sampled(client) if name == "clues.job.running.longest"]
    redis.sadd("resque:queues", "mail")
    for number, (queue, age) in enumerate((("mail", 5), ("mail", 70), ("gone", 9))):
        since = times.run_at(time.time() - age)
        worker = f"host:{number}:*"
        redis.sadd("resque:workers", worker)
        work = {"queue": queue, "run_at": since, "payload": {"class": "A", "args": []}}
        redis.set(f"resque:worker:{worker}", json.dumps(work))
    found = sampled(client)
    assert 70 <= found["clues.job.running.longest", "mail"] < 130
    assert 9 <= found["clues.job.running.longest", "other"] < 69
    assert found["clues.worker.busy", None] == 3
