"""The one door for job systems: what is published when, and that nothing of it reaches a job."""

from __future__ import annotations

import json
import os
import sys
from collections import UserDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from unittest import mock

import pytest

import clues
from clues import clues_metadata, errors
from clues.config import Settings, configure
from clues.event import Event
from clues.faults import Faults
from clues.lifecycle import Lifecycle
from clues.metadata import END_OF_TIME, Failure, failure_of, hash_of, timestamp
from clues.plugs import Item, as_publisher
from clues.publishers import CompositePublisher, NoOpPublisher
from clues.redaction import REDACTED
from clues.sanitize import Sanitizer
from clues.testing import RecordingPublisher, capture_events
from tests.forks import forked
from tests.stories import NOON, Clock, Stage, live, work

LINE_KEYS = ["event_type", "timestamp", "queue", "metadata", "worker_class", "args"]


def boom() -> None:
    raise ValueError("boom")


def an_item(**metadata: Any) -> dict[str, Any]:
    item: dict[str, Any] = {"class": "Job", "args": [1, "two"]}
    return item | {"clues_metadata": metadata} if metadata else item


class Many(RecordingPublisher):
    """Takes several at once, and notes how many."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def publish_many(self, events: Sequence[Event]) -> None:
        self.sizes.append(len(events))
        self.events.extend(events)


# --- several events at once ---


@pytest.mark.parametrize("publisher", [RecordingPublisher(), Many()], ids=["one by one", "together"])
def test_events_that_are_published_together(publisher: RecordingPublisher) -> None:
    """The first two of a job's way, those of many jobs that are enqueued, or that end, are the same events."""
    apart, together = Stage(), Stage(options={"publisher": publisher})
    for stage, hold in ((apart, False), (together, True)):
        attempts = [stage.lifecycle.stamp("q", an_item()) for _ in range(150)]
        stage.lifecycle.enqueued(*attempts)
        item = an_item(_event_hash="a" * 32)
        attempt = stage.lifecycle.dequeued("q", item, hold=hold)
        with stage.lifecycle.performing(attempt, "q", item):
            pass
        stage.lifecycle.publish(stage.lifecycle.outcome(attempt), None)
    types = ["enqueued"] * 150 + ["dequeued", "perform_started", "perform_finished"]
    assert [event.event_type for event in publisher.events] == types == apart.recorder.types
    assert publisher.events[150:] == apart.recorder.events[150:]
    if isinstance(publisher, Many):
        assert publisher.sizes == [100, 50, 2]  # no piece is long


def test_several_events_for_a_publisher_that_raises() -> None:
    """It never reaches the caller; each event that it lost is counted."""
    publisher, faults = Many(), Faults()
    stage = Stage(options={"publisher": publisher, "faults": faults})
    with mock.patch.object(publisher, "publish_many", side_effect=OSError(28, "")):
        stage.lifecycle.enqueued(*[stage.lifecycle.stamp("q", an_item()) for _ in range(3)])
    assert faults.counts == {"Many": 3}


# --- the story and its system keys ---


def test_the_story_of_a_job_that_ends_well() -> None:
    """Four events, exact key order, times by the clocks that were passed in."""
    stage = Stage()
    item = an_item()

    def job() -> None:
        stage.monotonic.now += 2.5
        stage.clock.now += 99  # a clock that jumps changes no duration
        clues_metadata["pages"] = 12

    stage.lifecycle.enqueued(stage.lifecycle.stamp("mail", item))
    stage.clock.now += 1.5
    attempt = work(stage.lifecycle, item, job)
    assert attempt is not None
    lines = [json.loads(event.line) for event in stage.recorder.events]
    assert [line["event_type"] for line in lines] == ["enqueued", "dequeued", "perform_started", "perform_finished"]
    own = ["_event_hash", "_event_id", "_attempt", "_hostname", "_process", "_enqueued_time"]
    assert [list(line) for line in lines] == [LINE_KEYS] * 4
    assert [list(line["metadata"]) for line in lines] == [
        own,
        [*own, "_time_in_queue"],
        [*own, "_time_in_queue"],
        [*own, "_time_in_queue", "_time_to_perform", "pages"],
    ]
    assert lines[0]["metadata"] == {
        "_event_hash": attempt.event_hash,
        "_event_id": f"{attempt.event_hash}:1:enqueued",
        "_attempt": 1,
        "_hostname": "web-1",
        "_process": os.getpid(),
        "_enqueued_time": NOON,
    }
    end = lines[3]["metadata"]
    assert (end["_event_id"], end["_time_in_queue"], end["_time_to_perform"]) == (
        f"{attempt.event_hash}:1:end",
        1.5,
        2.5,
    )
    assert all((line["queue"], line["worker_class"], line["args"]) == ("mail", "Job", [1, "two"]) for line in lines)


def test_the_timestamp_of_enqueued_is_the_enqueued_time() -> None:
    """Taken before the push, though the event is published after it."""
    stage = Stage()
    item = an_item()
    attempt = stage.lifecycle.stamp("mail", item)
    stage.clock.now += 5  # the push took long
    stage.lifecycle.enqueued(attempt)
    [event] = stage.recorder.events
    assert event.timestamp == timestamp(item["clues_metadata"]["_enqueued_time"]) == "2026-11-20T12:00:00.123456Z"
    assert datetime.fromisoformat(event.timestamp).timestamp() == event.metadata["_enqueued_time"]


def test_the_story_of_a_job_that_fails() -> None:
    """The error's class, message and backtrace; no reason, for it failed by itself."""
    stage = Stage()
    live(stage.lifecycle, an_item(), boom)
    assert stage.recorder.types == ["enqueued", "dequeued", "perform_started", "failed"]
    end = stage.metadata[-1]
    assert (end["_exception"], end["_message"], end["_time_to_perform"]) == ("ValueError", "boom", 0.0)
    assert end["_backtrace"][0].startswith(f"{__file__}:")
    assert "_reason" not in end
    assert "_reporter" not in end


def test_a_job_that_was_ended_by_others_says_so() -> None:
    """Reason and reporter; no time to perform, for nobody knows it."""
    stage = Stage()
    attempt = stage.lifecycle.dequeued("mail", an_item(_event_hash="h"))
    failure = Failure("DirtyExit", "killed")
    stage.lifecycle.failed(attempt, failure, reason="killed:SIGKILL", reporter="master")
    end = stage.metadata[-1]
    assert (end["_reason"], end["_reporter"], end["_backtrace"]) == ("killed:SIGKILL", "master", [])
    assert "_time_to_perform" not in end
    assert "_time_in_queue" not in end
    assert "_enqueued_time" not in end


