"""The environment's variables for `clues.configure`, checked as they are read; `clues.variables` has their meaning."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from clues.errors import ConfigError
from clues.event import Publisher
from clues.faults import say
from clues.plugs import listed, publisher_class, publisher_from_urls
from clues.redaction import SECRET_WORDS
from clues.variables import VARIABLES

SMALLEST_CAP = 64
LARGEST_CAP = 1 << 30


class Environment:
    """Settings as the call gives them, else as the environment does; a mistaken one is a ConfigError that names it."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def text(self, name: str) -> str:
        """A variable, or an empty text."""
        return self._environ.get(name, "").strip()

    def name(self, variable: str, given: object) -> str:
        """A name that can be printed; empty if there is none."""
        found = self.text(variable) if given is None else given
        if isinstance(found, str) and (found.isprintable() if given is None else found.strip() and found.isprintable()):
            return found
        label = _label(variable, given)
        msg = f"{label} must be a name, not {found!r}"
        raise ConfigError(msg)

    def flag(self, name: str, given: object) -> bool:
        """Whether something is switched on."""
        if given is not None:
            if isinstance(given, bool):
                return given
            msg = f"{_label(name, given)} must be True or False, not {given!r}"
            raise ConfigError(msg)
        found = self.text(name).lower()
        if found in {"", "0", "false", "no", "off"}:
            return False
        if found in {"1", "true", "yes", "on"}:
            return True
        msg = f"{name} must be true or false, not {found!r}"
        raise ConfigError(msg)

    def secret_words(self, variable: str, given: Iterable[str] | bool | None) -> tuple[str, ...]:
        """The built-in words that make a key a secret's name, and the given ones; none where redaction is off."""
        found = self._words(variable) if given is None else given
        return _secret_words(_label(variable, given), found)

    def _words(self, variable: str) -> list[str] | bool:
        found = self.text(variable)
        if found.lower() in {"off", "false", "no", "none"}:
            return False
        return [word for word in (part.strip() for part in found.split(",")) if word]

    def cap(self, name: str, given: int | None, standard: int) -> int:
        """A size in bytes."""
        value = (self.text(name) or standard) if given is None else given
        try:
            size = int(value)
        except (TypeError, ValueError, OverflowError):
            size = -1
        if not SMALLEST_CAP <= size <= LARGEST_CAP or isinstance(value, bool):
            msg = f"{_label(name, given)} must be a number of bytes from {SMALLEST_CAP} to {LARGEST_CAP}, not {value!r}"
            raise ConfigError(msg)
        return size

    def publisher(self) -> Publisher:
        """Who ``CLUES_PUBLISHERS`` names, and statsd where ``STATSD_HOST`` does."""
        urls = [url for url in (part.strip() for part in self.text("CLUES_PUBLISHERS").split(",")) if url]
        return publisher_from_urls(urls, *self._statsd())

    def _statsd(self) -> list[Publisher]:
        return [publisher_class("statsd").from_environment(self._environ)] if self.text("STATSD_HOST") else []

    def warn_of_unknown(self) -> None:
        """Say which variables look like ours and are not: a misspelt one would do nothing, silently."""
        for name, near in unknown(self._environ):
            say(logging.WARNING, "%s is no variable of clues%s", name, f"; {near} is" if near else "")


def unknown(names: Iterable[str], likeness: float = 0.6) -> Iterator[tuple[str, str]]:
    """The variables that look like ours and are not, each with the one that was meant, or an empty text.

    Args:
        names: those there are.
        likeness: from 0 to 1, how much alike two names must be for one to be meant by the other.
    """
    for name in names:
        if name.startswith("CLUES_") and name not in VARIABLES:
            import difflib  # noqa: PLC0415 - seldom needed, and slow to import

            yield name, "".join(difflib.get_close_matches(name, VARIABLES, 1, likeness))


def _secret_words(label: str, given: Iterable[str] | bool) -> tuple[str, ...]:
    if given is False:
        return ()
    if isinstance(given, str):
        msg = f"{label} must be a list of words or a boolean, not one string"
        raise ConfigError(msg)
    more = () if given is True else listed(label, given)
    if not all(isinstance(word, str) and any(map(str.isalnum, word)) for word in more):
        msg = f"{label} holds words that make a key a secret's name; these are not all words: {more!r}"
        raise ConfigError(msg)
    return tuple(dict.fromkeys([*SECRET_WORDS, *(word.strip() for word in more)]))


def positions_by_class(given: Any) -> dict[str, frozenset[int]]:
    """The positions of secret arguments by job class.

    Raises:
        ConfigError: they are none.
    """
    if isinstance(given, Mapping) and all(
        isinstance(name, str)
        and isinstance(positions, Collection)
        and all(type(position) is int and position >= 0 for position in positions)
        for name, positions in given.items()
    ):
        return {name: frozenset(positions) for name, positions in given.items()}
    msg = 'redact_args maps a class\'s name to positions of secret args from 0 up, as in {"ChargeCard": [1]}'
    raise ConfigError(msg)


def _label(variable: str, given: object) -> str:
    """What a setting is called where it was given: in the environment, or in the call."""
    return variable if given is None else variable.removeprefix("CLUES_").lower()
