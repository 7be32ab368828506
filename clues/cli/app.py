"""The command ``clues`` and its subcommands."""

from __future__ import annotations

from typing import Annotated

import typer

from clues import __version__
from clues.cli import (
    compare,
    demo,
    doctor,
    enqueue,
    failed,
    pause,
    query,
    queues,
    report,
    setup,
    ship,
    sla,
    start,
    tail,
    trace,
    web,
    work,
    workers,
)
from clues.cli.manual import Manual, group_of, variables
from clues.cli.mistakes import told_safely

_MANUAL = Manual(
    ("clues demo", "clues doctor", "clues tail --follow", "clues trace 0695f49c", "clues COMMAND --help"),
    notes="""\
New here? clues demo shows it all, on a Redis of its own.

Most commands that look have --json. Which Redis: --redis, else the application's, else REDIS_URL. Which event log: what
is named, else the first log:// of CLUES_PUBLISHERS.""",
    environment=variables("CLUES_PUBLISHERS", "CLUES_SPOOL", "REDIS_URL", "NO_COLOR"),
    exit_status={1: "what was asked for was not found, or failed"},
)

app = typer.Typer(
    cls=told_safely(group_of(_MANUAL)),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(f"clues {__version__}")
        raise typer.Exit


@app.callback()
def clues(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """See what happens to every background job."""


for part in (
    demo,
    doctor,
    work,
    start,
    enqueue,
    pause,
    queues,
    workers,
    failed,
    web,
    tail,
    trace,
    report,
    query,
    sla,
    compare,
    ship,
    setup,
):
    part.add_to(app)
