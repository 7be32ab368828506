"""Trace context in items, and the current span of a job that runs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from clues.errors import ConfigError
from clues.event import EventType
from clues.publishers.otlp_ids import parsed, root, spans_of
from clues.publishers.otlp_propagator import TraceContext, current_span
from tests.stories import Stage, live

USERS = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def stage(style: str = "link", **more: Any) -> Stage:
    return Stage(options={"propagator": TraceContext(style), **more})


def an_item(**more: Any) -> dict[str, Any]:
    return {"class": "Job", "args": [], **more}


@pytest.fixture
def ambient() -> Iterator[Any]:
    """A span of the application's that is current."""
    from opentelemetry import trace

    context = trace.SpanContext(
        0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331, is_remote=False, trace_flags=trace.TraceFlags(1),
        trace_state=trace.TraceState([("vendor", "x")]),
    )  # fmt: skip
    with trace.use_span(trace.NonRecordingSpan(context)):
        yield context


def test_what_is_injected_is_what_the_enqueue_span_will_have() -> None:
    set_up, item = stage(), an_item()
    set_up.lifecycle.stamp("mail", item)
    metadata = item["clues_metadata"]
    assert item["traceparent"] == metadata["_traceparent"] == root(metadata["_event_hash"]).traceparent
    assert "tracestate" not in item
    spans = spans_of(metadata, "link")
    assert spans is not None
    assert spans.enqueue.traceparent == item["traceparent"]
    assert spans.creates


def test_all_events_of_a_job_carry_its_context() -> None:
    set_up, item = stage(), an_item()
    live(set_up.lifecycle, item)
    assert [metadata["_traceparent"] for metadata in set_up.metadata] == [item["traceparent"]] * 4
    assert set_up.config.faults.counts == {}


def test_in_a_span_the_enqueue_span_is_its_child(ambient: Any) -> None:
    set_up, item = stage(), an_item()
    set_up.lifecycle.enqueued(set_up.lifecycle.stamp("mail", item))
    spans = spans_of(set_up.metadata[0], "link")
    assert spans is not None
    assert spans.creates
    assert int(spans.enqueue.trace_id, 16) == ambient.trace_id
    assert int(spans.enqueue_parent, 16) == ambient.span_id
    assert item["tracestate"] == spans.enqueue.state == "vendor=x"


def test_a_context_that_the_user_gives_is_kept() -> None:
    set_up, item = stage(), an_item(traceparent=USERS, tracestate="a=b")
    set_up.lifecycle.enqueued(set_up.lifecycle.stamp("mail", item))
    assert (item["traceparent"], item["tracestate"]) == (USERS, "a=b")
    assert set_up.metadata[0]["_traceparent"] == USERS
    assert set_up.metadata[0]["_tracestate"] == "a=b"


def test_what_is_no_context_is_kept_and_not_told_of() -> None:
    set_up, item = stage(), an_item(traceparent="mine")
    live(set_up.lifecycle, item)
    assert item["traceparent"] == "mine"
    assert "_traceparent" not in set_up.metadata[0]
    assert set_up.config.faults.counts == {}


def test_a_context_in_the_metadata_alone_is_written_into_the_item() -> None:
    """Of systems that carry no more than the metadata."""
    set_up, item = stage(), an_item(clues_metadata={"_traceparent": USERS})
    set_up.lifecycle.stamp("mail", item)
    assert item["traceparent"] == USERS


def test_a_second_attempt_keeps_the_context() -> None:
    set_up, item = stage(), an_item()
    set_up.lifecycle.stamp("mail", item)
    before = item["traceparent"]
    item["clues_metadata"]["_attempt"] = 2
    attempt = set_up.lifecycle.stamp("mail", item, preprocess=False)
    assert attempt is not None
    set_up.lifecycle.enqueued(attempt)
    assert set_up.metadata[-1]["_traceparent"] == item["traceparent"] == before


@pytest.mark.parametrize("style", ["link", "child", "none"])
def test_a_jobs_own_spans_are_within_its_process_span(style: str) -> None:
    from opentelemetry import trace

    set_up, item, seen = stage(style), an_item(), []
    live(set_up.lifecycle, item, lambda: seen.append(trace.get_current_span().get_span_context()))
    spans = spans_of(set_up.metadata[-1], style)  # type: ignore[arg-type]
    assert spans is not None
    assert f"{seen[0].trace_id:032x}" == spans.process.trace_id
    assert f"{seen[0].span_id:016x}" == spans.process.span_id
    assert (seen[0].trace_id == int(spans.creation.trace_id, 16)) is (style == "child")
    assert seen[0].trace_flags.sampled
    assert not trace.get_current_span().get_span_context().is_valid, "it is not current any more"


