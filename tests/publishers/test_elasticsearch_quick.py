"""Documents made the quick way are those that are made by reading the line as a whole, byte for byte."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clues.config import Config, Settings
from clues.event import EventType, json_encoder
from clues.lifecycle import Lifecycle
from clues.metadata import failure_of
from clues.publishers import lines
from clues.publishers.elasticsearch_documents import Target, bulk_lines
from clues.publishers.elasticsearch_quick import Quick, writer
from clues.testing import RecordingPublisher

STREAM = Target("logs-clues.events-default", namespace="default")
DATED = Target("jobs", dated=True)
HASH = "ab" * 16
QUICK = Quick(STREAM, ("pages", "tier"))  # one for all, so that what it holds of one line is there for the next

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["args", "_attempt"]), inner),
    max_leaves=10,
)
pieces = st.sampled_from([
    '","_attempt":', ',"_attempt":2', '},"worker_class":', ',"_time_in_queue":1.5', '"args":[', "\\", '"', "{}", "é",
    "\ud800", ',"x":1', "10000000000000000000000", "0.5", "]", "}", ",", ":",
])  # fmt: skip


def spelled(kind: str = "perform_finished", **changed: str) -> bytes:
    """A line in our workers' spelling, parts of which are changed."""
    parts = {
        "at": '"2026-11-20T20:59:58.123456Z"',
        "queue": '"pdf"',
        "hash": f'"{HASH}"',
        "id": f'"{HASH}:1:{kind}"',
        "attempt": "1",
        "more": ',"_hostname":"web-1","_process":7,"_enqueued_time":1.5,"pages":3',
        "times": ',"_time_in_queue":0.5,"_time_to_perform":1.25',
        "worker_class": '"Report"',
        "args": "[1]",
    } | changed
    return (
        (
            '{{"event_type":"{kind}","timestamp":{at},"queue":{queue},"metadata":{{"_event_hash":{hash},"_event_id":{id}'
            ',"_attempt":{attempt}{more}{times}}},"worker_class":{worker_class},"args":{args}}}'
        )
        .format(kind=kind, **parts)
        .encode("utf-8", "backslashreplace")
    )


def agree(line: bytes, quick: Quick = QUICK, target: Target = STREAM) -> bool:
    """Whether a line is one for the quick way; both ways must give the same of it, or none."""
    found = quick.lines(line)
    if found is not None:
        assert found == bulk_lines(line, target, ("pages", "tier"))
    return found is not None


