"""What an event looks like as a document."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clues.event import Event, EventType
from clues.publishers.elasticsearch_documents import Target, bulk_lines, sentence
from clues.system_keys import KEYS

STREAM = Target("logs-clues.events-default", namespace="default")
AT = "2026-11-20T20:59:58.123456Z"


def event(event_type: EventType = EventType.PERFORM_FINISHED, *, args: Any = (), **metadata: Any) -> Event:
    return Event(event_type, AT, "pdf", metadata, "PdfGeneration", list(args))


def document(of: Event, chart: tuple[str, ...] = (), target: Target = STREAM) -> dict[str, Any]:
    keys = ("event_type", "timestamp", "queue", "metadata", "worker_class", "args")
    line = json.dumps({key: getattr(of, key) for key in keys}).encode()  # which holds what no journal's line does
    action, fields = bulk_lines(line, target, chart).splitlines()
    assert json.loads(action)["create"]["_index"] == target.name
    found: dict[str, Any] = json.loads(fields)
    return found


def test_a_failure() -> None:
    """Every field of an event that has all."""
    known = {
        "_event_hash": "ab" * 16,
        "_event_id": f"{'ab' * 16}:2:end",
        "_attempt": 2,
        "_hostname": "web-1",
        "_process": 30731,
        "_enqueued_time": 1.0,
        "_time_to_perform": 1.25,
        "_exception": "shop.CardDeclined",
        "_message": "no funds",
        "_backtrace": ["a.py:1:in `f'", "b.py:2:in `g'"],
        "_reason": "killed:SIGKILL",
        "_reporter": "master",
        "_traceparent": f"00-{'a' * 32}-{'b' * 16}-01",
        "_parent_event_hash": "cd" * 16,
        "_truncated": ["args"],
        "customer_id": 42,
    }
    assert document(event(EventType.FAILED, args=[1, {"a": None}], **known)) == {
        "@timestamp": AT,
        "message": "PdfGeneration failed after 1.25 s: shop.CardDeclined: no funds",
        "ecs": {"version": "8.17.0"},
        "data_stream": {"type": "logs", "dataset": "clues.events", "namespace": "default"},
        "event": {
            "id": f"{'ab' * 16}:2:end",
            "action": "failed",
            "kind": "event",
            "category": ["process"],
            "type": ["end", "error"],
            "outcome": "failure",
            "dataset": "clues.events",
            "module": "clues",
            "reason": "killed:SIGKILL",
            "sequence": 11,
            "duration": 1_250_000_000,
            "start": "2026-11-20T20:59:56.873456Z",
        },
        "error": {
            "type": "shop.CardDeclined",
            "message": "no funds",
            "stack_trace": "a.py:1:in `f'\nb.py:2:in `g'",
        },
        "host": {"name": "web-1"},
        "process": {"pid": 30731},
        "trace": {"id": "a" * 32},
        "span": {"id": "b" * 16},
        "clues": {
            "event_hash": "ab" * 16,
            "queue": "pdf",
            "job_class": "PdfGeneration",
            "attempt": 2,
            "time_to_perform": 1.25,
            "parent_event_hash": "cd" * 16,
            "reason": "killed:SIGKILL",
            "reporter": "master",
            "truncated": ["args"],
            "args": '[1,{"a":null}]',
            "args_size": 14,
            "metadata": {"customer_id": 42},
        },
    }


@pytest.mark.parametrize(
    ("event_type", "metadata", "text"),
    [
        (EventType.ENQUEUED, {}, "PdfGeneration was enqueued on pdf"),
        (EventType.DEQUEUED, {"_time_in_queue": 0.5}, "PdfGeneration was taken from pdf after 0.5 s"),
        (EventType.DEQUEUED, {}, "PdfGeneration was taken from pdf"),
        (EventType.PERFORM_STARTED, {}, "PdfGeneration began"),
        (EventType.PERFORM_FINISHED, {"_time_to_perform": 2}, "PdfGeneration finished in 2 s"),
        (EventType.FAILED, {"_exception": "E"}, "PdfGeneration failed: E"),
        (EventType.DESTROYED, {}, "PdfGeneration was removed from pdf"),
    ],
)
def test_sentences(event_type: EventType, metadata: dict[str, Any], text: str) -> None:
    assert sentence(event(event_type, **metadata)) == text


def test_what_adapters_tell() -> None:
    """The system, its own id of the job, when the job was due, and whether another attempt follows."""
    known = {"_system": "celery", "_job_id": "0b5f-7", "_scheduled_time": 1_795_208_400.5, "_redelivered": True}
    found = document(event(EventType.FAILED, **known, _retrying=True, _exception="E", _time_to_perform=2))
    expected = {
        "system": "celery",
        "job_id": "0b5f-7",
        "scheduled_time": "2026-11-20T21:00:00.500000Z",
        "redelivered": True,
        "retrying": True,
    }
    assert found["clues"] == found["clues"] | expected
    assert found["message"] == "PdfGeneration failed after 2 s, will be retried: E"
    assert "metadata" not in found["clues"]


@pytest.mark.parametrize("bad", [None, "soon", True, -1.0, 0, 1e300, float("inf"), 253_402_300_800])
def test_a_scheduled_time_that_is_none(bad: object) -> None:
    found = document(event(_scheduled_time=bad, _retrying=bad if bad is not True else 1, _job_id=7))["clues"]
    assert not {"scheduled_time", "retrying", "job_id"} & found.keys()


def test_ids() -> None:
    """An event's own; of a line without one, or with one that Elasticsearch can't take, a hash of the line."""
    for bad in ({}, {"_event_id": ""}, {"_event_id": 5}, {"_event_id": "é" * 300}, {"_event_id": "a\nb"}):
        line = event(**bad).line
        action, fields = bulk_lines(line, STREAM).splitlines()
        assert json.loads(action)["create"]["_id"] == hashlib.sha256(line).hexdigest()[:40]
        assert json.loads(fields)["event"]["id"] == hashlib.sha256(line).hexdigest()[:40]


def test_order_of_a_life() -> None:
    """Events of one millisecond sort as they happened."""
    order = [EventType.ENQUEUED, EventType.DEQUEUED, EventType.PERFORM_STARTED, EventType.FAILED]
    found = [document(event(kind, _attempt=attempt))["event"]["sequence"] for attempt in (1, 2) for kind in order]
    assert found == sorted(set(found))


def test_charted() -> None:
    """Numbers are metrics, the rest labels; dots become underscores, and what can't be drawn stays metadata."""
    metadata: dict[str, Any] = {
        "pages": 3,
        "pdf": {"strategy": "fast"},
        "a.b": 1.5,
        "urgent": True,
        "list": [1],
        "big": 10**400,
    }
    found = document(event(**metadata), ("pages", "pdf.strategy", "a.b", "urgent", "list", "big", "absent"))
    assert found["clues"]["metrics"] == {"pages": 3.0, "a_b": 1.5}
    assert found["labels"] == {"pdf_strategy": "fast", "urgent": "true"}
    assert found["clues"]["metadata"]["pages"] == 3


