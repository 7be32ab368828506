"""Commands straight over a connection, on a real Redis."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest
import redis as redis_py

from clues.resque import direct as module
from clues.resque.connect import connect
from clues.resque.direct import Direct, Script
from tests.redis_server import RedisServer
from tests.resque.proxy import Proxy


@pytest.fixture
def direct(redis_url: str) -> Direct:
    return Direct(connect(redis_url))


def me(direct: Direct) -> int:
    """The number of the connection that a command goes over."""
    (found,) = direct.run(("CLIENT", "ID"))
    return int(found)


def test_replies(direct: Direct) -> None:
    """In order, as bytes; words may be text, bytes and numbers."""
    assert direct.run(("SET", "k", b"\xff"), ("GET", "k"), ("INCRBY", "n", 2), ("LRANGE", "none", 0, -1)) == [
        b"OK", b"\xff", 2, [],
    ]  # fmt: skip


def test_one_is_refused(direct: Direct, redis: Any) -> None:
    """The others are done, and the connection is as good as before."""
    with pytest.raises(redis_py.ResponseError, match="WRONGTYPE"):
        direct.run(("SET", "k", "text"), ("RPUSH", "k", 1), ("SET", "l", 1))
    assert redis.get("l") == b"1"
    assert direct.run(("GET", "k")) == [b"text"]


def test_a_lost_connection(redis_server: RedisServer, redis: Any) -> None:
    """Nothing is sent twice; the next command connects again."""
    with Proxy(redis_server.port) as proxy:
        direct = Direct(connect(proxy.url))
        proxy.drop_reply_to(b"INCR")
        with pytest.raises(redis_py.ConnectionError):
            direct.run(("INCR", "n"))
        assert redis.get("n") == b"1"
        assert direct.run(("INCR", "n")) == [2]


def test_a_connection_that_the_server_has_closed(direct: Direct, redis: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is noticed before it is used, if it had been quiet for a while."""
    monkeypatch.setattr(module, "_QUIET", 0.0)
    before = me(direct)
    assert me(direct) == before
    redis.client_kill_filter(_id=before)
    assert me(direct) != before


def test_threads_at_once(direct: Direct) -> None:
    """Each has a connection of its own meanwhile; afterwards they are used again."""
    barrier = threading.Barrier(4)
    found: list[int] = []

    def run() -> None:
        found.append(me(direct))
        barrier.wait()
        direct.run(("BLPOP", "none", 0.05))
        found.append(me(direct))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) <= 4
    assert me(direct) in found
    direct.close()
    assert me(direct) not in found


def test_a_forked_child(direct: Direct) -> None:
    """Has a connection of its own, and leaves its parent's alone."""
    before = me(direct)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, str(me(direct)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert int(os.read(reader, 100)) != before
    os.close(reader)
    os.close(writer)
    assert me(direct) == before


def test_a_script(direct: Direct, redis: Any) -> None:
    """Is run by its digest, and sent where Redis doesn't know it."""
    script = Script(b"return {KEYS[1], ARGV[1], ARGV[2]}")
    redis.script_flush()
    for _ in range(2):
        assert script.run(direct, [b"k"], [1, b"\xff"]) == [b"k", b"1", b"\xff"]
    assert redis.script_exists(script.sha) == [True]
    redis.script_flush()
    assert script.run(direct, [b"k"], [1, 2]) == [b"k", b"1", b"2"]


def test_a_script_that_fails(direct: Direct) -> None:
    """Raises what it says."""
    with pytest.raises(redis_py.ResponseError, match="no luck"):
        Script(b"return redis.error_reply('no luck')").run(direct, [], [])
