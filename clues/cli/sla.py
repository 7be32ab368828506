"""``clues sla "queue=mailers time_in_queue p95 < 30s"``: were promises kept?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clues.cli.manual import DEFAULT_LOG, THEN, Manual, command
from clues.cli.reading import Classes, Memory, Queues, Rotated, Since, Systems, Until

if TYPE_CHECKING:
    from clues.analysis.promises import Promise
    from clues.analysis.sla import Verdict

_MANUAL = Manual(
    (
        'clues sla "queue=mailers time_in_queue p95 < 30s" "class=Pdf* time_to_perform p99 <= 2m" "failure_ratio < 1%"',
        'clues sla --since 1h "metadata.plan=pro time_in_queue p99.9 < 5s" /var/log/clues.log --json',
    ),
    notes="""\
A promise is: conditions, what is measured, a comparison, a limit.

  conditions  queue=… class=… system=… host=… exception=… metadata.<key>=…
              != for all others; * is any text; "quotes" for spaces
  times       time_in_queue, time_to_perform, each with p50, p95, p99.9, …, min, max or mean
              limits in us ms s m h d
  shares      failure_ratio (failed for good, of all that ended)
              retry_ratio (of the attempts that ended); 1% or 0.01
  numbers     enqueued finished failed retried destroyed waiting unfinished

Percentiles are exact (nearest rank), and of all attempts, failures included.""",
    environment=DEFAULT_LOG,
    exit_status={
        0: "all were kept",
        1: "one was broken, or nothing was there to measure (see --allow-no-data)",
        2: "one is mistaken",
    },
)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, sla, _MANUAL, THEN)


def sla(
    promises: Annotated[
        list[str],
        typer.Argument(
            metavar="PROMISE... [FILE...]",
            help="What was promised; and event logs, plain or .gz, patterns, spool folders: the log of "
            "CLUES_PUBLISHERS and all that it was rotated into if left out.",
            show_default=False,
        ),
    ],
    *,
    since: Since = None,
    until: Until = None,
    queues: Queues = None,
    classes: Classes = None,
    systems: Systems = None,
    allow_no_data: Annotated[
        bool, typer.Option("--allow-no-data", help="Nothing to measure breaks no promise.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The verdicts as one JSON object.")] = False,
    rotated: Rotated = False,
    memory: Memory = "2GB",
) -> None:
    """Check promises on times in queue, run times and failures."""
    from clues.analysis.needs import needs
    from clues.analysis.sla import BROKEN, NO_DATA, gathering, judge
    from clues.cli.output import quiet_pipe
    from clues.cli.query_errors import explained
    from clues.cli.reading import chosen, files_to_read, loaded, tell_what_was_read

    files = [Path(given) for given in promises if _is_file(given)]
    promised = [_parsed(given) for given in promises if not _is_file(given)]
    if not promised:
        msg = "what was promised? say, 'time_in_queue p95 < 30s'"
        raise typer.BadParameter(msg, param_hint="PROMISE")
    choice = chosen(since, until, queues, classes, systems)
    paths = files_to_read(files, rotated=rotated)
    with explained(), loaded(paths, needs(gathering(promised, choice)), memory) as database:
        verdicts = judge(database, promised, choice)
        read = database.read
    broken = {BROKEN} if allow_no_data else {BROKEN, NO_DATA}
    kept = not any(verdict.outcome in broken for verdict in verdicts)
    with quiet_pipe():
        if as_json:
            _print_json(
                {
                    "kept": kept,
                    "promises": [verdict.as_dict() for verdict in verdicts],
                    "chosen": choice.as_dict(),
                    "read": read.as_dict(),
                }
            )
        else:
            tell_what_was_read(read)
            _print(verdicts)
    if not kept:
        raise typer.Exit(1)


def _is_file(given: str) -> bool:
    """Promises compare; what doesn't is a log's name, unless it speaks of what is measured."""
    from clues.analysis.promises import MEASURES

    return not {"<", ">"} & set(given) and (Path(given).exists() or not any(word in given for word in MEASURES))


def _parsed(text: str) -> Promise:
    from clues.analysis.promises import parse
    from clues.cli.output import clean, say_error
    from clues.errors import PromiseError

    try:
        return parse(text)
    except PromiseError as error:
        import sys

        say_error(error)
        shown = clean(text.replace("\n", " ").replace("\t", " "))
        print(f"  {shown}\n  {' ' * error.place}^", file=sys.stderr)
        raise typer.Exit(2) from error


def _print(verdicts: list[Verdict]) -> None:
    from rich.text import Text

    from clues.analysis.sla import BROKEN, KEPT, NO_DATA
    from clues.cli.output import clean
    from clues.cli.tables import plain_table, print_table

    styles = {KEPT: "green", BROKEN: "bold red", NO_DATA: "yellow"}
    table = plain_table()
    for heading in ("", "promise"):
        table.add_column(heading)
    for heading in ("found", "of jobs"):
        table.add_column(heading, justify="right")
    for verdict in verdicts:
        outcome = Text(verdict.outcome, style=styles[verdict.outcome])
        table.add_row(outcome, Text(clean(verdict.promise.text)), Text(value_text(verdict)), f"{verdict.jobs:,}")
    print_table(table)


def value_text(verdict: Verdict) -> str:
    """What was measured, as people write it."""
    from clues.analysis.promises import DURATIONS, RATIOS
    from clues.cli.words import seconds

    if verdict.value is None:
        return "-"
    if verdict.promise.measure in DURATIONS:
        return seconds(verdict.value)
    return f"{verdict.value:.3%}" if verdict.promise.measure in RATIOS else f"{verdict.value:,.0f}"


def _print_json(found: object) -> None:
    import json

    from clues.cli.output import clean_json

    text = json.dumps(found, indent=2, ensure_ascii=False, default=str)
    print(clean_json(text))
