"""The kit for tests."""

from __future__ import annotations

from typing import Any

import pytest

import clues
from clues import config
from clues.errors import ConfigError
from clues.event import Event
from clues.lifecycle import Lifecycle
from clues.testing import RecordingPublisher, capture_events
from tests.stories import live


def boom() -> None:
    raise ValueError("boom")


def test_a_recorder_answers_questions() -> None:
    """Types, events of one type, events of one job, and forgetting."""
    recorder = RecordingPublisher()
    clues.configure(recorder, environ={})
    first = live(Lifecycle(), {"class": "A", "args": []})
    second = live(Lifecycle(), {"class": "B", "args": []}, boom)
    assert first is not None
    assert second is not None
    assert recorder.types[:4] == ["enqueued", "dequeued", "perform_started", "perform_finished"]
    assert [event.worker_class for event in recorder.of("failed")] == ["B"]
    assert recorder.of(clues.EventType.FAILED) == recorder.of("failed")
    assert [event.event_type for event in recorder.about(second.event_hash)] == recorder.types[4:]
    recorder.clear()
    assert recorder.events == []


class Closing(RecordingPublisher):
    closed = False

    def close(self) -> None:
        self.closed = True


def test_capture_events_puts_back_what_was_configured() -> None:
    """The block's events go to the recorder only, and the publisher that was there is not closed."""
    outer = Closing()
    before = clues.configure(outer, environ={})
    with capture_events(hostname="test") as recorder:
        live(Lifecycle(), {"class": "A", "args": []})
        with capture_events() as inner:
            live(Lifecycle(), {"class": "B", "args": []})
    assert len(recorder.events) == len(inner.events) == 4
    assert recorder.events[0].metadata["_hostname"] == "test"
    assert outer.events == []
    assert not outer.closed
    assert config.default.config is before


def test_capture_events_restores_after_errors() -> None:
    """Of the block, and of its own options."""
    with pytest.raises(ZeroDivisionError), capture_events():
        raise ZeroDivisionError
    assert not clues.configured()
    with pytest.raises(ConfigError), capture_events(max_args_bytes=1):
        pass
    assert not clues.configured()


def test_options_are_configures() -> None:
    """Preprocessors and the rest."""

    def add(queue: str, item: dict[str, Any]) -> None:
        item["clues_metadata"]["tier"] = "gold"

    with capture_events(item_preprocessor=add) as recorder:
        live(Lifecycle(), {"class": "A", "args": []})
    assert {event.metadata["tier"] for event in recorder.events} == {"gold"}
    assert isinstance(recorder.events[0], Event)
