"""An event as a document of Elasticsearch: fields of the Elastic Common Schema, and our own under ``clues``."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from clues.event import Event, EventType, json_encoder
from clues.metadata import read_attempt, read_hash, users_own
from clues.publishers.elasticsearch_metadata import LONG, MAX_VALUE, Shaped, as_text

ECS_VERSION = "8.17.0"
DATASET = "clues.events"

_MAX_ID = 512  # bytes, Elasticsearch's own limit

_TYPES = {
    EventType.ENQUEUED: ["info"],
    EventType.DEQUEUED: ["info"],
    EventType.PERFORM_STARTED: ["start"],
    EventType.PERFORM_FINISHED: ["end"],
    EventType.FAILED: ["end", "error"],
    EventType.DESTROYED: ["end"],
}
_OUTCOMES = {EventType.PERFORM_FINISHED: "success", EventType.FAILED: "failure"}
_STAGES = {EventType.ENQUEUED: 0, EventType.DEQUEUED: 1, EventType.PERFORM_STARTED: 2}
_END = 3
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}.*", re.ASCII)
_ELSEWHERE = frozenset({"_traceparent", "_parent_event_hash", "_service_name"})  # written to fields of their own


@dataclass(frozen=True, slots=True)
class Target:
    """Where documents go.

    Attributes:
        name: the data stream's or the index' name; what the days' indices begin with, if dated.
        dated: one index a day, by the day of the event.
        namespace: the data stream's; None of an index.
    """

    name: str
    dated: bool = False
    namespace: str | None = None

    def index(self, at: datetime) -> str:
        """The index of an event's moment. Of the event, not of today: a replay finds the same, and so no duplicates."""
        return f"{self.name}-{at:%Y.%m.%d}" if self.dated else self.name


def bulk_lines(line: bytes, target: Target, chart: Iterable[str] = ()) -> bytes:
    """Two lines of a bulk request: to create the document of an event, under an id that is always the same.

    Raises:
        ValueError: the line is no event, or one without a time.
    """
    event = Event.from_line(line)
    at = _moment(event.timestamp)
    fields = document(event, at, target, chart)
    fields["event"]["id"] = document_id(event, line)
    action = {"create": {"_index": target.index(at), "_id": fields["event"]["id"]}}
    return _encode(action) + b"\n" + _encode(fields) + b"\n"


def document_id(event: Event, line: bytes) -> str:
    """The event's own id, or a hash of its line where it has none (Ruby's)."""
    found = event.metadata.get("_event_id")
    if isinstance(found, str) and found.isprintable() and 0 < len(found.encode()) <= _MAX_ID:
        return found
    return hashlib.sha256(line).hexdigest()[:40]


def document(event: Event, at: datetime, target: Target, chart: Iterable[str] = ()) -> dict[str, Any]:
    """The document, without fields that nothing is known of.

    Args:
        event: the event.
        at: its time.
        target: where it goes.
        chart: names of the user's metadata that are to be fields of their own: numbers and labels.
    """
    known = event.metadata
    fields: dict[str, Any] = {
        "@timestamp": _iso(at),
        "message": sentence(event),
        "ecs": {"version": ECS_VERSION},
        "event": _event_fields(event, at),
        "error": _error_fields(known),
        "host": {"name": _text(known.get("_hostname"))},
        "process": {"pid": _whole(known.get("_process"))},
        "service": {"name": _text(known.get("_service_name", known.get("service.name")))},
        **_trace_fields(known.get("_traceparent")),
        "clues": _own_fields(event),
    }
    if target.namespace is not None:
        fields["data_stream"] = {"type": "logs", "dataset": DATASET, "namespace": target.namespace}
    _add_charted(fields, event.metadata, chart)
    return _filled(fields)


def sentence(event: Event) -> str:
    """What happened, for people."""
    known = event.metadata
    job, queue = _text(event.worker_class) or "a job", _text(event.queue) or "a queue"
    waited = _seconds(known.get("_time_in_queue"), "after")
    match event.event_type:
        case EventType.ENQUEUED:
            return f"{job} was enqueued on {queue}"
        case EventType.DEQUEUED:
            return f"{job} was taken from {queue}{waited}"
        case EventType.PERFORM_STARTED:
            return f"{job} began"
        case EventType.PERFORM_FINISHED:
            return f"{job} finished{_seconds(known.get('_time_to_perform'), 'in')}"
        case EventType.FAILED:
            why = ": ".join(text for key in ("_exception", "_message") if (text := _text(known.get(key))))
            return f"{job} failed{_seconds(known.get('_time_to_perform'), 'after')}{f': {why}' if why else ''}"
        case EventType.DESTROYED:
            return f"{job} was removed from {queue}"


