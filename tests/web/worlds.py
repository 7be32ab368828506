"""What there is to see: Redis and event logs, filled by hand."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeAlias

from clues.event import Event, EventType
from clues.metadata import event_id, timestamp
from clues.resque import times

Redis: TypeAlias = Any  # redis-py's types allow for clients that decode, at every answer

HOSTILE = '<img src=x onerror="window.hit=1"><script>window.hit=1</script>\'"`${window.hit=1}&lt;\u202e\u0000'
"""Text that would be a script if any of it was taken for HTML, and that turns around what comes after it."""


def life(number: int, at: float, kind: str = "finished", **given: Any) -> list[Event]:
    """A job that was enqueued, waited for a second and ran for two."""
    told: dict[str, Any] = {
        "worker_class": "PdfGeneration",
        "queue": "pdf",
        "event_hash": f"{number:032x}",
        "attempt": 1,
        "args": [number],
        "waited": 1.0,
        "ran": 2.0,
        "metadata": {},
        **given,
    }
    waited, ran = told["waited"], told["ran"]
    whole = {"_time_in_queue": waited, "_time_to_perform": ran}
    steps: list[tuple[EventType, float, dict[str, Any]]] = [
        (EventType.ENQUEUED, 0.0, {}),
        (EventType.DEQUEUED, waited, {"_time_in_queue": waited}),
        (EventType.PERFORM_STARTED, waited, {"_time_in_queue": waited}),
    ]
    if kind == "finished":
        steps.append((EventType.PERFORM_FINISHED, waited + ran, whole))
    elif kind in {"failed", "retrying"}:
        failure = {"_exception": "TimeoutError", "_message": "too slow", "_backtrace": ["a.py:1:in `b'"], **whole}
        retrying = {"_retrying": True} if kind == "retrying" else {}
        steps.append((EventType.FAILED, waited + ran, failure | retrying))
    return [_event(type_, at + after, told, more) for type_, after, more in steps]


def _event(kind: EventType, at: float, told: dict[str, Any], more: dict[str, Any]) -> Event:
    event_hash, attempt = told["event_hash"], told["attempt"]
    system = {
        "_event_hash": event_hash,
        "_event_id": event_id(event_hash, attempt, kind),
        "_attempt": attempt,
        "_hostname": "worker-1",
        "_process": 7,
    }
    metadata = {**system, **more, **told["metadata"]}
    return Event(kind, timestamp(at), told["queue"], metadata, told["worker_class"], told["args"])


def write(log: Path, events: Iterable[Event]) -> Path:
    """Append events to a log."""
    with log.open("ab") as stream:
        for event in events:
            stream.write(event.line + b"\n")
    return log


def failure(number: int, **given: Any) -> bytes:
    """An entry of the list of failures."""
    entry = {
        "failed_at": time.strftime("%Y/%m/%d %H:%M:%S UTC", time.gmtime(1_700_000_000 + number)),
        "payload": {
            "class": "PdfGeneration",
            "args": [number],
            "clues_metadata": {"_event_hash": f"{number:032x}", "_attempt": 1},
        },
        "exception": "TimeoutError",
        "error": f"order {number} was too slow",
        "backtrace": ["/srv/shop/pdf.py:8:in `draw'"],
        "worker": "worker-1:42:pdf",
        "queue": "pdf",
        **given,
    }
    return json.dumps(entry).encode()


def fail(redis: Redis, entries: Iterable[bytes]) -> None:
    """Put failures into Redis, the last one the newest."""
    pipe = redis.pipeline(transaction=False)
    for number, entry in enumerate(entries):
        pipe.rpush("resque:failed", entry)
        if number % 5000 == 0:
            pipe.execute()
    pipe.execute()


def wait_in(redis: Redis, queue: str, count: int, *, worker_class: str = "PdfGeneration", args: Any = None) -> None:
    """Put jobs into a queue."""
    redis.sadd("resque:queues", queue)
    at = time.time() - 100
    for number in range(count):
        item = {
            "class": worker_class,
            "args": args or [number],
            "clues_metadata": {"_event_hash": f"{number:032x}", "_enqueued_time": at},
        }
        redis.rpush(f"resque:queue:{queue}", json.dumps(item))


def work(redis: Redis, host: str = "worker-1", *, queues: str = "pdf", worker_class: str = "PdfGeneration") -> None:
    """A tree of two processes, of which one is busy."""
    now = time.time()
    for slot, mark in enumerate(("", ",~1.0")):
        told = {"host": host, "master": 42, "slot": slot, "thread": 0, "process": 50 + slot, "pss": 95 << 20}
        worker_id = f"{host}:42:{queues}{mark}"
        redis.hset("resque:workers:tree", worker_id, json.dumps(told))
        redis.sadd("resque:workers", worker_id)
        redis.set(f"resque:worker:{host}:42:heartbeat{mark}", "t", ex=1000)
        redis.hset("resque:workers:heartbeat", worker_id, times.heartbeat(now))
    payload = {"class": worker_class, "args": [1], "clues_metadata": {"_event_hash": "a" * 32}}
    lease = {"queue": queues, "run_at": times.run_at(now - 75), "payload": payload}
    redis.set(f"resque:worker:{host}:42:{queues}", json.dumps(lease, separators=(",", ":")))
