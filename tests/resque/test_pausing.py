"""Pausing: what stands in Redis then, and what is read there."""

from __future__ import annotations

from typing import Any, TypeAlias

import pytest

from clues import resque
from clues.errors import QueueNameError
from clues.resque import Paused, Resque
from clues.resque.records import Wanted

Redis: TypeAlias = Any  # redis-py's types allow for clients that decode, at every answer


@pytest.fixture
def client(redis_url: str) -> Resque:
    return Resque(redis_url)


def test_all_workers(client: Resque, redis: Redis) -> None:
    """By the key and the word that Ruby's workers look for."""
    assert not client.paused()
    assert client.pause() == Paused(all=True)
    assert redis.get("resque:pause-all-workers") == b"true"
    assert client.paused().holds("any")
    assert client.resume() == Paused()
    assert not redis.keys("*")


@pytest.mark.parametrize(("held", "means"), [(b" TRUE\n", True), (b"true", True), (b"1", False), (b"", False)])
def test_the_key_is_read_as_resque_reads_it(client: Resque, redis: Redis, held: bytes, means: bool) -> None:
    redis.set("resque:pause-all-workers", held)
    assert client.paused().all is means


def test_single_queues(client: Resque, redis: Redis) -> None:
    assert client.pause("b", "a") == client.pause("a") == Paused(queues=("a", "b"))
    assert redis.smembers("resque:paused-queues") == {b"a", b"b"}
    assert not redis.exists("resque:pause-all-workers")
    assert client.paused().holds("a")
    assert not client.paused().holds("c")
    assert client.resume("a", "c") == Paused(queues=("b",))


def test_the_pause_of_all_and_that_of_a_queue_do_not_touch_each_other(client: Resque) -> None:
    client.pause("a")
    assert client.pause() == Paused(all=True, queues=("a",))
    assert client.resume() == Paused(queues=("a",))
    client.pause()
    assert client.resume("a") == Paused(all=True)


def test_a_paused_queue_gives_no_job(client: Resque) -> None:
    """While another one does."""
    client.push("a", {"class": "A", "args": []})
    client.push("b", {"class": "B", "args": []})
    client.pause("a")
    assert client.store.take("host:1:a,b", Wanted(["a", "b"], "2026-11-20T15:09:37Z")).queue == "b"
    assert client.store.take("host:2:a,b", Wanted(["a", "b"], "2026-11-20T15:09:37Z")).queue is None
    client.resume("a")
    assert client.store.take("host:2:a,b", Wanted(["a", "b"], "2026-11-20T15:09:37Z")).queue == "a"


def test_names_that_no_queue_has(client: Resque, redis: Redis) -> None:
    """Nothing is paused where one of the names is mistaken."""
    with pytest.raises(QueueNameError):
        client.pause("a", "")
    assert not redis.keys("*")


def test_other_programs_names(client: Resque, redis: Redis) -> None:
    """Names that are no UTF-8 are read, and can be given back."""
    redis.sadd("resque:paused-queues", b"caf\xe9")
    (name,) = client.paused().queues
    assert client.resume(name) == Paused()


def test_on_the_process_wide_client(redis_url: str) -> None:
    resque.configure(redis_url)
    assert resque.pause("a") == resque.paused() == Paused(queues=("a",))
    assert not resque.resume("a")
