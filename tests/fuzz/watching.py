"""Sees whether code that only reads runs, imports or opens anything."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_ACTS = (
    "import",
    "exec",
    "compile",
    "open",
    "os.",
    "subprocess.",
    "socket.",
    "shutil.",
    "ctypes.",
    "pickle.",
    "signal.",
)
_seen: list[str] | None = None


def _hook(event: str, args: tuple[object, ...]) -> None:
    if _seen is not None and event.startswith(_ACTS):
        _seen.append(f"{event} {args!r:.100}")


sys.addaudithook(_hook)  # for good: there is no way to remove one


@contextmanager
def watched() -> Iterator[list[str]]:
    """Gives what the code within does to the world."""
    global _seen  # noqa: PLW0603 - the hook is the process's
    found: list[str] = []
    _seen = found
    try:
        yield found
    finally:
        _seen = None
