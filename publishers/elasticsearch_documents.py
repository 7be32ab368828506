"""An event as a document of Elasticsearch: fields of the Elastic Common Schema, and our own under ``clues``."""

from __future__ import annotations

import functools
import hashlib
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from clues.event import Event, EventType, json_encoder
from clues.metadata import read_attempt, read_hash, timestamp
from clues.publishers.elasticsearch_metadata import LONG, MAX_VALUE, Shaped, as_text, fits
from clues.publishers.elasticsearch_times import Moment, moment
from clues.publishers.lines import reader
from clues.system_keys import KEYS

ECS_VERSION = "8.17.0"
DATASET = "clues.events"

_MAX_ID = 512  # bytes, Elasticsearch's own limit

_TIMES = {"_time_in_queue": "time_in_queue", "_time_to_perform": "time_to_perform"}
_TYPES = {
    EventType.ENQUEUED: ["info"],
    EventType.DEQUEUED: ["info"],
    EventType.PERFORM_STARTED: ["start"],
    EventType.PERFORM_FINISHED: ["end"],
    EventType.FAILED: ["end", "error"],
    EventType.DESTROYED: ["end"],
}
_OUTCOMES = {EventType.PERFORM_FINISHED: "success", EventType.FAILED: "failure"}
STAGES = {EventType.ENQUEUED: 0, EventType.DEQUEUED: 1, EventType.PERFORM_STARTED: 2}
END = 3
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}.*", re.ASCII)
_SELDOM = frozenset({"_traceparent", "_exception", "_message", "_backtrace"})
_NOTHING = object()
LONGEST_TIME = 1e9  # seconds, 30 years; more is no time, and no long of nanoseconds
_LAST_SECOND = 253_402_300_799  # of the year 9999, since the epoch


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

    def index(self, day: date) -> str:
        """The index of an event's day. Of the event, not of today: a replay finds the same, and so no duplicates."""
        return f"{self.name}-{day:%Y.%m.%d}" if self.dated else self.name


def bulk_lines(line: bytes, target: Target, chart: Iterable[str] = ()) -> bytes:
    """Two lines of a bulk request: to create the document of an event, under an id that is always the same.

    Raises:
        ValueError: the line is no event, or one without a time.
    """
    kind, timestamp, queue, known, job_class, args = reader()(line)
    at, name = moment(timestamp), encode(_id(known, line))
    told = _Told(kind, _text(queue), _text(job_class), known, args)
    return b"".join((action(target.index(at.second)), name, b"}}\n", document(told, at, name, target, chart), b"\n"))


class _Told(NamedTuple):
    """An event's values, queue and class only where they are texts."""

    kind: EventType
    queue: str | None
    job_class: str | None
    known: Mapping[str, Any]
    args: Sequence[Any]


@functools.lru_cache(maxsize=64)
def action(index: str) -> bytes:
    """What the line before a document begins with; its id follows."""
    return b'{"create":{"_index":' + encode(index) + b',"_id":'


def _id(known: Mapping[str, Any], line: bytes) -> str:
    """The event's own id, or a hash of its line where it has none (Ruby's)."""
    found = known.get("_event_id")
    if type(found) is str and found.isprintable() and 0 < len(found) <= _MAX_ID and len(found.encode()) <= _MAX_ID:
        return found
    return hashlib.sha256(line).hexdigest()[:40]


def document(told: _Told, at: Moment, name: bytes, target: Target, chart: Iterable[str] = ()) -> bytes:
    """The document, without fields that nothing is known of.

    Args:
        told: the event.
        at: its time.
        name: its id, as JSON.
        target: where it goes.
        chart: names of the user's metadata that are to be fields of their own: numbers and labels.
    """
    known = told.known
    opening, own_frame = frame(told.kind, told.queue, told.job_class, *whose(known), target.namespace)
    took = _number(known["_time_to_perform"]) if "_time_to_perform" in known else None
    own: dict[str, Any] = {}
    if event_hash := read_hash(known):
        own["event_hash"] = event_hash
    for key, field in _TIMES.items():
        if (found := _number(known.get(key))) is not None:
            own[field] = found
    seldom, shared = shared_fields(known, told.args, chart)
    own |= shared
    # Put together from the frames: all that is left to encode are texts and the event's own values.
    return b'{"@timestamp":"%b","message":%b%b%b,"id":%b%b%b%b}' % (
        at.text.encode(),
        encode(_sentence(told, took)),
        b"," + encode(seldom)[1:-1] if seldom else b"",
        opening,
        name,
        _course(told, at, took),
        own_frame,
        encode(own)[1:],
    )


