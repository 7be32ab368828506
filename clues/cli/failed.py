"""``clues failed``: the failures that Redis keeps, to look at, to retry, to remove."""

from __future__ import annotations

import typer

from clues.cli import failed_clear, failed_list, failed_retry
from clues.cli.manual import NOW, Manual, group_of, variables

_MANUAL = Manual(
    (
        "clues failed list --class ChargeCard --since 2h",
        "clues failed show 17",
        "clues failed retry --exception TimeoutError --since 30m",
        "clues failed clear --until 30d --yes",
    ),
    notes="An index is a place in the list, and moves when others remove; an id, eight letters, names one for good.",
    environment=variables("REDIS_URL"),
    exit_status={1: "there is no such failure, or Redis can't be reached"},
)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    failed = typer.Typer(
        cls=group_of(_MANUAL), no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]}
    )
    for part in (failed_list, failed_retry, failed_clear):
        part.add_to(failed)
    app.add_typer(failed, name="failed", help="Look at failed jobs, retry them, remove them.", rich_help_panel=NOW)
