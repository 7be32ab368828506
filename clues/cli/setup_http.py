"""Asking the APIs of Grafana and Kibana."""

from __future__ import annotations

import base64
import http.client
import json
import secrets
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from clues.errors import CluesError, ConfigError
from clues.plugs import public_part
from clues.publishers.delivery import with_advice

_TIMEOUT = 30.0
_LONGEST = 1 << 26  # bytes of an answer
_FORBIDDEN = {401, 403}


class SetupRefusedError(CluesError):
    """The server can't be reached, or refused what was asked."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said.

    Attributes:
        status: HTTP's.
        body: what its JSON says; its text where it has none.
    """

    status: int
    body: Any


@dataclass(frozen=True, slots=True)
class Site:
    """A server, and how to get in.

    Attributes:
        url: where it is, without user and password.
        headers: sent with each request.
        verified: whether its certificate is.
    """

    url: str
    headers: dict[str, str] = field(repr=False)
    verified: bool = True

    @classmethod
    def of(
        cls,
        url: str,
        *,
        api_key: str | None = None,
        api_key_scheme: str = "ApiKey",
        user: str | None = None,
        headers: tuple[str, ...] = (),
        verified: bool = True,
    ) -> Site:
        """Take what the user said.

        Args:
            url: the server's; user and password in it are for basic authentication.
            api_key: a key or token.
            api_key_scheme: the word before it.
            user: ``name:password``.
            headers: each as ``Name: value``.
            verified: whether the server's certificate must be good.

        Raises:
            ConfigError: something of it is mistaken.
        """
        parts = _split(url)
        if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
            msg = f"--url must be like https://host:port, not {public_part(url)!r}"
            raise ConfigError(msg)
        if parts.username is not None and user is None:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        if user is not None and api_key is not None:
            msg = "say either --user or --api-key, not both"
            raise ConfigError(msg)
        found = dict(map(_header, headers))
        if user is not None:
            found["Authorization"] = f"Basic {base64.b64encode(user.encode()).decode()}"
        if api_key is not None:
            found["Authorization"] = f"{api_key_scheme} {api_key}"
        plain = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))
        return cls(plain, found, verified)

    def ask(self, method: str, path: str, body: object = None) -> Answer:
        """Ask something in JSON.

        Raises:
            SetupRefusedError: there is no answer.
        """
        data = None if body is None else json.dumps(body).encode()
        return self._send(method, path, data, {"Content-Type": "application/json"} if data else {})

    def upload(self, path: str, name: str, data: bytes) -> Answer:
        """Post a file, as a form does.

        Raises:
            SetupRefusedError: there is no answer.
        """
        mark = secrets.token_hex(16)
        opening = f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        opening += "Content-Type: application/ndjson\r\n\r\n"
        form = opening.encode() + data + f"\r\n--{mark}--\r\n".encode()
        return self._send("POST", path, form, {"Content-Type": f"multipart/form-data; boundary={mark}"})

    def refused(self, what: str, answer: Answer, needs: str) -> SetupRefusedError:
        """An error that tells what the server said."""
        reason = answer.body.get("message") if isinstance(answer.body, dict) else answer.body
        hint = f"; it needs {needs}" if answer.status in _FORBIDDEN else ""
        return SetupRefusedError(f"{what}: {self.url} says HTTP {answer.status} {str(reason or '')[:300]}{hint}")

    def _send(self, method: str, path: str, data: bytes | None, headers: dict[str, str]) -> Answer:
        known = {"Accept": "application/json", **self.headers, **headers}
        request = urllib.request.Request(self.url + path, data, known, method=method)  # noqa: S310 - checked in `of`
        context = None
        if self.url.startswith("https"):
            context = ssl.create_default_context()
            if not self.verified:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
        try:
            opener = urllib.request.build_opener(_NowhereElse, urllib.request.HTTPSHandler(context=context))
            with _opened(opener, request) as answer:
                return Answer(answer.status, _read(answer.read(_LONGEST)))
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            msg = with_advice(f"{self.url} can't be reached: {reason}", "SSL_CERT_FILE in the environment")
            raise SetupRefusedError(msg) from None


def _opened(opener: urllib.request.OpenerDirector, request: urllib.request.Request) -> Any:
    try:
        return opener.open(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        return error  # is an answer too


class _NowhereElse(urllib.request.HTTPRedirectHandler):
    """Follows nobody: a key is for one server, and a page to log in at is no answer."""

    def redirect_request(self, *_: object) -> None:
        return None


def _read(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text.decode("utf-8", "replace")


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip() or not value.strip() or "\n" in text or "\r" in text:
        msg = f"--header must be like 'Name: value', not {name!r}"
        raise ConfigError(msg)
    return name.strip(), value.strip()


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:  # its message may quote the password
        return None
    return parts
