"""The setting CLUES: a dict with the parameters of `clues.configure` in capitals, and what `clues.initializer` adds.

Of a request, further:

=====================  ==============================================================================================
``REQUEST_FIELDS``     which fields of the request its jobs carry: some of `clues.request.FIELDS`; all but
                       ``request_route`` if left out
``REQUEST_METADATA``   a callable, or a dotted path to one, that takes the request and gives a dict of further fields
``REQUEST_ID_HEADER``  where the request's id comes from, ``X-Request-ID`` if left out; None has each get a new one
=====================  ==============================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from clues import config
from clues.config import Config
from clues.errors import ConfigError, MissingExtraError
from clues.initializer import check_names, initialize, named
from clues.request import REQUEST_ID_HEADER, add_request, checked_fields

OWN = ("REQUEST_FIELDS", "REQUEST_METADATA", "REQUEST_ID_HEADER")


@dataclass(frozen=True)
class RequestSettings:
    """What jobs are told of requests.

    Attributes:
        fields: which of those that are known.
        more: gives further ones, or None.
        id_header: where the id comes from, or None.
    """

    fields: tuple[str, ...]
    more: Callable[[Any], Mapping[str, Any]] | None
    id_header: str | None


@dataclass
class Done:
    """What was configured last, so that Django's tests, which set its apps up again, change nothing.

    Attributes:
        given: the setting; None before the first time.
        config: what it came to.
    """

    given: Mapping[str, Any] | None = None
    config: Config | None = None


done = Done()
_overridden: list[tuple[Done, Config | None]] = []


def label(name: str) -> str:
    """What a setting is called where it stands."""
    return f'CLUES["{name}"]'


def given() -> Mapping[str, Any]:
    """The setting CLUES; empty if there is none.

    Raises:
        ConfigError: it is no dict, or holds what there is not.
    """
    found = getattr(settings, "CLUES", None) or {}
    if not isinstance(found, Mapping):
        msg = f"CLUES must be a dict of settings, not {type(found).__name__}"
        raise ConfigError(msg)
    check_names(found, label, OWN)
    return found


def request_settings(found: Mapping[str, Any]) -> RequestSettings:
    """What CLUES says of requests.

    Raises:
        ConfigError: something that can't be.
    """
    more = named(found.get("REQUEST_METADATA"), label("REQUEST_METADATA"))
    if more is not None and not callable(more):
        msg = f"{label('REQUEST_METADATA')} must be a callable that takes a request, not {type(more).__name__}"
        raise ConfigError(msg)
    header = found.get("REQUEST_ID_HEADER", REQUEST_ID_HEADER)
    if header is not None and not isinstance(header, str):
        msg = f"{label('REQUEST_ID_HEADER')} must be a header's name or None, not {type(header).__name__}"
        raise ConfigError(msg)
    return RequestSettings(checked_fields(label("REQUEST_FIELDS"), found.get("REQUEST_FIELDS")), more, header)


def configure_from_settings() -> None:
    """Configure clues, unless that was done with the same settings.

    Raises:
        ImproperlyConfigured: CLUES is mistaken; the message says where.
    """
    try:
        found = given()
        request_settings(found)
        if done.given == found and config.configured():
            return
        done.config = initialize(found, label, first=[add_request], own=OWN)
        done.given = dict(found)
    except (ConfigError, MissingExtraError) as error:
        raise ImproperlyConfigured(str(error)) from error


def follow(*, setting: str, enter: bool, **_signal: Any) -> None:
    """``override_settings(CLUES=…)`` in a project's tests counts while it lasts; then all is as before."""
    if setting != "CLUES":
        return
    if enter:
        _overridden.append((replace(done), config.default.config))
        config.default.config = done.config = done.given = None  # so that nobody's publisher is closed
        configure_from_settings()
    elif _overridden:
        before, configuration = _overridden.pop()
        done.given, done.config = before.given, before.config
        config.replace(config.default, configuration)
