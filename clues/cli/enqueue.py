"""``clues enqueue``: one job into a queue."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from clues.cli.manual import WORK, Manual, command, variables
from clues.cli.options import Namespace, RedisUrl

_MANUAL = Manual(
    (
        """clues enqueue PdfGeneration 42 '{"pages": 3}' --queue pdf_generation""",
        """clues enqueue ChargeCard --app shop.jobs --json-args '[1042, "EUR"]'""",
        "clues enqueue Refund --queue payments -- -5",
    ),
    environment=variables("REDIS_URL", "CLUES_PUBLISHERS"),
    exit_status={1: "a hook vetoed the job, or Redis can't be reached"},
)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, enqueue, _MANUAL, WORK)


def enqueue(
    job: Annotated[str, typer.Argument(metavar="CLASS", help="The job's name on the wire.", show_default=False)],
    args: Annotated[
        list[str] | None,
        typer.Argument(metavar="ARG", help="Its arguments: JSON values where they read as such, else strings."),
    ] = None,
    *,
    queue: Annotated[
        str | None, typer.Option("--queue", "-q", help="The queue; the job's own if left out, for a job of --app.")
    ] = None,
    json_args: Annotated[
        str | None, typer.Option("--json-args", metavar="JSON", help="All arguments as one JSON array.")
    ] = None,
    app: Annotated[
        list[str] | None,
        typer.Option("--app", "-a", metavar="MODULE", help="Module of the application: its jobs, its initializer."),
    ] = None,
    redis: RedisUrl = None,
    namespace: Namespace = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the receipt as a JSON object.")] = False,
) -> None:
    """Put a job into its queue, and print its hash."""
    from clues.cli.application import client_of, reaching_redis
    from clues.cli.output import say
    from clues.errors import NoQueueError

    values = _values(args or [], json_args)
    client = client_of(app or [], redis=redis, namespace=namespace)
    try:
        with reaching_redis():
            receipt = client.enqueue(job, *values) if queue is None else client.enqueue_to(queue, job, *values)
    except NoQueueError:
        msg = f"which queue? --app knows none for {job}"
        raise typer.BadParameter(msg, param_hint="--queue") from None
    if receipt is None:
        say(f"clues: a before_enqueue hook of {job} vetoed")
        raise typer.Exit(1)
    if as_json:
        print(json.dumps({"queue": receipt.queue, "event_hash": receipt.event_hash}))
    elif receipt.event_hash is not None:
        print(receipt.event_hash)
    else:
        say(f"clues: {job} is in the queue {receipt.queue}; it has no event hash, as clues is not configured")


def _values(args: list[str], json_args: str | None) -> list[Any]:
    if json_args is None:
        return [_value(arg) for arg in args]
    if args:
        msg = "give arguments one by one or as --json-args, not both"
        raise typer.BadParameter(msg, param_hint="--json-args")
    try:
        found = json.loads(json_args)
    except ValueError:
        found = None
    if not isinstance(found, list):
        msg = """must be a JSON array, such as '[1, "two"]'"""
        raise typer.BadParameter(msg, param_hint="--json-args")
    return found


def _value(arg: str) -> Any:
    try:
        return json.loads(arg, parse_constant=_refuse)
    except ValueError:
        return arg


def _refuse(constant: str) -> None:
    """NaN and Infinity are words here: JSON has no such numbers."""
    raise ValueError(constant)
