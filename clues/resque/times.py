"""Times as Resque spells them, each from epoch seconds; local zone where Ruby uses it."""

from __future__ import annotations

import functools
import time
from datetime import datetime, timedelta, timezone

_ZONES = {
    "UTC": 0,
    "GMT": 0,
    "WET": 0,
    "BST": 1,
    "WEST": 1,
    "CET": 1,
    "CEST": 2,
    "EET": 2,
    "EEST": 3,
    "MSK": 3,
    "JST": 9,
}
_ZONES |= {"EDT": -4, "EST": -5, "CDT": -5, "CST": -6, "MDT": -6, "MST": -7, "PDT": -7, "PST": -8}
"""Hours from UTC of zones that other hosts may write; this host's own come first, for the names are ambiguous."""


def run_at(now: float) -> str:
    """When a worker took its job, in UTC: ``2026-11-20T15:09:37Z``."""
    return _to_the_second(int(now))


@functools.lru_cache(1)
def _to_the_second(now: int) -> str:
    # A busy worker takes thousands of jobs in a second.
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))


def failed_at(now: float) -> str:
    """When a job failed, or was retried: ``2026/11/20 10:19:40 EST``."""
    return time.strftime("%Y/%m/%d %H:%M:%S %Z", time.localtime(now))


retried_at = failed_at


def started(now: float) -> str:
    """When a worker started: ``2026-11-20 15:09:36 +0000``."""
    return time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(now))


def heartbeat(now: float) -> str:
    """When a worker was last alive: ``2026-11-20T10:19:39-05:00``, the offset in digits even for UTC."""
    text = time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(now))
    return f"{text[:-2]}:{text[-2:]}"


def parse_heartbeat(text: str) -> float | None:
    """Read a heartbeat, ours or another program's; None if it is no time. Without an offset it is local."""
    for read in (datetime.fromisoformat, _read_started):
        try:
            return read(text.strip()).timestamp()
        except (ValueError, OverflowError):
            continue
    return None


def parse_failed_at(text: str) -> float | None:
    """Read when a job failed, or was retried; None if it is no time.

    Ruby's multi-queue backend writes no zone, others may write ISO: what has no zone, or an unknown one, is local.
    """
    day, _, rest = text.strip().partition(" ")
    clock, _, zone = rest.partition(" ")
    try:
        local = datetime.strptime(f"{day} {clock}", "%Y/%m/%d %H:%M:%S")  # noqa: DTZ007 - the zone follows
        return _in_zone(local, zone)
    except (ValueError, OverflowError):
        return parse_heartbeat(text)


def _in_zone(local: datetime, zone: str) -> float:
    if zone in time.tzname:
        is_dst = int(zone != time.tzname[0])  # the hour that comes twice a year is told by its zone's name
        return time.mktime((*local.timetuple()[:8], is_dst))
    if zone in _ZONES:
        return local.replace(tzinfo=timezone(timedelta(hours=_ZONES[zone]))).timestamp()
    if zone[:1] in {"+", "-"}:  # many zones have no letters
        return datetime.strptime(f"{local.isoformat()} {zone:0<5}", "%Y-%m-%dT%H:%M:%S %z").timestamp()
    return local.timestamp()


def _read_started(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S %z")
