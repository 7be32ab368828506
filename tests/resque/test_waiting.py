"""What waits in the queues, and since when."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

import pytest
import redis as redis_py

from clues.resque import Resque
from clues.resque.pausing import Paused
from clues.resque.waiting import Waiting, WaitingQueue, look

Redis: TypeAlias = Any  # redis-py's types allow for clients that decode, at every answer

NOW = 1000.0


@pytest.fixture
def client(redis_url: str) -> Resque:
    return Resque(redis_url)


def seen(client: Resque) -> Waiting:
    return look(client.store, clock=lambda: NOW)


def stamped(at: object) -> bytes:
    """An item that was enqueued then."""
    return json.dumps({"class": "A", "args": [], "clues_metadata": {"_enqueued_time": at}}).encode()


def test_depths_and_ages(client: Resque, redis: Redis) -> None:
    """The oldest is the first, by its stamp."""
    client.store.push("b", stamped(900.5), stamped(10))
    client.store.push("a", stamped(990))
    redis.sadd("resque:queues", "empty")
    found = seen(client)
    assert found.queues == [
        WaitingQueue("a", 1, 10.0, paused=False),
        WaitingQueue("b", 2, 99.5, paused=False),
        WaitingQueue("empty", 0, None, paused=False),
    ]
    assert (found.depth, found.oldest_age, found.paused) == (3, 99.5, Paused())


@pytest.mark.parametrize(
    "head", [b"no JSON", b"7", b"{}", b'{"clues_metadata":7}', *map(stamped, ["9", None, True, -1, 1e300])]
)
def test_an_item_that_does_not_say(client: Resque, redis: Redis, head: bytes) -> None:
    client.store.push("a", head, stamped(1))
    assert seen(client).queues == [WaitingQueue("a", 2, None, paused=False)]
    assert seen(client).oldest_age is None


def test_clocks_that_differ(client: Resque, redis: Redis) -> None:
    """No job is enqueued in the future."""
    client.store.push("a", stamped(NOW + 5))
    assert seen(client).oldest_age == 0.0


def test_paused_queues(client: Resque, redis: Redis) -> None:
    """One that nobody knows is a slip of whoever paused it, and must be seen."""
    client.store.push("a", stamped(1))
    client.pause("a", "slip")
    client.pause()
    found = seen(client)
    assert [(queue.name, queue.depth, queue.paused) for queue in found.queues] == [("a", 1, True), ("slip", 0, True)]
    assert found.paused.all


def test_a_key_that_is_no_list(client: Resque, redis: Redis) -> None:
    """It does not keep us from looking at the others."""
    redis.sadd("resque:queues", "a", "odd")
    redis.set("resque:queue:odd", "x")
    client.store.push("a", stamped(999))
    assert seen(client).queues == [
        WaitingQueue("a", 1, 1.0, paused=False),
        WaitingQueue("odd", None, None, paused=False),
    ]
    assert seen(client).depth == 1


def test_other_errors_are_raised(client: Resque, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    from redis.client import Pipeline

    refused = redis_py.ResponseError("NOPERM no permission")
    redis.sadd("resque:queues", "a")
    original = Pipeline.execute
    monkeypatch.setattr(Pipeline, "execute", lambda self, **how: [refused] * 2 if how else original(self))
    with pytest.raises(redis_py.ResponseError, match="NOPERM"):
        seen(client)


def test_two_thousand_queues(client: Resque, redis: Redis) -> None:
    client.store.push_many(
        {f"q{number}": [stamped(NOW - number / 4)] * (number % 3) for number in range(1, 2001) if number % 3}
    )
    found = seen(client)
    assert len(found.queues) == 1334
    assert found.oldest_age == 500.0
    assert found.depth == 2001
