"""``clues pause`` and ``clues resume``: all workers, or single queues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from clues.cli.manual import WORK, Manual, command, variables
from clues.cli.options import Namespace, RedisUrl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clues.resque import Paused, Resque

_PAUSE = Manual(
    ("clues pause", "clues pause payments mailers"),
    notes="""\
Running jobs go on to their end. The first is obeyed by all workers, Ruby's too, the second by clues' workers
only. A pause lasts until clues resume ends it, whatever is restarted meanwhile.""",
    environment=variables("REDIS_URL"),
    exit_status={1: "Redis can't be reached"},
)

_RESUME = Manual(
    ("clues resume", "clues resume payments", "clues resume --all"),
    environment=variables("REDIS_URL"),
    exit_status={1: "Redis can't be reached"},
)

Json = Annotated[bool, typer.Option("--json", help="What is paused now, as a JSON object.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, pause, _PAUSE, WORK)
    command(app, resume, _RESUME, WORK)


def pause(
    queues: Annotated[
        list[str] | None, typer.Argument(metavar="QUEUE", help="Only these queues; all workers if left out.")
    ] = None,
    *,
    redis: RedisUrl = None,
    namespace: Namespace = None,
    as_json: Json = False,
) -> None:
    """Let workers take no more jobs, or none from some queues."""
    from clues.cli.application import client_of, reaching_redis

    names = _checked(queues or ())
    client = client_of([], redis=redis, namespace=namespace)
    with reaching_redis():
        _warn(client, names)
        now = client.pause(*names)
    done = f"paused: {_listed(names)}" if names else "all workers are paused; running jobs go on to their end"
    _tell(now, done, as_json=as_json)


def resume(
    queues: Annotated[
        list[str] | None,
        typer.Argument(metavar="QUEUE", help="Only these queues; if left out, the pause of all workers ends."),
    ] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="End every pause, that of single queues too.")] = False,
    redis: RedisUrl = None,
    namespace: Namespace = None,
    as_json: Json = False,
) -> None:
    """Let workers take jobs again."""
    from clues.cli.application import client_of, reaching_redis

    if queues and everything:
        msg = "name queues or say --all, not both"
        raise typer.BadParameter(msg, param_hint="--all")
    client = client_of([], redis=redis, namespace=namespace)
    with reaching_redis():
        before = client.paused()
        now = client.resume(*(queues or ()))
        if everything and now.queues:
            now = client.resume(*now.queues)
    _tell(now, _ended(before, now, queues or ()), as_json=as_json)
    _tell_the_rest(now)


def _checked(names: Sequence[str]) -> list[str]:
    from clues.errors import QueueNameError
    from clues.resque.queues import check_name

    try:
        return [check_name(name) for name in names]
    except QueueNameError as error:
        raise typer.BadParameter(str(error), param_hint="QUEUE") from None


def _ended(before: Paused, now: Paused, queues: Sequence[str]) -> str:
    lifted = [name for name in before.queues if name not in now.queues]
    parts = ["workers take jobs again"] if before.all and not now.all else []
    parts += [f"no longer paused: {_listed(lifted)}"] if lifted else []
    nothing = f"not paused: {_listed(queues)}" if queues else "workers were not paused"
    return "; ".join(parts) or nothing


def _tell(now: Paused, done: str, *, as_json: bool) -> None:
    import json

    from clues.resque.store import shown

    print(json.dumps({"all": now.all, "queues": [*map(shown, now.queues)]}) if as_json else done)


def _tell_the_rest(now: Paused) -> None:
    from clues.cli.output import say

    if now.all:
        say("clues: all workers are still paused; clues resume ends that")
    if now.queues:
        say(f"clues: still paused: {_listed(now.queues)}; clues resume --all ends that, too")


def _warn(client: Resque, names: Sequence[str]) -> None:
    from clues.cli.output import say

    if not names:
        return
    unknown = sorted(set(names) - set(client.queues()))
    if unknown:
        say(f"clues: no queue has this name so far: {_listed(unknown)} (a pause takes names, no patterns)")
    roster = client.store.roster()
    deaf = [worker_id for worker_id in roster.ids if worker_id not in roster.trees]
    if deaf:
        say(f"clues: {len(deaf)} of {len(roster.ids)} workers are not clues' and go on with every queue")


def _listed(names: Sequence[str]) -> str:
    from clues.cli.output import clean
    from clues.resque.store import shown

    return ", ".join(clean(shown(name)) for name in names)
