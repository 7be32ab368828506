"""Times as Resque spells them, each from epoch seconds; local zone where Ruby uses it."""

from __future__ import annotations

import time
from datetime import datetime


def run_at(now: float) -> str:
    """When a worker took its job, in UTC: ``2026-11-20T15:09:37Z``."""
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


def _read_started(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S %z")
