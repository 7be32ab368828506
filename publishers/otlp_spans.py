"""The spans that events tell of, by the messaging conventions: one for the enqueueing, one for the processing.

Each is made of a single event, so that it doesn't matter which batch the job's other events are in.
"""

from __future__ import annotations

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from clues.event import TERMINAL, Event, EventType
from clues.publishers.otlp_ids import JobSpans, SpanRef
from clues.publishers.otlp_values import (
    error_type,
    nanoseconds,
    operation_of,
    put,
    put_exception,
    put_job,
    seconds,
    text,
)

_SAMPLED_FLAG = 0x1
_NOT_REMOTE = 0x100  # it is known whether a parent is remote
_REMOTE = 0x300  # it is known, and it is


def has_span(event: Event, spans: JobSpans) -> bool:
    """Whether a span follows from an event: enqueued and terminal ones, of traces that are sampled."""
    if event.event_type is EventType.ENQUEUED:
        return spans.enqueue.sampled
    return event.event_type in TERMINAL and spans.process.sampled


def fill_span(span: Span, event: Event, spans: JobSpans) -> None:
    """Fill the span that follows from an event.

    Raises:
        ValueError: the event's timestamp is none.
    """
    if event.event_type is EventType.ENQUEUED:
        _fill_enqueue(span, event, spans)
    else:
        _fill_process(span, event, spans)
    span.name = text(f"{operation_of(event)[0]} {event.queue}" if event.queue else operation_of(event)[0])
    put_job(span.attributes, event)


def _fill_enqueue(span: Span, event: Event, spans: JobSpans) -> None:
    _identify(span, spans.enqueue, spans.enqueue_parent)
    # A client's, by the conventions, where the item carries another context than this span's.
    span.kind = Span.SPAN_KIND_PRODUCER if spans.creates else Span.SPAN_KIND_CLIENT
    span.flags |= _NOT_REMOTE if spans.creates else _REMOTE
    span.start_time_unix_nano = span.end_time_unix_nano = nanoseconds(event.timestamp)
    if not spans.creates:
        _link(span, spans.creation)


def _fill_process(span: Span, event: Event, spans: JobSpans) -> None:
    """The attempt's last event: finished, failed, or removed unprocessed."""
    _identify(span, spans.process, spans.process_parent)
    span.kind = Span.SPAN_KIND_CLIENT if event.event_type is EventType.DESTROYED else Span.SPAN_KIND_CONSUMER
    if spans.process_parent:
        span.flags |= _REMOTE
    end = nanoseconds(event.timestamp)
    took = seconds(event.metadata.get("_time_to_perform")) or 0.0
    span.start_time_unix_nano, span.end_time_unix_nano = max(0, end - round(took * 1e9)), end
    if spans.linked:
        _link(span, spans.creation)
    if event.event_type is EventType.FAILED:
        _fill_failure(span, event, end)


def _fill_failure(span: Span, event: Event, at: int) -> None:
    kind = error_type(event)
    put(span.attributes, "error.type", kind)
    span.status.code = Status.STATUS_CODE_ERROR
    message = str(event.metadata.get("_message") or "").partition("\n")[0]
    span.status.message = text(f"{kind}: {message}" if message else kind)
    recorded = span.events.add(name="exception", time_unix_nano=at)
    put_exception(recorded.attributes, event.metadata)


def _identify(span: Span, ref: SpanRef, parent: str) -> None:
    span.trace_id, span.span_id = bytes.fromhex(ref.trace_id), bytes.fromhex(ref.span_id)
    span.trace_state = ref.state
    span.flags = _SAMPLED_FLAG if ref.sampled else 0
    if parent:
        span.parent_span_id = bytes.fromhex(parent)


def _link(span: Span, to: SpanRef) -> None:
    link = span.links.add(trace_state=to.state, flags=to.flags | _REMOTE)
    link.trace_id, link.span_id = bytes.fromhex(to.trace_id), bytes.fromhex(to.span_id)
