"""``clues queues``: what waits, and since when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from clues.cli.manual import NOW, Manual, command, variables
from clues.cli.options import Namespace, RedisUrl

if TYPE_CHECKING:
    from rich.table import Table

    from clues.resque.waiting import Waiting, WaitingQueue

_MANUAL = Manual(
    ("clues queues", "clues queues --json | jq '.queues[] | select(.oldest_age > 300) | .name'"),
    notes="The age is that of the job at the head; ? where it was enqueued without clues.",
    environment=variables("REDIS_URL"),
    exit_status={1: "no queue is known, or Redis can't be reached"},
)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, queues, _MANUAL, NOW)


def queues(
    *,
    redis: RedisUrl = None,
    namespace: Namespace = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object; ages in seconds.")] = False,
) -> None:
    """List the queues: depth, age of the oldest job, pauses."""
    from clues.cli.application import client_of, reaching_redis
    from clues.cli.output import quiet_pipe, say
    from clues.resque.waiting import look

    client = client_of([], redis=redis, namespace=namespace)
    with reaching_redis():
        found = look(client.store)
    with quiet_pipe():
        _print_json(found) if as_json else _print_table(found)
    if found.paused.all and not as_json:
        say("clues: all workers are paused; clues resume ends that")
    if not found.queues:
        say(f"clues: no queue is known on {client.store.describe()}")
        raise typer.Exit(1)


def _print_table(found: Waiting) -> None:
    from clues.cli.tables import print_table

    if found.queues:
        print_table(_table(found))


def _table(found: Waiting) -> Table:
    from clues.cli.output import clean
    from clues.cli.tables import plain_table
    from clues.resque.store import shown

    rows = plain_table()
    several = len(found.queues) > 1
    rows.show_footer = several
    rows.add_column("queue", footer=f"{len(found.queues):,} queues", no_wrap=True)
    rows.add_column("jobs", footer=f"{found.depth:,}", justify="right", no_wrap=True)
    rows.add_column("oldest", footer=_age(found.depth, found.oldest_age), justify="right", no_wrap=True)
    rows.add_column("")
    for queue in found.queues:
        depth = "no list" if queue.depth is None else f"{queue.depth:,}"
        rows.add_row(clean(shown(queue.name)), depth, _age(queue.depth, queue.oldest_age), "paused" * queue.paused)
    return rows


def _age(depth: int | None, age: float | None) -> str:
    from clues.cli.words import seconds

    if age is None:
        return "?" if depth else "-"
    return seconds(age)


def _print_json(found: Waiting) -> None:
    import json

    told = {
        "all_paused": found.paused.all,
        "queues": [_as_dict(queue) for queue in found.queues],
        "total": {"queues": len(found.queues), "depth": found.depth, "oldest_age": found.oldest_age},
    }
    print(json.dumps(told))


def _as_dict(queue: WaitingQueue) -> dict[str, Any]:
    from clues.resque.store import shown

    return {
        "name": shown(queue.name),
        "depth": queue.depth,
        "oldest_age": queue.oldest_age,
        "paused": queue.paused,
    }