def test_an_attempt_has_one_outcome() -> None:
    """Whoever ends it second is not heard."""
    stage = Stage()
    attempt = live(stage.lifecycle, an_item())
    stage.lifecycle.failed(attempt, Failure("DirtyExit", "too late"))
    stage.lifecycle.perform_finished(attempt)
    assert sum(event.event_type.terminal for event in stage.recorder.events) == 1


def test_a_destroyed_job() -> None:
    """One event, which is its end."""
    stage = Stage()
    item = an_item()
    stage.lifecycle.stamp("mail", item)
    stage.lifecycle.destroyed("mail", item)
    [event] = stage.recorder.events
    assert event.event_type == "destroyed"
    assert event.metadata["_event_id"].endswith(":1:end")


@pytest.mark.parametrize(
    ("enqueued", "now", "in_queue", "skew"),
    [(100.0, 103.0, 3.0, None), (100.0, 100.25, 0.25, None), (103.0, 100.0, 0.0, 3.0), (100.0, 100.0, 0.0, None)],
)
def test_time_in_queue(enqueued: float, now: float, in_queue: float, skew: float | None) -> None:
    """A negative one is 0, and the skew is told."""
    stage = Stage(clock=Clock(now))
    stage.lifecycle.dequeued("mail", an_item(_event_hash="h", _enqueued_time=enqueued))
    assert stage.metadata[0]["_time_in_queue"] == in_queue
    assert stage.metadata[0].get("_clock_skew") == skew


def test_an_attempt_whose_configuration_is_gone_ends_quietly() -> None:
    """Clues may be reset while a job runs."""
    stage = Stage()
    attempt = stage.lifecycle.dequeued("mail", an_item(_event_hash="h"))
    assert attempt is not None
    stage.lifecycle.settings.config = None
    stage.lifecycle.perform_started(attempt)
    stage.lifecycle.publish(stage.lifecycle.outcome(attempt))
    assert stage.lifecycle.outcome(attempt) is None
    assert stage.recorder.types == ["dequeued"]


def test_what_an_adapter_does_wrong_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    """And reaches no job."""
    stage = Stage()
    assert stage.lifecycle.safely(pow, 7, exp=2, mod=5) == 4
    assert stage.config.faults.counts == {}
    assert stage.lifecycle.safely(int, "x") is None
    assert stage.config.faults.counts == {"clues": 1}
    assert "invalid literal for int" in caplog.text
    assert "the job goes on" in caplog.text


@pytest.mark.parametrize("odd", [None, "x", float("nan"), 10**400, True, -1, {}, 0.0, -0.5, float(END_OF_TIME)])
def test_unknown_times_are_absent(odd: Any) -> None:
    """Never a made-up number."""
    stage = Stage()
    work(stage.lifecycle, an_item(_event_hash="h", _enqueued_time=odd))
    assert stage.recorder.types == ["dequeued", "perform_started", "perform_finished"]
    assert all("_enqueued_time" not in found and "_time_in_queue" not in found for found in stage.metadata)
    assert stage.config.faults.counts == {}


def test_an_enqueued_event_of_a_job_whose_time_is_unknown() -> None:
    """It is of now; the time that nobody knows stays unknown."""
    stage = Stage()
    stage.lifecycle.enqueued(stage.lifecycle.attempt_of("mail", an_item(_event_hash="h")))
    (event,) = stage.recorder.events
    assert event.timestamp == timestamp(stage.config.clock())
    assert "_enqueued_time" not in event.metadata


def test_keys_of_an_earlier_event_are_not_believed() -> None:
    """A failed list's item may carry what was said about its last attempt."""
    stage = Stage()
    left = {"_message": "old", "_time_in_queue": 9, "_time_to_perform": 9, "_event_id": "x", "_truncated": ["args"]}
    item = an_item(_event_hash="h", _hostname="old", _process=1, _enqueued_time=NOON - 1, mine=1, **left)
    stage.lifecycle.dequeued("mail", item)
    [found] = stage.metadata
    assert found == {
        "_event_hash": "h", "_event_id": "h:1:dequeued", "_attempt": 1, "_hostname": "web-1", "_process": os.getpid(),
        "_enqueued_time": NOON - 1, "mine": 1, "_time_in_queue": pytest.approx(1.0),
    }  # fmt: skip


# --- Ruby's items ---


@pytest.mark.parametrize("capture", ["events-success", "events-failed", "events-metadata"])
def test_rubys_items_keep_hash_and_user_metadata(golden: Callable[[str], dict[str, Any]], capture: str) -> None:
    """An item that Ruby enqueued with resque-clues goes through our dequeued … finished."""
    found = golden(capture)
    item = json.loads(found["stored_items"][0])
    theirs = item["clues_metadata"]
    stage = Stage(clock=Clock(theirs["_enqueued_time"] + 2))
    work(stage.lifecycle, item, lambda: clues_metadata.update(hostname="x", customer_id="x", mine=1))
    assert stage.recorder.types == ["dequeued", "perform_started", "perform_finished"]
    for metadata in stage.metadata:
        assert metadata["_event_hash"] == theirs["_event_hash"] != theirs["event_hash"]
        assert (metadata["_hostname"], metadata["_process"]) == ("web-1", os.getpid())
        assert metadata["_time_in_queue"] == pytest.approx(2)
        for key in ("event_hash", "hostname", "process", "enqueued_time", "customer_id"):
            assert metadata[key] == theirs[key]  # passed through untouched
        assert "time_in_queue" not in metadata  # and no twin of ours
    assert stage.metadata[-1]["mine"] == 1


def test_rubys_item_that_is_enqueued_again_keeps_its_hash() -> None:
    """A retry is the same job."""
    stage = Stage()
    item = an_item(_event_hash="ruby", event_hash="other", _attempt=2, customer_id=42)
    attempt = stage.lifecycle.stamp("mail", item, preprocess=False)
    assert attempt is not None
    assert (attempt.event_hash, attempt.number) == ("ruby", 2)
    assert item["clues_metadata"]["customer_id"] == 42
    assert item["clues_metadata"]["_enqueued_time"] == NOON


# --- stamping ---


def test_a_job_is_stamped_before_it_is_pushed() -> None:
    """System keys first, in their order; another job has another hash."""
    stage = Stage()
    item, other = an_item(), an_item()
    stage.lifecycle.stamp("mail", item)
    stage.lifecycle.stamp("mail", other)
    keys = ["_event_hash", "_attempt", "_hostname", "_process", "_enqueued_time"]
    assert list(item["clues_metadata"]) == keys
    assert item["clues_metadata"]["_event_hash"] != other["clues_metadata"]["_event_hash"]
    assert len(item["clues_metadata"]["_event_hash"]) == 32
    assert stage.recorder.events == []  # nothing is said before the push has succeeded


