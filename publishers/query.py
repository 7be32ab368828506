"""The options in publishers' URLs: each publisher's `url_options` names those it knows, and says how each is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import SplitResult, parse_qsl

from clues.errors import ConfigError

Reader = Callable[[str], Any]
"""Makes an option's value of its text; a ValueError's message says what it should have been."""

_YES, _NO = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}


def text(given: str) -> str:
    """A text, as it is."""
    return given


def text_or_none(given: str) -> str | None:
    """A text; None, which is not the default, where the option is there and empty."""
    return given or None


def number(given: str) -> float:
    """A number."""
    try:
        return float(given)
    except ValueError:
        msg = "must be a number"
        raise ValueError(msg) from None


def seconds(given: str) -> float:
    """A time."""
    try:
        return float(given)
    except ValueError:
        msg = "must be a number of seconds"
        raise ValueError(msg) from None


def whole(given: str) -> int:
    """A whole number, of bytes for instance."""
    try:
        return int(given)
    except ValueError:
        msg = "must be a whole number"
        raise ValueError(msg) from None


def flag(given: str) -> bool:
    """Whether something is switched on."""
    if given.lower() not in _YES | _NO:
        msg = "must be true or false"
        raise ValueError(msg)
    return given.lower() in _YES


def names(given: str) -> list[str]:
    """Several names, separated by commas."""
    return [name for name in (part.strip() for part in given.split(",")) if name]


def options_of(url: SplitResult, known: Mapping[str, Reader]) -> dict[str, Any]:
    """The options in a URL's query, by their names; of one that is there twice, the last counts.

    One that is empty is as good as left out, but for `text_or_none`.

    Raises:
        ConfigError: one is unknown, or its value is mistaken; the message names it.
    """
    given = dict(parse_qsl(url.query, keep_blank_values=True))
    if unknown := given.keys() - known.keys():
        msg = f"CLUES_PUBLISHERS: {url.scheme}:// knows no option {', '.join(sorted(unknown))}"
        raise ConfigError(msg)
    return {
        name: _read(name, value, known[name]) for name, value in given.items() if value or known[name] is text_or_none
    }


def _read(name: str, value: str, reader: Reader) -> Any:
    try:
        return reader(value)
    except ConfigError:
        raise
    except ValueError as error:
        msg = f"CLUES_PUBLISHERS: {name} {error}, not {value!r}"
        raise ConfigError(msg) from None
