"""``clues trace HASH``: one job's timeline; the job system's own id names a job as well."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clues.cli.manual import DEFAULT_LOG, THEN, Manual, command, variables

if TYPE_CHECKING:
    from clues.analysis.reader import Reader
    from clues.analysis.story import Timeline

_MANUAL = Manual(
    ("clues trace 0695f49c", "clues trace 0695f49c events.log events.log.1.gz --json | jq '.attempts[].outcome'"),
    notes="A job is named by the first digits of its hash, or by its own system's id.",
    environment=DEFAULT_LOG | variables("NO_COLOR"),
    exit_status={1: "there is no such job in the logs, or they can't be read"},
)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, trace, _MANUAL, THEN)


def trace(
    event_hash: Annotated[
        str,
        typer.Argument(
            metavar="HASH",
            help="The job's hash, or the id that its system gave it; the first 6 digits may do.",
            show_default=False,
        ),
    ],
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE",
            help="Event logs, plain or .gz; the log of CLUES_PUBLISHERS and all that it was rotated into if left out.",
        ),
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="The timeline as one JSON object.")] = False,
) -> None:
    """Tell one job's life, and which jobs it enqueued."""
    from clues.analysis.reader import Reader
    from clues.analysis.timeline import timeline
    from clues.cli.logs import logs_to_read
    from clues.cli.output import quiet_pipe
    from clues.cli.progress import reading_progress

    prefix = _checked(event_hash)
    paths = logs_to_read(files)
    with reading_progress(paths) as progress:
        reader = Reader(about=prefix, progress=progress)
        try:
            found = timeline(reader.read(*paths), prefix)
            if not found.event_hash.startswith(prefix) and all(path.is_file() for path in paths):
                # Named by its system's id; of the jobs that it enqueued, events tell its hash.
                reader = Reader(about=found.event_hash)
                found = timeline(reader.read(*paths), found.event_hash)
        finally:
            if not as_json:
                _tell_what_was_read(reader)
    with quiet_pipe():
        _print_json(found, reader) if as_json else _print(found)


def _checked(event_hash: str) -> str:
    from clues.analysis.timeline import SHORTEST_PREFIX
    from clues.cli.logs import as_hash

    prefix = as_hash(event_hash)
    if len(prefix) < SHORTEST_PREFIX:
        msg = f"give at least the first {SHORTEST_PREFIX} digits of the hash or id"
        raise typer.BadParameter(msg, param_hint="HASH")
    return prefix


def _print(found: Timeline) -> None:
    from clues.cli.console import console
    from clues.cli.timeline_text import timeline_text

    console().print(timeline_text(found))


def _print_json(found: Timeline, reader: Reader) -> None:
    import json

    from clues.cli.output import clean_json

    read = {"files": reader.sources, "events": reader.events, "bad_lines": reader.bad}
    text = json.dumps({**found.as_dict(), "read": read}, indent=2, ensure_ascii=False, default=str)
    print(clean_json(text))


def _tell_what_was_read(reader: Reader) -> None:
    from clues.cli.output import say

    bad = {0: "", 1: ", 1 line was no event"}.get(reader.bad, f", {reader.bad:,} lines were no events")
    say(f"read {reader.events:,} events from {', '.join(reader.sources) or 'no file'}{bad}")
    for line in reader.samples:
        where = line.source if line.number is None else f"{line.source}:{line.number}"
        say(f"  {where}: {line.text or line.reason}")
