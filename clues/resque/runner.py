"""Running a worker as a program does: signals, pid file, the exit status."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from clues import config
from clues.errors import ConfigError
from clues.resque.client import Resque
from clues.resque.signals import stopping_on_signals
from clues.resque.worker import Worker


def run(
    client: Resque,
    queues: str | Iterable[str],
    *,
    interval: float = 5.0,
    pidfile: str | None = None,
    title_prefix: str = "",
) -> int:
    """Work queues in this process until TERM, INT or QUIT: each finishes the running job first.

    Args:
        client: where the jobs are.
        queues: names and patterns in order of priority.
        interval: the longest wait between two looks at the queues, in seconds; 0 ends when they are empty.
        pidfile: where to write the process id, without a newline; it is left there, as Resque does.
        title_prefix: what stands before the process title.

    Returns:
        The exit status: 0.

    Raises:
        ConfigError: the pid file can't be written.
    """
    config.configure_from_environment()
    worker = Worker(client, queues, interval=interval, title_prefix=title_prefix)
    if pidfile:
        _write_pid(pidfile)

    def stop(signal_name: str) -> None:
        worker.stop()
        if worker.busy:
            # Straight to the descriptor: a handler may have interrupted the very logging that it would call.
            with contextlib.suppress(OSError):
                os.write(2, f"*** {signal_name}: {worker.id} finishes its job, then stops\n".encode())

    with stopping_on_signals(stop):
        worker.work()
    return 0


def _write_pid(path: str) -> None:
    try:
        Path(path).write_text(str(os.getpid()))
    except OSError as error:
        msg = f"can't write the pid file {path}: {error.strerror or error}"
        raise ConfigError(msg) from error
