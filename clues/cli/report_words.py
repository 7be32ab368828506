"""How a report writes counts, shares, times and names."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from clues.cli.output import clean
from clues.cli.words import seconds


def moment(found: datetime | None) -> str:
    """A moment, to the second."""
    return "-" if found is None else found.strftime("%Y-%m-%d %H:%M:%S")


def number(found: int | None) -> str:
    """A count."""
    return "-" if found is None else f"{found:,}"


def share(found: float | None) -> str:
    """A share in percent."""
    return "-" if found is None else f"{found:.2%}"


def name(found: str | None) -> str:
    """A name from a log, ``?`` where there is none."""
    return "?" if found is None else clean(found)


def span(width: int) -> str:
    """How long a span is, in its largest unit."""
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if width % size == 0:
            return f"{width // size} {unit}{'s' if width > size else ''}"
    return f"{width} second{'s' if width > 1 else ''}"


def percentiles(found: Iterable[float] | None) -> str:
    """Three of them."""
    return " / ".join(each(found))


def each(found: Iterable[float] | None) -> tuple[str, ...]:
    """Each of three percentiles; dashes where there are none."""
    return tuple(map(seconds, found)) if found is not None else ("-", "-", "-")


def cut(text: str, most: int = 120) -> str:
    """No more than so many characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
