"""Ids of traces and spans that follow from a job."""

from __future__ import annotations

import pytest

from clues.errors import ConfigError
from clues.event import Event, EventType
from clues.publishers.otlp_ids import SpanRef, parsed, root, spans_of, style
from clues.publishers.otlp_spans import has_span

HASH = "0695f49c5e70fc18da91961113e1769a"
USERS = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_job_outside_any_trace_has_one_that_is_found_by_its_hash() -> None:
    spans = spans_of({"_event_hash": HASH, "_attempt": 1}, "child")
    assert spans is not None
    assert spans.creation == spans.enqueue == root(HASH)
    assert spans.creation.trace_id == spans.process.trace_id == HASH
    assert spans.creates
    assert (spans.enqueue_parent, spans.process_parent) == ("", spans.enqueue.span_id)
    assert spans.process.span_id not in {spans.enqueue.span_id, "0" * 16}


def test_the_ids_are_the_same_for_ever() -> None:
    """Or a log that is shipped again with a later version makes other traces."""
    spans = spans_of({"_event_hash": HASH, "_attempt": 2}, "link")
    assert spans is not None
    assert (spans.enqueue.span_id, spans.process.trace_id, spans.process.span_id) == (
        "595342dedfc568cf",
        "28f0feaf1a77ec946515241b548e5e17",
        "66faf37a8e4e6de9",
    )


@pytest.mark.parametrize(("propagation", "trace", "parented", "linked"), [
    ("link", "own", False, True),
    ("child", "creation's", True, True),
    ("none", "own", False, False),
])  # fmt: skip
def test_styles(propagation: str, trace: str, parented: bool, linked: bool) -> None:
    spans = spans_of({"_event_hash": HASH, "_attempt": 1, "_traceparent": USERS}, style(propagation))
    assert spans is not None
    assert (spans.process.trace_id == spans.creation.trace_id) is (trace == "creation's")
    assert spans.process_parent == ("b7ad6b7169203331" if parented else "")
    assert spans.linked is linked


def test_each_attempt_has_spans_of_its_own() -> None:
    first, second = (spans_of({"_event_hash": HASH, "_attempt": attempt}, "link") for attempt in (1, 2))
    assert first is not None
    assert second is not None
    found = {first.enqueue.span_id, second.enqueue.span_id, first.process.span_id, second.process.span_id}
    assert len(found) == 4
    assert first.process.trace_id != second.process.trace_id
    assert second.creation == first.creation, "the item still carries the first one's"
    assert second.enqueue_parent == first.enqueue.span_id
    assert not second.creates


def test_a_users_context_is_the_parent_of_the_enqueue_span() -> None:
    spans = spans_of({"_event_hash": HASH, "_attempt": 1, "_traceparent": USERS, "_tracestate": "a=1"}, "link")
    assert spans is not None
    assert spans.creation == SpanRef("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", 1, "a=1")
    assert spans.enqueue.trace_id == spans.creation.trace_id
    assert spans.enqueue_parent == spans.creation.span_id
    assert not spans.creates


@pytest.mark.parametrize("event_hash", ["job-7", "0" * 32, HASH.upper(), "é"])
def test_foreign_hashes_have_ids_too(event_hash: str) -> None:
    spans = spans_of({"_event_hash": event_hash}, "link")
    assert spans is not None
    for ref in (spans.enqueue, spans.process):
        assert parsed(ref.traceparent) == ref


def test_without_a_hash_there_are_no_spans() -> None:
    assert spans_of({}, "link") is None
    assert spans_of({"_event_hash": 7}, "link") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00-1-2-01",
        USERS.upper(),
        f"ff{USERS[2:]}",
        USERS.replace("b7ad6b7169203331", "0" * 16),
        7,
        None,
        USERS + "\n",
    ],
)
def test_what_is_no_traceparent(text: object) -> None:
    assert parsed(text) is None


def test_later_versions_of_traceparent_are_read_as_this_one() -> None:
    assert parsed(f"01{USERS[2:-2]}03-more") == parsed(USERS)


def test_an_unknown_style_is_refused() -> None:
    with pytest.raises(ConfigError, match="propagation_style must be link, child or none, not 'parent'"):
        style("parent")


def test_the_spans_of_who_else_instruments_the_job_system_are_not_made_twice() -> None:
    context = f"00-{'c' * 32}-{'d' * 16}-01"
    metadata = {"_event_hash": "ab" * 16, "_attempt": 1, "_traceparent": context, "_traced_by": "opentelemetry"}
    spans = spans_of(metadata, "link")
    assert spans is not None
    assert spans.enqueue.traceparent == spans.process.traceparent == context
    for event_type in EventType:
        assert not has_span(Event(event_type, "2026-11-20T20:59:58.000000Z", "q", metadata, "Job", []), spans)
