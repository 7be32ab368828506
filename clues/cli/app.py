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

app = typer.Typer(
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


@app.callback(epilog="New here? Try:  clues demo")
def clues(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """See what happens to every background job."""


for part in (
    demo,
    work,
    start,
    enqueue,
    queues,
    workers,
    pause,
    failed,
    tail,
    trace,
    web,
    query,
    report,
    sla,
    compare,
    ship,
    setup,
    doctor,
):
    part.add_to(app)
