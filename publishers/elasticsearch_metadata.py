"""The user's metadata in a shape that one field takes: Elasticsearch's ``flattened``, OpenSearch's ``flat_object``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

# The field indexes each value with its path as one term, of at most 32,766 bytes: with 15 levels of 256 characters and
# 5,000 characters of a value that is never reached. Elasticsearch takes 20 levels, and no NUL in a key.
MAX_DEPTH = 15
MAX_KEY = 256
MAX_VALUE = 5_000
LONG = 2**63


def fits(found: Mapping[str, Any]) -> bool:
    """Whether metadata has that shape as it is; what is nested is left to `Shaped`."""
    for key, value in found.items():
        if len(key) > MAX_KEY or "\0" in key:
            return False
        kind = type(value)
        if kind is str:
            if len(value) > MAX_VALUE:
                return False
        elif kind is int or kind is float:
            if not -LONG <= value < LONG:
                return False
        elif kind is not bool and value is not None:
            return False
    return True


class Shaped:
    """Metadata in a shape that a flattened field takes, whatever it was; `cut` says whether anything was lost."""

    def __init__(self) -> None:
        self.cut = False

    def mapping(self, found: Mapping[str, Any], depth: int = 1) -> dict[str, Any]:
        """An object so shaped."""
        shaped: dict[str, Any] = {}
        for key, value in found.items():
            name = key.replace("\0", "\ufffd")
            if len(name) > MAX_KEY:
                name, self.cut = f"{name[: MAX_KEY - 16]}…", True
            while name in shaped:  # two that were different until now
                name += "_"
            shaped[name] = self._value(value, depth)
        return shaped

    def _value(self, value: object, depth: int) -> Any:
        match value:
            case str():
                return self._string(value)
            case dict() | list() if depth >= MAX_DEPTH:
                return self._string(as_text(value))
            case dict():
                return self.mapping(value, depth + 1)
            case list():
                return [self._value(part, depth + 1) for part in value]
            case float() | int() if not -LONG <= value < LONG:  # NaN too
                return self._string(str(value))
            case _:
                return value

    def _string(self, text: str) -> str:
        if len(text) <= MAX_VALUE:
            return text
        self.cut = True
        return f"{text[: MAX_VALUE - 1]}…"


def as_text(value: object) -> str:
    """A value's JSON; characters that UTF-8 can't hold are escaped."""
    try:
        return json.dumps(value, separators=(",", ":"))
    except RecursionError:
        return "<too deep>"
