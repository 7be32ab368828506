"""Events made up for tests, as clues and as resque-clues would write them."""

from __future__ import annotations

from typing import Any

from clues.event import Event, EventType
from clues.metadata import event_id, timestamp

HASH = "0695f49c5e70fc18da91961113e1769a"
START = 1_600_000_000.0


def event(
    kind: str,
    at: float = 0.0,
    *,
    event_hash: str = HASH,
    attempt: int = 1,
    queue: str = "pdf",
    worker_class: str = "PdfGeneration",
    args: list[Any] | None = None,
    **metadata: Any,
) -> Event:
    """An event, ``at`` seconds after the start."""
    found = EventType(f"perform_{kind}" if kind in {"started", "finished"} else kind)
    system = {
        "_event_hash": event_hash,
        "_event_id": event_id(event_hash, attempt, found),
        "_attempt": attempt,
        "_hostname": "web-1",
        "_process": 7,
    }
    return Event(found, timestamp(START + at), queue, {**system, **metadata}, worker_class, args or [42])


def ruby_event(kind: str, second: str, **metadata: Any) -> Event:
    """An event as resque-clues writes it: whole seconds, each system key twice, no id, no attempt."""
    found = EventType(f"perform_{kind}" if kind in {"started", "finished"} else kind)
    system = {"_event_hash": HASH, "event_hash": "another", "_hostname": "vm", "hostname": "vm"}
    return Event(found, f"2026-11-20T15:14:{second}Z", "golden", {**system, **metadata}, "EchoJob", [1])


def a_life(**fields: Any) -> list[Event]:
    """A job that ends well."""
    return [
        event("enqueued", 0, **fields),
        event("dequeued", 0.5, _time_in_queue=0.5, **fields),
        event("started", 0.501, _time_in_queue=0.5, **fields),
        event("finished", 1.5, _time_in_queue=0.5, _time_to_perform=0.998, pages=3, **fields),
    ]


def lines(*events: Event) -> bytes:
    """Events as a log holds them."""
    return b"".join(found.line + b"\n" for found in events)
