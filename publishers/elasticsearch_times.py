"""An event's time, as documents have it."""

from __future__ import annotations

import functools
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

_USUAL = len("2026-11-20T20:59:58.123456Z")


class Moment(NamedTuple):
    """An event's time.

    Attributes:
        text: as documents have it, in UTC.
        second: the time to the second.
        micro: the microseconds beyond.
    """

    text: str
    second: datetime
    micro: int

    def before(self, seconds: float) -> str | None:
        """The time so many seconds before; None where that is before all times."""
        # Most ended in the second in which they began, or in one that others began in: no date is reckoned.
        back, micro = divmod(self.micro - round(seconds * 1_000_000), 1_000_000)
        try:
            return f"{_seconds_before(self.second, -back)}{micro:06d}Z"
        except OverflowError:
            return None


@functools.lru_cache(maxsize=256)
def _seconds_before(at: datetime, seconds: int) -> str:
    return _iso(at - timedelta(seconds=seconds))[:20]


def moment(text: str) -> Moment:
    """An event's time from its timestamp.

    Raises:
        ValueError: it is none.
    """
    micro = text[20:26]
    if len(text) == _USUAL and text[26] == "Z" and micro.isdecimal() and micro.isascii():
        spelled, at = second(text[:20])
        return Moment(f"{spelled}{micro}Z", at, int(micro))
    at = _parsed(text)
    return Moment(_iso(at), at.replace(microsecond=0), at.microsecond)


@functools.lru_cache(maxsize=64)
def second(begin: str) -> tuple[str, datetime]:
    """The second that a timestamp begins with, as it is to be spelled; many events are of one."""
    at = _parsed(f"{begin}000000Z")  # with what the timestamp ends with, so that none is read that is none
    return _iso(at)[:20], at


def _parsed(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        msg = f"not an event: {text[:64]!r} is no time"
        raise ValueError(msg) from None


def _iso(at: datetime) -> str:
    return f"{at.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"
