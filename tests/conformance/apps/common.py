"""What the applications have in common: how clues is configured, and what the jobs do."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import clues
from clues.publishers import CompositePublisher, LogPublisher

REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
BARE = bool(os.environ.get("CONFORMANCE_BARE"))
EVENTS = os.environ.get("CONFORMANCE_EVENTS", "events.log")


class TellingError(Exception):
    """What a failing job raises."""


def configure(**options: Any) -> None:
    """As an application's initializer does; CONFORMANCE_BROKEN has all publishing raise.

    CONFORMANCE_BARE leaves clues unconfigured: the job system as it is without; adapters are then not installed.
    """
    if BARE:
        return
    broken = os.environ.get("CONFORMANCE_BROKEN")
    publisher: Any = _broken if broken else CompositePublisher(LogPublisher(EVENTS), _broken)
    clues.configure(publisher, item_preprocessor=add_customer, **options)


def add_customer(queue: str, item: dict[str, Any]) -> None:
    item["clues_metadata"]["customer_id"] = 4711


def _broken(event: clues.Event) -> None:
    raise RuntimeError(f"this publisher does not like {event.event_type}")


# The jobs' bodies. Each application wraps them as its system has it.


def succeed(x: int, y: int) -> int:
    """Writes a field, and returns."""
    clues.clues_metadata["sum"] = x + y
    return x + y


def fail() -> None:
    """Fails by itself, with a field written before."""
    clues.clues_metadata["got_to"] = "the end"
    raise TellingError("told to fail")


def fail_first(path: str) -> None:
    """Fails at its first attempt, which leaves a file; a retry is to follow."""
    place = Path(path)
    clues.clues_metadata["was_there"] = place.exists()
    if not place.exists():
        place.touch()
        raise TellingError("the first time")


def overrun(path: str) -> None:
    """Takes longer than it may; its limit, one second, is set as its system has it."""
    Path(path).touch()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        time.sleep(0.05)


def hang(path: str) -> None:
    """Writes its process id into a file, and waits for a file beside it, ``….go``, or to be killed."""
    place = Path(path)
    first = place.with_suffix(f".{os.getpid()}")
    first.write_text(str(os.getpid()))
    first.rename(place)
    deadline = time.monotonic() + 120
    while not place.with_suffix(".go").exists() and time.monotonic() < deadline:
        time.sleep(0.02)


def mark(path: str) -> None:
    """Leaves a file: a job that was run, whatever became of its events."""
    Path(path).touch()
