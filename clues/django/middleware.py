"""Has jobs tell which request has enqueued them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.apps import apps
from django.contrib.auth import SESSION_KEY, get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponseBase
from django.utils.functional import LazyObject, empty

from clues.django.conf import RequestSettings, given, request_settings
from clues.errors import ConfigError
from clues.request import CurrentRequest, request_id, user_id

_ID_KEPT = "_clues_user_id"


class CluesMiddleware:
    """Binds each request to its context: jobs that are enqueued while it is served carry its id, method, path and user.

    Under WSGI and ASGI, for ordinary and for async views. Its place in MIDDLEWARE matters for jobs that other
    middleware enqueues only: all that is told is looked up when a job is enqueued.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        """Look at the setting CLUES.

        Raises:
            ImproperlyConfigured: it is mistaken, or the app is not installed.
        """
        if not apps.is_installed("clues.django"):
            msg = 'CluesMiddleware needs "clues.django" in INSTALLED_APPS: that configures clues'
            raise ImproperlyConfigured(msg)
        try:
            self.settings = request_settings(given())
        except ConfigError as error:
            raise ImproperlyConfigured(str(error)) from error
        self.get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Serve a request."""
        if self._is_async:
            return self._serve(request)
        with _current(request, self.settings):
            return self.get_response(request)

    async def _serve(self, request: HttpRequest) -> HttpResponseBase:
        with _current(request, self.settings):
            return await self.get_response(request)


def _current(request: HttpRequest, settings: RequestSettings) -> CurrentRequest:
    ident = request_id(request.headers.get(settings.id_header) if settings.id_header else None)

    def describe() -> Mapping[str, Any]:
        return {name: _FINDERS[name](request) if name in _FINDERS else ident for name in settings.fields}

    more = settings.more
    return CurrentRequest(describe, None if more is None else lambda: more(request))


def _route(request: HttpRequest) -> str | None:
    match = request.resolver_match
    return None if match is None else f"/{match.route}"


def _user_id(request: HttpRequest) -> int | str | None:
    """The user's id, as far as it is known without a change of what the view does.

    `request.user` is not touched where the view has not: that would ask the database, and make the response vary by
    its cookie.
    """
    try:
        user = _known_user(request)
        return user_id(_session_user_id(request) if user is None else user.pk)
    except Exception:  # noqa: BLE001 - a session's store, a user's class: anybody's code
        return None


def _known_user(request: HttpRequest) -> Any:
    """The user, if the view or another middleware has looked at it; else None."""
    user = vars(request).get("user")
    if issubclass(type(user), LazyObject):
        user = vars(user).get("_wrapped", empty)
    if user is None or user is empty:
        user = vars(request).get("_cached_user") or vars(request).get("_acached_user")
    return user


def _session_user_id(request: HttpRequest) -> Any:
    """Whose session it is; a session that nobody has looked at yet is loaded apart, once."""
    session = vars(request).get("session")
    if session is None:
        return None
    held = vars(session).get("_session_cache")
    if held is None:
        if _ID_KEPT not in vars(request):
            vars(request)[_ID_KEPT] = _loaded_user_id(session)
        return vars(request)[_ID_KEPT]
    return _as_key(held.get(SESSION_KEY))


def _loaded_user_id(session: Any) -> Any:
    if session.session_key is None or _in_event_loop():  # to load it would block the loop
        return None
    return _as_key(type(session)(session.session_key).get(SESSION_KEY))


def _as_key(found: Any) -> Any:
    return None if found is None else get_user_model()._meta.pk.to_python(found)  # noqa: SLF001 - Django's own way


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


_FINDERS: Mapping[str, Callable[[HttpRequest], Any]] = {
    "request_method": lambda request: request.method,
    "request_path": lambda request: request.path,
    "request_route": _route,
    "user_id": _user_id,
}
