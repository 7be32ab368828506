"""The readers of foreign data that are tried, by their names."""

from __future__ import annotations

from collections.abc import Callable

Target = Callable[[bytes], None]
TARGETS: dict[str, Target] = {}


def target(function: Target) -> Target:
    """Make it known by its name."""
    TARGETS[function.__name__] = function
    return function


def text_of(data: bytes) -> str:
    """Bytes as text, whatever they are."""
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("latin-1")
