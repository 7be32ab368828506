"""``clues query "SQL"``: event logs as a database."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from clues.cli.manual import DEFAULT_LOG, THEN, Manual, command
from clues.cli.reading import Files, Memory, Rotated

if TYPE_CHECKING:
    from clues.analysis.database import Database

_MANUAL = Manual(
    (
        'clues query "SELECT worker_class, quantile_disc(time_to_perform, 0.95) AS p95 FROM jobs GROUP BY ALL"',
        """clues query "FROM jobs WHERE metadata->>'order_id' = '4711'" events.log events.log.*.gz --json""",
        """clues query "FROM jobs WHERE state = 'waiting' ORDER BY enqueued_at" /var/spool/clues""",
        """clues query "FROM jobs" 'logs/**/*.log.gz' --format parquet --out jobs.parquet""",
    ),
    notes="""\
Tables: events, one row for each event, and jobs, one row for each attempt of a job. DESCRIBE jobs shows the
columns; docs/analysis.md explains them. Times are in UTC, durations in seconds.""",
    environment=DEFAULT_LOG,
    exit_status={1: "a file can't be read, or the query failed", 2: "the query is mistaken"},
)

_MOST_ROWS = 1_000


class Format(StrEnum):
    """What rows are written as."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, query, _MANUAL, THEN)


def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="One query, in DuckDB's SQL.", show_default=False)],
    files: Files = None,
    *,
    form: Annotated[Format, typer.Option("--format", help="What the rows are written as.")] = Format.TABLE,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Where to; standard output if left out.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The rows as a JSON array; the same as --format json.")
    ] = False,
    rotated: Rotated = False,
    memory: Memory = "2GB",
) -> None:
    """Ask event logs in SQL: tables events and jobs, read-only."""
    from clues.analysis.needs import needs
    from clues.cli.output import quiet_pipe
    from clues.cli.query_errors import explained
    from clues.cli.reading import files_to_read, loaded, tell_what_was_read

    form = Format.JSON if as_json else _format(form, out)
    _check(form, out)
    with explained(mistaken=True):
        needed = needs(sql)
    paths = files_to_read(files, rotated=rotated)
    with explained(), loaded(paths, needed, memory) as database:
        if needed:
            tell_what_was_read(database.read)
        with quiet_pipe():
            if form is Format.TABLE:
                _print_table(database, sql)
            else:
                _write(database.write(sql, form), form, out)


def _format(form: Format, out: Path | None) -> Format:
    """What was said, else what the file's name says."""
    known = {f".{kind}": kind for kind in Format if kind is not Format.TABLE}
    return known.get(out.suffix, form) if out is not None and form is Format.TABLE else form


def _check(form: Format, out: Path | None) -> None:
    from clues.cli.output import on_terminal

    if form is Format.TABLE and out is not None:
        msg = "a file is written as csv, json or parquet; name it so, or say which by --format"
        raise typer.BadParameter(msg, param_hint="--out")
    if form is Format.PARQUET and out is None and on_terminal():
        msg = "Parquet is nothing for a terminal: name a file by --out"
        raise typer.BadParameter(msg, param_hint="--format")


def _write(written: Path, form: Format, out: Path | None) -> None:
    import sys

    if out is None:
        _pass_on(written, form, sys.stdout)
        return
    with out.open("w", encoding="utf-8", newline="") as target:
        _pass_on(written, form, target)


def _pass_on(written: Path, form: Format, target: IO[str]) -> None:
    """Pass on what was written as it is; on a terminal, and in JSON that may end on one, steering it is spelled out."""
    import shutil
    from functools import partial

    from clues.cli.output import clean, clean_json

    safe = clean_json if form is Format.JSON else partial(clean, lines=True)
    with written.open("rb") as rows:
        if form is Format.JSON or target.isatty():
            target.writelines(safe(row.decode("utf-8", "replace")) for row in rows)
        else:
            shutil.copyfileobj(rows, target.buffer)  # type: ignore[attr-defined] # both are text over bytes


def _print_table(database: Database, sql: str) -> None:
    from clues.cli.output import clean, say
    from clues.cli.query_table import print_rows

    names, rows = database.table(sql, _MOST_ROWS + 1)
    print_rows([clean(name) for name in names], rows[:_MOST_ROWS])
    if len(rows) > _MOST_ROWS:
        say(f"clues: only the first {_MOST_ROWS:,} rows are shown; --format csv or json writes all")
