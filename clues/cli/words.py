"""The words and colours for what happens to jobs, and how times and values are written; one for all commands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rich.text import Text

from clues.cli.output import clean
from clues.event import EventType

LABELS = {
    EventType.ENQUEUED: "enqueued",
    EventType.DEQUEUED: "dequeued",
    EventType.PERFORM_STARTED: "started",
    EventType.PERFORM_FINISHED: "finished",
    EventType.FAILED: "failed",
    EventType.DESTROYED: "destroyed",
}
STYLES = {
    "enqueued": "dim",
    "dequeued": "dim",
    "started": "cyan",
    "finished": "green",
    "failed": "bold red",
    "destroyed": "yellow",
    "retrying": "yellow",
    "waiting": "yellow",
    "taken": "cyan",
    "running": "cyan",
}
SHORT = 8
"""Digits of a hash that are shown; enough for ``clues trace``."""

_LONGEST_VALUE = 60
_MINUTE, _HOUR = 60.0, 3600.0


def label(word: str, *, width: int = 0, retrying: bool = False) -> Text:
    """What happened or an outcome, in its colour; a failure that is retried has that of what waits."""
    return Text(word.ljust(width), style=STYLES.get("retrying" if retrying else word, ""))


def seconds(value: float | None) -> str:  # noqa: PLR0911 - one for each unit
    """A duration as people say it: ``4.2ms``, ``310ms``, ``1.20s``, ``2m05s``, ``1h02m``; ``-`` for None."""
    if value is None:
        return "-"
    if value < 0:
        return f"-{seconds(-value)}"
    if value < 0.01:  # noqa: PLR2004 - where a tenth of a millisecond stops to matter
        return f"{value * 1000:.1f}ms"
    if value < 0.9995:  # noqa: PLR2004 - what rounds to a whole second
        return f"{value * 1000:.0f}ms"
    if value < _MINUTE:
        return f"{value:.2f}s" if value < 10 else f"{value:.1f}s"  # noqa: PLR2004
    whole = int(value)
    if value < _HOUR:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def short(event_hash: str | None) -> str:
    """The beginning of a hash."""
    return clean(event_hash or "-")[:SHORT]


def fields(found: Mapping[str, Any], *, longest: int | None = _LONGEST_VALUE) -> Text:
    """``customer_id=7 plan=pro``; long values are cut to ``longest`` characters."""
    text = Text()
    for key, value in found.items():
        text.append(" " if text else "")
        text.append(f"{clean(key)}=", style="dim")
        text.append(_cut(value_text(value), longest))
    return text


def value_text(value: object) -> str:
    """A value: a string bare where it is one plain word, anything else as JSON."""
    if isinstance(value, str) and value and not any(mark in value for mark in " =\"'[]{},"):
        return clean(value)
    return clean(json.dumps(value, ensure_ascii=False, default=str))


def error_text(exception: object, message: object, reason: object = None) -> Text:
    """``CardDeclined: insufficient funds (killed:SIGKILL)``, on one line."""
    first_line = str(message or "").strip().partition("\n")[0]
    text = Text(clean(exception), style="red")
    text.append(f": {clean(first_line)}" if first_line else "")
    text.append(f" ({clean(reason)})" if reason else "")
    return text


def _cut(text: str, longest: int | None) -> str:
    return text if longest is None or len(text) <= longest else f"{text[: longest - 1]}…"
