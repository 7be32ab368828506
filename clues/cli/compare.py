"""``clues compare A B``: what got slower, or fails more?"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clues.cli.manual import DEFAULT_LOG, THEN, Manual, command
from clues.cli.reading import Classes, Memory, Queues, Rotated, Since, Systems, Until

if TYPE_CHECKING:
    from rich.text import Text

    from clues.analysis.compare import Difference, Side
    from clues.analysis.database import Read

_MANUAL = Manual(
    (
        "clues compare before.log after.log",
        "clues compare 'monday/*.log.gz' 'tuesday/*.log.gz' --fail-on worse --json",
        "clues compare --split 2026-11-20T15:00",
        "clues compare --split 2h /var/log/clues.log --rotated",
    ),
    notes="""\
Two sets of logs, each a file, a pattern or a spool folder; or any number of them that --split divides at a
deploy.

A class is called slower where its p50, p95 or p99 rose by --threshold, and by more than chance explains (the intervals
of 99 % confidence don't overlap; a percentile of few values proves nothing). It fails more where Fisher's exact test
says so at 1 %.""",
    environment=DEFAULT_LOG,
    exit_status={1: "--fail-on found something, or a file can't be read"},
)


class FailOn(StrEnum):
    """What ends the command with 1."""

    SLOWER = "slower"
    FAILING = "failing"
    WORSE = "worse"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, compare, _MANUAL, THEN)


def compare(
    logs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="A B",
            help="Event logs, before and after. With --split, any; the log of CLUES_PUBLISHERS and all that it was "
            "rotated into if left out.",
            show_default=False,
        ),
    ] = None,
    *,
    split: Annotated[
        str | None, typer.Option("--split", metavar="TIME", help="Before and after then: 2h (ago), or an ISO time.")
    ] = None,
    since: Since = None,
    until: Until = None,
    queues: Queues = None,
    classes: Classes = None,
    systems: Systems = None,
    threshold: Annotated[
        float, typer.Option(metavar="SHARE", min=0.0, help="By how much a time must have changed; 0.1 is ten percent.")
    ] = 0.1,
    fail_on: Annotated[
        FailOn | None, typer.Option("--fail-on", help="Leave with 1 where a class is slower, fails more, or either.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The classes as one JSON object.")] = False,
    rotated: Rotated = False,
    memory: Memory = "2GB",
) -> None:
    """Compare two sets of logs: what got slower, or fails more."""
    from clues.analysis.compare import FAILS_MORE, SLOWER, WORSE, differences
    from clues.cli.output import quiet_pipe
    from clues.cli.reading import chosen, tell_what_was_read

    choice = chosen(since, until, queues, classes, systems)
    before, after, read = _sides(logs or [], split, choice.sql(), rotated=rotated, memory=memory)
    found = differences(before, after, threshold)
    with quiet_pipe():
        if as_json:
            _print_json(found, read)
        else:
            for one in read:
                tell_what_was_read(one)
            _print(found)
    bad = {None: frozenset[str](), FailOn.SLOWER: {SLOWER}, FailOn.FAILING: {FAILS_MORE}, FailOn.WORSE: WORSE}[fail_on]
    if any(bad & set(one.findings) for one in found):
        raise typer.Exit(1)


_Sides = dict[str | None, "Side"]


def _sides(
    logs: list[Path], split: str | None, chosen: str, *, rotated: bool, memory: str
) -> tuple[_Sides, _Sides, list[Read]]:
    """The classes before and after, and what was read."""
    from clues.analysis.compare import gathering, sides
    from clues.analysis.needs import needs
    from clues.cli.query_errors import explained
    from clues.cli.reading import files_to_read, loaded

    gather = gathering(chosen)
    if split is None:
        if len(logs) != 2:  # noqa: PLR2004 - before and after
            msg = "name two: before and after (quote patterns), or divide one log by --split"
            raise typer.BadParameter(msg, param_hint="A B")
        sets = [files_to_read([log], rotated=rotated) for log in logs]
        found, read = [], []
        for files in sets:
            with explained(), loaded(files, needs(gather), memory) as database:
                database.run(f"CREATE TEMP TABLE attempts AS {gather}")
                found.append(sides(database, "attempts"))
                read.append(database.read)
        return found[0], found[1], read
    from clues.analysis.selecting import at
    from clues.cli.moments import moment

    then = at(moment(split, "--split") or 0.0)
    with explained(), loaded(files_to_read(logs, rotated=rotated), needs(gather), memory) as database:
        database.run(f"CREATE TEMP TABLE attempts AS {gather}")
        return (
            sides(database, f"(FROM attempts WHERE last_at < {then})"),
            sides(database, f"(FROM attempts WHERE last_at >= {then})"),
            [database.read],
        )


def _print(found: list[Difference]) -> None:
    from rich.text import Text

    from clues.analysis.compare import PERCENTS
    from clues.cli.output import clean
    from clues.cli.tables import on_one_line, plain_table, print_table

    table = plain_table()
    table.add_column("class")
    table.add_column("")
    for heading in ("jobs", "failed", *(f"p{percent}" for percent in PERCENTS)):
        table.add_column(heading, justify="right")
    for one in found:
        table.add_row(
            on_one_line(Text(clean(one.worker_class or "?"))),
            _findings(one),
            Text(f"{one.before.ended:,} → {one.after.ended:,}"),
            Text(f"{_share(one.before)} → {_share(one.after)}"),
            *(_times(one, percent) for percent in PERCENTS),
        )
    print_table(table)


def _findings(one: Difference) -> Text:
    from rich.text import Text

    from clues.analysis.compare import WORSE

    text = Text()
    for finding in one.findings:
        text.append(", " if text else "")
        text.append(finding, style="bold red" if finding in WORSE else "green")
    return text or Text("same", style="dim")


def _share(side: Side) -> str:
    return "-" if side.failure_ratio is None else f"{side.failure_ratio:.2%}"


def _times(one: Difference, percent: int) -> Text:
    from rich.text import Text

    from clues.cli.words import seconds

    before, after = (side.percentiles.get(percent) for side in (one.before, one.after))
    told = [seconds(None if side is None else side.value) for side in (before, after)]
    shown = " → ".join(told)
    factor = one.slower_by.get(percent)
    return Text(shown, style="" if factor is None else "bold red" if factor > 1 else "green")


def _print_json(found: list[Difference], read: list[Read]) -> None:
    import json

    from clues.cli.output import clean_json

    told = {"classes": [one.as_dict() for one in found], "read": [one.as_dict() for one in read]}
    text = json.dumps(told, indent=2, ensure_ascii=False)
    print(clean_json(text))
