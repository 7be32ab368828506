"""``clues work``: a worker, started by hand or by Resque's environment variables."""

from __future__ import annotations

import math
from typing import Annotated

import typer

from clues.cli.options import Namespace, RedisUrl

_EXAMPLE = """\
Examples:

  clues work --app shop.jobs --queues critical,default

  QUEUES='critical,*' INTERVAL=1 clues work --app shop.initializer --app shop.jobs

Resque's environment means what it means in Resque: QUEUES, QUEUE, INTERVAL, REDIS_URL, PIDFILE, VERBOSE or LOGGING,
VVERBOSE, RESQUE_PROCLINE_PREFIX. TERM, INT and QUIT stop the worker after the job at hand."""


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

    from clues.cli.application import client_of, reaching_redis
    from clues.cli.output import say
    from clues.cli.worker_log import log_as_resque
    from clues.errors import AppError
    from clues.resque.runner import run

    _check(interval)
    client = client_of(app, redis=redis, namespace=namespace)
    if not client.registry.names():
        msg = f"{', '.join(app)} has no jobs: classes with a queue and perform, or functions under @resque.job"
        raise AppError(msg)
    log_as_resque(os.environ)
    if sys.stderr.isatty():
        say(f"working {queues} on {client.store.describe()}; Ctrl-C stops, after the job at hand")
    with reaching_redis():
        status = run(
            client,
            queues,
            interval=interval,
            pidfile=os.environ.get("PIDFILE") or None,
            title_prefix=os.environ.get("RESQUE_PROCLINE_PREFIX", ""),
        )
    raise typer.Exit(status)


def _check(interval: float) -> None:
    if not math.isfinite(interval) or interval < 0:
        msg = "must be a number of seconds, 0 or more"
        raise typer.BadParameter(msg, param_hint="--interval")
