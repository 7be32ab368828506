"""The options of ``clues failed``: which failures are meant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from clues.resque.stored_failure import FailureFilter

Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="INDEX",
        help="Failures by their index or id, as clues failed list shows them, or by their job's hash, of which the "
        "first 8 digits will do: its latest failure.",
    ),
]
ListName = Annotated[
    str | None,
    typer.Option("--list", metavar="NAME", help="Only this list, or this queue's; all lists if left out."),
]
Classes = Annotated[list[str] | None, typer.Option("--class", metavar="CLASS", help="Only jobs of these classes.")]
Queues = Annotated[list[str] | None, typer.Option("--queue", metavar="QUEUE", help="Only jobs of these queues.")]
Exceptions = Annotated[
    list[str] | None, typer.Option("--exception", metavar="NAME", help="Only these errors, by their class' name.")
]
Since = Annotated[
    str | None, typer.Option("--since", metavar="WHEN", help="Failed since: 2h, 30m, 3d (ago), or an ISO time.")
]
Until = Annotated[str | None, typer.Option("--until", metavar="WHEN", help="Failed until; as --since.")]
Retried = Annotated[
    bool | None, typer.Option("--retried/--not-retried", help="Only those that were retried, or were not.")
]
Limit = Annotated[int | None, typer.Option("--limit", "-n", min=1, help="At most so many, the newest.")]

Everything = Annotated[bool, typer.Option("--all", help="All of them.")]


def filter_of(
    classes: Sequence[str] | None,
    queues: Sequence[str] | None,
    exceptions: Sequence[str] | None,
    since: str | None,
    until: str | None,
    *,
    retried: bool | None,
) -> FailureFilter:
    """The filter that these options make.

    Raises:
        typer.BadParameter: a time is none, or the times are the wrong way round.
    """
    from clues.cli.moments import moment
    from clues.resque.stored_failure import FailureFilter

    begin, end = moment(since, "--since"), moment(until, "--until")
    if begin is not None and end is not None and begin > end:
        msg = "it is later than --until"
        raise typer.BadParameter(msg, param_hint="--since")
    return FailureFilter(tuple(classes or ()), tuple(queues or ()), tuple(exceptions or ()), begin, end, retried)


def check_choice(names: Sequence[str], wanted: FailureFilter, *, everything: bool, limit: int | None) -> None:
    """See that failures are either named or selected.

    Raises:
        typer.BadParameter: both, or neither.
    """
    if names and (wanted or everything or limit):
        msg = "name failures, or select them with filters, not both"
        raise typer.BadParameter(msg, param_hint="INDEX")
    if not (names or wanted or everything):
        msg = "say which failures: by INDEX, by a filter such as --class or --since, or --all"
        raise typer.BadParameter(msg, param_hint="INDEX")
