"""``clues start``: workers by a config file in Python, in resque_starter's manner."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clues.cli.manual import WORK, Manual, command
from clues.cli.options import Namespace, RedisUrl
from clues.variables import WORKERS

_CONFIG = "clues.conf.py"

_MANUAL = Manual(
    ("clues start -c clues.conf.py", "clues start -c clues.conf.py --queues critical"),
    notes="""\
A config file:

  app = "shop.jobs"
  queues = ["critical", "default"]
  concurrency = 4
  pid_file = "tmp/clues.pid"

  def after_fork(starter, worker, nr):
      starter.logger.info("worker %d is %s", nr, worker.id)

What the command line says counts first, then the config file, then the environment. The log goes to standard output, or
where the file says (logger).

The signals are those of clues work; on HUP the config file is read again, too. docs/starter.md tells all.""",
    environment=WORKERS,
    files={"clues.conf.py": "the config file, in the present folder, if no other is named"},
    exit_status={1: "the application or the file can't be loaded, or Redis refuses", 2: "a setting is mistaken"},
)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, start, _MANUAL, WORK)


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
        str | None,
        typer.Option(
            "--queues", "-q", metavar="NAMES", help="In place of the config file's queues, and of QUEUES and QUEUE."
        ),
    ] = None,
    redis: RedisUrl = None,
    namespace: Namespace = None,
) -> None:
    """Start workers by a config file, and keep them."""
    import os
    from dataclasses import replace

    from clues.cli.application import folder, reaching_redis
    from clues.errors import ConfigError
    from clues.resque.moulds import Launch
    from clues.resque.options import Options
    from clues.resque.runner import run
    from clues.resque.worker_log import log_as_starter

    if not Path(config).is_file():
        msg = f"there is no config file {config}; name one with --config"
        raise ConfigError(msg)
    named = os.environ.get("QUEUES") or os.environ.get("QUEUE") or ""
    options = replace(Options.from_environment(os.environ), queues=_listed(named))
    launch = Launch(
        tuple(app or ()),
        config,
        redis,
        namespace,
        overrides={"queues": list(_listed(queues))} if queues else {},
        as_starter=True,
        folder=folder(),
    )
    log_as_starter(os.environ)
    with reaching_redis():
        status = run(
            launch,
            options,
            pid_file=os.environ.get("PIDFILE") or None,
            background="BACKGROUND" in os.environ,
        )
    raise typer.Exit(status)


def _listed(names: str) -> tuple[str, ...]:
    return tuple(names.rstrip(",").split(",")) if names.strip() else ()
