"""Who may see the page: whoever has the token, under a name that is ours, and from no other site's page.

A browser can be led to 127.0.0.1 by any page that its user visits. So each request names a host that we know (DNS
rebinding), brings the token or the cookie that it was exchanged for, and, where it changes something, comes from a page
of ours (forged requests); what is answered can't be framed, and runs no script but ours.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
LOCAL = ("127.0.0.1", "localhost", "::1")
"""Names that this machine has for itself."""

_YEAR = 365 * 24 * 3600
_SAFE = {"GET", "HEAD"}


class Guard:
    """Stands before the application."""

    def __init__(
        self, app: ASGIApp, *, token: str, hosts: Collection[str] = (), port: int = 0, metrics_open: bool = False
    ) -> None:
        """Guard an application.

        Args:
            app: the application.
            token: what lets one in; empty lets everybody in.
            hosts: names beside this machine's own that the page may be called by.
            port: where it listens: cookies are shared by all ports of a host, so it is part of the cookie's name.
            metrics_open: whether ``/metrics`` needs no token.
        """
        self._app = app
        self._token = token
        self._hosts = {name.lower() for name in (*LOCAL, *hosts)}
        self._cookie = f"clues-web-{port}"
        self._metrics_open = metrics_open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or say why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        answer = self._refusal(request)
        await (answer or self._app)(scope, receive, _with_headers(send))

    def _refusal(self, request: Request) -> Response | None:
        host = request.headers.get("host", "")
        if _name_of(host) not in self._hosts:
            return _no(f"This page is not known as {host!r}. Start it with --allow-host to let it be called so.", 421)
        if request.method not in _SAFE and not _is_own_page(request.headers, host):
            return _no("This request does not come from the page itself.")
        if self._metrics_open and request.url.path == "/metrics":
            return None
        return None if self._is_known(request) else self._entrance(request)

    def _is_known(self, request: Request) -> bool:
        if not self._token:
            return True
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and _same(given.strip(), self._token):
            return True
        return _same(_cookies(request.headers).get(self._cookie, ""), self._pass())

    def _entrance(self, request: Request) -> Response:
        """Exchange the token of the URL for a cookie, so that it stays in no history, bookmark or log."""
        if request.method != "GET" or not _same(request.query_params.get("token", ""), self._token):
            return _no("The token is missing or wrong. Use the URL that clues web printed when it started.", 401)
        rest = [(key, value) for key, value in request.query_params.multi_items() if key != "token"]
        # Relative, so that it holds behind a proxy under any path.
        place = request.url.path.rpartition("/")[2] or "./"
        answer = RedirectResponse(f"{place}?{urlencode(rest)}" if rest else place, 303)
        answer.set_cookie(self._cookie, self._pass(), max_age=_YEAR, httponly=True, samesite="lax", path="/")
        return answer

    def _pass(self) -> str:
        """What the cookie holds: it follows from the token, which it does not tell."""
        return hmac.new(self._token.encode(), b"clues web", hashlib.sha256).hexdigest()


def _is_own_page(headers: Headers, host: str) -> bool:
    """Whether a request comes from a page of ours, as browsers tell; another program, with the token, has no page."""
    if headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        return False
    origin = headers.get("origin")
    if origin is None:
        return "authorization" in headers and "cookie" not in headers
    try:
        return urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:
        return False


def _name_of(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _cookies(headers: Headers) -> dict[str, str]:
    try:
        return {name: found.value for name, found in SimpleCookie(headers.get("cookie", "")).items()}
    except CookieError:
        return {}


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "surrogateescape"), other.encode())


def _no(text: str, status: int = 403) -> Response:
    return PlainTextResponse(f"{text}\n", status)


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sending