def whose(known: Mapping[str, Any]) -> tuple[str | None, int | None, str | None]:
    """Host, process and service."""
    host, pid, service = known.get("_hostname"), known.get("_process"), known.get("_service_name", _NOTHING)
    return (
        host if type(host) is str else None,
        pid if type(pid) is int and 0 <= pid < LONG else None,
        _text(known.get("service.name") if service is _NOTHING else service),
    )


@functools.lru_cache(maxsize=1024)
def frame(  # noqa: PLR0913, PLR0917 - all that many events have in common, each a text, a number, or not known
    kind: EventType,
    queue: str | None,
    job_class: str | None,
    host: str | None,
    pid: int | None,
    service: str | None,
    namespace: str | None,
) -> tuple[bytes, bytes]:
    """What is the same in the documents of many events: from after the first fields to the event's own, and on.

    Encoded once, for it is most of a document.
    """
    fields: dict[str, Any] = {"ecs": {"version": ECS_VERSION}}
    if namespace is not None:
        fields["data_stream"] = {"type": "logs", "dataset": DATASET, "namespace": namespace}
    if host:
        fields["host"] = {"name": host}
    if pid is not None:
        fields["process"] = {"pid": pid}
    if service:
        fields["service"] = {"name": service}
    fields["event"] = {
        "action": kind.value,
        "kind": "event",
        "category": ["process"],
        "type": _TYPES[kind],
        "outcome": _OUTCOMES.get(kind, "unknown"),
        "dataset": DATASET,
        "module": "clues",
    }
    own = {name: value for name, value in (("queue", queue), ("job_class", job_class)) if value}
    before_own = b'},"clues":{'
    return b"," + encode(fields)[1:-2], before_own + encode(own)[1:-1] + b"," * bool(own)


def sentence(event: Event) -> str:
    """What happened, for people."""
    told = _Told(event.event_type, _text(event.queue), _text(event.worker_class), event.metadata, event.args)
    return _sentence(told, _number(event.metadata.get("_time_to_perform")))


def _sentence(told: _Told, took: float | None) -> str:
    kind, known, job = told.kind, told.known, told.job_class or "a job"
    if kind is EventType.ENQUEUED:
        return f"{job} was enqueued on {told.queue or 'a queue'}"
    if kind is EventType.DEQUEUED:
        waited = _seconds("after", _number(known.get("_time_in_queue")))
        return f"{job} was taken from {told.queue or 'a queue'}{waited}"
    if kind is EventType.PERFORM_STARTED:
        return f"{job} began"
    if kind is EventType.PERFORM_FINISHED:
        return f"{job} finished{_seconds('in', took)}"
    if kind is EventType.FAILED:
        why = ": ".join(text for key in ("_exception", "_message") if (text := _text(known.get(key))))
        again = ", will be retried" if known.get("_retrying") is True else ""
        return f"{job} failed{_seconds('after', took)}{again}{f': {why}' if why else ''}"
    return f"{job} was removed from {told.queue or 'a queue'}"


def _course(told: _Told, at: Moment, took: float | None) -> bytes:
    """When an event was among those of its job, why, and when what ended with it began."""
    known = told.known
    # Times of one millisecond sort by it: the order of a job's life.
    sequence = b',"sequence":%d' % (4 * read_attempt(known) + STAGES.get(told.kind, END))
    if "_reason" in known and (reason := _text(known["_reason"])):
        sequence += b',"reason":' + encode(reason)
    return sequence if took is None or not 0 <= took < LONGEST_TIME else sequence + lasted(at, took)


