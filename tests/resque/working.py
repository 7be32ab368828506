"""Workers in threads, and worker processes, for tests."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from clues.resque import Resque
from clues.resque.worker import Worker
from tests.waiting import wait_for


class Running:
    """A worker at work in a thread, until the block ends, which begins when it has started up.

    Attributes:
        titles: the process titles that it has shown.
        error: what its `work` raised.
    """

    def __init__(self, client: Resque, queues: str = "q", *, wait: bool = True, **options: Any) -> None:
        self.worker = Worker(client, queues, **{"interval": 60, **options})
        self.worker._show = self._note  # type: ignore[method-assign]
        self.titles: list[str] = []
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._work)
        self._wait = wait

    def _note(self, text: str) -> None:
        self.titles.append(text)

    def _work(self) -> None:
        try:
            self.worker.work()
        except BaseException as error:
            self.error = error

    def __enter__(self) -> Self:
        self.thread.start()
        if self._wait:
            wait_for(lambda: len(self.titles) > 1 or self.error, "the worker's start")
        return self

    def __exit__(self, *_: object) -> None:
        self.worker.stop()
        self.thread.join(60)
        assert not self.thread.is_alive()


class Latch:
    """A job that says when it has begun, and goes on when told."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.count = 0

    def __call__(self, *_args: Any) -> None:
        self.count += 1
        self.begun.set()
        assert self.go_on.wait(60)


@contextmanager
def process(folder: Path, app: str, *args: str, **environ: str) -> Iterator[subprocess.Popen[bytes]]:
    """A real ``clues work`` on an application's text; killed at the block's end if it is still there."""
    (folder / "app.py").write_text(app)
    inherited = {name: value for name, value in os.environ.items() if name not in {"QUEUE", "QUEUES", "INTERVAL"}}
    command = [sys.executable, "-m", "clues", "work", "--app", "app", *args]
    with (folder / "log").open("ab") as log:
        started = subprocess.Popen(command, cwd=folder, env={**inherited, "VVERBOSE": "1", **environ}, stderr=log)
    try:
        yield started
    finally:
        if started.poll() is None:
            started.kill()
        started.wait(30)


def title(pid: int) -> str:
    """A process's title, as `ps` shows it."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()


def wait_for_title(pid: int, words: str) -> None:
    """Until a process is titled so."""
    wait_for(lambda: words in title(pid), f"the title {words!r}")
