"""Log records and spans filled by protobuf's own classes: what the bytes that are put together by hand must equal."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, SeverityNumber
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from clues.event import Event, EventType
from clues.publishers.otlp_ids import JobSpans, SpanRef
from clues.publishers.otlp_logs import sentence

OPERATIONS = {
    "enqueued": ("enqueue", "send"),
    "dequeued": ("dequeue", "receive"),
    "destroyed": ("destroy", "settle"),
}
ELSEWHERE = {
    "_hostname", "_process", "_exception", "_message", "_backtrace", "_system", "_traceparent", "_tracestate",
    "_parent_span_id",
}  # fmt: skip


def log_record(event: Event, spans: JobSpans | None, observed: int) -> LogRecord:
    record = LogRecord(time_unix_nano=moment(event), observed_time_unix_nano=observed)
    failed = event.event_type is EventType.FAILED
    again = failed and event.metadata.get("_retrying") is True
    record.severity_text = "WARN" if again else "ERROR" if failed else "INFO"
    record.severity_number = SeverityNumber.Value(f"SEVERITY_NUMBER_{record.severity_text}")
    record.event_name = f"clues.job.{event.event_type}"
    record.body.string_value = text(sentence(event))
    if spans is not None:
        span = spans.enqueue if event.event_type is EventType.ENQUEUED else spans.process
        record.trace_id, record.span_id = bytes.fromhex(span.trace_id), bytes.fromhex(span.span_id)
        record.flags = span.flags
    put(record.attributes, "event.name", record.event_name)
    put_job(record.attributes, event)
    put(record.attributes, "clues.args", json.dumps(event.args, ensure_ascii=False, separators=(",", ":")))
    if failed:
        put_exception(record.attributes, event)
    return record


def span_of(event: Event, spans: JobSpans) -> Span:
    span = Span()
    name = OPERATIONS.get(event.event_type, ("process", ""))[0]
    span.name = text(f"{name} {event.queue}" if event.queue else name)
    end = moment(event)
    if event.event_type is EventType.ENQUEUED:
        identify(span, spans.enqueue, spans.enqueue_parent)
        span.kind = Span.SPAN_KIND_PRODUCER if spans.creates else Span.SPAN_KIND_CLIENT
        span.flags |= 0x100 if spans.creates else 0x300
        span.start_time_unix_nano = span.end_time_unix_nano = end
        if not spans.creates:
            link(span, spans.creation)
    else:
        identify(span, spans.process, spans.process_parent)
        destroyed = event.event_type is EventType.DESTROYED
        span.kind = Span.SPAN_KIND_CLIENT if destroyed else Span.SPAN_KIND_CONSUMER
        span.flags |= 0x300 if spans.process_parent else 0
        took = event.metadata.get("_time_to_perform")
        usable = isinstance(took, int | float) and not isinstance(took, bool) and 0 <= took < 1e10
        span.start_time_unix_nano = max(0, end - round(float(took) * 1e9)) if usable else end  # type: ignore[arg-type]
        span.end_time_unix_nano = end
        if spans.linked:
            link(span, spans.creation)
        if event.event_type is EventType.FAILED:
            fail(span, event, end)
    put_job(span.attributes, event)
    return span


def fail(span: Span, event: Event, at: int) -> None:
    found = event.metadata.get("_exception") or event.metadata.get("_reason")
    kind = text(found) if isinstance(found, str) else "_OTHER"
    put(span.attributes, "error.type", kind)
    message = str(event.metadata.get("_message") or "").partition("\n")[0]
    span.status.code, span.status.message = Status.STATUS_CODE_ERROR, text(f"{kind}: {message}" if message else kind)
    put_exception(span.events.add(name="exception", time_unix_nano=at).attributes, event)


def identify(span: Span, ref: SpanRef, parent: str) -> None:
    span.trace_id, span.span_id = bytes.fromhex(ref.trace_id), bytes.fromhex(ref.span_id)
    span.trace_state, span.flags = ref.state, ref.flags & 1
    span.parent_span_id = bytes.fromhex(parent)


def link(span: Span, to: SpanRef) -> None:
    found = span.links.add(trace_state=to.state, flags=to.flags | 0x300)
    found.trace_id, found.span_id = bytes.fromhex(to.trace_id), bytes.fromhex(to.span_id)


def put_job(into: Any, event: Event) -> None:
    metadata = event.metadata
    system = metadata.get("_system")
    system = system if isinstance(system, str) and system else "resque"
    name, kind = OPERATIONS.get(event.event_type, ("process", "process"))
    for key, value in {
        "messaging.system": system,
        "messaging.operation.name": name,
        "messaging.operation.type": kind,
        "messaging.destination.name": event.queue,
        f"messaging.{system}.job_class": event.worker_class,
        "clues.job.class": event.worker_class,
        "process.pid": metadata.get("_process"),
        "messaging.message.id": metadata.get("_event_hash") or metadata.get("event_hash"),
    }.items():
        put(into, key, value)
    for key, value in metadata.items():
        if not key.startswith("_"):
            put(into, f"clues.metadata.{key}", value)
        elif key not in ELSEWHERE:
            put(into, f"clues.{key[1:]}", value)


def put_exception(into: Any, event: Event) -> None:
    put(into, "exception.type", event.metadata.get("_exception"))
    put(into, "exception.message", event.metadata.get("_message"))
    trace = event.metadata.get("_backtrace")
    if trace:
        put(into, "exception.stacktrace", "\n".join(map(str, trace)) if isinstance(trace, list) else trace)


def put(into: Any, key: str, value: Any) -> None:
    if value is None:
        return
    held = into.add(key=text(key)).value
    if isinstance(value, str):
        held.string_value = text(value)
    elif isinstance(value, bool):
        held.bool_value = value
    elif isinstance(value, int) and abs(value) < 1 << 63:
        held.int_value = value
    elif isinstance(value, float) and math.isfinite(value):
        held.double_value = value
    else:
        held.string_value = text(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def text(value: str) -> str:
    return value.encode("utf-8", "replace").decode()


def moment(event: Event) -> int:
    at = datetime.fromisoformat(event.timestamp)
    since = (at if at.tzinfo else at.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
    return since // timedelta(microseconds=1) * 1000


def in_order(message: Any) -> Any:
    """With its attributes by name: in which order they are says nothing."""
    attributes = sorted(message.attributes, key=lambda one: one.SerializeToString())
    del message.attributes[:]
    message.attributes.extend(attributes)
    return message
