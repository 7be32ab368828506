"""Real Redis servers, as many as a test wants; a client that counts; texts read as config files."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import redis as redis_py

from clues.demo.redis_server import free_port
from clues.resque import Resque
from clues.resque.registry import Registry
from clues.resque.starter import StarterConfig, read_config
from tests.redis_server import binary
from tests.resque.counting import Counting

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from redis import Redis

    from tests.redis_server import RedisServer
    from tests.resque.configs import Read


@dataclass
class Server:
    """A server process of a test."""

    port: int
    folder: Path
    process: subprocess.Popen[bytes]

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def stop(self) -> None:
        """Kill it, and wait until it is gone."""
        self.process.kill()
        self.process.wait()


# A cluster's bus has the port that is higher by 10,000.
_HIGHEST = 55_535


def _free_port() -> int:
    port = _HIGHEST + 1
    while port > _HIGHEST:
        port = free_port()
    return port


def _wait_for(server: Server) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", server.port)) == 0 and _works_off(probe):
                return
        if server.process.poll() is not None:
            break
        time.sleep(0.02)
    pytest.fail(f"redis-server did not start: {(server.folder / 'log').read_text()[-800:]}")


def _works_off(probe: socket.socket) -> bool:
    """Whether it has all its sockets by now: connections are taken before, and of a port for TLS it closes ours."""
    probe.settimeout(20)
    with contextlib.suppress(ConnectionError):
        probe.sendall(b"PING\r\n")
        probe.recv(1)
    return True


@pytest.fixture
def start_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Start servers, each on a port of its own (``{port}`` in the arguments), and kill them after the test."""
    program = binary()
    running: list[Server] = []

    def start(*arguments: str, port: int | None = None, config: str | None = None) -> Server:
        port = port or _free_port()
        folder = tmp_path_factory.mktemp("redis")
        (folder / "redis.conf").write_text((config if config is not None else "port {port}\n").format(port=port))
        given = [word.format(port=port) for word in arguments]
        fixed = ["--dir", str(folder), "--logfile", str(folder / "log")]
        command = [program, str(folder / "redis.conf"), *fixed, *given]
        running.append(Server(port, folder, subprocess.Popen(command)))
        _wait_for(running[-1])
        return running[-1]

    yield start
    for server in running:
        server.stop()


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """Read a text as a config file; the import path is put back after the test."""
    monkeypatch.setattr(sys, "path", [*sys.path])

    def read(text: str) -> StarterConfig:
        place = tmp_path / "clues.conf.py"
        place.write_text(text)
        return read_config(place)

    return read


@pytest.fixture
def counted(redis_server: RedisServer, redis: Redis) -> Iterator[Resque]:
    """A client that counts its round trips, already connected."""
    pool = redis_py.ConnectionPool(connection_class=Counting, host="127.0.0.1", port=redis_server.port)
    counted = Resque(redis_py.Redis(connection_pool=pool), registry=Registry())
    counted.size("warm")
    counted.store.get_ready()
    Counting.sent = 0
    yield counted
    pool.disconnect()
