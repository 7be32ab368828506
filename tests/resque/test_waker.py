"""How an idle worker sleeps, against real servers."""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
import redis
from redis._parsers import _RESP2Parser

from clues.resque.connect import connect
from clues.resque.waker import Waker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LONG = 120
"""Far longer than a test may take: a wait of it must be ended by what it waits for."""


@pytest.fixture(params=["hiredis", "pure"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read Redis's answers with either of redis-py's parsers."""
    if request.param == "hiredis":
        pytest.importorskip("hiredis")
        return
    if find_spec("hiredis") and redis.__version__.startswith("5."):
        pytest.skip("redis-py 5 reads RESP3 with hiredis wherever that is installed")
    original = redis.connection.AbstractConnection.__init__

    def made_with_the_pure_parser(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **{"parser_class": _RESP2Parser, **kwargs})

    monkeypatch.setattr(redis.connection.AbstractConnection, "__init__", made_with_the_pure_parser)


@pytest.fixture
def server(start_redis: Callable[..., Any]) -> Any:
    """Run one server."""
    return start_redis()


@pytest.fixture
def client(server: Any) -> redis.Redis:
    """Connect to it."""
    return connect(f"redis://127.0.0.1:{server.port}")


@pytest.fixture
def waker(client: redis.Redis) -> Iterator[Waker]:
    """Watch its queues."""
    waker = Waker(client, "resque:queue:")
    yield waker
    waker.close()


def _tracking(client: redis.Redis) -> list[str]:
    """List the connections that Redis tells of changes, by their flags."""
    return [found["flags"] for found in client.client_list() if "B" in found["flags"]]


class _Sleeper:
    """Waits in a thread."""

    def __init__(self, waker: Waker, timeout: float = LONG, *fds: int) -> None:
        self._thread = threading.Thread(target=waker.wait, args=(timeout, *fds), daemon=True)
        self._thread.start()

    def is_awake(self, within: float = 30) -> bool:
        """Tell whether the wait has ended, giving it time."""
        self._thread.join(within)
        return not self._thread.is_alive()


@pytest.mark.usefixtures("parser")
def test_a_push_ends_the_wait(client: redis.Redis, waker: Waker) -> None:
    """A plain RPUSH by anyone, many times over."""
    assert waker.arm()
    for _ in range(20):
        sleeper = _Sleeper(waker)
        client.rpush("resque:queue:a", "{}")
        assert sleeper.is_awake()
        assert not waker.arm()


@pytest.mark.usefixtures("parser")
def test_no_push_between_arming_and_waiting_is_lost(client: redis.Redis, waker: Waker) -> None:
    """What changed after the arming ends a wait that begins later."""
    for _ in range(20):
        assert waker.arm()
        client.rpush("resque:queue:a", "{}")
        assert _Sleeper(waker).is_awake()
        waker.disarm()


def test_a_push_read_with_the_answer_to_arming_counts(client: redis.Redis, waker: Waker) -> None:
    """It may arrive in one packet with the answer, and then no longer shows on the socket."""
    waker.arm()
    client.rpush("resque:queue:a", "{}")
    connection = waker._connection
    deadline = time.monotonic() + 30
    while not connection.can_read(0):
        assert time.monotonic() < deadline
    connection.send_command("PING", check_health=False)
    client.rpush("resque:queue:a", "{}")
    while connection.read_response(push_request=True) != b"PONG":
        pass
    assert _Sleeper(waker).is_awake()


def test_other_keys_do_not_wake(client: redis.Redis, waker: Waker) -> None:
    """Only those with the prefix."""
    waker.arm()
    sleeper = _Sleeper(waker)
    client.rpush("resque:failed", "{}")
    client.sadd("resque:queues", "a")
    assert not sleeper.is_awake(within=0.3)
    client.rpush("resque:queue:a", "{}")
    assert sleeper.is_awake()


def test_what_woke_is_forgotten(client: redis.Redis, waker: Waker) -> None:
    """The next wait is a new one."""
    waker.arm()
    client.rpush("resque:queue:a", *["{}"] * 10)
    client.rpush("resque:queue:b", "{}")
    assert _Sleeper(waker).is_awake()
    client.ping()
    waker.wait(0.2)
    sleeper = _Sleeper(waker)
    assert not sleeper.is_awake(within=0.3)
    client.rpush("resque:queue:b", "{}")
    assert sleeper.is_awake()


@pytest.mark.usefixtures("parser")
def test_disarmed_nothing_is_told(client: redis.Redis, waker: Waker) -> None:
    """While a job runs nothing piles up; armed again, the same connection goes on."""
    waker.arm()
    assert len(_tracking(client)) == 1
    client.rpush("resque:queue:a", "{}")
    waker.disarm()
    assert _tracking(client) == []
    client.rpush("resque:queue:a", "{}")
    connection = waker._connection
    assert not connection.can_read(0.2)
    assert waker.arm()
    assert waker._connection is connection
    sleeper = _Sleeper(waker)
    assert not sleeper.is_awake(within=0.2)
    client.rpush("resque:queue:a", "{}")
    assert sleeper.is_awake()


def test_a_descriptor_ends_the_wait(waker: Waker) -> None:
    """Armed or not; what is to be read from it stays there for the caller."""
    for prepare in (waker.disarm, waker.arm):
        prepare()
        reader, writer = os.pipe()
        sleeper = _Sleeper(waker, LONG, reader)
        os.write(writer, b"!")
        assert sleeper.is_awake()
        assert os.read(reader, 10) == b"!"
        os.close(reader)
        os.close(writer)


def test_the_timeout_ends_the_wait(client: redis.Redis) -> None:
    """And without being told of changes, so does the interval."""
    waker = Waker(client, "resque:queue:", interval=0.01)
    waker.wait(LONG)
    waker.arm()
    waker.wait(0.01)
    waker.wait(0)
    waker.close()


REFUSED = "port {port}\nuser default on nopass ~* &* +@all -client\n"
NO_RESP3 = 'port {port}\nrename-command HELLO ""\n'


@pytest.mark.parametrize("config", [REFUSED, NO_RESP3], ids=["no tracking", "no RESP3"])
def test_refused_it_sleeps_plainly(
    start_redis: Callable[..., Any], caplog: pytest.LogCaptureFixture, config: str
) -> None:
    """It says so once, asks no more, and waits on the descriptors and the clock."""
    client = connect(f"redis://127.0.0.1:{start_redis(config=config).port}")
    waker = Waker(client, "resque:queue:", interval=0.01)
    with caplog.at_level(logging.WARNING, "clues.resque"):
        assert [waker.arm() for _ in range(3)] == [False] * 3
        waker.wait(LONG)
        waker.disarm()
    assert len(caplog.records) == 1
    assert "Redis won't wake us" in caplog.text
    assert "every 0.01 s" in caplog.text


def test_a_lost_connection_ends_the_wait_and_is_made_again(
    client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker must look at the queues, as it may have missed something."""
    now = 0.0
    waker = Waker(client, "resque:queue:", clock=lambda: now)
    with caplog.at_level(logging.WARNING, "clues.resque"):
        for _ in range(2):
            now += 6
            assert waker.arm()
            now += 6
            sleeper = _Sleeper(waker)
            client.client_kill_filter(_type="normal", skipme=True)
            assert sleeper.is_awake()
        assert waker.arm()
    assert len(caplog.records) == 1
    assert "lost the connection that wakes us" in caplog.text
    sleeper = _Sleeper(waker)
    client.rpush("resque:queue:a", "{}")
    assert sleeper.is_awake()
    waker.close()


def test_a_connection_that_never_lasts_is_not_made_all_the_time(client: redis.Redis) -> None:
    """What was lost at once is made again after the interval only, lest the worker spin."""
    now = 0.0
    waker = Waker(client, "resque:queue:", 5, clock=lambda: now)
    assert waker.arm()
    client.client_kill_filter(_type="normal", skipme=True)
    waker.wait(LONG)
    assert not waker.arm()
    now = 5.0
    assert waker.arm()
    waker.close()


def test_without_a_server_it_sleeps_plainly(client: redis.Redis, server: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Neither arming nor waiting raises, and one line tells."""
    waker = Waker(client, "resque:queue:", interval=0.01, clock=lambda: math.inf)
    server.stop()
    with caplog.at_level(logging.WARNING, "clues.resque"):
        assert [waker.arm() for _ in range(3)] == [False] * 3
        waker.wait(LONG)
    assert len(caplog.records) == 1


def test_lost_while_disarming(client: redis.Redis, waker: Waker) -> None:
    """That too is survived, and the next arming makes a new connection."""
    waker.arm()
    client.client_kill_filter(_type="normal", skipme=True)
    waker.disarm()
    waker._not_before = -math.inf
    assert waker.arm()


def test_a_forked_child_makes_its_own_connection(client: redis.Redis, waker: Waker) -> None:
    """And leaves its parent's alone, armed as it is."""
    waker.arm()
    child = os.fork()
    if child == 0:
        try:
            waker.disarm()
            told = waker.arm()
            waker.close()
            os._exit(0 if told else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(_tracking(client)) == 1
    sleeper = _Sleeper(waker)
    client.rpush("resque:queue:a", "{}")
    assert sleeper.is_awake()


def test_with_a_password_over_a_unix_socket(start_redis: Callable[..., Any], tmp_path: Path) -> None:
    """The client's settings are the waker's."""
    path = tmp_path / "socket"
    start_redis("--unixsocket", str(path), "--requirepass", "s3cret")
    client = connect(f"unix://{path}?db=3&password=s3cret")
    waker = Waker(client, "resque:queue:")
    assert waker.arm()
    sleeper = _Sleeper(waker)
    client.rpush("resque:queue:a", "{}")
    assert sleeper.is_awake()
    waker.close()
