"""The event, its line, and what reads it back."""

from __future__ import annotations

import copy
import json
import pickle
import sys
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, asdict, replace
from typing import Any

import pytest

from clues import Event, EventType
from clues.event import TERMINAL, Publisher, json_encoder, marshal, new_event
from clues.testing import RecordingPublisher

LINE = (
    b'{"event_type":"dequeued","timestamp":"2026-11-20T20:59:58.123456Z","queue":"test_queue",'
    b'"metadata":{"_event_hash":"0695f49c5e70fc18da91961113e1769a","_hostname":"web-1","_process":30731,'
    b'"customer":"J\xc3\xbcrgen\\n"},"worker_class":"TestWorker","args":[1,2,{"a":null}]}'
)
METADATA = {
    "_event_hash": "0695f49c5e70fc18da91961113e1769a",
    "_hostname": "web-1",
    "_process": 30731,
    "customer": "Jürgen\n",
}


def an_event(**changes: Any) -> Event:
    fields: dict[str, Any] = {
        "event_type": EventType.DEQUEUED,
        "timestamp": "2026-11-20T20:59:58.123456Z",
        "queue": "test_queue",
        "metadata": METADATA,
        "worker_class": "TestWorker",
        "args": [1, 2, {"a": None}],
    }
    return Event(**(fields | changes))


@pytest.fixture(params=["orjson", "stdlib"])
def encoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Each of the two encoders."""
    if request.param == "stdlib":
        monkeypatch.setitem(sys.modules, "orjson", None)
    else:
        pytest.importorskip("orjson")
    json_encoder.cache_clear()
    yield request.param
    json_encoder.cache_clear()


def test_the_line_is_exactly_resque_clues_shape(encoder: str) -> None:
    """Key order, compactness and UTF-8, byte for byte, with either encoder."""
    assert an_event().line == LINE


def test_the_types_are_resque_clues_words() -> None:
    """The names, which of them are terminal, and that they are strings."""
    names = ["enqueued", "dequeued", "perform_started", "perform_finished", "failed", "destroyed"]
    assert [kind.value for kind in EventType] == names
    assert [kind for kind in EventType if kind.terminal] == [
        EventType.PERFORM_FINISHED, EventType.FAILED, EventType.DESTROYED,
    ]  # fmt: skip
    assert {kind for kind in EventType if kind.terminal} == TERMINAL
    assert f"{EventType.FAILED}" == "failed"


def test_a_line_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many publishers ask, the same bytes object is given."""
    event = an_event()
    assert event.line is event.line
    assert event.marshalled is event.line


def test_the_standard_line_has_no_newline(encoder: str) -> None:
    """Whatever the values hold, the line is one line."""
    event = an_event(metadata={"text": "a\nb\r\nc\u2028d\x00\x7f\x85"}, args=["\n"])
    assert b"\n" not in event.line
    assert json.loads(event.line)["metadata"] == event.metadata


@pytest.mark.parametrize(
    "odd",
    [
        {"metadata": {"x": object()}},
        {"metadata": {("a", "tuple"): 1}},
        {"args": [10**400]},
        {"args": ["\ud800"]},
        {"queue": "\ud800"},
        {"args": [float("nan"), float("inf")]},
        {"args": [{1, 2}]},
    ],
)
def test_an_event_made_by_hand_of_odd_values_still_gives_a_strict_line(encoder: str, odd: dict[str, Any]) -> None:
    """Lifecycle sanitises; an event that was built without it must not raise in a publisher either."""
    event = an_event(**{"metadata": METADATA, **odd})
    found = json.loads(event.line, parse_constant=pytest.fail)
    assert "\n" not in event.line.decode()
    assert list(found) == ["event_type", "timestamp", "queue", "metadata", "worker_class", "args"]


def test_deep_and_cyclic_values_by_hand_keep_the_hash(encoder: str) -> None:
    """What can't be encoded at all is left out, and the line says so."""
    cycle: list[Any] = []
    cycle.append(cycle)
    found = json.loads(an_event(args=cycle).line)
    assert found["metadata"] == {"_event_hash": METADATA["_event_hash"], "_truncated": ["metadata", "args"]}
    assert found["args"] == []
    known = {"_event_hash": "ab12", "_event_id": "ab12:1:end"}
    found = json.loads(an_event(metadata={**known, "mine": cycle}).line)
    assert found["metadata"] == {**known, "_truncated": ["metadata", "args"]}


def test_an_object_in_an_event_made_by_hand_is_shown_as_its_class(encoder: str) -> None:
    """And the rest of the line is as ever."""
    found = json.loads(an_event(args=[1, Odd()]).line)
    assert found["args"] == [1, "<Odd>"]
    assert found["metadata"] == METADATA


class Odd:
    pass


