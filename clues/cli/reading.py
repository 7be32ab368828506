"""Event logs as commands of the analysis name them, and what is told of their reading."""

from __future__ import annotations

import signal
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from clues.analysis.database import Database, Read
    from clues.analysis.selecting import Chosen

Files = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="FILE",
        help="Event logs, plain or .gz, patterns, spool folders; the log of CLUES_PUBLISHERS and all that it was "
        "rotated into if left out.",
        show_default=False,
    ),
]
Rotated = Annotated[
    bool, typer.Option("--rotated", help="With each FILE all that it was rotated into: FILE.1, FILE.2.gz, …")
]
Memory = Annotated[
    str, typer.Option("--memory", metavar="SIZE", help="What the database may use before it goes on on disk.")
]
Since = Annotated[
    str | None, typer.Option("--since", metavar="TIME", help="Jobs that ended since: 2h (ago), 3d, or an ISO time.")
]
Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="Jobs that ended before.")]
Queues = Annotated[list[str] | None, typer.Option("--queue", metavar="QUEUE", help="Only this queue; * is any text.")]
Classes = Annotated[list[str] | None, typer.Option("--class", metavar="CLASS", help="Only this class; * is any text.")]
Systems = Annotated[
    list[str] | None, typer.Option("--system", metavar="SYSTEM", help="Only this job system: resque, celery, rq, …")
]


def chosen(
    since: str | None,
    until: str | None,
    queues: Sequence[str] | None,
    classes: Sequence[str] | None,
    systems: Sequence[str] | None,
) -> Chosen:
    """The job attempts that the options mean."""
    from clues.analysis.selecting import Chosen
    from clues.cli.moments import moment

    return Chosen(
        moment(since, "--since"),
        moment(until, "--until"),
        tuple(queues or ()),
        tuple(classes or ()),
        tuple(systems or ()),
    )


def files_to_read(files: list[Path] | None, *, rotated: bool) -> list[Path]:
    """The files that were named, else the default log with all that it was rotated into."""
    from clues.analysis.sources import found
    from clues.cli.logs import default_log

    return found(files or [default_log()], rotated=rotated or not files)


@contextmanager
def loaded(files: Sequence[Path], needed: frozenset[str], memory: str) -> Generator[Database]:
    """A database that holds what is needed of the files."""
    from clues.analysis.database import Database
    from clues.cli.progress import reading_progress

    with _ended_by_signals(), Database(memory=memory) as database:
        with reading_progress(files) as progress:
            database.load(files, needed=needed, progress=progress)
        yield database


@contextmanager
def _ended_by_signals() -> Generator[None]:
    """TERM and HUP end the block as Ctrl-C does, so that its temporary folder goes with it."""

    def end(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_IGN)  # it ends already
        raise SystemExit(128 + number)

    ours = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def tell_what_was_read(read: Read) -> None:
    """Say it beside the output; the bad lines that are kept, each with its place."""
    from clues.cli.output import say

    copies = f", {read.copies:,} copies left out" if read.copies else ""
    bad = {0: "", 1: ", 1 line was no event"}.get(read.bad, f", {read.bad:,} lines were no events")
    say(f"read {read.events:,} events from {_files(read.files)}{copies}{bad}")
    for line in read.samples:
        where = line.source if line.number is None else f"{line.source}:{line.number}"
        say(f"  {where}: {line.text or line.reason}")


def _files(names: Sequence[str]) -> str:
    most = 3
    shown = ", ".join(names[:most]) or "no file"
    return shown if len(names) <= most else f"{shown} and {len(names) - most:,} more files"
