"""Serves the page until Ctrl-C."""

from __future__ import annotations

import asyncio
import errno
import importlib.util
import secrets
import signal
import socket
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from clues.errors import MissingExtraError, PortTakenError
from clues.extras import too_old

if TYPE_CHECKING:
    from clues.resque.client import Resque

PORT = 8787
_GRACE = 2  # seconds for requests that are being answered when the page ends


@dataclass(frozen=True, slots=True)
class Settings:
    """How the page is served.

    Attributes:
        host: the address to listen at.
        port: 0 for any that is free.
        token: what lets one in; made up if left out, empty lets everybody in.
        hosts: names that it may be called by, beside this machine's own.
        write: whether it may change something.
        metrics_open: whether ``/metrics`` needs no token.
        paths: event logs, and folders of spools.
        most_events: events to keep of these.
    """

    host: str = "127.0.0.1"
    port: int = PORT
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    hosts: Sequence[str] = ()
    write: bool = False
    metrics_open: bool = False
    paths: Sequence[Path] = ()
    most_events: int | None = None


def needs_extra() -> None:
    """Check that what the page is served with is installed, and new enough.

    Raises:
        MissingExtraError: it is not.
    """
    for library in ("starlette", "uvicorn"):
        if importlib.util.find_spec(library) is None:
            raise MissingExtraError("clues web", "web", library)
        if older := too_old("web", library):
            raise MissingExtraError("clues web", "web", older)


def serve(client: Resque, settings: Settings, ready: Callable[[str], object]) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        client: whose Redis the live part comes from.
        settings: how.
        ready: called with the URL once it listens.

    Raises:
        MissingExtraError: what it is served with is not installed.
        PortTakenError: something else listens there.
    """
    needs_extra()
    listening = _listening(settings.host, settings.port)
    with listening:
        asyncio.run(_serve(client, settings, listening, ready))


async def _serve(client: Resque, settings: Settings, listening: socket.socket, ready: Callable[[str], object]) -> None:
    import uvicorn  # noqa: PLC0415 - an extra

    from clues.web.application import Page, application  # noqa: PLC0415 - an extra
    from clues.web.guard import Guard  # noqa: PLC0415 - an extra
    from clues.web.history import MOST_EVENTS, History  # noqa: PLC0415 - with it
    from clues.web.stream import Stream  # noqa: PLC0415 - with it

    loop, stream = asyncio.get_running_loop(), Stream()
    told: list[int] = []

    class Server(uvicorn.Server):
        """Ends the live streams when it is told to end: each is a request that would never be answered.

        Uvicorn's own way with signals ends the process before the history's folder is removed.
        """

        @contextmanager
        def capture_signals(self) -> Generator[None]:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, self._end, number)
            yield

        def _end(self, number: int) -> None:
            self.force_exit = bool(told)  # who says it twice doesn't want to wait
            self.should_exit = True
            told.append(number)
            stream.stop()

    history = History(settings.paths, most=settings.most_events or MOST_EVENTS, heard=stream.hear)
    port = listening.getsockname()[1]
    guard = Guard(
        application(Page(client, history, stream, settings.write)),
        token=settings.token,
        hosts=[*settings.hosts, settings.host],
        port=port,
        metrics_open=settings.metrics_open,
    )
    config = uvicorn.Config(
        guard, log_config=None, access_log=False, timeout_graceful_shutdown=_GRACE, server_header=False, lifespan="on"
    )
    history.start()
    try:
        ready(url(settings.host, port, settings.token))
        await Server(config).serve(sockets=[listening])
    finally:
        await asyncio.to_thread(history.close)
    if signal.SIGTERM in told:
        raise SystemExit(128 + signal.SIGTERM)
    raise KeyboardInterrupt


def url(host: str, port: int, token: str) -> str:
    """Where a browser finds the page."""
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{name}:{port}/" + (f"?token={token}" if token else "")


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        PortTakenError: something else does, there.
        OSError: there is no such address.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
        found.listen(128)
    except OSError as error:
        found.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTakenError(host, port) from error
        raise
    return found