def test_metadata_that_the_caller_gave_is_kept() -> None:
    """As after the preprocessors', but for system keys."""
    stage = Stage()
    item = an_item(tier="gold", _hostname="fake", _message="fake")
    stage.lifecycle.stamp("mail", item)
    assert item["clues_metadata"]["tier"] == "gold"
    assert item["clues_metadata"]["_hostname"] == "web-1"
    assert "_message" not in item["clues_metadata"]


def test_a_retried_item_has_its_number_in_every_event() -> None:
    """The id of each attempt's events is its own."""
    stage = Stage()
    item = an_item()
    first = live(stage.lifecycle, item, boom)
    item["clues_metadata"]["_attempt"] += 1
    second = live(stage.lifecycle, item)
    assert first is not None
    assert second is not None
    assert first.event_hash == second.event_hash
    assert [found["_attempt"] for found in stage.metadata] == [1, 1, 1, 1, 2, 2, 2, 2]
    assert len({found["_event_id"] for found in stage.metadata}) == 8


def test_a_job_enqueued_by_a_job_knows_its_parent() -> None:
    """Through all its events; a job that enqueues itself again is not its own parent."""
    stage = Stage()
    outer, child = an_item(), an_item()

    def job() -> None:
        live(stage.lifecycle, child)
        stage.lifecycle.stamp("mail", outer)

    live(stage.lifecycle, outer, job)
    parent = outer["clues_metadata"]["_event_hash"]
    assert child["clues_metadata"]["_parent_event_hash"] == parent
    events = stage.recorder.about(child["clues_metadata"]["_event_hash"])
    assert [event.metadata["_parent_event_hash"] for event in events] == [parent] * 4
    assert "_parent_event_hash" not in outer["clues_metadata"]


# --- jobs that were enqueued without clues ---


@pytest.mark.parametrize("metadata", [None, {}, {"customer_id": 1}, "text", [1], {"_event_hash": 7}])
def test_a_job_enqueued_without_clues_gives_no_events(metadata: Any) -> None:
    """As in resque-clues: it is worked as usual."""
    stage = Stage()
    ran: list[int] = []
    item = {"class": "Job", "args": [], "clues_metadata": metadata}
    assert work(stage.lifecycle, item, lambda: ran.append(1)) is None
    stage.lifecycle.destroyed("mail", item)
    assert stage.recorder.events == []
    assert ran == [1]


@pytest.mark.parametrize("metadata", [None, {"customer_id": 1}, "text"])
def test_unless_it_is_adopted(metadata: Any) -> None:
    """Events from dequeued on, all under one new hash; no times that nobody knows."""
    stage = Stage(options={"adopt_unstamped": True})
    item = {"class": "Job", "args": [], "clues_metadata": metadata}
    work(stage.lifecycle, item)
    assert stage.recorder.types == ["dequeued", "perform_started", "perform_finished"]
    assert len({found["_event_hash"] for found in stage.metadata}) == 1
    assert len(stage.metadata[0]["_event_hash"]) == 32
    assert "_time_in_queue" not in stage.metadata[0]
    assert stage.metadata[0].get("customer_id") == (1 if isinstance(metadata, dict) else None)


# --- item preprocessors ---


def preprocessed(*steps: Callable[[str, Item], object]) -> tuple[Stage, dict[str, Any]]:
    """A stamped and published item after these steps."""
    stage = Stage(options={"item_preprocessors": steps})
    item = an_item()
    stage.lifecycle.enqueued(stage.lifecycle.stamp("mail", item))
    return stage, item


def test_preprocessors_run_in_order() -> None:
    """Each sees the queue, the item and what the one before added."""
    seen: list[Any] = []

    def first(queue: str, item: Item) -> None:
        seen.append((queue, item["class"], item["args"], list(item["clues_metadata"])))
        item["clues_metadata"]["customer_id"] = 42

    def second(queue: str, item: Item) -> None:
        item["clues_metadata"]["double"] = item["clues_metadata"]["customer_id"] * 2

    stage, item = preprocessed(first, second)
    keys = ["_event_hash", "_attempt", "_hostname", "_process", "_enqueued_time"]
    assert seen == [("mail", "Job", [1, "two"], keys)]
    assert list(item["clues_metadata"]) == [*keys, "customer_id", "double"]
    assert (stage.metadata[0]["customer_id"], stage.metadata[0]["double"]) == (42, 84)


