"""Commands straight over a connection, on a real Redis."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import pytest
import redis as redis_py

from clues.resque import direct as module
from clues.resque.connect import connect
from clues.resque.direct import Direct, Lent, Script
from tests.redis_server import RedisServer
from tests.resque.proxy import Proxy


@pytest.fixture(params=["hiredis", "redis-py"])
def direct(redis_url: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Direct:
    """With either way to write commands."""
    if request.param == "redis-py":
        monkeypatch.setattr(module, "pack_command", None)
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


# connections for forked processes


def asked_by_a_child(lent: Lent, direct: Direct, leave: Callable[[Any], int]) -> tuple[int, bool]:
    """Fork a child that says over which connection it asks, and whether one was lent; `leave` gives its status."""
    connection = lent.next()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        lent.forget()
        if connection is not None:
            direct.adopt(connection)
        os.write(writer, f"{me(direct)} {int(connection is not None)}".encode())
        os._exit(leave(connection))
    lent.to(pid, connection)
    _, status = os.waitpid(pid, 0)
    lent.ended(pid, well=status == 0)
    number, was_lent = os.read(reader, 100).split()
    os.close(reader)
    os.close(writer)
    return int(number), was_lent == b"1"


def test_children_one_after_the_other(redis_url: str) -> None:
    """Have one connection, which none of them has to make."""
    lent, direct = Lent(connect(redis_url)), Direct(connect(redis_url))
    found = [asked_by_a_child(lent, direct, lambda _: 0) for _ in range(3)]
    assert found == [(found[0][0], True)] * 3


def test_children_at_once(redis_url: str) -> None:
    """Have each its own."""
    lent = Lent(connect(redis_url))
    first, second = lent.next(), lent.next()
    assert first is not second
    lent.to(1, first)
    lent.to(2, second)
    lent.ended(2, well=True)
    assert lent.next() is second


def test_a_connection_that_the_server_closes_between_two_children(redis_url: str, redis: Any) -> None:
    """Is not lent again."""
    lent, direct = Lent(connect(redis_url)), Direct(connect(redis_url))
    first, _ = asked_by_a_child(lent, direct, lambda _: 0)
    redis.client_kill_filter(_id=first)
    second, was_lent = asked_by_a_child(lent, direct, lambda _: 0)
    assert (second != first, was_lent) == (True, True)


def test_a_child_that_was_killed(redis_url: str) -> None:
    """May have been in the middle of a command: nobody gets its connection."""
    lent, direct = Lent(connect(redis_url)), Direct(connect(redis_url))
    first, _ = asked_by_a_child(lent, direct, lambda _: 1)
    second, was_lent = asked_by_a_child(lent, direct, lambda _: 0)
    assert (second != first, was_lent) == (True, True)


def test_a_child_that_left_an_answer_unread(redis_url: str) -> None:
    """The next one finds that out, and connects by itself."""

    def leave(connection: Any) -> int:
        connection.send_packed_command(connection.pack_command("PING"))
        return 0

    lent, direct = Lent(connect(redis_url)), Direct(connect(redis_url))
    first, _ = asked_by_a_child(lent, direct, leave)
    second, was_lent = asked_by_a_child(lent, direct, lambda _: 0)
    assert (second != first, was_lent) == (True, True)


def test_no_redis_to_connect_to() -> None:
    """The child has to, and nobody waits."""
    lent = Lent(connect("redis://127.0.0.1:1/0"))  # redis-py 5.0 leaves a Unix socket that it can't connect to open
    assert lent.next() is None
    assert lent.next() is None


def test_encrypted_connections_are_not_lent() -> None:
    """Nor are those of a class that we don't know."""
    assert Lent(connect("rediss://127.0.0.1:1/0")).next() is None
