"""The web request that runs in this context, told by the jobs that it enqueues.

A framework's middleware enters a `CurrentRequest` around each request; `add_request` is the item preprocessor that
writes what is known of it into ``clues_metadata``. It is bound to a context variable, so it is right in threads and in
asyncio, and outside a request there is none.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import Any

from clues.errors import ConfigError
from clues.metadata import new_hash

FIELDS = ("request_id", "request_method", "request_path", "request_route", "user_id")
"""What a framework can tell of a request, by the names in ``clues_metadata``."""

STANDARD_FIELDS = ("request_id", "request_method", "request_path", "user_id")
"""What is told if nothing else is asked for."""

REQUEST_ID_HEADER = "X-Request-ID"
"""Where proxies and clients tell a request's id."""

_LONGEST_ID = 255
_NOT_IN_AN_ID = re.compile(r"[^\w\-@.:+/=]", re.ASCII)

Describe = Callable[[], Mapping[str, Any]]
"""What is known of a request now: the route and the user may be found while it runs."""


class CurrentRequest:
    """A context manager around a request: the jobs that are enqueued within carry what is known of it."""

    __slots__ = ("_before", "describe", "more")

    def __init__(self, describe: Describe, more: Describe | None = None) -> None:
        """Say how to describe the request; it is asked whenever a job is enqueued.

        Args:
            describe: gives what the framework knows; it does not raise.
            more: gives the application's own fields.
        """
        self.describe: Describe = describe
        self.more: Describe | None = more
        self._before: CurrentRequest | None = None

    def __enter__(self) -> None:
        """Make it the current one."""
        self._before = _current.get()
        _current.set(self)

    def __exit__(self, *_error: object) -> None:
        """Give the context back to whoever had it."""
        _current.set(self._before)


_current: ContextVar[CurrentRequest | None] = ContextVar("clues_current_request", default=None)


def request_metadata() -> dict[str, Any]:
    """What jobs enqueued here and now are told of the request; empty outside a request."""
    current = _current.get()
    item: dict[str, Any] = {"clues_metadata": {}}
    if current is not None:
        with contextlib.suppress(Exception):  # the application's own; it is for logs, which want no errors
            describe_in(item, current.describe, current.more)
    return dict(item["clues_metadata"])


def add_request(_queue: str, item: dict[str, Any]) -> None:
    """An item preprocessor: the fields of the current request, but for those that are there already."""
    current = _current.get()
    if current is not None:
        describe_in(item, current.describe, current.more)


def describe_in(item: dict[str, Any], describe: Describe, more: Describe | None) -> None:
    """Write a request's fields; the framework's are there even if the application's own can't be had."""
    add_fields(item, describe())
    if more is not None:
        add_fields(item, more())


def add_fields(item: dict[str, Any], fields: Mapping[str, Any]) -> None:
    """Write those fields that have a value, and that nobody has written before."""
    metadata = item["clues_metadata"]
    for name, value in fields.items():
        if value is not None:
            metadata.setdefault(name, value)


def request_id(given: str | None) -> str:
    """A request's id: the one that came with it, without what has no place in an id; else a new one."""
    return _NOT_IN_AN_ID.sub("", (given or "")[:_LONGEST_ID]) or new_hash()


def user_id(value: object) -> int | str | None:
    """A user's id as it stands in events."""
    return value if value is None or type(value) is int else str(value)


def checked_fields(name: str, given: Iterable[str] | None) -> tuple[str, ...]:
    """The fields to tell.

    Raises:
        ConfigError: one of them is none.
    """
    found = STANDARD_FIELDS if given is None else (given,) if isinstance(given, str) else tuple(given)
    for field in found:
        if field not in FIELDS:
            msg = f"{name} holds some of {', '.join(FIELDS)}; {field!r} is none of them"
            raise ConfigError(msg)
    return found
