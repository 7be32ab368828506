"""The spans that events tell of, by the messaging conventions: one for the enqueueing, one for the processing.

Each is made of a single event, so that it doesn't matter which batch the job's other events are in.
"""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from clues.event import TERMINAL, Event, EventType
from clues.publishers.otlp_facts import error_type, seconds
from clues.publishers.otlp_ids import JobSpans, SpanRef
from clues.publishers.otlp_values import attribute, exception_attributes, named, operation_of
from clues.publishers.otlp_wire import encoded, enum, field, fixed32, fixed64, string

_SAMPLED_FLAG = 0x1
_NOT_REMOTE = 0x100  # it is known whether a parent is remote
_REMOTE = 0x300  # it is known, and it is

_TRACE, _SPAN, _STATE, _PARENT, _NAME, _KIND, _START, _END, _EVENT, _LINK, _STATUS, _FLAGS = (
    1, 2, 3, 4, 5, 6, 7, 8, 11, 13, 15, 16,
)  # fmt: skip
_EVENT_TIME, _EVENT_NAME, _EVENT_ATTRIBUTE, _LINK_FLAGS, _STATUS_MESSAGE, _STATUS_CODE = 1, 2, b"\x1a", 6, 2, 3
_ATTRIBUTE = b"\x4a"  # the tag of field 9
_ERROR_TYPE = named("error.type")


def has_span(event: Event, spans: JobSpans) -> bool:
    """Whether a span follows from an event: enqueued and terminal ones, of traces that are sampled, once for each."""
    if spans.theirs:
        return False
    if event.event_type is EventType.ENQUEUED:
        return spans.enqueue.sampled
    return event.event_type in TERMINAL and spans.process.sampled


def span(event: Event, at: int, spans: JobSpans, attributes: Sequence[bytes]) -> bytes:
    """The Span that follows from an event.

    Args:
        event: what happened.
        at: when, in nanoseconds.
        spans: the attempt's.
        attributes: the job's.
    """
    operation = operation_of(event)[0]
    name = string(_NAME, f"{operation} {event.queue}" if event.queue else operation)
    if event.event_type is EventType.ENQUEUED:
        return _enqueue(at, spans, name, attributes)
    return _process(event, at, spans, name, attributes)


def _enqueue(at: int, spans: JobSpans, name: bytes, attributes: Sequence[bytes]) -> bytes:
    # A client's, by the conventions, where the item carries another context than this span's.
    kind, remote = (Span.SPAN_KIND_PRODUCER, _NOT_REMOTE) if spans.creates else (Span.SPAN_KIND_CLIENT, _REMOTE)
    return b"".join(
        (
            _identity(spans.enqueue, spans.enqueue_parent),
            name,
            enum(_KIND, kind),
            fixed64(_START, at),
            fixed64(_END, at),
            _ATTRIBUTE,
            _ATTRIBUTE.join(attributes),
            b"" if spans.creates else _link(spans.creation),
            fixed32(_FLAGS, _flags(spans.enqueue) | remote),
        )
    )


def _process(event: Event, end: int, spans: JobSpans, name: bytes, attributes: Sequence[bytes]) -> bytes:
    """The attempt's last event: finished, failed, or removed unprocessed."""
    took = seconds(event.metadata.get("_time_to_perform")) or 0.0
    failed = event.event_type is EventType.FAILED
    if failed:
        attributes = [attribute(_ERROR_TYPE, error_type(event)), *attributes]
    return b"".join(
        (
            _identity(spans.process, spans.process_parent),
            name,
            enum(_KIND, Span.SPAN_KIND_CLIENT if event.event_type is EventType.DESTROYED else Span.SPAN_KIND_CONSUMER),
            fixed64(_START, max(0, end - round(took * 1e9))),
            fixed64(_END, end),
            _ATTRIBUTE,
            _ATTRIBUTE.join(attributes),
            _exception(event, end) if failed else b"",
            _link(spans.creation) if spans.linked else b"",
            _error(event) if failed else b"",
            fixed32(_FLAGS, _flags(spans.process) | (_REMOTE if spans.process_parent else 0)),
        )
    )


def _exception(event: Event, at: int) -> bytes:
    told = b"".join(_EVENT_ATTRIBUTE + one for one in exception_attributes(event.metadata))
    return field(_EVENT, fixed64(_EVENT_TIME, at) + string(_EVENT_NAME, "exception") + told)


def _error(event: Event) -> bytes:
    kind = error_type(event)
    message = str(event.metadata.get("_message") or "").partition("\n")[0]
    said = string(_STATUS_MESSAGE, f"{kind}: {message}" if message else kind)
    return field(_STATUS, said + enum(_STATUS_CODE, Status.STATUS_CODE_ERROR))


def _identity(ref: SpanRef, parent: str) -> bytes:
    found = _reference(ref)
    return found + field(_PARENT, bytes.fromhex(parent)) if parent else found


def _reference(ref: SpanRef) -> bytes:
    """Ids and state, which a span and a link begin with."""
    ids = field(_TRACE, bytes.fromhex(ref.trace_id)) + field(_SPAN, bytes.fromhex(ref.span_id))
    return ids + field(_STATE, encoded(ref.state)) if ref.state else ids


def _flags(ref: SpanRef) -> int:
    return _SAMPLED_FLAG if ref.sampled else 0


def _link(to: SpanRef) -> bytes:
    return field(_LINK, _reference(to) + fixed32(_LINK_FLAGS, to.flags | _REMOTE))
