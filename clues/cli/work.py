"""``clues work``: a worker, started by hand or by Resque's environment variables."""

from __future__ import annotations

import math
from typing import Annotated

import typer

from clues.cli.manual import WORK, Manual, command
from clues.cli.options import Namespace, RedisUrl
from clues.variables import WORKERS

_MANUAL = Manual(
    (
        "clues work --app shop.jobs --queues critical,default",
        "QUEUES='critical,*' WORKER_COUNT=4 JOBS_PER_FORK=100 clues work --app shop.initializer --app shop.jobs",
    ),
    notes="""\
Resque's variables mean what they mean in Resque. Signals:

  QUIT          stop after the running jobs
  TERM, INT     stop now
  USR1          kill the running jobs, and go on
  USR2, CONT    take no more jobs; take them again
  TTIN, TTOU    one worker process more; one fewer
  HUP           new code, one worker at a time""",
    environment=WORKERS,
    exit_status={1: "the application can't be loaded, or Redis refuses", 2: "a variable or an option is mistaken"},
)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, work, _MANUAL, WORK)


def work(
    app: Annotated[
        list[str],
        typer.Option("--app", "-a", metavar="MODULE", help="Module of the application: its jobs, its initializer."),
    ],
    queues: Annotated[
        str,
        typer.Option(
            "--queues",
            "-q",
            envvar=["QUEUES", "QUEUE"],
            show_envvar=False,
            metavar="NAMES",
            help="Names and patterns, in order of priority: critical,mail_*,* (or QUEUES, QUEUE).",
        ),
    ],
    *,
    interval: Annotated[
        float,
        typer.Option("--interval", envvar="INTERVAL", help="Longest wait between two looks; 0 ends when all is empty."),
    ] = 5.0,
    redis: RedisUrl = None,
    namespace: Namespace = None,
) -> None:
    """Work queues until told to stop."""
    import os
    import sys
    from dataclasses import replace

    from clues.cli.application import folder, reaching_redis
    from clues.cli.output import say
    from clues.resque.moulds import Launch
    from clues.resque.options import Options
    from clues.resque.queues import QueueList
    from clues.resque.runner import run
    from clues.resque.worker_log import log_as_resque

    _check(interval)
    polled = QueueList(queues)
    options = replace(Options.from_environment(os.environ), queues=tuple(queues.split(",")), interval=interval)
    log_as_resque(os.environ)
    if sys.stderr.isatty():
        say(f"working {polled.id_part}; Ctrl-C stops now, QUIT (Ctrl-\\) after the jobs at hand")
    with reaching_redis():
        status = run(
            Launch(tuple(app), redis=redis, namespace=namespace, folder=folder()),
            options,
            pid_file=os.environ.get("PIDFILE") or None,
            background="BACKGROUND" in os.environ,
        )
    raise typer.Exit(status)


def _check(interval: float) -> None:
    if not math.isfinite(interval) or interval < 0:
        msg = "must be a number of seconds, 0 or more"
        raise typer.BadParameter(msg, param_hint="--interval")
