"""``clues tail``: the last events of a log, and those that come."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clues.cli.manual import DEFAULT_LOG, THEN, Manual, command, variables
from clues.event import EventType

if TYPE_CHECKING:
    from clues.analysis.reader import Entry, Reader
    from clues.analysis.tailed import TailedLogs

_MANUAL = Manual(
    (
        "clues tail --follow",
        "clues tail --type failed --lines 50 /var/log/clues.log",
        "clues tail --class ChargeCard --all --json | jq .metadata",
    ),
    environment=DEFAULT_LOG | variables("NO_COLOR"),
    exit_status={1: "the log can't be read"},
)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, tail, _MANUAL, THEN)


def tail(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE", help="Event logs, plain or .gz; the log of CLUES_PUBLISHERS if left out."),
    ] = None,
    *,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what comes, also after the log is rotated.")
    ] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the last events.")] = 10,
    everything: Annotated[bool, typer.Option("--all", help="All events instead of the last few.")] = False,
    types: Annotated[
        list[str] | None, typer.Option("--type", metavar="TYPE", help="Only these: failed, finished, enqueued, …")
    ] = None,
    queues: Annotated[list[str] | None, typer.Option("--queue", metavar="QUEUE", help="Only these queues.")] = None,
    classes: Annotated[list[str] | None, typer.Option("--class", metavar="CLASS", help="Only these classes.")] = None,
    hash_prefix: Annotated[str, typer.Option("--hash", metavar="PREFIX", help="Only jobs whose hash begins so.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="The events as they stand in the log.")] = False,
) -> None:
    """Show the last events of a log, one a line, and follow it."""
    from clues.analysis.reader import Reader
    from clues.analysis.selection import Selection
    from clues.analysis.tailed import TailedLogs
    from clues.cli.logs import as_hash, default_log
    from clues.cli.output import quiet_pipe

    wanted = Selection(set(map(_event_type, types or ())), queues or (), classes or (), as_hash(hash_prefix))
    reader = Reader()
    show = _printer(as_json=as_json)
    with quiet_pipe(), TailedLogs(files or [default_log()], reader, wanted) as logs:
        for entry in logs.last(None if everything else lines, following=follow):
            show(entry)
        if follow:
            _follow(logs, show)
    _tell_bad_lines(reader)


def _follow(logs: TailedLogs, show: Callable[[Entry], None]) -> None:
    from clues.analysis.follower import INTERVAL
    from clues.cli.output import say

    for path in logs.missing():
        say(f"clues: waiting for {path}")
    while True:
        sys.stdout.flush()
        time.sleep(INTERVAL)
        for entry in logs.new():
            show(entry)


def _printer(*, as_json: bool) -> Callable[[Entry], None]:
    from clues.cli.output import clean_json

    if as_json:
        return lambda entry: print(clean_json(entry.line.decode("utf-8", "surrogatepass")))
    from clues.cli.console import console
    from clues.cli.event_line import event_line

    screen = console()
    if screen.color_system is None:
        return lambda entry: print(event_line(entry.event).plain)  # several times as fast as through the console
    return lambda entry: screen.print(event_line(entry.event))


def _tell_bad_lines(reader: Reader) -> None:
    from clues.cli.output import say

    if reader.bad:
        first = reader.samples[0]
        lines = "1 line was no event" if reader.bad == 1 else f"{reader.bad:,} lines were no events; the first"
        say(f"clues: {lines}: {first.text or first.reason}")


def _event_type(name: str) -> EventType:
    """A type by its wire name, or without ``perform_``."""
    wire = f"perform_{name}" if name in {"started", "finished"} else name
    try:
        return EventType(wire)
    except ValueError:
        known = ", ".join(kind.removeprefix("perform_") for kind in EventType)
        msg = f"there is no event type {name!r}; there are {known}"
        raise typer.BadParameter(msg, param_hint="--type") from None
