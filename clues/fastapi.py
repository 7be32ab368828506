"""clues in FastAPI, Starlette and other ASGI applications. Nothing of theirs is imported.

app = FastAPI(lifespan=clues_lifespan(publishers=["log:///var/log/clues.log"]))
app.add_middleware(CluesMiddleware)
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, MutableMapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

from clues import config
from clues.errors import ConfigError
from clues.initializer import check_names, initialize, named
from clues.request import (
    REQUEST_ID_HEADER,
    CurrentRequest,
    add_request,
    checked_fields,
    request_id,
    request_metadata,
    user_id,
)

__all__ = ["CluesMiddleware", "add_request", "clues_lifespan", "request_metadata"]

Scope = MutableMapping[str, Any]
"""What ASGI says of a connection."""

Handler = Callable[[Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]
"""An ASGI application."""

App = TypeVar("App")
Lifespan = Callable[[App], AbstractAsyncContextManager[Any]]

_FLUSH_TIMEOUT = 2.0  # seconds


def clues_lifespan(lifespan: Lifespan[Any] | None = None, **settings: Any) -> Lifespan[Any]:
    """A lifespan that configures clues when the application starts, and has events delivered when it stops.

    Args:
        lifespan: the application's own, which runs within; its state is passed on.
        settings: those of `clues.initializer` in small letters: the parameters of `clues.configure`, ``publishers``,
            ``item_preprocessors``, ``adapters``. Without any, clues stays as it is configured, or is configured by the
            environment.

    Raises:
        ConfigError: there is no such setting. What a setting's value lacks is told when the application starts.
    """
    given = {name.upper(): value for name, value in settings.items()}
    check_names(given, str.lower)

    @asynccontextmanager
    async def around(app: Any) -> AsyncGenerator[Any]:
        before = config.default.config
        initialize(given, str.lower, first=[add_request])
        ours = config.default.config
        try:
            async with (lifespan or _no_lifespan)(app) as state:
                yield state
        finally:
            if ours is not None:
                await asyncio.to_thread(_end, ours, close=before is None)

    return around


def _end(ours: config.Config, *, close: bool) -> None:
    """Deliver what is left, as long as that is quickly done; be unconfigured again if it was we who configured."""
    flush = getattr(ours.publisher, "flush", None)
    try:
        if flush is not None:
            flush(_FLUSH_TIMEOUT)
    except Exception as error:  # noqa: BLE001 - user code, and the application is to stop in order
        ours.faults.report("flush", error, "the application stops all the same")
    if close and config.default.config is ours:
        config.reset()


@asynccontextmanager
async def _no_lifespan(_app: Any) -> AsyncGenerator[None]:
    yield


class CluesMiddleware:
    """A pure ASGI middleware: jobs that are enqueued while a request is served carry its id, method, path and user.

    So do those of background tasks, and of a websocket's handler.
    """

    def __init__(
        self,
        app: Handler,
        *,
        fields: Iterable[str] | None = None,
        metadata: Callable[[Scope], Mapping[str, Any]] | str | None = None,
        request_id_header: str | None = REQUEST_ID_HEADER,
    ) -> None:
        """Serve by an application.

        Args:
            app: that.
            fields: which fields jobs carry: some of `clues.request.FIELDS`; all but ``request_route`` if left out.
            metadata: gives further fields by the ASGI scope, when a job is enqueued; or a dotted path to that.
            request_id_header: where the request's id comes from; None has each get a new one.

        Raises:
            ConfigError: one of them is mistaken.
        """
        self.app = app
        self._fields = checked_fields("fields", fields)
        self._metadata: Callable[[Scope], Mapping[str, Any]] | None = named(metadata, "metadata")
        if self._metadata is not None and not callable(self._metadata):
            msg = f"metadata must be a callable that takes the ASGI scope, not {type(metadata).__name__}"
            raise ConfigError(msg)
        self._header = request_id_header.lower().encode("latin-1") if request_id_header else b""

    async def __call__(
        self, scope: Scope, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        """Serve a request, or whatever else the server asks for."""
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        more = self._metadata
        with CurrentRequest(self._describing(scope), None if more is None else lambda: more(scope)):
            await self.app(scope, receive, send)

    def _describing(self, scope: Scope) -> Callable[[], Mapping[str, Any]]:
        given = next((value for name, value in scope.get("headers", ()) if name == self._header), b"")
        ident = request_id(given.decode("latin-1"))

        def describe() -> Mapping[str, Any]:
            return {name: _FINDERS[name](scope) if name in _FINDERS else ident for name in self._fields}

        return describe


def _route(scope: Scope) -> str | None:
    """The route's own path; FastAPI and newer Starlettes leave the route in the scope."""
    found = getattr(scope.get("route"), "path", None)
    return found if isinstance(found, str) else None


def _user_id(scope: Scope) -> int | str | None:
    """What a dependency wrote into ``request.state.user_id``, else who the authentication middleware says it is."""
    state = scope.get("state")
    found = state.get("user_id") if isinstance(state, Mapping) else getattr(state, "user_id", None)
    user = scope.get("user")
    with contextlib.suppress(Exception):  # any application's class; Starlette's own raises NotImplementedError
        if found is None and user is not None and user.is_authenticated:
            found = user.identity
    return user_id(found)


_FINDERS: Mapping[str, Callable[[Scope], Any]] = {
    "request_method": lambda scope: scope.get("method"),
    "request_path": lambda scope: scope.get("path"),
    "request_route": _route,
    "user_id": _user_id,
}
