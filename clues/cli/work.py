"""``clues work``: a worker, started by hand or by Resque's environment variables."""

from __future__ import annotations

import math
from typing import Annotated

import typer

from clues.cli.options import Namespace, RedisUrl

_EXAMPLE = """\
Examples:

  clues work --app shop.jobs --queues critical,default

  QUEUES='critical,*' WORKER_COUNT=4 JOBS_PER_FORK=100 clues work --app shop.initializer --app shop.jobs

Resque's environment means what it means in Resque: QUEUES, QUEUE, INTERVAL, MIN_INTERVAL, MAX_INTERVAL,
BACKOFF_INTERVAL, FORK_PER_JOB, TERM_CHILD, GRACEFUL_TERM, RESQUE_TERM_TIMEOUT, RESQUE_PRE_SHUTDOWN_TIMEOUT, PIDFILE,
BACKGROUND, RUN_AT_EXIT_HOOKS, COUNT, FAILURE_BACKEND, VERBOSE or LOGGING, VVERBOSE, RESQUE_PROCLINE_PREFIX. Besides:
REDIS_URL; WORKER_COUNT processes of THREAD_COUNT threads, replaced after JOBS_PER_FORK jobs (1, 1 and 1); BATCH_SIZE
jobs taken at once (1); HEARTBEAT_INTERVAL_SECONDS (2), HEARTBEATS_BEFORE_DEAD (25).

Signals: QUIT stops after the running jobs; TERM and INT stop now; USR1 kills the running jobs and goes on; USR2 takes
no more jobs, CONT takes them again; TTIN and TTOU: one worker process more, or fewer; HUP: new code, gracefully."""


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=_EXAMPLE)(work)


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