def test_metadata_in_shape() -> None:
    """What a flattened field refuses is changed, and only that; it is said where something was lost."""
    kept: dict[str, Any] = {"": 1, ".": {"a.b": [1, None, True]}, "location": "Berlin"}
    assert document(event(**kept))["clues"]["metadata"] == kept
    assert "truncated" not in document(event(**kept))["clues"]
    changed: dict[str, Any] = {"a\0": 1, "a\ufffd": 2, "long": "x" * 6000, "k" * 300: 3, "big": 10**30}
    found = document(event(**changed))["clues"]
    assert found["truncated"] == ["metadata"]
    assert found["metadata"]["a\ufffd"] == 1
    assert found["metadata"]["a\ufffd_"] == 2
    assert len(found["metadata"]["long"]) == 5000
    assert found["metadata"]["big"] == str(10**30)
    assert max(map(len, found["metadata"])) < 256


def test_deep_metadata() -> None:
    deep: Any = "x"
    for _ in range(100):
        deep = {"k": deep}
    found: Any = document(event(deep=deep))["clues"]["metadata"]["deep"]
    depth = 0
    while isinstance(found, dict):
        found, depth = found["k"], depth + 1
    assert depth == 14
    assert json.loads(found)["k"]["k"]


def test_days() -> None:
    """The day of the event, in UTC, whatever its time zone."""
    for text, day in [(AT, "20"), ("2026-11-21T00:30:00+01:00", "20"), ("2026-11-20T23:30:00-01:00", "21")]:
        line = event().line.replace(AT.encode(), text.encode())
        action = json.loads(bulk_lines(line, Target("jobs", dated=True)).splitlines()[0])
        assert action["create"]["_index"] == f"jobs-2026.11.{day}"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.text(st.characters(categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(
    st.dictionaries(
        st.text() | st.sampled_from(["_time_to_perform", "_process", "_message", "_scheduled_time", "a"]), anything
    )
)
def test_any_metadata(metadata: dict[str, Any]) -> None:
    """Two lines of JSON come out, and never NaN: no JSON parser of a server would take it."""
    shape = {"event_type": "failed", "timestamp": AT, "queue": None, "metadata": metadata, "worker_class": None}
    line = json.dumps({**shape, "args": []}).encode()
    action, fields, rest = bulk_lines(line, STREAM, ("a",)).split(b"\n")
    assert rest == b""
    json.loads(action)
    json.loads(fields, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


@pytest.mark.parametrize("text", ["", "never", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+23:00"])
def test_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="is no time"):
        bulk_lines(event().line.replace(AT.encode(), text.encode()), STREAM)


def test_our_keys_are_none_of_the_users() -> None:
    """Whatever of them an item carries; the user's own are all there."""
    known: dict[str, Any] = dict.fromkeys(KEYS, "x")
    assert document(event(**known, customer_id=42))["clues"]["metadata"] == {"customer_id": 42}
    assert "metadata" not in document(event(**known))["clues"]