def test_a_second_attempt_is_not_preprocessed() -> None:
    """It has its fields already."""
    stage = Stage(options={"item_preprocessors": (lambda queue, item: item["clues_metadata"].update(a=2),)})
    item = an_item(_event_hash="h", a=1)
    stage.lifecycle.stamp("mail", item, preprocess=False)
    assert item["clues_metadata"]["a"] == 1


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1), RecursionError(), KeyError("customer_id")])
def test_a_preprocessor_that_raises_is_reported_and_the_job_is_stamped(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """And those after it still run."""

    def broken(queue: str, item: Item) -> None:
        item["clues_metadata"]["before"] = 1
        raise error

    stage, item = preprocessed(broken, lambda queue, item: item["clues_metadata"].update(after=1))
    assert (item["clues_metadata"]["before"], item["clues_metadata"]["after"]) == (1, 1)
    assert stage.recorder.types == ["enqueued"]
    [culprit] = stage.config.faults.counts
    assert culprit.startswith("item preprocessor ")
    assert culprit.endswith("broken")
    (said,) = caplog.messages
    assert said.startswith(f"{culprit}: {type(error).__name__}")
    assert said.endswith("; the job is enqueued without its fields")


@pytest.mark.parametrize("value", ["x" * 10**6, [["x" * 1000] * 10] * 10, "\x00" * 20_000])
def test_metadata_that_is_too_much_for_a_message_is_cut(value: Any, caplog: pytest.LogCaptureFixture) -> None:
    """And that is reported; what came before it stays."""

    def generous(queue: str, item: Item) -> None:
        item["clues_metadata"].update(first=1, value=value, last=2)

    stage, item = preprocessed(generous)
    assert item["clues_metadata"]["first"] == 1
    assert len(json.dumps(item["clues_metadata"])) < 66_000
    assert stage.config.faults.counts == {"clues_metadata": 1}
    assert stage.recorder.types == ["enqueued"]
    (said,) = caplog.messages
    assert said.startswith("clues_metadata: ValueError: metadata of more than 65536 bytes")
    assert said.endswith("; it was cut")


def test_metadata_that_is_much_goes_with_the_message_whole() -> None:
    """Beyond what events show of it."""
    value = ["x" * 1000] * 60
    stage, item = preprocessed(lambda queue, item: item["clues_metadata"].update(value=value))
    assert item["clues_metadata"]["value"] == value
    assert len(stage.recorder.events[0].line) < 10_000
    assert stage.config.faults.counts == {}


class Unreadable(UserDict[str, Any]):
    def __iter__(self) -> Iterator[str]:
        raise ValueError


@pytest.mark.parametrize(
    "damage",
    [
        lambda queue, item: item.pop("clues_metadata"),
        lambda queue, item: item.__setitem__("clues_metadata", None),
        lambda queue, item: item.__setitem__("clues_metadata", "text"),
        lambda queue, item: item.__setitem__("clues_metadata", Unreadable()),
        lambda queue, item: item.pop("class"),
        lambda queue, item: item.__setitem__("class", None),
        lambda queue, item: item.pop("args"),
        lambda queue, item: item.__setitem__("args", "text"),
        lambda queue, item: item.clear(),
    ],
)
def test_a_preprocessor_that_damages_the_item_is_reported_and_the_item_mended(damage: Any) -> None:
    """What the job needs is put back; the event is published."""
    stage, item = preprocessed(damage)
    assert (item["class"], item["args"]) == ("Job", [1, "two"])
    assert len(item["clues_metadata"]["_event_hash"]) == 32
    assert stage.recorder.types == ["enqueued"]
    assert sum(stage.config.faults.counts.values()) >= 1
    json.dumps(item)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda queue, item: item.clear(), "damaged the item's class and args and clues_metadata; it was restored"),
        (lambda queue, item: item.pop("args"), "damaged the item's args; it was restored"),
        (lambda queue, item: item.update(clues_metadata=5), "put something else in clues_metadata's place"),
        (lambda queue, item: item.update(clues_metadata=Unreadable()), "; its fields are left out"),
    ],
)
def test_what_a_preprocessor_has_damaged_is_said(damage: Any, said: str, caplog: pytest.LogCaptureFixture) -> None:
    """Under one name, whichever it was."""
    stage, _ = preprocessed(damage)
    assert any(message.startswith("item preprocessor: ") and said in message for message in caplog.messages)
    assert set(stage.config.faults.counts) == {"item preprocessor"}


def test_metadata_that_a_preprocessor_throws_away_is_kept() -> None:
    """What the caller gave, where something else than a mapping is left in its place."""
    stage = Stage(options={"item_preprocessors": (lambda queue, item: item.update(clues_metadata=5),)})
    item = an_item(mine=7)
    stage.lifecycle.stamp("mail", item)
    assert item["clues_metadata"]["mine"] == 7


