"""``clues workers``: who works, on what, and how they are."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from clues.cli.manual import NOW, Manual, command, variables
from clues.cli.options import Namespace, RedisUrl

if TYPE_CHECKING:
    from rich.console import Group

    from clues.resque import Resque
    from clues.resque.overview import Overview

_MANUAL = Manual(
    ("clues workers", "clues workers --watch 5", "clues workers --json | jq '.workers[] | select(.alive | not) | .id'"),
    notes="""\
A line for each tree, one below it for each of its threads; Ruby's workers stand last. beat: the age of the
heartbeat; key: whether the key is there that runs out when a worker is dead.""",
    environment=variables("REDIS_URL"),
    exit_status={1: "there are no workers, or Redis can't be reached"},
)

_EVERY = 2.0


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, workers, _MANUAL, NOW)


def workers(
    every: Annotated[
        float | None, typer.Argument(metavar="SECONDS", help="With --watch: how often; 2 if left out.")
    ] = None,
    *,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Look again and again, until Ctrl-C.")] = False,
    redis: RedisUrl = None,
    namespace: Namespace = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object (a line); seconds and bytes.")] = False,
) -> None:
    """Show the workers: what each runs, heartbeats, memory, pauses."""
    from clues.cli.application import client_of, reaching_redis
    from clues.cli.output import quiet_pipe, say
    from clues.resque.overview import look

    interval = _checked(every, watch=watch)
    client = client_of([], redis=redis, namespace=namespace)
    with reaching_redis():
        found = look(client.store)
    if watch:
        with quiet_pipe():
            _watch(client, found, interval, as_json=as_json)
        return
    with quiet_pipe():
        _print_json(found) if as_json else _print(found)
    if not found.trees:
        say(f"clues: no workers on {client.store.describe()}; clues work starts one")
        raise typer.Exit(1)


def _checked(every: float | None, *, watch: bool) -> float:
    if every is not None and not watch:
        msg = "seconds are for --watch"
        raise typer.BadParameter(msg, param_hint="SECONDS")
    interval = _EVERY if every is None else every
    if not math.isfinite(interval) or interval <= 0:
        msg = "must be a number of seconds, more than 0"
        raise typer.BadParameter(msg, param_hint="SECONDS")
    return interval


def _print(found: Overview) -> None:
    from clues.cli.console import console
    from clues.cli.tables import print_table
    from clues.cli.workers_picture import picture, summary

    if found.trees:
        print_table(picture(found))
        console().print(summary(found))


def _print_json(found: Overview) -> None:
    import json
    import sys

    from clues.cli.workers_picture import as_dict

    print(json.dumps(as_dict(found)))
    sys.stdout.flush()


def _watch(client: Resque, found: Overview, interval: float, *, as_json: bool) -> None:
    """Show what is found, then look again; a Redis that goes away may come back."""
    import contextlib

    from clues.cli.output import on_terminal

    with contextlib.suppress(KeyboardInterrupt):
        if as_json or not on_terminal():
            _repeat(client, found, interval, _json_line if as_json else _page)
        else:
            _live(client, found, interval)


def _live(client: Resque, found: Overview, interval: float) -> None:
    from rich.live import Live

    from clues.cli.console import console

    with Live(
        console=console(soft_wrap=False), auto_refresh=False, redirect_stdout=False, redirect_stderr=False
    ) as live:
        _repeat(client, found, interval, lambda found, trouble: live.update(_group(found, trouble), refresh=True))


def _repeat(client: Resque, found: Overview, interval: float, show: Callable[[Overview, str], object]) -> None:
    from clues.resque.overview import look
    from clues.resque.trouble import TROUBLE

    trouble = ""
    while True:
        show(found, trouble)
        time.sleep(interval)
        try:
            found, trouble = look(client.store), ""
        except TROUBLE as error:
            trouble = f"Redis does not serve ({error}); what was last seen, trying again"


def _group(found: Overview, trouble: str) -> Group:
    from rich.console import Group
    from rich.text import Text

    from clues.cli.output import clean
    from clues.cli.workers_picture import picture, summary

    head = Text(f"clues workers  {time.strftime('%H:%M:%S')}  Ctrl-C ends", style="dim")
    return Group(head, *[Text(clean(trouble), style="red")] * bool(trouble), picture(found), summary(found))


def _page(found: Overview, trouble: str) -> None:
    import sys

    from clues.cli.output import say

    if trouble:
        say(f"clues: {trouble}")
        return
    print(time.strftime("-- %Y-%m-%d %H:%M:%S"))
    _print(found)
    sys.stdout.flush()


def _json_line(found: Overview, trouble: str) -> None:
    from clues.cli.output import say

    say(f"clues: {trouble}") if trouble else _print_json(found)
