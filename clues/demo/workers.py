"""The demo's workers: real ``clues work`` processes."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from clues.demo.children import Child

QUEUES = "payments,orders,mail,search,images,pdf"
MODULES = ("clues.demo.initializer", "clues.demo.jobs")

_TO_FINISH, _TO_STOP = 1.5, 0.5


class Workers:
    """Worker processes, all on the same queues. They end in this order, with a time limit for each rung.

    1. *quit*: each finishes its job and leaves (1.5 seconds: the longest job takes one);
    2. *terminate* those that are left (0.5 seconds);
    3. *kill* the rest.
    """

    def __init__(self, count: int, *, redis: str, events: Path, log: Path) -> None:
        """Start them.

        Args:
            count: how many.
            redis: the URL of the Redis to work on.
            events: where they publish.
            log: where their own output goes.
        """
        environ = worker_environment(os.environ, redis=redis, events=events)
        self._children: list[Child] = []
        with log.open("ab") as output:
            for _ in range(count):
                self._children.append(Child(_command(), output=output, environ=environ))

    def __enter__(self) -> Self:
        """Work within a ``with`` block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    @property
    def running(self) -> int:
        """How many are alive."""
        return sum(child.status is None for child in self._children)

    def stop(self) -> None:
        """End them all, in the order above; a second call does nothing."""
        for number, seconds in ((signal.SIGQUIT, _TO_FINISH), (signal.SIGTERM, _TO_STOP)):
            self._signal(number)
            self._wait(seconds)
        for child in self._children:
            child.kill()
        self._children = []

    def _signal(self, number: signal.Signals) -> None:
        for child in self._children:
            child.signal(number)

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        self._children = [child for child in self._children if not child.wait(deadline - time.monotonic())]


def worker_environment(environ: Mapping[str, str], *, redis: str, events: Path) -> dict[str, str]:
    """Our environment, with the demo's Redis and log in place of what a real application uses."""
    resques = {"QUEUE", "QUEUES", "INTERVAL", "PIDFILE", "RESQUE_PROCLINE_PREFIX", "STATSD_HOST"}
    kept = {name: value for name, value in environ.items() if name not in resques}
    return {**kept, "REDIS_URL": redis, "CLUES_PUBLISHERS": log_url(events)}


def log_url(path: Path) -> str:
    """The publisher URL of an event log."""
    return f"log://{quote(str(path.absolute()))}"


def _command() -> list[str]:
    apps = [part for module in MODULES for part in ("--app", module)]
    return [sys.executable, "-m", "clues", "work", *apps, "--queues", QUEUES, "--interval", "1"]
