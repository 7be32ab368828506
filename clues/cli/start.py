"""``clues start``: workers by a config file in Python, in resque_starter's manner."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clues.cli.options import Namespace, RedisUrl

_CONFIG = "clues.conf.py"

_EXAMPLE = """\
Examples:

  clues start -c clues.conf.py

  clues start -c clues.conf.py --queues critical

A config file:

  app = "shop.jobs"
  queues = ["critical", "default"]
  concurrency = 4
  pid_file = "tmp/clues.pid"

  def after_fork(starter, worker, nr):
      starter.logger.info("worker %d is %s", nr, worker.id)

What the command line says counts first, then the config file, then the environment, as with clues work; the signals are
the same too: QUIT, TERM, INT, USR1, USR2, CONT, TTIN, TTOU, and HUP for new code and a new config."""


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=_EXAMPLE)(start)


def start(
    *,
    config: Annotated[
        str, typer.Option("--config", "-c", metavar="FILE", help="The config file, in Python.")
    ] = _CONFIG,
    app: Annotated[
        list[str] | None,
        typer.Option("--app", "-a", metavar="MODULE", help="Module to load besides those that the config file names."),
    ] = None,
    queues: Annotated[
        str | None, typer.Option("--queues", "-q", metavar="NAMES", help="In place of the config file's.")
    ] = None,
    redis: RedisUrl = None,
    namespace: Namespace = None,
) -> None:
    """Start workers by a config file, and keep them."""
    import os
    from dataclasses import replace

    from clues.cli.application import reaching_redis
    from clues.errors import ConfigError
    from clues.resque.moulds import Launch
    from clues.resque.options import Options
    from clues.resque.runner import run
    from clues.resque.worker_log import log_as_starter

    if not Path(config).is_file():
        msg = f"there is no config file {config}; name one with --config"
        raise ConfigError(msg)
    log_as_starter()
    wanted = os.environ.get("QUEUES") or os.environ.get("QUEUE") or ""
    options = replace(Options.from_environment(os.environ), queues=_listed(wanted))
    launch = Launch(
        tuple(app or ()),
        str(Path(config).absolute()),
        redis,
        namespace,
        overrides={"queues": list(_listed(queues))} if queues else {},
        as_starter=True,
    )
    with reaching_redis():
        status = run(
            launch,
            options,
            pid_file=os.environ.get("PIDFILE") or None,
            background="BACKGROUND" in os.environ,
        )
    raise typer.Exit(status)


def _listed(names: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in names.split(",") if name.strip())
