"""Running a tree as a program does: pid file, background, the exit status."""

from __future__ import annotations

import logging
import os

from clues.resque.daemon import daemonize
from clues.resque.master import Master
from clues.resque.moulds import Launch
from clues.resque.options import Options
from clues.resque.status_file import PidFile

log = logging.getLogger("clues.resque")


def run(launch: Launch, options: Options, *, pid_file: str | None = None, background: bool = False) -> int:
    """Run a tree of workers until it is told to stop.

    Args:
        launch: what to load.
        options: how to work.
        pid_file: where to write the process id, without a newline; it is left there, as Resque does (PIDFILE).
        background: leave the terminal first (BACKGROUND).

    Returns:
        The exit status.

    Raises:
        ConfigError: a setting is mistaken, or a file can't be written.
        MouldError: the application can't be loaded.
        WorkerIdError: another process that lives works under our id.
        RedisError: Redis can't be reached, or refuses us, at the start.
    """
    if background:
        daemonize()
    if pid_file:
        PidFile(pid_file, newline=False).write()
    log.info("starting, master %d", os.getpid())
    return Master(launch, options).run()
