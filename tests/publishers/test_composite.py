"""Several publishers as one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from clues.errors import ConfigError
from clues.event import Event, EventType, Sample
from clues.publishers import CompositePublisher, NoOpPublisher
from clues.testing import RecordingPublisher


def an_event() -> Event:
    return Event(EventType.ENQUEUED, "t", "mail", {"a": 1}, "Job", [])


class Child(RecordingPublisher):
    """Does all that a publisher may do, and fails where it is told to."""

    def __init__(self, *, flushed: bool = True, error: BaseException | None = None) -> None:
        super().__init__()
        self.flushed = flushed
        self.error = error
        self.told: list[Any] = []

    def publish(self, event: Event, /) -> None:
        self._fail()
        super().publish(event)

    def publish_samples(self, samples: Iterable[Sample]) -> None:
        self._fail()
        self.told.extend(samples)

    def flush(self, timeout: float) -> bool:
        self._fail()
        self.told.append(timeout)
        return self.flushed

    def close(self) -> None:
        self._fail()
        self.told.append("closed")

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error


def test_every_child_gets_every_event_in_order() -> None:
    """Publishers and callables; the same object, encoded once."""
    order: list[tuple[str, Event]] = []
    event = an_event()
    CompositePublisher(lambda e: order.append(("a", e)), NoOpPublisher(), lambda e: order.append(("b", e))).publish(
        event
    )
    assert order == [("a", event), ("b", event)]
    assert order[0][1] is event


class Many(Child):
    """Takes several at once."""

    def publish_many(self, events: Sequence[Event]) -> None:
        self._fail()
        self.told.append(len(events))
        self.events.extend(events)


def test_several_events_at_once() -> None:
    """Go at once to those that take them so, one by one to the others; one that raises harms nobody."""
    many, one, bad = Many(), Child(), Many(error=ValueError("no"))
    both = CompositePublisher(bad, CompositePublisher(many), one)
    events = [an_event(), an_event()]
    both.publish_many(events)
    assert (many.events, many.told, one.events) == (events, [2], events)
    assert both.faults.counts == {"Many": 2}


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(1), RecursionError(), MemoryError()])
def test_a_child_that_raises_does_not_keep_an_event_from_the_others(error: BaseException) -> None:
    """Whatever it does: publish, samples, flush, close; each time it is counted."""
    bad, good = Child(error=error), Child()
    composite = CompositePublisher(bad, good)
    composite.publish(an_event())
    assert len(good.events) == 1
    assert composite.faults.counts == {"Child": 1}
    if isinstance(error, Exception):
        composite.publish_samples([Sample("clues.queue.depth", 3)])
        assert composite.flush(1.5) is False
        composite.close()
        assert good.told == [Sample("clues.queue.depth", 3), 1.5, "closed"]
        assert composite.faults.counts == {"Child": 4}


def test_ctrl_c_is_the_users() -> None:
    """It is passed on."""
    with pytest.raises(KeyboardInterrupt):
        CompositePublisher(Child(error=KeyboardInterrupt())).publish(an_event())


def test_samples_may_be_a_generator() -> None:
    """Every child that takes samples gets all of them; others are not asked."""
    one, two = Child(), Child()
    composite = CompositePublisher(one, NoOpPublisher(), two)
    composite.publish_samples(Sample("depth", value) for value in range(3))
    assert one.told == two.told == [Sample("depth", value) for value in range(3)]


def test_flush_asks_every_child() -> None:
    """Also after one that has something left."""
    one, two = Child(flushed=False), Child()
    composite = CompositePublisher(one, NoOpPublisher(), two)
    assert composite.flush(0.5) is False
    assert two.told == [0.5]
    assert CompositePublisher(two, NoOpPublisher()).flush() is True
    assert CompositePublisher().flush() is True


def test_a_composite_in_a_composite() -> None:
    """Is one child."""
    inner = RecordingPublisher()
    composite = CompositePublisher(CompositePublisher(Child(error=ValueError()), inner))
    composite.publish(an_event())
    assert len(inner.events) == 1
    assert composite.faults.counts == {}


def test_the_originals_spelling_adds_children() -> None:
    """``composite << publisher``, as in resque-clues; but never itself."""
    one, two = RecordingPublisher(), RecordingPublisher()
    composite = CompositePublisher()
    assert composite << one << two.publish is composite
    composite.publish(an_event())
    assert len(one.events) == len(two.events) == 1
    with pytest.raises(ConfigError, match="its own child"):
        composite << composite


@pytest.mark.parametrize("wrong", [[RecordingPublisher()], (RecordingPublisher(),), 5, None, RecordingPublisher])
def test_what_is_no_publisher_is_an_error_at_once(wrong: Any) -> None:
    """A list of them, a class, anything else."""
    with pytest.raises(ConfigError):
        CompositePublisher(wrong)