@pytest.fixture(params=["orjson", "the standard library"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    cached = (json_encoder, lines.reader, lines.object_reader)
    if request.param == "orjson":
        pytest.importorskip("orjson")
    else:
        monkeypatch.setitem(sys.modules, "orjson", None)
    for function in cached:
        function.cache_clear()
    QUICK.forget()
    yield
    monkeypatch.undo()
    for function in cached:
        function.cache_clear()
    QUICK.forget()


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("target", [STREAM, DATED])
def test_lines_of_a_life(target: Target) -> None:
    """All that a job tells goes the quick way, but its failure."""
    kept = RecordingPublisher()
    lifecycle = Lifecycle(Settings(Config(kept)))
    metadata = {"pages": 3, "tier": "gold", "Jürgen": [None, {"a": 1.5}], "service.name": "shop"}
    for fails in (False, True):
        item = {"class": "Report", "args": ["Jürgen", {"a": 1}], "clues_metadata": dict(metadata)}
        lifecycle.enqueued(lifecycle.stamp("mail", item))
        attempt = lifecycle.dequeued("mail", item)
        lifecycle.perform_started(attempt)
        if fails:
            lifecycle.failed(attempt, failure_of(ValueError("no")))
        else:
            lifecycle.perform_finished(attempt)
    quick = Quick(target, ("pages", "tier"))
    found = {event.event_type for event in kept.events if agree(event.line, quick, target)}
    assert found == set(EventType) - {EventType.FAILED, EventType.DESTROYED}


@pytest.mark.usefixtures("library")
def test_lines_of_another_system() -> None:
    """An adapter's jobs too; but not what was delivered again."""
    for redelivered in (False, True):
        kept = RecordingPublisher()
        lifecycle = Lifecycle(Settings(Config(kept)), system="celery")
        item = {"class": "Report", "args": [1], "job_id": "0b5f-7", "clues_metadata": {}}
        lifecycle.enqueued(lifecycle.stamp("mail", item, scheduled_time=4e9))
        attempt = lifecycle.dequeued("mail", item, redelivered=redelivered)
        lifecycle.perform_started(attempt)
        lifecycle.perform_finished(attempt)
        found = [agree(event.line) for event in kept.events]
        assert found == [True] + [not redelivered] * 3


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    ("quick", "changed"),
    [
        (True, {}),
        (True, {"times": ""}),
        (True, {"times": ',"_time_in_queue":0.00001'}),
        (True, {"times": ',"_time_in_queue":0,"_time_to_perform":5e-7'}),
        (True, {"args": '[ "a" , {"args":[1],"_attempt":2} ]'}),
        (True, {"args": '[{"b":[]},"},\\"worker_class\\":"]'}),
        (True, {"worker_class": "null"}),
        (True, {"worker_class": "7"}),
        (True, {"attempt": '"x"'}),
        (True, {"attempt": "0"}),
        (True, {"more": ""}),
        (True, {"more": f',"_traceparent":"00-{"a" * 32}-{"b" * 16}-01"'}),
        (True, {"more": ',"_reporter":"master","_truncated":["args"],"_clock_skew":2,"tier":"gold"'}),
        (True, {"more": ',"_system":"rq","_job_id":"a-7","_enqueued_time":1.5,"_scheduled_time":1795208400.25'}),
        (True, {"more": ',"_scheduled_time":true,"_retrying":1,"_redelivered":true,"_job_id":7'}),
        (True, {"more": f',"{"k" * 300}":"{"v" * 3000}","deep":{{"a":[1,{{"b":null}}]}}'}),
        (True, {"more": ',"_attempt":2'}),  # the last one counts
        (False, {"times": ',"_time_in_queue":-1.5'}),
        (False, {"times": ',"_time_in_queue":null'}),
        (False, {"times": ',"_time_in_queue":1e999'}),
        (False, {"times": ',"_time_in_queue":1,"_time_to_perform":1e9'}),
        (False, {"times": ',"_time_in_queue":10000000000000000000000000'}),
        (False, {"times": ',"_time_in_queue":01'}),
        (False, {"times": ',"_time_to_perform":1.25,"_time_in_queue":0.5'}),
        (False, {"more": ',"_time_to_perform":1.25'}),
        (False, {"more": ',"_reason":"why"'}),
        (False, {"more": ',"_event_id":"another"'}),
        (False, {"more": ',"_event_hash":"another"'}),
        (False, {"more": ',"a":10000000000000000000000'}),
        (False, {"more": ',"a":{"b":1},"worker_class":"x","c":{"d":1}'[:-1]}),
        (False, {"more": '},"queue":"other","x":{"y":1'}),
        (False, {"more": f',"a":"{"v" * 5000}"'}),
        (False, {"args": "[18446744073709551616]"}),
        (False, {"args": "{}"}),
        (False, {"args": "[1"}),
        (False, {"args": '[1],"args":[2],"queue":"other"'}),
        (False, {"args": '[1],"metadata":{}'}),
        (False, {"args": '[1{"event_type":"failed"}]'}),
        (False, {"queue": "null"}),
        (False, {"queue": '"Jürgen"'}),
        (False, {"queue": '"a\\"b"'}),
        (False, {"hash": '"ab","_event_hash":"cd"'}),
        (False, {"id": '"a\\u0000"'}),
        (False, {"id": f'"{"a" * 513}"'}),
        (False, {"at": '"2026-13-20T20:59:58.123456Z"'}),
        (False, {"at": '"2026-11-20T20:59:58Z"'}),
        (False, {"at": '"2026-11-20T20:59:58.123456Z","queue":"x"'}),
    ],
)  # fmt: skip
def test_edges(quick: bool, changed: dict[str, str]) -> None:
    for kind in ("enqueued", "dequeued", "perform_started", "perform_finished"):
        assert agree(spelled(kind, **changed)) is quick


@pytest.mark.usefixtures("library")
def test_half_a_character() -> None:
    """One library reads it, the other leaves the line to `bulk_lines`."""
    for part in ({"more": ',"a":"\\ud800"'}, {"args": '["\\udfff"]'}, {"worker_class": '"\\ud800"'}):
        agree(spelled(**part))


def test_other_types() -> None:
    for kind in ("failed", "destroyed", "unheard_of"):
        assert not agree(spelled(kind))


def test_no_event() -> None:
    """What is none is said to be none, as ever."""
    for line in (b"", b"{}", spelled()[:-1], spelled()[:-20], spelled() + b"x", spelled().replace(b"Report", b"\xff")):
        with pytest.raises(ValueError):
            writer(STREAM)(line)


def test_same_beginning() -> None:
    """What is held of an attempt is that of its metadata and args, not of another's."""
    found = [
        json.loads(writer(STREAM)(spelled(more=f',"a":{a}', args=f"[{arg}]")).splitlines()[1])["clues"]
        for a in (1, 2)
        for arg in (3, 4)
    ]
    assert [(one["metadata"]["a"], one["args"]) for one in found] == [(1, "[3]"), (1, "[4]"), (2, "[3]"), (2, "[4]")]


@given(
    st.dictionaries(
        st.text() | st.sampled_from(["_time_in_queue", "_scheduled_time", "_service_name", "_process", "tier"]),
        anything,
    ),
    st.lists(anything),
)
def test_any_values(metadata: dict[str, Any], args: list[Any]) -> None:
    metadata = {"_event_hash": HASH, "_event_id": f"{HASH}:1:end", "_attempt": 1} | metadata
    shape = {
        "event_type": "perform_finished",
        "timestamp": "2026-11-20T20:59:58.123456Z",
        "queue": "pdf",
        "metadata": metadata,
        "worker_class": "Report",
        "args": args,
    }
    agree(json.dumps(shape, separators=(",", ":"), ensure_ascii=False).encode())


@given(
    st.lists(pieces, max_size=6), st.sampled_from(["more", "times", "args", "worker_class", "queue", "id", "attempt"])
)
def test_any_spelling(found: list[str], part: str) -> None:
    """Whatever stands in a part of a line: never a document of what is no event, nor another one."""
    line = spelled(**{part: "".join(found)})
    try:
        bulk_lines(line, STREAM)
    except ValueError:
        assert QUICK.lines(line) is None
    else:
        agree(line)
