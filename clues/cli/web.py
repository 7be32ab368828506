"""``clues web``: the local page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from clues.cli.manual import DEFAULT_LOG, NOW, Manual, command, variables
from clues.cli.options import Namespace, RedisUrl

_MANUAL = Manual(
    (
        "clues web",
        "clues web /var/log/clues.log --redis redis://cache:6379/1",
        "clues web --write --port 0",
        "clues web ~/.local/state/clues/spool --allow-host clues.example.com --metrics-open",
    ),
    notes="It prints a URL with a token; open it once, the browser remembers. Ctrl-C ends it. docs/web.md tells more.",
    environment=DEFAULT_LOG | variables("REDIS_URL", "CLUES_WEB_TOKEN"),
    exit_status={1: "the port is taken, or the log can't be read"},
)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, web, _MANUAL, NOW)


def web(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE",
            help="Event logs, with what they were rotated into, or spool folders; the log of CLUES_PUBLISHERS "
            "if left out. Without any, there is no history.",
        ),
    ] = None,
    *,
    write: Annotated[
        bool, typer.Option("--write", help="Let the page change things: retry, remove, pause. Else it only shows.")
    ] = False,
    host: Annotated[str, typer.Option("--host", help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", "-p", min=0, max=65535, help="0 takes any that is free.")] = 8787,
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", metavar="NAME", help="A name that the page may be called by, behind a proxy."),
    ] = None,
    metrics_open: Annotated[
        bool, typer.Option("--metrics-open", help="Let Prometheus read /metrics without the token.")
    ] = False,
    events: Annotated[
        int, typer.Option("--events", min=1, metavar="COUNT", help="How many of the newest events to keep.")
    ] = 1_000_000,
    redis: RedisUrl = None,
    namespace: Namespace = None,
) -> None:
    """Serve a local page: queues, workers, failures, jobs, /metrics."""
    from clues.cli.application import client_of
    from clues.cli.output import say
    from clues.web.server import Settings, needs_extra, serve

    needs_extra()
    paths = files or _default_logs()
    client = client_of([], redis=redis, namespace=namespace)
    given = os.environ.get("CLUES_WEB_TOKEN")
    settings = Settings(
        host=host,
        port=port,
        **({"token": given} if given else {}),
        hosts=allow_host or (),
        write=write,
        metrics_open=metrics_open,
        paths=paths,
        most_events=events,
    )
    if not paths:
        say("clues: no event log is known, so there is no history; name one, or set CLUES_PUBLISHERS=log:///path")
    for path in paths:
        if not path.exists():
            say(f"clues: waiting for {path}, which is not there yet")
    if not _is_local(host):
        say(f"clues: the page can be reached from other machines ({host}), unencrypted; a proxy with TLS is better")
    serve(client, settings, lambda url: _tell(url, client.store.describe(), write=write))


def _tell(url: str, redis: str, *, write: bool) -> None:
    from clues.cli.output import say

    print(url, flush=True)
    say(f"clues: the page of {redis}, {'which it may change' if write else 'read-only'}; Ctrl-C ends it")


def _default_logs() -> list[Path]:
    from clues.cli.logs import default_log
    from clues.errors import ConfigError

    try:
        return [default_log()]
    except ConfigError:
        return []


def _is_local(host: str) -> bool:
    return host in {"127.0.0.1", "::1", "localhost"} or host.startswith("127.")
