"""The heartbeat thread."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Any, TypeAlias

import pytest
import redis as redis_py

from clues.resque import Resque
from clues.resque.heartbeat import Heartbeat
from clues.resque.times import parse_heartbeat
from tests.redis_server import RedisServer, binary
from tests.waiting import wait_for

Redis: TypeAlias = Any  # redis-py's types allow for clients that decode, at every answer

BEATS = "resque:workers:heartbeat"


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A Redis of its own."""
    path = binary()
    assert path is not None
    server = RedisServer(path).start()
    yield server
    server.stop()


def test_it_beats_by_the_servers_clock(redis_url: str, redis: Redis) -> None:
    """And makes the worker known, until it is stopped; stopping twice, or unstarted, is fine."""
    heartbeat = Heartbeat(Resque(redis_url).store, "w", 0.01)
    heartbeat.start()
    wait_for(lambda: redis.hexists(BEATS, "w"))
    at = parse_heartbeat(redis.hget(BEATS, "w").decode())
    assert at is not None
    assert abs(at - redis.time()[0]) <= 60
    redis.delete(BEATS)
    wait_for(lambda: redis.hexists(BEATS, "w"))
    assert redis.smembers("resque:workers") == {b"w"}
    heartbeat.stop()
    redis.delete(BEATS)
    heartbeat.stop()
    Heartbeat(Resque(redis_url).store, "x").stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "clues-heartbeat"]
    assert not redis.exists(BEATS)


def test_it_survives_whatever_redis_does(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """Away, full, or with another type of key in its place: it says so, and beats again when it can."""
    raw: Redis = redis_py.Redis(port=server.port)
    heartbeat = Heartbeat(Resque(server.url).store, "w", 0.01)
    with caplog.at_level(logging.WARNING, "clues.resque"):
        heartbeat.start()
        wait_for(lambda: raw.hexists(BEATS, "w"))
        server.kill()
        wait_for(lambda: "not written" in caplog.text)
        server.start()
        wait_for(lambda: raw.hexists(BEATS, "w"))
        raw.config_set("maxmemory", 1)
        wait_for(lambda: "maxmemory" in caplog.text)
        raw.config_set("maxmemory", 0)
        raw.delete(BEATS)
        wait_for(lambda: raw.hexists(BEATS, "w"))
        raw.set(BEATS, "a string")
        wait_for(lambda: "WRONGTYPE" in caplog.text)
        raw.delete(BEATS)
        wait_for(lambda: raw.hexists(BEATS, "w"))
    heartbeat.stop()
    raw.close()
