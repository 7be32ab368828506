"""Plain values as YAML, as far as rule files need it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

_PLAIN = re.compile(r"[A-Za-z][\w-]*|\d+[smhd]", re.ASCII)


def dumped(value: object) -> str:
    """A mapping or a list, in lines."""
    return "".join(f"{line}\n" for line in _lines(value))


def _lines(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _under(f"{key}:", inner)
    elif isinstance(value, list):
        for inner in value:
            first, *rest = _lines(inner)
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)
    else:
        yield _scalar(value)


def _under(key: str, inner: object) -> Iterator[str]:
    if isinstance(inner, Mapping | list):
        yield key
        yield from (f"  {line}" for line in _lines(inner))
    else:
        yield f"{key} {_scalar(inner)}"


def _scalar(value: object) -> str:
    """Texts that could be taken for something else are quoted."""
    if (
        isinstance(value, str)
        and _PLAIN.fullmatch(value)
        and value.lower() not in {"true", "false", "null", "yes", "no"}
    ):
        return value
    return json.dumps(value, ensure_ascii=False)