def test_a_line_is_read_back() -> None:
    """What `line` wrote, `from_line` reads, as bytes or text."""
    assert Event.from_line(LINE) == an_event()
    assert Event.from_line(LINE.decode()).line == LINE


def test_ruby_lines_are_read(golden: Any) -> None:
    """Lines of resque-clues are events too; Ruby Logger's first line is none."""
    lines = [event["line"] for event in golden("events-failed")["events"]]
    with pytest.raises(ValueError):
        Event.from_line(lines[0])
    events = [Event.from_line(line) for line in lines[1:]]
    assert [event.event_type for event in events] == ["enqueued", "dequeued", "perform_started", "failed"]
    assert len({event.metadata["_event_hash"] for event in events}) == 1


@pytest.mark.parametrize(
    "line",
    [
        b"", b"\n", b"[]", b"7", b"null", b'"x"', b"{}", b"{", b"\xff", b"[" * 100_000,
        LINE.replace(b'"dequeued"', b'"eaten"'), LINE.replace(b'"dequeued"', b"[]"),
        LINE.replace(b'"args":[1,2,{"a":null}]', b'"args":null'), LINE.replace(b'"queue":"test_queue",', b""),
    ],
)  # fmt: skip
def test_what_is_no_event_is_a_value_error(line: bytes) -> None:
    """A reader of logs has one exception to catch."""
    with pytest.raises(ValueError):
        Event.from_line(line)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"{}", "not an event: KeyError('timestamp')"),
        (b"7", "not an event: TypeError"),
        (
            LINE.replace(b'"args":[1,2,{"a":null}]', b'"args":null'),
            "not an event: timestamp, metadata and args must be",
        ),
    ],
)
def test_it_says_what_is_not_as_in_an_event(line: bytes, why: str) -> None:
    with pytest.raises(ValueError) as caught:
        Event.from_line(line)
    assert str(caught.value).startswith(why)


def test_a_marshaller_has_the_originals_signature() -> None:
    """(event_type, timestamp, queue, metadata, worker_class, args), as plain positional values."""
    given: list[Any] = []

    def marshaller(*args: Any) -> str:
        given.extend(args)
        return "mine"

    event = an_event(marshaller=marshaller)
    assert event.marshalled == b"mine"
    assert given == ["dequeued", event.timestamp, "test_queue", METADATA, "TestWorker", [1, 2, {"a": None}]]
    assert event.line == LINE  # the journal's line stays the standard one


def test_a_marshaller_that_edits_what_it_is_given_edits_a_copy() -> None:
    """The other publishers get the event as it was."""

    def marshaller(kind: str, at: str, queue: Any, metadata: Any, worker_class: Any, args: Any) -> str:
        metadata.clear()
        args.clear()
        return "mine"

    event = an_event(marshaller=marshaller)
    assert event.marshalled == b"mine"
    assert event.line == LINE


def test_a_marshallers_text_is_utf_8_and_ends_without_newlines() -> None:
    """A trailing newline is the publisher's business; lone surrogates have no UTF-8; inner newlines are the user's."""
    assert an_event(marshaller=lambda *_: "ü\ud800 a\nb\n\n").marshalled == "ü\\ud800 a\nb".encode()


def test_marshal_is_the_line() -> None:
    """The default marshaller, by its public name."""
    event = an_event()
    assert marshal("dequeued", event.timestamp, event.queue, METADATA, "TestWorker", event.args).encode() == LINE


def test_events_can_be_pickled() -> None:
    """Log records carry them through queues; a marshaller, seldom picklable, stays behind."""
    event = an_event(marshaller=lambda *_: "mine")
    found = pickle.loads(pickle.dumps(event))
    assert found == event
    assert found.marshalled == LINE


def test_an_event_is_frozen() -> None:
    """Publishers share it."""
    with pytest.raises(AttributeError):
        an_event().queue = "other"  # type: ignore[misc]


def test_the_publisher_protocol() -> None:
    """Anything with ``publish`` is one."""
    assert isinstance(RecordingPublisher(), Publisher)
    assert not isinstance(object(), Publisher)


def test_a_new_event_is_an_event() -> None:
    """What lifecycles make is the same, frozen and of the same class, as what is made by hand."""
    fields = (EventType.FAILED, "2026-11-20T20:59:58.123456Z", "mail", {"_attempt": 1}, "Charge", [1, "two"])
    made, by_hand = new_event(*fields, None), Event(*fields)
    assert type(made) is Event
    assert made == by_hand
    assert repr(made) == repr(by_hand)
    assert made.line == made.marshalled == by_hand.line
    assert pickle.loads(pickle.dumps(made)) == replace(made) == copy.copy(made) == by_hand
    assert replace(made, queue="post").line == replace(by_hand, queue="post").line
    assert asdict(made) == asdict(by_hand)  # both have their lines by now
    with pytest.raises(FrozenInstanceError):
        made.queue = "post"  # type: ignore[misc]