def test_spans_that_the_sdk_records_in_a_job_are_children_of_its_process_span() -> None:
    pytest.importorskip("opentelemetry.sdk")
    from opentelemetry.sdk.trace import TracerProvider

    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("shop")
    seen: list[Any] = []

    def job() -> None:
        with tracer.start_as_current_span("render") as span:
            seen.append(span)

    set_up = stage("child")
    live(set_up.lifecycle, an_item(), job)
    spans = spans_of(set_up.metadata[-1], "child")
    assert spans is not None
    assert seen[0].is_recording() is False, "it has ended"
    assert seen[0].parent is not None
    assert f"{seen[0].parent.span_id:016x}" == spans.process.span_id
    assert f"{seen[0].context.trace_id:032x}" == spans.enqueue.trace_id
    assert seen[0].context.trace_flags.sampled


def test_a_job_enqueued_by_a_job_is_within_its_process_span_and_with_child_in_one_trace() -> None:
    set_up, outer, inner = stage("child"), an_item(), an_item()
    live(set_up.lifecycle, outer, lambda: live(set_up.lifecycle, inner))
    enqueued = [event.metadata for event in set_up.recorder.events if event.event_type is EventType.ENQUEUED]
    first, second = (spans_of(metadata, "child") for metadata in enqueued)
    assert first is not None
    assert second is not None
    assert second.enqueue_parent == first.process.span_id
    assert {ref.trace_id for ref in (first.enqueue, first.process, second.enqueue, second.process)} == {
        enqueued[0]["_event_hash"]
    }
    assert second.creates


def test_a_rubyists_item_has_its_context_at_the_top_alone() -> None:
    from opentelemetry import trace

    seen: list[Any] = []
    item = an_item(traceparent=USERS, clues_metadata={"_event_hash": "a" * 32})
    set_up = stage("child")
    attempt = set_up.lifecycle.dequeued("mail", item)
    with set_up.lifecycle.performing(attempt, "mail", item):
        seen.append(trace.get_current_span().get_span_context())
    assert f"{seen[0].trace_id:032x}" == USERS[3:35]


def test_a_job_that_fails_gives_the_context_back() -> None:
    set_up, item = stage(), an_item()
    live(set_up.lifecycle, item, lambda: 1 / 0)
    assert set_up.recorder.events[-1].event_type is EventType.FAILED
    assert current_span() is None


@pytest.mark.parametrize("item", [{}, {"clues_metadata": 7}, {"clues_metadata": {}}, {"traceparent": object()}])
def test_items_that_are_not_ours_harm_nothing(item: dict[str, Any]) -> None:
    propagator = TraceContext()
    propagator.inject(item)
    with propagator.activate(item):
        assert current_span() is None


def test_an_unknown_style_is_refused() -> None:
    with pytest.raises(ConfigError, match="propagation_style"):
        TraceContext("span")


def test_an_unsampled_trace_stays_unsampled() -> None:
    from opentelemetry import trace

    context = trace.SpanContext(5, 6, is_remote=False, trace_flags=trace.TraceFlags(0))
    set_up, item = stage("child"), an_item()
    with trace.use_span(trace.NonRecordingSpan(context)):
        set_up.lifecycle.stamp("mail", item)
    found = parsed(item["traceparent"])
    assert found is not None
    assert not found.sampled


def test_without_opentelemetry_a_job_enqueued_by_a_job_is_in_its_trace_too() -> None:
    """In a process that can't import it, as where only clues itself is installed."""
    code = """
import sys
sys.modules["opentelemetry"] = None
from clues.publishers.otlp_propagator import TraceContext
from clues.publishers.otlp_ids import spans_of
propagator = TraceContext("child")
outer = {"clues_metadata": {"_event_hash": "a" * 32, "_attempt": 1}}
inner = {"clues_metadata": {"_event_hash": "b" * 32, "_attempt": 1}}
propagator.inject(outer)
with propagator.activate(outer):
    propagator.inject(inner)
assert inner["traceparent"][3:35] == "a" * 32
assert inner["clues_metadata"]["_parent_span_id"] == spans_of(outer["clues_metadata"], "child").process.span_id
"""
    subprocess.run([sys.executable, "-c", code], check=True)
