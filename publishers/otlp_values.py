"""What an event holds, as attributes of OTLP: scalars under flat names."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from clues.event import Event, EventType
from clues.publishers.otlp_facts import system_of
from clues.publishers.otlp_wire import LENGTHS, bool_value, double_value, encoded, int_value, sized, string, text_value

SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LARGEST = (1 << 63) - 1
_ONE_BYTE = 128  # lengths below it have one
_SHORT_TEXTS = tuple(LENGTHS[size + 2] + b"\x0a" + LENGTHS[size] for size in range(_ONE_BYTE - 3))
"""What comes before a short text in an attribute: the length of an AnyValue, its tag, the text's length."""
_SMALL_INTS = tuple(sized(int_value(value)) for value in range(_ONE_BYTE))

_USUAL = len("2026-11-20T20:59:58.123456Z")

# What semantic conventions have a name for, or a field of its own; other system keys become clues.<name>.
_ELSEWHERE = frozenset({
    "_hostname", "_process", "_exception", "_message", "_backtrace", "_system", "_traceparent", "_tracestate",
    "_parent_span_id",
})  # fmt: skip
_OPERATIONS = {
    EventType.ENQUEUED: ("enqueue", "send"),
    EventType.DEQUEUED: ("dequeue", "receive"),
    EventType.PERFORM_STARTED: ("process", "process"),
    EventType.PERFORM_FINISHED: ("process", "process"),
    EventType.FAILED: ("process", "process"),
    EventType.DESTROYED: ("destroy", "settle"),
}


def nanoseconds(timestamp: str) -> int:
    """An event's timestamp in nanoseconds since the epoch.

    Raises:
        ValueError: it is none, or none that OTLP can say.
    """
    micro = timestamp[20:26]
    if len(timestamp) == _USUAL and timestamp[26] == "Z" and micro.isdecimal() and micro.isascii():
        found = _of_second(timestamp[:20]) + int(micro) * 1000
    else:
        found = _parsed(timestamp)
    if not 0 <= found <= _LARGEST:
        msg = f"the timestamp {timestamp!r} is before 1970 or after 2262"
        raise ValueError(msg)
    return found


@functools.lru_cache(maxsize=64)
def _of_second(begin: str) -> int:
    return _parsed(f"{begin}000000Z")  # with what the timestamp ends with, so that none is read that is none


def _parsed(timestamp: str) -> int:
    at = datetime.fromisoformat(timestamp)
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND * 1000


@functools.lru_cache(maxsize=1024)
def named(key: str) -> bytes:
    """What an attribute of this name begins with."""
    return string(1, key) + b"\x12"


def attribute(name: bytes, value: object) -> bytes:
    """A ``KeyValue`` with its length before it: a scalar as it is, all else as JSON.

    Args:
        name: what `named` gave for its key.
        value: its value, of JSON's kinds.
    """
    # A dozen of them an event are most of what an event costs here; most are short texts, and few integers are large.
    if type(value) is str:
        try:
            data: bytes = value.encode()
        except UnicodeEncodeError:
            data = encoded(value)
        size = len(data)
        whole = len(name) + size + 3
        if whole < _ONE_BYTE:
            return LENGTHS[whole] + name + _SHORT_TEXTS[size] + data
        return sized(name + sized(text_value(data)))
    if type(value) is int and 0 <= value < _ONE_BYTE:
        return sized(name + _SMALL_INTS[value])
    return sized(name + sized(_held(value)))


def put(into: Any, key: str, value: object) -> None:
    """Add an attribute to a repeated field of ``KeyValue``; nothing for None."""
    if value is not None:
        into.append(KeyValue.FromString(named(key) + sized(_held(value))))


def _held(value: object) -> bytes:
    """An ``AnyValue``."""
    if isinstance(value, float) and math.isfinite(value):
        return double_value(value)
    if isinstance(value, bool):
        return bool_value(value)
    if isinstance(value, int) and -_LARGEST <= value <= _LARGEST:
        return int_value(value)
    if isinstance(value, str):
        return text_value(encoded(value))
    return text_value(encoded(as_json(value)))


def as_json(value: object) -> str:
    """A value as JSON, the same whether orjson is installed or not."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def operation_of(event: Event) -> tuple[str, str]:
    """The operation's name and type, of messaging's conventions."""
    return _OPERATIONS[event.event_type]


def job_attributes(event: Event) -> list[bytes]:
    """What an event says of its job: to its log record, and to its span."""
    metadata = event.metadata
    system, queue, worker_class, pid = system_of(event), event.queue, event.worker_class, metadata.get("_process")
    place = _of_place if type(queue) is str and type(worker_class) is str and type(pid) is int else _of_any_place
    found = [*place(event.event_type, system, queue, worker_class, pid)]
    told = metadata.get("_event_hash") or metadata.get("event_hash")
    if told is not None:
        found.append(attribute(_MESSAGE_ID, told))
    for key, value in metadata.items():
        if value is not None and (name := _of_metadata(key)):
            found.append(attribute(name, value))
    return found


def exception_attributes(metadata: Mapping[str, Any]) -> list[bytes]:
    """Why a job failed."""
    trace = metadata.get("_backtrace") or None
    told = {
        "exception.type": metadata.get("_exception"),
        "exception.message": metadata.get("_message"),
        "exception.stacktrace": "\n".join(map(str, trace)) if isinstance(trace, list) else trace,
    }
    return [attribute(named(key), value) for key, value in told.items() if value is not None]


def _of_any_place(
    event_type: EventType, system: str, queue: object, worker_class: object, pid: object
) -> tuple[bytes, ...]:
    """What many events have in common; those of one place and type all of it."""
    name, kind = _OPERATIONS[event_type]
    told = {
        "messaging.system": system,
        "messaging.operation.name": name,
        "messaging.operation.type": kind,
        "messaging.destination.name": queue,
        f"messaging.{system}.job_class": worker_class,
        "clues.job.class": worker_class,
        "process.pid": pid,
    }
    return tuple(attribute(named(key), value) for key, value in told.items() if value is not None)


_of_place = functools.lru_cache(maxsize=1024)(_of_any_place)  # of texts and an int, for True is 1 to a cache


@functools.lru_cache(maxsize=1024)
def _of_metadata(key: str) -> bytes:
    """The name of a metadata's key, or nothing where it is told elsewhere."""
    if not key.startswith("_"):
        return named(f"clues.metadata.{key}")
    return b"" if key in _ELSEWHERE else named(f"clues.{key[1:]}")


_MESSAGE_ID = named("messaging.message.id")
