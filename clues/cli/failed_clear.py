"""``clues failed remove`` and ``clues failed clear``."""

from __future__ import annotations

import sys
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
    from clues.resque import Failed

_REMOVE = Manual(
    ("clues failed remove 17 kqzrfdmp", "clues failed remove --retried --until 7d"),
    environment=variables("REDIS_URL"),
    exit_status={1: "there was nothing to remove, or not all that was named"},
)

_CLEAR = Manual(
    ("clues failed clear", "clues failed clear --until 30d --yes"),
    notes="It removes what was there when it asked, nothing that has come since.",
    environment=variables("REDIS_URL"),
    exit_status={1: "Redis can't be reached"},
)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, remove, _REMOVE)
    command(app, clear, _CLEAR)


def remove(
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
    redis: RedisUrl = None,
    namespace: Namespace = None,
) -> None:
    """Remove failures without retrying them."""
    from clues.cli.application import client_of, reaching_redis
    from clues.cli.failed_choice import chosen

    wanted = filter_of(classes, queues, exceptions, since, until, retried=retried)
    check_choice(names or (), wanted, everything=everything, limit=limit)
    client = client_of([], redis=redis, namespace=namespace)
    with reaching_redis():
        found, missing = chosen(client, list_name, names or (), wanted, limit)
        _remove(found)
    raise typer.Exit(int(bool(missing) or not found))


def clear(
    *,
    classes: Classes = None,
    queues: Queues = None,
    exceptions: Exceptions = None,
    since: Since = None,
    until: Until = None,
    retried: Retried = None,
    limit: Limit = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    list_name: ListName = None,
    redis: RedisUrl = None,
    namespace: Namespace = None,
) -> None:
    """Remove all failures, or all that filters select, after asking."""
    from clues.cli.application import client_of, reaching_redis
    from clues.cli.failed_choice import chosen, lists_of

    wanted = filter_of(classes, queues, exceptions, since, until, retried=retried)
    if not yes and not sys.stdin.isatty():
        msg = "standard input is no terminal, so nobody can be asked: say --yes to remove them"
        raise typer.BadParameter(msg, param_hint="--yes")
    client = client_of([], redis=redis, namespace=namespace)
    with reaching_redis():
        if wanted or limit:
            found, _ = chosen(client, list_name, (), wanted, limit)
            if _confirmed(len(found), yes=yes):
                _remove(found)
        else:
            _clear(lists_of(client, list_name), yes=yes)


def _remove(found: Sequence[Found]) -> None:
    """Remove these, and tell how it went, also when it ends early."""
    from clues.cli.output import say
    from clues.cli.progress import counted

    by_list: dict[str, tuple[Failed, list[Found]]] = {}
    for each in found:
        by_list.setdefault(each.failed.name, (each.failed, []))[1].append(each)
    removed = 0
    try:
        for failed, those in by_list.values():
            removed += failed.remove_found(
                each.failure for each in counted(those, len(those), f"removing {failed.name}")
            )
    finally:
        print(f"removed {removed:,}")
    if removed < len(found):
        say(f"clues: {len(found) - removed:,} were gone already")


def _clear(lists: Sequence[Failed], *, yes: bool) -> None:
    newest = [(failed, found) for failed in lists if (found := failed.at(failed.count() - 1)) is not None]
    if _confirmed(sum(found.index + 1 for _, found in newest), yes=yes):
        print(f"removed {sum(failed.clear_up_to(found) for failed, found in newest):,}")


def _confirmed(count: int, *, yes: bool) -> bool:
    from clues.cli.output import say

    if not count:
        say("clues: there is nothing to remove")
        return False
    which = "1 failure" if count == 1 else f"{count:,} failures"
    return yes or typer.confirm(f"Remove {which} for good?", err=True, abort=True)
