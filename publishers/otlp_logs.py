"""One log record for each event."""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.proto.logs.v1.logs_pb2 import SeverityNumber

from clues.event import Event, EventType, json_encoder
from clues.publishers.otlp_facts import is_retried, seconds
from clues.publishers.otlp_ids import SAMPLED, JobSpans
from clues.publishers.otlp_values import as_json, attribute, exception_attributes, named
from clues.publishers.otlp_wire import encoded, enum, field, fixed32, fixed64, string, text_value

_SAID = {
    EventType.ENQUEUED: "was enqueued on",
    EventType.DEQUEUED: "was taken from",
    EventType.PERFORM_STARTED: "has begun, of",
    EventType.PERFORM_FINISHED: "has finished, of",
    EventType.FAILED: "has failed, of",
    EventType.DESTROYED: "was removed from",
}
_TIME, _SEVERITY, _SEVERITY_TEXT, _BODY, _OBSERVED, _NAME = 1, 2, 3, 5, 11, 12
_FLAGS = tuple(fixed32(8, flags) for flags in (0, SAMPLED))  # before trace_id and span_id, fields 9 and 10
_ATTRIBUTE = b"\x32"  # the tag of field 6
_ARGS = named("clues.args")


def log_record(event: Event, at: int, spans: JobSpans | None, attributes: Sequence[bytes], observed: int) -> bytes:
    """A LogRecord.

    Args:
        event: what happened.
        at: when, in nanoseconds.
        spans: the attempt's, if it is known which.
        attributes: the job's.
        observed: when it was read, in nanoseconds.
    """
    severity, name, name_attribute = _RETRIED if is_retried(event) else _SAME[event.event_type]
    found = [*attributes, name_attribute, attribute(_ARGS, _args(event))]
    if event.event_type is EventType.FAILED:
        found += exception_attributes(event.metadata)
    return b"".join(
        (
            fixed64(_TIME, at),
            severity,
            field(_BODY, text_value(encoded(sentence(event)))),
            _ATTRIBUTE,
            _ATTRIBUTE.join(found),
            _context(event, spans),
            fixed64(_OBSERVED, observed),
            name,
        )
    )


def sentence(event: Event) -> str:
    """The event in words: ``PdfGeneration has failed, of pdfs, after 1.204 s: ValueError: no such page``."""
    said = f"{event.worker_class or 'A job'} {_SAID[event.event_type]} {event.queue or 'no queue'}"
    took = seconds(event.metadata.get("_time_to_perform"))
    waited = seconds(event.metadata.get("_time_in_queue")) if event.event_type is EventType.DEQUEUED else None
    if took is not None or waited is not None:
        said += f", after {took if took is not None else waited:.3f} s"
    if event.event_type is EventType.FAILED:
        said += ", and will be retried" if is_retried(event) else ""
        message = str(event.metadata.get("_message") or "").partition("\n")[0][:200]
        said += f": {event.metadata.get('_exception') or 'unknown'}" + (f": {message}" if message else "")
    return said


def _context(event: Event, spans: JobSpans | None) -> bytes:
    if spans is None:
        return b""
    span = spans.enqueue if event.event_type is EventType.ENQUEUED else spans.process
    return b"%b\x4a\x10%b\x52\x08%b" % (
        _FLAGS[span.flags],
        bytes.fromhex(span.trace_id),
        bytes.fromhex(span.span_id),
    )


def _args(event: Event) -> str:
    try:
        return json_encoder()(event.args).decode()
    except (TypeError, ValueError, RecursionError):  # half a character, an integer beyond 64 bits
        return as_json(event.args)


def _same(event_type: EventType, severity: str) -> tuple[bytes, bytes, bytes]:
    """What all records of a type have: severity and its text, the name, and that as an attribute."""
    name = f"clues.job.{event_type}"
    return (
        enum(_SEVERITY, SeverityNumber.Value(f"SEVERITY_NUMBER_{severity}")) + string(_SEVERITY_TEXT, severity),
        string(_NAME, name),
        attribute(named("event.name"), name),  # some back ends drop the field of its own
    )


_SAME = {kind: _same(kind, "ERROR" if kind is EventType.FAILED else "INFO") for kind in EventType}
_RETRIED = _same(EventType.FAILED, "WARN")
