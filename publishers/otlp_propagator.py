"""Carries a trace's context in items, and makes a job's own span current while it runs; the SDK isn't needed for it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar
from typing import Any

from clues.attempt import METADATA, metadata_in
from clues.metadata import read_attempt, read_hash
from clues.plugs import Item
from clues.publishers.otlp_ids import (
    PARENT_SPAN,
    SAMPLED,
    TRACEPARENT,
    TRACESTATE,
    SpanRef,
    enqueue_span_id,
    parsed,
    root,
    spans_of,
    style,
)

_processing: ContextVar[SpanRef | None] = ContextVar("clues_process_span", default=None)


class TraceContext:
    """The `Propagator` for OpenTelemetry; an `OTLPPublisher` brings it.

    An item gets W3C's ``traceparent`` (and ``tracestate``) beside ``class`` and ``args``, as Ruby's instrumentation of
    Resque writes it, and ``_traceparent`` in its metadata, which all its events carry. Only ids are made here: the
    spans themselves are made of the events, by whoever ships them.

    OpenTelemetry's API is used where the application has imported it, and never imported here: without it no span can
    be current, and a job that has no use for it does not pay for its import.
    """

    def __init__(self, propagation_style: str = "link") -> None:
        """Carry contexts.

        Args:
            propagation_style: the publisher's: ``link``, ``child`` or ``none``.

        Raises:
            ConfigError: there is no such style.
        """
        self._style = style(propagation_style)

    def inject(self, item: Item) -> None:
        """Write the context of the item's enqueue span into it; a context that it has already is kept.

        In the trace of the span that is current, else in one that follows from the job's hash.
        """
        metadata = item.get(METADATA)
        if not isinstance(metadata, dict):
            return
        if "traceparent" in item:
            given = parsed(item["traceparent"], item.get("tracestate"))
            if given is not None:
                _tell(metadata, given)
            return
        carried = parsed(metadata.get(TRACEPARENT), metadata.get(TRACESTATE))
        if carried is None:
            event_hash = read_hash(metadata)
            if event_hash is None:
                return
            carried = _enqueued_in(current_span(), event_hash, read_attempt(metadata), metadata)
            _tell(metadata, carried)
        item["traceparent"] = carried.traceparent
        if carried.state:
            item["tracestate"] = carried.state

    def activate(self, item: Mapping[str, Any]) -> AbstractContextManager[object]:
        """Make the item's process span the current one, for spans of the job's code and for jobs that it enqueues."""
        return self._active(item)

    @contextmanager
    def _active(self, item: Mapping[str, Any]) -> Iterator[None]:
        span = self._process_span(item)
        if span is None:
            yield
            return
        own = _processing.set(span)
        token = _attach(span)
        try:
            yield
        finally:
            _detach(token)
            with suppress(ValueError):  # another context's: a generator that was closed elsewhere
                _processing.reset(own)

    def _process_span(self, item: Mapping[str, Any]) -> SpanRef | None:
        known = dict(metadata_in(item) or {})
        if parsed(known.get(TRACEPARENT)) is None and parsed(item.get("traceparent")) is not None:
            known |= {TRACEPARENT: item["traceparent"], TRACESTATE: item.get("tracestate")}
        spans = spans_of(known, self._style)
        return None if spans is None else spans.process


def current_span() -> SpanRef | None:
    """The span that is current, of OpenTelemetry where the application uses that; else of the job that runs."""
    api = sys.modules.get("opentelemetry.trace")
    if api is not None:
        with suppress(Exception):  # half imported, or somebody else's
            found = api.get_current_span().get_span_context()
            if found.is_valid:
                flags = int(found.trace_flags) & SAMPLED
                return SpanRef(f"{found.trace_id:032x}", f"{found.span_id:016x}", flags, found.trace_state.to_header())
    return _processing.get()


def _enqueued_in(ambient: SpanRef | None, event_hash: str, attempt: int, metadata: dict[str, Any]) -> SpanRef:
    if ambient is None:
        first = root(event_hash)
        return SpanRef(first.trace_id, enqueue_span_id(event_hash, attempt))
    metadata[PARENT_SPAN] = ambient.span_id
    return SpanRef(ambient.trace_id, enqueue_span_id(event_hash, attempt), ambient.flags, ambient.state)


def _tell(metadata: dict[str, Any], context: SpanRef) -> None:
    metadata[TRACEPARENT] = context.traceparent
    if context.state:
        metadata[TRACESTATE] = context.state


def _attach(span: SpanRef) -> object | None:
    """Make it current for OpenTelemetry's API, where that is imported."""
    api, context = sys.modules.get("opentelemetry.trace"), sys.modules.get("opentelemetry.context")
    if api is None or context is None:
        return None
    with suppress(Exception):
        state = api.TraceState.from_header([span.state]) if span.state else api.TraceState()
        known = api.SpanContext(
            int(span.trace_id, 16), int(span.span_id, 16), is_remote=False, trace_flags=api.TraceFlags(span.flags),
            trace_state=state,
        )  # fmt: skip
        token: object = context.attach(api.set_span_in_context(api.NonRecordingSpan(known)))
        return token
    return None


def _detach(token: object | None) -> None:
    context = sys.modules.get("opentelemetry.context")
    if token is not None and context is not None:
        with suppress(Exception):
            context.detach(token)