def lasted(at: Moment, took: float) -> bytes:
    """How long what ended took, and when it began."""
    start = at.before(took)
    began = b"" if start is None else b',"start":"%b"' % start.encode()
    return b',"duration":%d%b' % (round(took * 1e9), began)


def _error_fields(known: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if name := _text(known.get("_exception")):
        fields["type"] = name
    if message := _text(known.get("_message")):
        fields["message"] = message
    trace = known.get("_backtrace")
    if text := "\n".join(map(str, trace)) if isinstance(trace, list) else _text(trace):
        fields["stack_trace"] = text
    return fields


def _seldom_fields(known: Mapping[str, Any]) -> dict[str, Any]:
    """Of errors and traces, which most events have nothing of."""
    if not _SELDOM & known.keys():
        return {}
    fields = _trace_fields(known.get("_traceparent"))
    if error := _error_fields(known):
        fields["error"] = error
    return fields


def _trace_fields(traceparent: object) -> dict[str, Any]:
    found = _TRACEPARENT.fullmatch(traceparent) if isinstance(traceparent, str) else None
    return {"trace": {"id": found[1]}, "span": {"id": found[2]}} if found else {}


def shared_fields(
    known: Mapping[str, Any], args: Sequence[Any], chart: Iterable[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fields that depend on nothing but metadata and args: those that are seldom, and our own but hash and times."""
    text = encode(args)
    fields: dict[str, Any] = {"attempt": read_attempt(known), "args": text.decode(), "args_size": len(text)}
    own: dict[str, Any] = {}
    for key, value in known.items():  # each event's each key: a table's look, and no call for most
        if key not in _NOT_THE_USERS:
            own[key] = value
        elif key in _READ:
            name, read = _READ[key]
            if (found := read(value)) is not None and found != "":
                fields[name] = found
    truncated = known.get("_truncated")
    cut = [str(part) for part in truncated] if isinstance(truncated, list) else []
    if not fits(own):
        shaped = Shaped()
        own = shaped.mapping(own)
        cut += ["metadata"] * (shaped.cut and "metadata" not in cut)
    if own:
        fields["metadata"] = own
    if cut:
        fields["truncated"] = cut
    metrics, labels = _charted(known, chart)
    if metrics:
        fields["metrics"] = metrics
    return _seldom_fields(known) | labels, fields


def _charted(metadata: Mapping[str, Any], chart: Iterable[str]) -> tuple[dict[str, float], dict[str, Any]]:
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
    return metrics, {"labels": labels} if labels else {}


def _looked_up(metadata: Mapping[str, Any], key: str) -> object:
    if key in metadata:
        return metadata[key]
    found: object = metadata
    for part in key.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def encode(value: object) -> bytes:
    """A value as JSON, whatever it holds."""
    try:
        return json_encoder()(value)
    except (TypeError, ValueError, RecursionError):  # half a character, an integer beyond 64 bits, ever deeper lists
        return as_text(value).encode()


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _date(value: object) -> str | None:
    """A time in epoch seconds, as documents have times."""
    found = _number(value)
    return timestamp(found) if found is not None and 0 < found < _LAST_SECOND else None


def _number(value: object) -> float | None:
    if type(value) is float and math.isfinite(value):  # as all of our own
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def _seconds(word: str, found: float | None) -> str:
    return "" if found is None else f" {word} {found:.3g} s"


# Written to fields of their own, here as they are read, and elsewhere.
_READ: dict[str, tuple[str, Callable[[object], object]]] = {
    "_clock_skew": ("clock_skew", _number),
    "_job_id": ("job_id", _text),
    "_parent_event_hash": ("parent_event_hash", _text),
    "_reason": ("reason", _text),
    "_redelivered": ("redelivered", _flag),
    "_reporter": ("reporter", _text),
    "_retrying": ("retrying", _flag),
    "_scheduled_time": ("scheduled_time", _date),
    "_system": ("system", _text),
}
_NOT_THE_USERS = frozenset(KEYS) | {"_service_name"}
