"""Trace and span ids that follow from a job's hash and attempt.

So whoever ships an event, again or in parts, makes the same trace of it. Nothing here imports OpenTelemetry, or does
input or output.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Literal, NamedTuple, cast

from clues.errors import ConfigError
from clues.metadata import read_attempt, read_hash

PropagationStyle = Literal["link", "child", "none"]
"""What a job's process span is to the span that enqueued it: linked, its child (and linked), or nothing."""

TRACEPARENT = "_traceparent"
"""The metadata's key for the context that the job was created in, as W3C writes it."""
TRACESTATE = "_tracestate"
"""The same for what vendors add to it."""
PARENT_SPAN = "_parent_span_id"
"""The metadata's key for the span, 16 hex digits, in which the job was enqueued, where there was one."""
TRACED_BY = "_traced_by"
"""The metadata's key that says who else makes spans of what an event tells: ``opentelemetry``."""

SAMPLED = 1
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_SPAN_ID = re.compile(r"[0-9a-f]{16}")
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16


class SpanRef(NamedTuple):
    """A span, as others refer to it.

    Attributes:
        trace_id: 32 hex digits.
        span_id: 16 hex digits.
        flags: W3C's; bit 0 says that the trace is sampled.
        state: W3C's tracestate.
    """

    trace_id: str
    span_id: str
    flags: int = SAMPLED
    state: str = ""

    @property
    def sampled(self) -> bool:
        """Whether spans of this trace are to be exported."""
        return bool(self.flags & SAMPLED)

    @property
    def traceparent(self) -> str:
        """As W3C's header."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"


def parsed(traceparent: object, state: object = "") -> SpanRef | None:
    """A reference from W3C's headers; None if they are none."""
    found = _TRACEPARENT.fullmatch(traceparent) if isinstance(traceparent, str) else None
    if found is None or found[1] == _NO_TRACE or found[2] == _NO_SPAN:
        return None
    # Of the flags, only bit 0 is known to be right in a context of ours.
    kept = state if isinstance(state, str) and state.isascii() and state.isprintable() else ""
    return SpanRef(found[1], found[2], int(found[3], 16) & SAMPLED, kept)


def style(given: str) -> PropagationStyle:
    """Check a propagation style.

    Raises:
        ConfigError: there is no such style.
    """
    if given not in {"link", "child", "none"}:
        msg = f"propagation_style must be link, child or none, not {given!r}"
        raise ConfigError(msg)
    return cast("PropagationStyle", given)


class JobSpans(NamedTuple):
    """The spans of one attempt of a job.

    Attributes:
        creation: the context that the job was created in, which its item carries.
        enqueue: the span of its enqueueing.
        process: the span of its processing.
        enqueue_parent: the parent of `enqueue`, a span id, or empty.
        process_parent: the parent of `process`, a span id, or empty.
        linked: whether `process` links to `creation`.
        theirs: whether the job system's own instrumentation makes the spans; then what is told here belongs to
            `creation`.
    """

    creation: SpanRef
    enqueue: SpanRef
    process: SpanRef
    enqueue_parent: str
    process_parent: str
    linked: bool
    theirs: bool = False

    @property
    def creates(self) -> bool:
        """Whether the item carries the enqueue span, not somebody else's or an earlier attempt's."""
        return self.creation.span_id == self.enqueue.span_id


def spans_of(metadata: Mapping[str, Any], propagation: PropagationStyle) -> JobSpans | None:
    """The spans of the attempt that an event's or an item's metadata speaks of; None if it has no usable hash."""
    event_hash = read_hash(metadata)
    if event_hash is None:
        return None
    context, state, parent = metadata.get(TRACEPARENT), metadata.get(TRACESTATE), metadata.get(PARENT_SPAN)
    spans = _spans(
        event_hash,
        read_attempt(metadata),
        context if isinstance(context, str) else None,
        state if isinstance(state, str) else None,
        parent if isinstance(parent, str) else None,
        propagation,
    )
    if TRACED_BY in metadata:
        return spans._replace(enqueue=spans.creation, process=spans.creation, theirs=True)
    return spans


@functools.lru_cache(maxsize=1024)  # an attempt has up to four events, which often come together
def _spans(  # noqa: PLR0913, PLR0917 - all that counts, and nothing that can't be a key
    event_hash: str,
    attempt: int,
    context: str | None,
    state: str | None,
    parent: str | None,
    propagation: PropagationStyle,
) -> JobSpans:
    creation = parsed(context, state) or root(event_hash)
    enqueue = SpanRef(creation.trace_id, enqueue_span_id(event_hash, attempt), creation.flags, creation.state)
    span, trace = _ids(event_hash, attempt, "process")
    if propagation == "child":
        process = SpanRef(creation.trace_id, span, creation.flags, creation.state)
    else:
        process = SpanRef(trace, span)
    if creation.span_id != enqueue.span_id:
        parent = creation.span_id
    elif parent is None or not _SPAN_ID.fullmatch(parent) or parent == _NO_SPAN:
        parent = ""
    return JobSpans(
        creation, enqueue, process, parent, creation.span_id if propagation == "child" else "", propagation != "none"
    )


def root(event_hash: str) -> SpanRef:
    """The context of a job that is enqueued outside any trace: its first enqueue span, in a trace of its own.

    A hash of clues is a trace id already, so that a job's trace is found by its hash.
    """
    is_id = _TRACE_ID.fullmatch(event_hash) and event_hash != _NO_TRACE
    span, trace = _ids(event_hash, 1, "enqueue")
    return SpanRef(event_hash if is_id else trace, span)


def enqueue_span_id(event_hash: str, attempt: int) -> str:
    """The id of the span in which an attempt was enqueued."""
    return _ids(event_hash, attempt, "enqueue")[0]


def _ids(event_hash: str, attempt: int, what: str) -> tuple[str, str]:
    """A span's id, and one for a trace that begins with it."""
    found = blake2b(f"{what}:{attempt}:{event_hash}".encode("utf-8", "surrogatepass"), digest_size=24).hexdigest()
    return found[:16], found[16:]  # neither is all zeros, as ids must not be: nobody finds such a digest
