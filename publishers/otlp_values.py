"""What an event holds, as attributes of OTLP: scalars under flat names."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from clues.event import Event, EventType

SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"
SYSTEM = "resque"
"""The messaging system of events that don't name another in their metadata's ``_system``."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LARGEST = (1 << 63) - 1

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
    at = datetime.fromisoformat(timestamp)
    found = ((at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND * 1000
    if not 0 <= found <= _LARGEST:
        msg = f"the timestamp {timestamp!r} is before 1970 or after 2262"
        raise ValueError(msg)
    return found


def text(value: object) -> str:
    """A text that protobuf takes: lone surrogates are replaced."""
    found = value if isinstance(value, str) else str(value)
    try:
        found.encode()
    except UnicodeEncodeError:
        return found.encode("utf-8", "replace").decode()
    return found


def put(into: Any, key: str, value: object) -> None:
    """Add an attribute: a scalar as it is, nothing for None, all else as JSON.

    Args:
        into: a repeated field of ``KeyValue``.
        key: its name.
        value: its value, of JSON's kinds.
    """
    if value is None:
        return
    attribute: KeyValue = into.add()
    try:
        attribute.key = key
        if type(value) is str:  # first, for most are; a dozen attributes an event are most of what an event costs here
            attribute.value.string_value = value
            return
    except UnicodeEncodeError:
        attribute.key = text(key)
    _hold(attribute.value, value)


def _hold(held: AnyValue, value: object) -> None:
    if isinstance(value, str):
        held.string_value = text(value)
    elif isinstance(value, bool):
        held.bool_value = value
    elif isinstance(value, int) and -_LARGEST <= value <= _LARGEST:
        held.int_value = value
    elif isinstance(value, float) and math.isfinite(value):
        held.double_value = value
    else:
        held.string_value = text(json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str))


def system_of(event: Event) -> str:
    """The messaging system."""
    found = event.metadata.get("_system")
    return found if isinstance(found, str) and found else SYSTEM


def operation_of(event: Event) -> tuple[str, str]:
    """The operation's name and type, of messaging's conventions."""
    return _OPERATIONS[event.event_type]


def put_job(into: Any, event: Event) -> None:
    """Add what an event says of its job: to its log record, and to its span."""
    metadata = event.metadata
    system = system_of(event)
    name, kind = operation_of(event)
    put(into, "messaging.system", system)
    put(into, "messaging.operation.name", name)
    put(into, "messaging.operation.type", kind)
    put(into, "messaging.destination.name", event.queue)
    put(into, "messaging.message.id", metadata.get("_event_hash") or metadata.get("event_hash"))
    put(into, f"messaging.{system}.job_class", event.worker_class)
    put(into, "clues.job.class", event.worker_class)
    put(into, "process.pid", metadata.get("_process"))
    _put_metadata(into, metadata)


def put_exception(into: Any, metadata: Mapping[str, Any]) -> None:
    """Add why a job failed."""
    put(into, "exception.type", metadata.get("_exception"))
    put(into, "exception.message", metadata.get("_message"))
    trace = metadata.get("_backtrace")
    if trace:
        put(into, "exception.stacktrace", "\n".join(map(str, trace)) if isinstance(trace, list) else trace)


def error_type(event: Event) -> str:
    """What kind of error a job failed with; empty if it did not."""
    if event.event_type is not EventType.FAILED:
        return ""
    found = event.metadata.get("_exception") or event.metadata.get("_reason")
    return text(found) if isinstance(found, str) else "_OTHER"


def seconds(value: object) -> float | None:
    """A duration from metadata; None if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e10:  # noqa: PLR2004 - 300 years
        return None
    return float(value)


def _put_metadata(into: Any, metadata: Mapping[str, Any]) -> None:
    for key, value in metadata.items():
        if not key.startswith("_"):
            put(into, f"clues.metadata.{key}", value)
        elif key not in _ELSEWHERE:
            put(into, f"clues.{key[1:]}", value)
