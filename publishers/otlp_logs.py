"""One log record for each event."""

from __future__ import annotations

import json
from typing import Any

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, SeverityNumber

from clues.event import Event, EventType
from clues.publishers.otlp_ids import JobSpans
from clues.publishers.otlp_values import nanoseconds, put, put_exception, put_job, seconds, text

_SAID = {
    EventType.ENQUEUED: "was enqueued on",
    EventType.DEQUEUED: "was taken from",
    EventType.PERFORM_STARTED: "has begun, of",
    EventType.PERFORM_FINISHED: "has finished, of",
    EventType.FAILED: "has failed, of",
    EventType.DESTROYED: "was removed from",
}


def fill_log(record: LogRecord, event: Event, spans: JobSpans | None, observed: int) -> None:
    """Fill a log record.

    Args:
        record: an empty one.
        event: what happened.
        spans: the attempt's, if it is known which.
        observed: when it was read, in nanoseconds.

    Raises:
        ValueError: the event's timestamp is none.
    """
    failed = event.event_type is EventType.FAILED
    record.time_unix_nano = nanoseconds(event.timestamp)
    record.observed_time_unix_nano = observed
    record.severity_number = SeverityNumber.SEVERITY_NUMBER_ERROR if failed else SeverityNumber.SEVERITY_NUMBER_INFO
    record.severity_text = "ERROR" if failed else "INFO"
    record.event_name = f"clues.job.{event.event_type}"
    record.body.string_value = text(sentence(event))
    if spans is not None:
        span = spans.enqueue if event.event_type is EventType.ENQUEUED else spans.process
        record.trace_id, record.span_id = bytes.fromhex(span.trace_id), bytes.fromhex(span.span_id)
        record.flags = span.flags
    _fill_attributes(record.attributes, event, record.event_name)


def sentence(event: Event) -> str:
    """The event in words: ``PdfGeneration has failed, of pdfs, after 1.204 s: ValueError: no such page``."""
    said = f"{event.worker_class or 'A job'} {_SAID[event.event_type]} {event.queue or 'no queue'}"
    took = seconds(event.metadata.get("_time_to_perform"))
    waited = seconds(event.metadata.get("_time_in_queue")) if event.event_type is EventType.DEQUEUED else None
    if took is not None or waited is not None:
        said += f", after {took if took is not None else waited:.3f} s"
    if event.event_type is EventType.FAILED:
        message = str(event.metadata.get("_message") or "").partition("\n")[0][:200]
        said += f": {event.metadata.get('_exception') or 'unknown'}" + (f": {message}" if message else "")
    return said


def _fill_attributes(into: Any, event: Event, event_name: str) -> None:
    put(into, "event.name", event_name)  # some back ends drop the field of its own
    put_job(into, event)
    put(into, "clues.args", json.dumps(event.args, ensure_ascii=False, separators=(",", ":")))
    if event.event_type is EventType.FAILED:
        put_exception(into, event.metadata)
