"""``clues failed retry``: jobs back into their queues."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from clues.cli.failed_options import (
    Classes,
    Everything,
    Exceptions,
    Limit,
    ListName,
    Names,
    Queues,
    Retried,
    Since,
    Until,
    check_choice,
    filter_of,
)
from clues.cli.manual import Manual, command, variables
from clues.cli.options import Namespace, RedisUrl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clues.cli.failed_choice import Found

_MANUAL = Manual(
    (
        "clues failed retry 17 18",
        "clues failed retry kqzrfdmp",
        "clues failed retry 0695f49c",
        "clues failed retry --class ChargeCard --exception TimeoutError --since 2h",
        "clues failed retry --all",
    ),
    notes="""\
The entries stay, marked as retried. What was retried already is left out, unless it is named, or --retried asks
for it.""",
    environment=variables("REDIS_URL"),
    exit_status={1: "nothing was retried, or not all that was meant"},
)

_TOLD = 5


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, retry, _MANUAL)


def retry(
    names: Names = None,
    *,
    classes: Classes = None,
    queues: Queues = None,
    exceptions: Exceptions = None,
    since: Since = None,
    until: Until = None,
    retried: Retried = None,
    limit: Limit = None,
    everything: Everything = False,
    list_name: ListName = None,
    app: Annotated[
        list[str] | None,
        typer.Option("--app", "-a", metavar="MODULE", help="Module of the application: its jobs, its initializer."),
    ] = None,
    redis: RedisUrl = None,
    namespace: Namespace = None,
) -> None:
    """Put failed jobs into their queues again, the oldest first."""
    from clues.cli.application import client_of, reaching_redis
    from clues.cli.failed_choice import chosen
    from clues.cli.output import say

    wanted = filter_of(classes, queues, exceptions, since, until, retried=retried)
    check_choice(names or (), wanted, everything=everything, limit=limit)
    fresh = wanted if names or retried is not None else replace(wanted, retried=False)
    client = client_of(app or [], redis=redis, namespace=namespace)
    with reaching_redis():
        found, missing = chosen(client, list_name, names or (), fresh, limit)
        all_done = _retry(found)
    if not found and not missing:
        say("clues: there is nothing to retry; --retried would select what was retried already")
    raise typer.Exit(int(not all_done or bool(missing) or not found))


def _retry(found: Sequence[Found]) -> bool:
    """Retry these, oldest first, and tell how it went, also when it ends early; gives whether all were."""
    from clues.cli.output import say
    from clues.cli.progress import counted
    from clues.errors import DecodeError, QueueNameError

    count: Counter[str] = Counter()
    try:
        for each in counted(found[::-1], len(found), "retrying"):
            try:
                count["retried" if each.failed.retry_found(each.failure) else "gone"] += 1
            except (DecodeError, QueueNameError) as error:
                count["refused"] += 1
                if count["refused"] <= _TOLD:
                    say(f"clues: {each.failure.id}: {error}")
    finally:
        print(f"retried {count['retried']:,}")
        if count["gone"]:
            say(f"clues: {count['gone']:,} were removed meanwhile, and not retried")
        if count["refused"]:
            say(f"clues: {count['refused']:,} can't be retried")
    return count["retried"] == len(found)