def test_a_system_key_by_another_spelling_is_none_either() -> None:
    """A string's subclass is that string, in JSON."""

    class Named(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            return self is other

    _, item = preprocessed(lambda queue, item: item["clues_metadata"].update({Named("_attempt"): 9, "mine": 1}))
    assert item["clues_metadata"]["_attempt"] == 1
    assert item["clues_metadata"]["mine"] == 1


def test_system_keys_can_not_be_overwritten_by_a_preprocessor() -> None:
    """It may add its own _ keys, such as a trace's."""

    def overwrite(queue: str, item: Item) -> None:
        item["clues_metadata"] = {
            "_event_hash": "mine",
            "_attempt": 9,
            "_enqueued_time": 0,
            "_traceparent": "00-1-2-01",
        }

    stage, item = preprocessed(overwrite)
    found = item["clues_metadata"]
    assert len(found["_event_hash"]) == 32
    assert (found["_attempt"], found["_enqueued_time"], found["_traceparent"]) == (1, NOON, "00-1-2-01")
    assert stage.metadata[0]["_traceparent"] == "00-1-2-01"
    assert stage.config.faults.counts == {}


def test_a_tuple_of_args_is_no_damage() -> None:
    """Other job systems' items may hold one."""
    stage = Stage(options={"item_preprocessors": (lambda queue, item: None,)})
    item = {"class": "Job", "args": (1, 2)}
    stage.lifecycle.stamp("mail", item)
    assert item["args"] == (1, 2)
    assert stage.config.faults.counts == {}
    stage = Stage(options={"item_preprocessors": (lambda queue, item: item.update(args=[1, 2, 3]),)})
    stage.lifecycle.stamp("mail", item)
    assert item == item | {"args": [1, 2, 3]}
    assert stage.config.faults.counts == {}


def test_what_json_cannot_hold_is_made_plain_in_the_item() -> None:
    """Or the push would fail; but nothing is redacted in the item."""
    cycle: list[Any] = []
    cycle.append(cycle)
    laughs: list[Any] = ["ha"]
    for _ in range(60):
        laughs = [laughs, laughs]
    odd = {
        "when": datetime(2026, 11, 20, 12), "set": {1}, "nan": float("nan"), "bytes": b"\xff", "big": 2**70,
        "cycle": cycle, 5: "five", "object": object(), "surrogate": "\ud800", "password": "hunter2", "laughs": laughs,
    }  # fmt: skip
    stage, item = preprocessed(lambda queue, item: item["clues_metadata"].update(odd))
    text = json.dumps(item, allow_nan=False)
    text.encode()
    assert len(text) < 2**21
    found = item["clues_metadata"]
    assert (found["when"], found["set"], found["5"]) == ("2026-11-20T12:00:00", [1], "five")
    assert (found["nan"], found["bytes"], found["big"]) == ("NaN", "\\xff", str(2**70))
    assert found["password"] == "hunter2"
    assert stage.metadata[0]["password"] == "[REDACTED]"


def test_the_items_own_args_are_never_touched() -> None:
    """The job gets them whole, the same objects."""
    args = [{"password": "hunter2"}, "x" * 100_000, object()]
    before = list(args)
    stage = Stage()
    item = {"class": "Job", "args": args}
    live(stage.lifecycle, item)
    assert item["args"] is args
    assert all(one is other for one, other in zip(args, before, strict=True))
    assert args[0] == {"password": "hunter2"}
    assert stage.recorder.events[0].args[0] == {"password": "[REDACTED]"}


# --- what the job writes ---


def test_fields_that_the_job_wrote_are_in_its_end_only() -> None:
    """And can't overwrite what clues says of that end."""
    stage = Stage()

    def job() -> None:
        clues_metadata.update({"_message": "mine", "pages": {1, 2}, "password": "x"})
        raise ValueError("boom")

    live(stage.lifecycle, an_item(), job)
    end = stage.metadata[-1]
    assert (end["_message"], end["pages"], end["password"]) == ("boom", [1, 2], "[REDACTED]")
    assert all("pages" not in found for found in stage.metadata[:-1])


def test_metadata_and_what_the_job_wrote_share_one_cap() -> None:
    """Also when they hold more bytes than characters; the cut is told."""
    stage = Stage()
    item = an_item(_event_hash="h", carried="é" * 3000)
    work(stage.lifecycle, item, lambda: clues_metadata.update(written="ü" * 3000))
    end = stage.metadata[-1]
    own = {key: value for key, value in end.items() if not key.startswith("_")}
    assert len(json.dumps(own, ensure_ascii=False, separators=(",", ":")).encode()) <= 8192
    assert end["_truncated"] == ["metadata"]
    assert end["written"].endswith("…")


# --- propagators ---


class Tracer:
    """Keeps what it was asked."""

    def __init__(self, *, broken: bool = False) -> None:
        self.broken = broken
        self.told: list[str] = []

    def inject(self, item: Item) -> None:
        if self.broken:
            raise ValueError
        item["clues_metadata"]["_traceparent"] = "00-a-b-01"

    @contextmanager
    def activate(self, item: Mapping[str, Any]) -> Iterator[None]:
        if self.broken:
            raise ValueError
        self.told.append(item["clues_metadata"]["_traceparent"])
        try:
            yield
        finally:
            self.told.append("left")


def test_a_propagator_rides_in_the_item_and_around_perform() -> None:
    """Injected before the preprocessors, active while the job runs, left also when it fails."""
    tracer = Tracer()
    stage = Stage(options={"propagator": tracer})
    live(stage.lifecycle, an_item(), boom)
    assert tracer.told == ["00-a-b-01", "left"]
    assert all(found["_traceparent"] == "00-a-b-01" for found in stage.metadata)


def test_a_job_that_its_own_system_traces_keeps_that_span() -> None:
    tracer = Tracer()
    stage = Stage(options={"propagator": tracer})
    item = an_item()
    stage.lifecycle.stamp("emails", item)
    attempt = stage.lifecycle.dequeued("emails", item)
    assert attempt is not None
    attempt.times["_traced_by"] = "opentelemetry"
    with stage.lifecycle.performing(attempt, "emails", item):
        pass
    assert tracer.told == []


def test_a_propagator_is_told_how_the_job_ended() -> None:
    """As a context manager is: a span of its own may be marked as failed."""
    seen: list[Any] = []

    class Span:
        def __enter__(self) -> None:
            pass

        def __exit__(self, *how: object) -> None:
            seen.append(how)

    class Spans(Tracer):
        def activate(self, item: Mapping[str, Any]) -> Any:
            return Span()

    stage = Stage(options={"propagator": Spans()})
    live(stage.lifecycle, an_item())
    live(stage.lifecycle, an_item(), boom)
    ((*well,), (kind, error, trace)) = seen
    assert well == [None, None, None]
    assert isinstance(error, kind)
    assert trace is error.__traceback__


def test_the_running_job_says_who_it_is() -> None:
    """To whatever runs in it, logs for instance; with events or without."""
    stage = Stage()
    item = an_item(_event_hash="ab" * 16)
    for attempt in (stage.lifecycle.dequeued("mail", item), None):
        with stage.lifecycle.performing(attempt, "mail", item) as context:
            assert (context.event_hash, context.queue, context.worker_class) == ("ab" * 16, "mail", "Job")


def test_each_of_two_jobs_that_are_enqueued_at_once_is_told() -> None:
    stage = Stage()
    stage.lifecycle.enqueued(*[stage.lifecycle.stamp("q", an_item()) for _ in range(2)])
    assert stage.recorder.types == ["enqueued", "enqueued"]
    stage.lifecycle.enqueued()
    stage.lifecycle.enqueued(None)
    assert len(stage.recorder.events) == 2


def test_a_failure_says_who_found_it_only_where_it_was_found() -> None:
    """The worker, unless somebody else says so; that no other attempt follows is said by silence."""
    stage = Stage()
    told: list[dict[str, Any]] = [{}, {"reason": "timeout"}, {"reason": "lost", "reporter": "pruner"}]
    for number, how in enumerate(told):
        attempt = stage.lifecycle.dequeued("mail", an_item(_event_hash=str(number)))
        stage.lifecycle.failed(attempt, failure_of(ValueError()), **how)
        attempt = stage.lifecycle.dequeued("mail", an_item(_event_hash=f"{number}{number}"))
        stage.lifecycle.publish(stage.lifecycle.outcome(attempt, failure_of(ValueError()), **how))
    ends = [event.metadata for event in stage.recorder.of("failed")]
    found = [(end.get("_reason"), end.get("_reporter")) for end in ends]
    assert found == [(None, None)] * 2 + [("timeout", "worker")] * 2 + [("lost", "pruner")] * 2
    assert not any("_retrying" in end for end in ends)


def test_each_of_several_ends_is_told() -> None:
    """Of jobs that are committed together; one that had its end before is none of them."""
    stage = Stage()
    attempts = [stage.lifecycle.dequeued("mail", an_item(_event_hash=name)) for name in "abc"]
    ends = [stage.lifecycle.outcome(attempt) for attempt in attempts]
    del stage.recorder.events[:]
    stage.lifecycle.publish(*ends[:2])
    stage.lifecycle.publish(None, ends[2], stage.lifecycle.outcome(attempts[0]))
    stage.lifecycle.publish(None)
    assert [found["_event_id"] for found in stage.metadata] == ["a:1:end", "b:1:end", "c:1:end"]


def test_an_end_that_is_lost_to_a_publisher_is_its_fault(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage(options={"publisher": Bad(OSError(28, "No space left"))})
    attempt = stage.lifecycle.dequeued("mail", an_item(_event_hash="a"))
    stage.lifecycle.publish(stage.lifecycle.outcome(attempt))
    assert stage.config.faults.counts == {"Bad": 2}
    assert "the event is lost to it, the job goes on" in caplog.text


def test_secret_arguments_are_known_by_the_jobs_class() -> None:
    """By position, in all its events; another class's are shown."""
    stage = Stage(options={"sanitizer": Sanitizer(args_of={"Job": [1]})})
    live(stage.lifecycle, an_item())
    live(stage.lifecycle, an_item() | {"class": "Other"})
    shown = [event.args for event in stage.recorder.events]
    assert shown == [[1, REDACTED]] * 4 + [[1, "two"]] * 4


def test_metadata_may_be_any_mapping() -> None:
    """A foreign system's item need not be of dicts."""
    stage = Stage()
    attempt = stage.lifecycle.dequeued(
        "mail", {"class": "Job", "args": [], "clues_metadata": UserDict(_event_hash="ab")}
    )
    assert attempt is not None
    assert attempt.event_hash == "ab"


def test_a_broken_propagator_never_reaches_the_job() -> None:
    """Counted; the story is whole."""
    stage = Stage(options={"propagator": Tracer(broken=True)})
    live(stage.lifecycle, an_item())
    assert len(stage.recorder.events) == 4
    assert sum(stage.config.faults.counts.values()) == 2


# --- the guard ---


class Bad:
    """A publisher that raises."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def publish(self, event: Event, /) -> None:
        raise self.error


class Hostile(Exception):
    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    "error",
    [ValueError("no"), SystemExit(3), RecursionError(), MemoryError(), GeneratorExit(), Hostile(), OSError(28, "")],
)
def test_a_publisher_that_raises_never_reaches_the_caller(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """Said once a minute, counted always, and the job has run."""
    clock = Clock(0.0)
    faults = Faults(clock=clock)
    stage = Stage(options={"publisher": Bad(error), "faults": faults})
    ran: list[int] = []
    attempt = live(stage.lifecycle, an_item(), lambda: ran.append(1))
    assert attempt is not None
    assert ran == [1]
    assert faults.counts == {"Bad": 4}
    assert len(caplog.records) == 1
    clock.now = 60
    live(stage.lifecycle, an_item())
    assert faults.counts == {"Bad": 8}
    assert len(caplog.records) == 2


def test_ctrl_c_during_a_publish_is_the_users() -> None:
    """It is no fault of the publisher's."""
    stage = Stage(options={"publisher": Bad(KeyboardInterrupt())})
    with pytest.raises(KeyboardInterrupt):
        live(stage.lifecycle, an_item())


def test_a_foreign_systems_time_limit_during_a_publish_is_the_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever publishes, or preprocesses, when it is raised."""

    class TimeLimit(Exception):
        pass

    def limited(queue: str, item: Any) -> None:
        raise TimeLimit

    monkeypatch.setattr(errors, "_interrupts", errors.interrupts())
    errors.let_through(TimeLimit)
    ways: list[dict[str, Any]] = [
        {"publisher": Bad(TimeLimit())},
        {"publisher": CompositePublisher(NoOpPublisher(), Bad(TimeLimit()))},
        {"item_preprocessors": (limited,)},
    ]
    for options in ways:
        with pytest.raises(TimeLimit):
            live(Stage(options=options).lifecycle, an_item())


def test_a_publisher_that_recurses_into_itself() -> None:
    """Is stopped by Python, and the stack is whole again afterwards."""

    class Endless:
        def publish(self, event: Event, /) -> None:
            self.publish(event)

    stage = Stage(options={"publisher": Endless()})
    assert live(stage.lifecycle, an_item()) is not None
    assert stage.config.faults.counts == {"Endless": 4}


def test_greenlets_publish_beside_each_other() -> None:
    """One that waits within a publisher, as gevent's do for a socket, keeps the thread's others from nothing."""
    greenlet = pytest.importorskip("greenlet")
    others: list[Any] = []

    class Waiting(RecordingPublisher):
        def publish(self, event: Event, /) -> None:
            super().publish(event)
            if others:
                others.pop().switch()

    stage = Stage(recorder=Waiting())

    def publish_one() -> None:
        stage.lifecycle.enqueued(stage.lifecycle.stamp("mail", an_item()))

    others.append(greenlet.greenlet(publish_one))
    publish_one()
    publish_one()
    assert stage.recorder.types == ["enqueued"] * 3
    assert stage.config.faults.counts == {}


def test_a_publisher_that_enqueues_and_publishes_does_not_cause_events_of_its_own() -> None:
    """What it enqueues is stamped, but its story would never end."""

    class Busy(RecordingPublisher):
        def publish(self, event: Event, /) -> None:
            super().publish(event)
            live(stage.lifecycle, an_item())

    busy = Busy()
    stage = Stage(options={"publisher": busy})
    live(stage.lifecycle, an_item())
    assert busy.types == ["enqueued", "dequeued", "perform_started", "perform_finished"]
    assert stage.config.faults.counts == {"Busy": 16}
    live(stage.lifecycle, an_item())
    assert len(busy.events) == 8  # and the guard is open again


def test_one_childs_trouble_is_not_the_others() -> None:
    """Under a composite each fails alone."""
    recorder = RecordingPublisher()
    composite = CompositePublisher(Bad(ValueError()), Bad(SystemExit()), recorder)
    stage = Stage(options={"publisher": composite})
    live(stage.lifecycle, an_item())
    assert len(recorder.events) == 4
    assert composite.faults.counts == {"Bad": 8}
    assert stage.config.faults.counts == {}


def test_an_error_of_our_own_never_reaches_the_job() -> None:
    """Whatever goes wrong inside a hook, it is counted under our name."""

    def broken() -> float:
        raise ZeroDivisionError

    stage = Stage(options={})
    object.__setattr__(stage.config, "clock", broken)
    ran: list[int] = []
    live(stage.lifecycle, an_item(), lambda: ran.append(1))
    assert ran == [1]
    assert stage.config.faults.counts == {"clues": 1}


class Grudging(RecordingPublisher):
    """Can't even be asked whether it takes several at once."""

    @property
    def publish_many(self) -> Any:
        raise ZeroDivisionError


@pytest.mark.parametrize(
    "hook",
    [
        lambda lifecycle, attempt: lifecycle.stamp("mail", an_item()),
        lambda lifecycle, attempt: lifecycle.enqueued(attempt),
        lambda lifecycle, attempt: lifecycle.dequeued("mail", an_item(_event_hash="a")),
        lambda lifecycle, attempt: lifecycle.perform_started(attempt),
        lambda lifecycle, attempt: lifecycle.perform_finished(attempt),
        lambda lifecycle, attempt: lifecycle.outcome(attempt),
        lambda lifecycle, attempt: lifecycle.outcome(attempt, failure_of(ValueError())),
        lambda lifecycle, attempt: lifecycle.failed(attempt, failure_of(ValueError())),
        lambda lifecycle, attempt: lifecycle.destroyed("mail", an_item(_event_hash="a")),
        lambda lifecycle, attempt: lifecycle.attempt_of(
            "mail", mock.Mock(get=mock.Mock(side_effect=ZeroDivisionError))
        ),
        lambda lifecycle, attempt: lifecycle.retell(b"nonsense"),
        lambda lifecycle, attempt: lifecycle.publish(*[Event.from_line(attempt.begun.line)] * 2),
    ],
)
def test_each_hook_keeps_its_own_errors_to_itself(hook: Callable[[Lifecycle, Any], Any]) -> None:
    """It is counted under our name, and gives nothing."""
    stage = Stage(options={"publisher": Grudging()})
    attempt = stage.lifecycle.dequeued("mail", an_item(_event_hash="b"))
    assert attempt is not None
    stage.lifecycle.perform_started(attempt)
    object.__setattr__(stage.config, "clock", lambda: 1 / 0)
    assert hook(stage.lifecycle, attempt) is None
    assert stage.config.faults.counts == {"clues": 1}


def test_what_is_lost_to_a_publisher_that_takes_events_one_by_one(caplog: pytest.LogCaptureFixture) -> None:
    """Each is counted, under the publisher's name."""

    def broken(event: Event) -> None:
        raise OSError(28, "No space left")

    stage = Stage(options={"publisher": as_publisher(broken)})
    stage.lifecycle.enqueued(*[stage.lifecycle.stamp("q", an_item()) for _ in range(3)])
    (name,) = stage.config.faults.counts
    assert name.endswith("broken")
    assert stage.config.faults.counts[name] == 3
    assert "the event is lost to it, the job goes on" in caplog.text


def test_what_is_lost_of_many(caplog: pytest.LogCaptureFixture) -> None:
    """Piece by piece: one that fails is no reason to lose the next."""

    class Failing(Many):
        def publish_many(self, events: Sequence[Event]) -> None:
            super().publish_many(events)
            if len(self.sizes) != 2:
                raise OSError(28, "No space left")

    publisher = Failing()
    stage = Stage(options={"publisher": publisher})
    stage.lifecycle.enqueued(*[stage.lifecycle.stamp("q", an_item()) for _ in range(250)])
    assert publisher.sizes == [100, 100, 50]
    assert list(stage.config.faults.counts.values()) == [150]
    assert "the events are lost to it, the jobs go on" in caplog.text


def test_all_that_was_cut_is_told_in_the_end() -> None:
    """What was cut of the arguments is in all events, the rest in the last."""
    stage = Stage()
    item = an_item(_event_hash="a", mine="m" * 10_000) | {"args": ["x" * 10_000]}
    attempt = stage.lifecycle.dequeued("mail", item)
    with stage.lifecycle.performing(attempt, "mail", item):
        clues_metadata["more"] = "n" * 10_000
    stage.lifecycle.failed(attempt, Failure("Broken", "y" * 10_000, ("z" * 2_000,) * 20))
    assert [found["_truncated"] for found in stage.metadata] == [
        ["args", "metadata"],
        ["args", "metadata"],
        ["args", "metadata", "_message", "_backtrace"],
    ]


def test_hostile_items_never_raise() -> None:
    """Foreign items may hold anything; their story is told as well as it can be."""
    stage = Stage(options={"adopt_unstamped": True})
    odd: list[dict[str, Any]] = [
        {},
        {"class": None, "args": None},
        {"class": 5, "args": {"a": 1}},
        {"class": "x" * 10_000, "args": "text", "clues_metadata": {"_event_hash": "\ud800"}},
        {"class": ["\ud800"], "args": 7, "clues_metadata": {"_attempt": -1}},
        {"class": "\ud800\n", "args": [], "clues_metadata": {"a": {"b": object()}}},
    ]
    for item in odd:
        work(stage.lifecycle, item, queue="q\ud800\n")
    assert len(stage.recorder.events) == 3 * len(odd)
    assert stage.config.faults.counts == {}
    for event in stage.recorder.events:
        found = json.loads(event.line)
        assert found["metadata"]["_event_id"]
        assert "_truncated" not in found["metadata"]


def test_near_the_recursion_limit_the_event_goes_on() -> None:
    """A deep caller has little stack left for us."""
    stage = Stage()
    depths: list[int] = []

    def dive(left: int) -> None:
        if left:
            dive(left - 1)
        else:
            item = {"class": "Job", "args": [[[[[[[["deep"]]]]]]]]}
            depths.append(1 if stage.lifecycle.stamp("mail", item) is None else 0)

    limit = sys.getrecursionlimit()
    for left in range(limit - 200, limit, 3):
        try:
            dive(left)
        except RecursionError:
            break  # the caller itself had no room
    assert depths


# --- configuration at work ---


def test_unconfigured_hooks_do_nothing() -> None:
    """None back, the item untouched, the job runs."""
    lifecycle = Lifecycle()
    item = an_item()
    assert lifecycle.stamp("mail", item) is None
    assert item == {"class": "Job", "args": [1, "two"]}
    lifecycle.enqueued(None)
    assert lifecycle.dequeued("mail", an_item(_event_hash="h")) is None
    lifecycle.perform_started(None)
    lifecycle.perform_finished(None)
    lifecycle.failed(None, Failure("E", "m"))
    lifecycle.destroyed("mail", item)
    assert lifecycle.activate(item) is None


def test_an_unconfigured_hook_looks_at_one_attribute() -> None:
    """`settings.config`, once, and nothing else: not even at its arguments."""

    class Watched:
        def __init__(self) -> None:
            self.looked = 0

        @property
        def config(self) -> None:
            self.looked += 1

    class Untouchable:
        def __getattribute__(self, name: str) -> Any:
            raise AssertionError(name)

    settings = Watched()
    lifecycle = Lifecycle(settings)  # type: ignore[arg-type]
    untouchable: Any = Untouchable()
    assert lifecycle.stamp(untouchable, untouchable) is None
    assert lifecycle.dequeued(untouchable, untouchable) is None
    assert settings.looked == 2


def test_clues_may_be_configured_after_the_job_system_was_made() -> None:
    """Settings are looked up at each hook."""
    lifecycle = Lifecycle()
    with capture_events() as recorder:
        live(lifecycle, an_item())
    assert len(recorder.events) == 4
    assert lifecycle.stamp("mail", an_item()) is None


def test_configured_or_reset_in_the_middle_of_a_job() -> None:
    """No made-up durations, no errors."""
    lifecycle = Lifecycle()
    recorder = RecordingPublisher()
    item = an_item(_event_hash="h")

    def configure_late() -> None:
        configure(recorder, environ={})

    work(lifecycle, item, configure_late)
    assert recorder.events == []
    work(lifecycle, item, clues.config.reset)
    assert recorder.types == ["dequeued", "perform_started"]


def test_a_custom_marshaller_reaches_the_publishers() -> None:
    """Its text is what direct publishers write."""
    with capture_events(
        marshaller=lambda kind, at, queue, metadata, worker, args: f"{kind} {worker} {args}"
    ) as recorder:
        live(Lifecycle(), an_item())
    assert recorder.events[0].marshalled == b"enqueued Job [1, 'two']"
    assert json.loads(recorder.events[0].line)["event_type"] == "enqueued"


def foreign(**options: Any) -> tuple[Stage, Lifecycle]:
    """A stage, and the lifecycle of a job system that is not ours on it."""
    stage = Stage(options=options)
    return stage, Lifecycle(stage.lifecycle.settings, system="celery")


def test_events_of_another_system_name_it_and_its_id() -> None:
    stage, lifecycle = foreign()
    item = {"class": "shop.charge", "args": [1], "job_id": "an-id"}
    live(lifecycle, item)
    assert {(one["_system"], one["_job_id"]) for one in stage.metadata} == {("celery", "an-id")}
    assert "_job_id" not in item["clues_metadata"]
    assert "_system" not in item["clues_metadata"]


def test_our_own_items_may_have_a_job_id_of_their_own() -> None:
    stage = Stage()
    live(stage.lifecycle, {"class": "Pdf", "args": [1], "job_id": "an-id"})
    assert not any("_job_id" in one or "_system" in one for one in stage.metadata)


def test_a_delay_that_was_asked_for_is_no_time_in_queue() -> None:
    stage, lifecycle = foreign()
    item = {"class": "shop.charge", "args": [1], "job_id": "an-id"}
    lifecycle.enqueued(lifecycle.stamp("mail", item, scheduled_time=NOON + 60))
    stage.clock.now += 61.5
    lifecycle.dequeued("mail", item)
    assert {one["_scheduled_time"] for one in stage.metadata} == {NOON + 60}
    assert stage.metadata[1]["_time_in_queue"] == pytest.approx(1.5)
    assert "_clock_skew" not in stage.metadata[1]


def test_a_job_that_is_taken_before_it_is_due_has_not_waited() -> None:
    stage, lifecycle = foreign()
    item = {"class": "shop.charge", "args": [1]}
    lifecycle.enqueued(lifecycle.stamp("mail", item, scheduled_time=NOON + 60))
    stage.clock.now += 1
    lifecycle.dequeued("mail", item)
    assert stage.metadata[1]["_time_in_queue"] == 0
    assert "_clock_skew" not in stage.metadata[1]


def test_dequeued_may_be_told_later() -> None:
    stage, lifecycle = foreign()
    item = {"class": "shop.charge", "args": [1]}
    lifecycle.enqueued(lifecycle.stamp("mail", item))
    stage.clock.now += 5
    lifecycle.dequeued("mail", item, at=NOON + 2, redelivered=True)
    assert stage.recorder.events[1].timestamp == timestamp(NOON + 2)
    assert stage.metadata[1]["_time_in_queue"] == pytest.approx(2)
    assert stage.metadata[1]["_redelivered"] is True


def test_a_failure_says_whether_another_attempt_follows() -> None:
    stage, lifecycle = foreign()
    for attempt, retrying in ((1, True), (2, False)):
        item = {"class": "shop.charge", "args": [1], "clues_metadata": {"_event_hash": "a" * 32, "_attempt": attempt}}
        lifecycle.failed(lifecycle.attempt_of("mail", item), failure_of(ValueError("no")), retrying=retrying)
    assert [one.get("_retrying") for one in stage.metadata] == [True, None]


def test_processes_agree_on_the_hash_of_an_adopted_job() -> None:
    stage, lifecycle = foreign(adopt_unstamped=True)
    for job_id in ("an-id", "an-id", "another"):
        lifecycle.dequeued("mail", {"class": "shop.charge", "args": [1], "job_id": job_id})
    first, second, third = (one["_event_hash"] for one in stage.metadata)
    assert first == second != third
    assert len(first) == 32
    assert first == hash_of(str(lifecycle.system), "an-id")


@pytest.mark.parametrize(
    ("item", "carried"),
    [
        ({"traceparent": "00-a-b-01", "tracestate": "x=1"}, {"_traceparent": "00-a-b-01", "_tracestate": "x=1"}),
        ({"traceparent": "00-a-b-01", "tracestate": 7}, {"_traceparent": "00-a-b-01"}),
        ({"traceparent": "00-a-b-01"}, {"_traceparent": "00-a-b-01"}),
        ({"traceparent": 7, "tracestate": "x=1"}, {}),
        ({"tracestate": "x=1"}, {}),
    ],
)
def test_the_trace_of_rubys_instrumentation_is_carried_on(item: Item, carried: dict[str, str]) -> None:
    """It stands beside class and args; what clues has written itself goes first."""
    stage = Stage()
    item = {"class": "Job", "args": [], "clues_metadata": {"_event_hash": "ab"}, **item}
    stage.lifecycle.dequeued("mail", item)
    found = stage.metadata[0]
    assert {key: value for key, value in found.items() if key.startswith("_trace")} == carried
    item["clues_metadata"]["_traceparent"] = "00-own"
    stage.lifecycle.dequeued("mail", item)
    assert stage.metadata[1]["_traceparent"] == "00-own"
    assert "_tracestate" not in stage.metadata[1]


def test_a_job_systems_own_observing_that_fails_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    """And said; unconfigured, nobody wants to know."""
    stage = Stage()
    stage.lifecycle.report(ValueError("no"))
    assert caplog.messages == ["clues: ValueError: no; the job goes on"]
    assert stage.config.faults.counts == {"clues": 1}
    Stage().lifecycle.report(ValueError("no"), "its end is lost")
    assert caplog.messages[1:] == ["clues: ValueError: no; its end is lost"]
    Lifecycle(Settings()).report(ValueError("no"))
    assert len(caplog.messages) == 2


def test_a_forked_process_tells_its_own_id() -> None:
    """In the items that it stamps, and in its events."""
    stage = Stage()

    def child() -> None:
        item: Item = {"class": "Job", "args": []}
        stage.lifecycle.enqueued(stage.lifecycle.stamp("mail", item))
        assert item["clues_metadata"]["_process"] == os.getpid()
        assert stage.metadata[-1]["_process"] == os.getpid()

    assert forked(child) == 0
