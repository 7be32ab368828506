"""``clues failed list`` and ``clues failed show``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from clues.cli.failed_options import Classes, Exceptions, ListName, Queues, Retried, Since, Until, filter_of
from clues.cli.manual import Manual, command, variables
from clues.cli.options import Namespace, RedisUrl

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clues.cli.failed_choice import Found

_LIST = Manual(
    (
        "clues failed list",
        "clues failed list --queue payments --not-retried --since 2026-11-20T15:00",
        "clues failed list --all --json | jq -r .exception | sort | uniq -c",
    ),
    environment=variables("REDIS_URL"),
    exit_status={1: "there is no such failure, or Redis can't be reached"},
)

_SHOW = Manual(
    (
        "clues failed show 17",
        "clues failed show 0695f49c",
        "clues failed show kqzrfdmp --json | jq .entry.payload.args",
    ),
    environment=variables("REDIS_URL"),
    exit_status={1: "there is no such failure, or Redis can't be reached"},
)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, list_failures, _LIST, name="list")
    command(app, show, _SHOW)


def list_failures(
    *,
    classes: Classes = None,
    queues: Queues = None,
    exceptions: Exceptions = None,
    since: Since = None,
    until: Until = None,
    retried: Retried = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many, the newest.")] = 20,
    everything: Annotated[bool, typer.Option("--all", help="All instead of the newest few.")] = False,
    list_name: ListName = None,
    redis: RedisUrl = None,
    namespace: Namespace = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List failures, newest first."""
    from clues.cli.application import client_of, reaching_redis
    from clues.cli.failed_choice import lists_of, matching
    from clues.cli.output import on_terminal, quiet_pipe, say

    wanted = filter_of(classes, queues, exceptions, since, until, retried=retried)
    client = client_of([], redis=redis, namespace=namespace)
    with reaching_redis():
        lists = lists_of(client, list_name)
        found = matching(lists, wanted, None if everything else limit, progress=not (as_json and on_terminal()))
        with quiet_pipe():
            shown = _print_lines(found) if as_json else _print_table(found)
        if not shown:
            say("clues: no failure is like that" if wanted else "clues: there are no failures")
            raise typer.Exit(1)
        if wanted or as_json or everything:
            return
        left = sum(failed.count() for failed in lists) - shown
        if left > 0:
            say(f"clues: {left:,} older ones are not shown; --all shows them")


def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="INDEX",
            help="Its index or id, as clues failed list shows them, or its job's hash, of which the first 8 digits "
            "will do: its latest failure.",
            show_default=False,
        ),
    ],
    *,
    list_name: ListName = None,
    redis: RedisUrl = None,
    namespace: Namespace = None,
    as_json: Annotated[bool, typer.Option("--json", help="The entry as a JSON object.")] = False,
) -> None:
    """Show all of one failure: error, backtrace, payload, the hash of its events."""
    from clues.cli.application import client_of, reaching_redis
    from clues.cli.failed_choice import lists_of, named
    from clues.cli.output import quiet_pipe, say

    client = client_of([], redis=redis, namespace=namespace)
    with reaching_redis():
        ((_, found),) = named(lists_of(client, list_name), [name])
    if not found:
        say(f"clues: there is no failure {name}; clues failed list shows those there are")
        raise typer.Exit(1)
    with quiet_pipe():
        _print_json(found[0]) if as_json else _print_details(found[0])


def _print_table(found: Iterable[Found]) -> int:
    from clues.cli.failed_text import table
    from clues.cli.tables import print_table

    rows = list(found)
    if rows:
        print_table(table(rows))
    return len(rows)


def _print_lines(found: Iterable[Found]) -> int:
    import json

    from clues.cli.failed_text import as_dict
    from clues.cli.output import clean_json

    number = 0
    for each in found:
        number += 1
        print(clean_json(json.dumps(as_dict(each), ensure_ascii=False)))
    return number


def _print_details(found: Found) -> None:
    from clues.cli.console import console
    from clues.cli.failed_text import details

    console().print(details(found))


def _print_json(found: Found) -> None:
    import json

    from clues.cli.output import clean_json

    failure = found.failure
    told = {"list": found.failed.name, "index": failure.index, "id": failure.id, "entry": failure.entry}
    text = json.dumps(told, indent=2, ensure_ascii=False)
    print(clean_json(text))