def _event_fields(event: Event, at: datetime) -> dict[str, Any]:
    known, kind = event.metadata, event.event_type
    took = _number(known.get("_time_to_perform"))
    fields: dict[str, Any] = {
        "action": kind.value,
        "kind": "event",
        "category": ["process"],
        "type": _TYPES[kind],
        "outcome": _OUTCOMES.get(kind, "unknown"),
        "dataset": DATASET,
        "module": "clues",
        "reason": _text(known.get("_reason")),
        # Times of one millisecond sort by it: the order of a job's life.
        "sequence": 4 * read_attempt(known) + _STAGES.get(kind, _END),
    }
    if took is not None and 0 <= took < 1e9:  # noqa: PLR2004 - 30 years; more is no time, and no long of nanoseconds
        fields["duration"] = round(took * 1e9)
        fields["start"] = _started(at, took)
    return fields


def _error_fields(known: Mapping[str, Any]) -> dict[str, Any]:
    trace = known.get("_backtrace")
    lines = [str(line) for line in trace] if isinstance(trace, list) else [trace] if isinstance(trace, str) else []
    return {
        "type": _text(known.get("_exception")),
        "message": _text(known.get("_message")),
        "stack_trace": "\n".join(lines) or None,
    }


def _trace_fields(traceparent: object) -> dict[str, Any]:
    found = _TRACEPARENT.fullmatch(traceparent) if isinstance(traceparent, str) else None
    return {"trace": {"id": found[1]}, "span": {"id": found[2]}} if found else {}


def _own_fields(event: Event) -> dict[str, Any]:
    known = event.metadata
    args = _encode(event.args)
    shaped = Shaped()
    own = {key: value for key, value in users_own(known).items() if key not in _ELSEWHERE}
    metadata = shaped.mapping(own)
    truncated = known.get("_truncated")
    cut = [str(part) for part in truncated] if isinstance(truncated, list) else []
    return {
        "event_hash": read_hash(known),
        "queue": _text(event.queue),
        "job_class": _text(event.worker_class),
        "attempt": read_attempt(known),
        "time_in_queue": _number(known.get("_time_in_queue")),
        "time_to_perform": _number(known.get("_time_to_perform")),
        "clock_skew": _number(known.get("_clock_skew")),
        "parent_event_hash": _text(known.get("_parent_event_hash")),
        "reason": _text(known.get("_reason")),
        "reporter": _text(known.get("_reporter")),
        "truncated": [*cut, *(["metadata"] if shaped.cut and "metadata" not in cut else [])],
        "args": args.decode(),
        "args_size": len(args),
        "metadata": metadata,
    }


def _add_charted(fields: dict[str, Any], metadata: Mapping[str, Any], chart: Iterable[str]) -> None:
    """Numbers to ``clues.metrics``, strings and booleans to ``labels``: so each field has one type, whatever comes."""
    metrics: dict[str, float] = {}
    labels: dict[str, str] = {}
    for key in chart:
        value = _looked_up(metadata, key)
        name = key.replace(".", "_")  # a dot would make an object, where another job has a value
        if isinstance(value, bool):
            labels[name] = "true" if value else "false"
        elif isinstance(value, str) and value:
            labels[name] = value[:MAX_VALUE]
        elif (number := _number(value)) is not None:
            metrics[name] = number
    fields["labels"] = labels
    fields["clues"]["metrics"] = metrics


def _looked_up(metadata: Mapping[str, Any], key: str) -> object:
    if key in metadata:
        return metadata[key]
    found: object = metadata
    for part in key.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _encode(value: object) -> bytes:
    try:
        return json_encoder()(value)
    except (TypeError, ValueError, RecursionError):  # half a character, an integer beyond 64 bits, ever deeper lists
        return as_text(value).encode()


def _filled(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that have a value, two levels down; metadata below stays as it is."""
    found: dict[str, Any] = {}
    for name, value in fields.items():
        kept = {key: part for key, part in value.items() if _is_there(part)} if isinstance(value, dict) else value
        if _is_there(kept):
            found[name] = kept
    return found


def _is_there(value: object) -> bool:
    return value is not None and value not in ({}, [], "")


def _moment(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        msg = f"not an event: {text[:64]!r} is no time"
        raise ValueError(msg) from None


def _iso(at: datetime) -> str:
    return f"{at.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def _started(at: datetime, took: float) -> str | None:
    try:
        return _iso(at - timedelta(seconds=took))
    except OverflowError:
        return None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _whole(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < LONG else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def _seconds(value: object, word: str) -> str:
    found = _number(value)
    return "" if found is None else f" {word} {found:.3g} s"
