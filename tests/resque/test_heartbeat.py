"""Heartbeats: what a beat writes, and what the thread survives."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Any, TypeAlias

import pytest
import redis as redis_py

from clues.resque import Resque
from clues.resque.heartbeat import Heartbeat
from clues.resque.records import Registration
from clues.resque.store import Store
from clues.resque.times import parse_heartbeat
from tests.redis_server import RedisServer, private_server
from tests.waiting import wait_for

Redis: TypeAlias = Any  # redis-py's types allow for clients that decode, at every answer

BEATS = "resque:workers:heartbeat"
ID = "h:1:q"
LIFE = "resque:worker:h:1:heartbeat"


def known(worker_id: str = ID, token: str = "mine") -> Registration:
    return Registration(worker_id, token, 50, "2026-11-20 15:09:36 +0000", '{"slot": 0}')


@pytest.fixture
def store(redis_url: str) -> Store:
    return Resque(redis_url).store


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A Redis of its own."""
    with private_server() as server:
        yield server


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "clues-heartbeat"]


def test_it_beats_by_the_servers_clock(store: Store, redis: Redis) -> None:
    """And makes the worker known, until it is stopped; stopping twice, or unstarted, is fine."""
    heartbeat = Heartbeat(store, 0.01)
    assert heartbeat.register(known())
    at = parse_heartbeat(redis.hget(BEATS, ID).decode())
    assert at is not None
    assert abs(at - redis.time()[0]) <= 60
    heartbeat.start()
    redis.flushall()
    wait_for(lambda: redis.exists(LIFE))
    assert redis.hkeys(BEATS) == [ID.encode()]
    assert redis.smembers("resque:workers") == {ID.encode()}
    assert redis.hget("resque:workers:tree", ID) == b'{"slot": 0}'
    assert redis.get("resque:worker:h:1:q:started") == b"2026-11-20 15:09:36 +0000"
    assert (redis.get(LIFE), 0 < redis.ttl(LIFE) <= 50) == (b"mine", True)
    heartbeat.stop()
    redis.flushall()
    heartbeat.stop()
    Heartbeat(store).stop()
    assert not threads()
    assert not redis.keys()


def test_it_survives_whatever_redis_does(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """Away, full, or with another type of key in its place: it says so once each, and beats again when it can."""
    raw: Redis = redis_py.Redis(port=server.port)
    heartbeat = Heartbeat(Resque(server.url).store, 0.01)
    assert heartbeat.register(known())
    with caplog.at_level(logging.WARNING, "clues.resque"):
        heartbeat.start()
        server.kill()
        wait_for(lambda: "not written" in caplog.text)
        server.start()
        wait_for(lambda: raw.hexists(BEATS, ID))
        raw.config_set("maxmemory", 1)
        wait_for(lambda: "maxmemory" in caplog.text)
        raw.config_set("maxmemory", 0)
        raw.delete(BEATS)
        wait_for(lambda: raw.hexists(BEATS, ID))
        raw.set(BEATS, "a string")
        wait_for(lambda: "WRONGTYPE" in caplog.text)
        raw.delete(BEATS)
        wait_for(lambda: raw.hexists(BEATS, ID))
    heartbeat.stop()
    raw.close()
    assert caplog.text.count("maxmemory") == caplog.text.count("WRONGTYPE") == 1


def test_an_id_that_another_process_has(store: Store, redis: Redis, caplog: pytest.LogCaptureFixture) -> None:
    """Is refused while that one lives; one that comes later is noticed at the next beat."""
    strangers: list[int] = []
    heartbeat = Heartbeat(store, on_stranger=lambda: strangers.append(1))
    assert heartbeat.register(known())
    assert not Heartbeat(store).register(known(token="other"))
    heartbeat.beat()
    assert not strangers
    redis.delete(LIFE)
    assert Heartbeat(store).register(known(token="other"))
    heartbeat.beat()
    assert strangers
    assert "another process works under the id h:1:q" in caplog.text


def test_unregistering(store: Store, redis: Redis) -> None:
    """Nothing is left, and no beat brings it back; a worker that holds a job stays."""
    heartbeat = Heartbeat(store)
    for worker_id in (ID, "h:2:q"):
        assert heartbeat.register(known(worker_id))
    redis.set("resque:worker:h:2:q", "a lease")
    assert heartbeat.unregister(ID)
    assert not heartbeat.unregister("h:2:q")
    heartbeat.beat()
    assert redis.smembers("resque:workers") == {b"h:2:q"}
    assert redis.hkeys(BEATS) == redis.hkeys("resque:workers:tree") == [b"h:2:q"]
    assert not redis.keys("resque:worker:h:1:*")


def test_unregistered_while_a_beat_is_on_its_way(store: Store, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """The beat makes the worker known again, and takes that back."""
    heartbeat = Heartbeat(store)
    assert heartbeat.register(known())
    time = store.time

    def unregistered_meanwhile() -> float:
        assert heartbeat.unregister(ID)
        return time()

    monkeypatch.setattr(store, "time", unregistered_meanwhile)
    heartbeat.beat()
    assert not redis.keys()


def test_what_is_known_changes(store: Store, redis: Redis) -> None:
    """The next beat tells it; of workers that are gone nothing is told."""
    heartbeat = Heartbeat(store)
    heartbeat.adopt([known()])
    heartbeat.update([Registration(ID, "mine", 50, "then", '{"slot": 7}'), known("h:9:q")])
    heartbeat.beat()
    assert redis.hgetall("resque:workers:tree") == {ID.encode(): b'{"slot": 7}'}
