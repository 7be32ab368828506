"""One job's life is told from whatever events there are of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clues.analysis.story import Timeline
from clues.analysis.timeline import timeline
from clues.errors import AmbiguousHashError, UnknownHashError
from clues.event import Event
from tests.analysis.made import HASH, a_life, event, ruby_event

OTHER = "0695f4ffffffffffffffffffffffffff"


def told(events: list[Event]) -> Timeline:
    """The timeline of the one job."""
    return timeline(events, HASH[:8])


def test_a_life_in_order_with_its_gaps() -> None:
    story = told(a_life(customer_id=7))
    (attempt,) = story.attempts
    assert story.event_hash == HASH
    assert story.worker_class == "PdfGeneration"
    assert [step.event.event_type.value for step in attempt.steps] == [
        "enqueued",
        "dequeued",
        "perform_started",
        "perform_finished",
    ]
    assert [step.gap for step in attempt.steps] == [None, 0.5, pytest.approx(0.001), pytest.approx(0.999)]
    assert attempt.outcome == "finished"
    assert (attempt.time_in_queue, attempt.time_to_perform) == (0.5, 0.998)
    assert attempt.fields == {"pages": 3, "customer_id": 7}
    assert attempt.added == {"pages": 3}
    assert attempt.failure is None


def test_a_retried_attempt_says_so() -> None:
    events = [event("failed", 1, _retrying=True), event("finished", 2, attempt=2)]
    story = told(events)
    assert [(attempt.outcome, attempt.retrying) for attempt in story.attempts] == [
        ("failed", True),
        ("finished", False),
    ]
    assert story.as_dict()["attempts"][0]["retrying"] is True


def test_a_job_is_found_by_its_systems_id() -> None:
    known: dict[str, Any] = {"_system": "celery", "_job_id": "3f2b-11"}
    events = [event("enqueued", **known), event("enqueued", event_hash=OTHER, _job_id="3f2b-112")]
    for name in ("3f2b-11", HASH[:8]):
        story = timeline(events, name)
        assert (story.event_hash, story.system, story.job_id) == (HASH, "celery", "3f2b-11")
    with pytest.raises(AmbiguousHashError):
        timeline(events, "3f2b-1")
    again = event("enqueued", 9, event_hash="c" * 32, **known)
    with pytest.raises(AmbiguousHashError) as caught:
        timeline([*events, again], "3f2b-11")
    assert caught.value.candidates == (HASH, "c" * 32), "an id that was used twice"


def test_what_is_delivered_again_is_no_copy() -> None:
    """The first worker died: its steps stand before those of the next one, though they have the same ids."""
    first = [event("enqueued", 0), event("dequeued", 1), event("started", 2)]
    again = [event(kind, at, _redelivered=True) for kind, at in [("dequeued", 8), ("started", 9), ("finished", 10)]]
    story = told([*again, *first, *again])
    (attempt,) = story.attempts
    assert [step.gap for step in attempt.steps] == [None, 1, 1, 6, 1, 1]
    assert attempt.outcome == "finished"
    assert story.duplicates == 3


def test_a_child_that_is_retried() -> None:
    events = [event("enqueued"), event("failed", event_hash=OTHER, _parent_event_hash=HASH, _retrying=True)]
    (child,) = timeline(events, HASH).children
    assert child.outcome == "retrying"


def test_the_order_in_the_log_does_not_matter() -> None:
    events = [*a_life(), event("dequeued", 5, attempt=2), event("failed", 6, attempt=2)]
    assert told(events[::-1]) == told(events)
    assert told(events[3:] + events[:3]) == told(events)


def test_clocks_that_disagree_give_a_negative_gap_not_another_order() -> None:
    (attempt,) = told([event("dequeued", -2, _clock_skew=2), event("enqueued", 0)]).attempts
    assert [step.event.event_type.value for step in attempt.steps] == ["enqueued", "dequeued"]
    assert attempt.steps[1].gap == -2


def test_each_attempt_has_its_own_story() -> None:
    events = [
        event("enqueued", 0),
        event("started", 1),
        event(
            "failed", 2, _exception="Boom", _message="m", _backtrace=["a:1:in `f'"], _reason="lost", _reporter="pruner"
        ),
        event("enqueued", 3, attempt=2),
        event("started", 4, attempt=2),
    ]
    first, second = told(events).attempts
    assert (first.outcome, second.outcome) == ("failed", "running")
    assert first.failure is not None
    assert first.failure.exception == "Boom"
    assert first.failure.backtrace == ("a:1:in `f'",)
    assert (first.failure.reason, first.failure.reporter) == ("lost", "pruner")


def test_rubys_attempts_are_told_apart_by_their_ends() -> None:
    events = [
        ruby_event("enqueued", "35"),
        ruby_event("dequeued", "35"),
        ruby_event("failed", "36"),
        ruby_event("dequeued", "38"),
        ruby_event("finished", "39"),
    ]
    assert [attempt.outcome for attempt in told(events).attempts] == ["failed", "finished"]
    assert not told(events).attempts[0].steps[1].exact
    assert told(events).attempts[0].fields == {}


def test_a_copy_is_shown_once() -> None:
    life = a_life()
    story = told([*life, *life[1:]])
    assert len(story.attempts[0].steps) == 4
    assert story.duplicates == 3


def test_two_ends_of_one_attempt_are_one() -> None:
    """They share their id: whoever published first decides."""
    story = told([*a_life(), event("failed", 9, _reason="lost")])
    assert story.attempts[0].outcome == "finished"
    assert story.duplicates == 1


def test_the_family() -> None:
    events = [
        *a_life(_parent_event_hash="e" * 32),
        event("enqueued", 1, event_hash="1" * 32, worker_class="IndexOrder", _parent_event_hash=HASH),
        event("finished", 2, event_hash="1" * 32, worker_class="IndexOrder", _parent_event_hash=HASH),
        event("enqueued", 1, event_hash="2" * 32, worker_class="IndexOrder", _parent_event_hash=HASH),
    ]
    story = told(events)
    assert story.parent == "e" * 32
    assert [(child.event_hash[0], child.outcome) for child in story.children] == [("1", "finished"), ("2", "waiting")]


def test_a_prefix_names_a_job_if_no_other_begins_so() -> None:
    events = [event("enqueued"), event("enqueued", event_hash=OTHER)]
    assert timeline(events, HASH[:7]).event_hash == HASH
    with pytest.raises(AmbiguousHashError) as caught:
        timeline(events, HASH[:6])
    assert caught.value.candidates == (HASH, OTHER)
    assert HASH in str(caught.value)
    with pytest.raises(UnknownHashError):
        timeline(events, "ffffff")


def test_a_whole_hash_that_begins_another_is_not_ambiguous() -> None:
    events = [event("enqueued", event_hash="abcdef"), event("enqueued", event_hash="abcdef01")]
    assert timeline(events, "abcdef").event_hash == "abcdef"


def test_an_events_odd_values_are_survived() -> None:
    odd = Event.from_line(
        event("failed", _backtrace="a\nb", _time_in_queue="long", _time_to_perform=True, _message=None).line.replace(
            b"2020-", b"9999999-"
        )
    )
    (attempt,) = told([odd]).attempts
    assert (attempt.time_in_queue, attempt.time_to_perform) == (None, None)
    assert attempt.failure is not None
    assert attempt.failure.backtrace == ("a", "b")
    assert attempt.steps[0].moment is None


def test_it_can_be_written_as_json() -> None:
    found = json.loads(json.dumps(told(a_life(customer_id=7)).as_dict()))
    assert found["attempts"][0]["events"][1]["gap"] == 0.5
    assert found["attempts"][0]["added"] == {"pages": 3}
