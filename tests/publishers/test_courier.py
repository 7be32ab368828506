"""Couriers: whatever a destination answers, each line is delivered, refused with its reason, or still to come."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from clues.errors import ConfigError
from clues.event import Event, EventType, Sample
from clues.faults import Faults
from clues.publishers import courier as module
from clues.publishers.choice import Choice
from clues.publishers.courier import Courier, Steering
from clues.publishers.delivery import Refusal, Sent
from clues.publishers.health import Health
from clues.publishers.journal import Journal
from clues.publishers.spool import Spool
from clues.publishers.tail import Batch
from tests.publishers.destinations import Counting, Recording, event
from tests.waiting import wait_for


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """An empty one."""
    return Journal(tmp_path)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Couriers that don't wait long."""
    monkeypatch.setattr(module, "_FIRST_WAIT", 0.0001)
    monkeypatch.setattr(module, "_LONGEST_WAIT", 0.001)


def write(journal: Journal, *numbers: int) -> None:
    for number in numbers:
        journal.append(event(number))


def courier(journal: Journal, destination: Recording, choice: Choice | None = None) -> Courier:
    return Courier(journal.spool, destination, choice or Choice(), Steering(), faults=Faults())


def stopped() -> Steering:
    """To end at the first wait."""
    steering = Steering()
    steering.stop.set()
    return steering


def buried(spool: Spool, name: str = "recording") -> list[dict[str, object]]:
    path = spool.dead_letter(name)
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_in_order_and_once(journal: Journal) -> None:
    """Its successor goes on where it was."""
    write(journal, *range(2500))
    first = Recording()
    one = courier(journal, first)
    assert one.step()
    assert first.batches == [1000]
    second = Recording()
    other = courier(journal, second)
    assert [other.step() for _ in range(3)] == [True, True, False]
    assert first.numbers() + second.numbers() == list(range(2500))
    assert (other.checkpoint.delivered, other.checkpoint.retried) == (2500, 0)
    write(journal, 2500)
    assert other.step()
    assert second.numbers()[-1] == 2500


def test_some_are_to_be_sent_again(journal: Journal) -> None:
    """Only those."""
    write(journal, *range(10))
    answers = [lambda batch: Sent(retry=batch[1::2], problem="busy"), lambda batch: Sent(retry=batch[2:])]
    destination = Recording(answer=lambda batch: answers.pop(0)(batch) if answers else Sent())
    one = courier(journal, destination)
    assert one.step()
    assert destination.batches == [10, 5, 3]
    assert sorted(destination.numbers()) == list(range(10))
    assert (one.checkpoint.delivered, one.checkpoint.retried) == (10, 8)


def test_some_are_refused(journal: Journal) -> None:
    """They are kept with the reason; the others are delivered."""
    write(journal, *range(4))

    def answer(batch: Sequence[bytes]) -> Sent:
        return Sent(refused=[Refusal(batch[1], "bad date")])

    destination = Recording(answer=answer)
    one = courier(journal, destination)
    assert one.step()
    assert destination.numbers() == [0, 2, 3]
    (letter,) = buried(journal.spool)
    assert (letter["destination"], letter["reason"], letter["event"]["args"]) == ("recording", "bad date", [1])  # type: ignore[index]
    assert (one.checkpoint.delivered, one.checkpoint.dead_lettered) == (3, 1)


def test_an_outage(journal: Journal) -> None:
    """It raises: all are sent again, a few at a time at first, until it is back."""
    write(journal, *range(500))
    failures = [ConnectionRefusedError("down")] * 8

    def answer(_batch: Sequence[bytes]) -> Sent:
        if failures:
            raise failures.pop()
        return Sent()

    destination = Recording(answer=answer)
    one = courier(journal, destination)
    assert one.step()
    assert destination.numbers() == list(range(500))
    assert destination.batches == [500, 500, 500, 10, 10, 10, 10, 10, 10, 490]


def test_stopped_in_an_outage(journal: Journal) -> None:
    """Nothing counts as delivered; the next one delivers it."""
    write(journal, *range(5))
    steering = Steering()

    def answer(_batch: Sequence[bytes]) -> Sent:
        steering.stop.set()
        raise TimeoutError

    one = Courier(journal.spool, Recording(answer=answer), Choice(), steering)
    assert not one.step()
    destination = Recording()
    assert courier(journal, destination).step()
    assert destination.numbers() == list(range(5))


def test_a_line_that_a_working_back_end_never_takes(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is put aside in the end, and does not hold up the others for ever."""
    monkeypatch.setattr(module, "_GIVE_UP_TIME", 0.0)
    write(journal, *range(3))

    def answer(batch: Sequence[bytes]) -> Sent:
        return Sent(retry=[line for line in batch if b'"args":[1]' in line], problem="error 500")

    destination = Recording(answer=answer)
    assert courier(journal, destination).step()
    assert destination.numbers() == [0, 2]
    (letter,) = buried(journal.spool)
    assert letter["reason"] == "not taken in 20 attempts: error 500"


def test_retry_after(journal: Journal) -> None:
    """The back end says when it wants to hear of us again."""
    one = courier(journal, Recording())
    assert one._pause(1, 7.0) == 7.0
    assert one._pause(1, None) < 0.01


def test_torn_lines(journal: Journal) -> None:
    """The event behind one is delivered, the torn part is kept."""
    write(journal, 1)
    path = journal.spool.segments()[0].path
    with path.open("ab") as file:
        file.write(b'{"event_type":"enqueued","timest' + event(2).line + b"\n")
    write(journal, 3)

    def answer(batch: Sequence[bytes]) -> Sent:
        return Sent(refused=[Refusal(line, "not an event") for line in batch if not _is_event(line)])

    destination = Recording(answer=answer)
    one = courier(journal, destination)
    assert one.step()
    assert sorted(destination.numbers()) == [1, 2, 3]
    assert len(buried(journal.spool)) == 1


def _is_event(line: bytes) -> bool:
    try:
        Event.from_line(line)
    except ValueError:
        return False
    return True


def test_state(journal: Journal) -> None:
    """What a destination remembers is that of the very batch that the checkpoint speaks of."""
    write(journal, *range(1500))
    first = Counting()
    assert courier(journal, first).step()
    second = Counting()
    other = courier(journal, second)
    assert second.total == 1000
    assert other.step()
    assert journal.spool.checkpoint("recording").state == {"total": 1500}


def test_a_checkpoint_that_can_not_be_written(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk, say: delivery goes on, which makes room, and it is written when that is possible."""
    write(journal, *range(1500))
    destination = Recording()
    one = courier(journal, destination)
    full = OSError(28, "No space left on device")
    with monkeypatch.context() as patched:
        patched.setattr(Spool, "save", mock.Mock(side_effect=full))
        assert [one.step() for _ in range(3)] == [True, True, False]
    assert destination.numbers() == list(range(1500))
    assert journal.spool.checkpoint("recording").delivered == 0
    assert not one.step()
    assert journal.spool.checkpoint("recording").delivered == 1500


def test_trouble_that_passes(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong beside the back end: it is tried again."""
    monkeypatch.setattr(module, "_AFTER_TROUBLE", 0.001)
    write(journal, 1)
    steering, destination = Steering(), Recording()
    one = Courier(journal.spool, destination, Choice(), steering)
    read, problems = one._source.read, [LookupError(), OSError(5, "Input/output error")]

    def reading(*args: Any) -> Batch:
        if problems:
            raise problems.pop()
        return read(*args)

    monkeypatch.setattr(one._source, "read", reading)
    steering.draining = True
    one.run()
    assert destination.numbers() == [1]


def test_samples(journal: Journal) -> None:
    """Are sent between batches, the latest only; they need not wait for events."""
    destination = Recording()
    one = courier(journal, destination)
    one.offer([Sample("old", 1)])
    one.offer([Sample("new", 2)])
    one.step()
    one.step()
    assert destination.samples == [Sample("new", 2)]


def test_running_and_draining(journal: Journal) -> None:
    """It ends when told to, with all delivered, and closes the destination."""
    steering, destination = Steering(), Recording()
    thread = threading.Thread(target=Courier(journal.spool, destination, Choice(), steering).run)
    thread.start()
    write(journal, 1, 2)
    wait_for(lambda: len(destination.got) == 2)
    write(journal, 3)
    steering.draining = True
    thread.join(30)
    assert destination.numbers() == [1, 2, 3]
    assert destination.closed.is_set()


# what it wants


def test_event_types(journal: Journal) -> None:
    """The others are passed over, and counted."""
    for event_type in EventType:
        journal.append(event(1, event_type))
    destination = Recording()
    one = courier(journal, destination, Choice.of(["failed", "enqueued"], 1.0))
    assert one.step()
    assert [Event.from_line(line).event_type for line in destination.got] == ["enqueued", "failed"]
    assert (one.checkpoint.delivered, one.checkpoint.left_out) == (2, len(EventType) - 2)


def test_sampling() -> None:
    """All events of a job, or none, wherever they are; failures always."""
    choice = Choice.of(None, 0.25)
    kept = 0
    for number in range(4000):
        said = {choice.wants(event(number, kind).line) for kind in EventType if kind != EventType.FAILED}
        assert len(said) == 1
        kept += said.pop()
        assert choice.wants(event(number, EventType.FAILED).line)
    assert 850 < kept < 1150
    assert Choice.of(None, 0.0).wants(b"no event at all")
    assert not Choice.of(None, 0).wants(event(1).line)


@pytest.mark.parametrize(("events", "sample"), [(["finished"], 1.0), (None, 1.5), (None, -1), (None, "x"), ([3], 1)])
def test_mistaken_choices(events: object, sample: object) -> None:
    """Are named."""
    with pytest.raises(ConfigError):
        Choice.of(events, sample)  # type: ignore[arg-type]


# how it goes


def test_why_nothing_is_delivered(journal: Journal, caplog: pytest.LogCaptureFixture) -> None:
    """Stands in the spool while it is so, for the warning and for others' eyes."""
    write(journal, *range(3))
    now = 1_763_672_398.123456 + 100 + 86_400 * 365  # 100 s after the events
    health = Health(journal.spool, clock=lambda: now)
    told: list[str] = []

    def answer(_batch: Sequence[bytes]) -> Sent:
        told.extend(one.problem for one in health.progress())
        health.warn()
        if len(told) < 3:
            raise ConnectionRefusedError("nobody listens")
        return Sent()

    one = courier(journal, Recording(answer=answer))
    journal.spool.register("recording")
    assert one.step()
    assert told == ["", "ConnectionRefusedError: nobody listens", "ConnectionRefusedError: nobody listens"]
    assert one.checkpoint.delivered == 3
    assert [progress.problem for progress in health.progress()] == [""]
    told.append("")
    write(journal, 3)
    Courier(
        journal.spool, Recording(answer=lambda batch: Sent(retry=batch, problem="busy")), Choice(), stopped()
    ).step()
    caplog.clear()
    Health(journal.spool, clock=lambda: now).warn()
    assert "recording is 100 s and some 1 events behind (busy);" in caplog.text


def test_a_back_ends_words_steer_nothing_and_tell_no_secret(journal: Journal) -> None:
    write(journal, 1)
    said = "\x1b[2J\x9b31m\r\nforged password=hunter2 " + "x" * 10_000
    one = Courier(journal.spool, Recording(answer=lambda batch: Sent(retry=batch, problem=said)), Choice(), stopped())
    one.step()
    problem = journal.spool.checkpoint("recording").problem
    assert "forged" in problem
    assert len(problem) <= 500
    assert "hunter2" not in problem
    assert problem.isprintable()


def test_health(journal: Journal, caplog: pytest.LogCaptureFixture) -> None:
    """Lag is told in events, bytes and seconds; a warning comes once a minute at most."""
    write(journal, *range(1000))
    one = courier(journal, Recording())
    journal.spool.register("recording")
    now = 1_763_672_398.123456 + 100 + 86_400 * 365  # 100 s after the events
    health = Health(journal.spool, clock=lambda: now)
    (progress,) = health.progress()
    assert progress.lag_events == pytest.approx(1000, rel=0.01)
    assert progress.lag_seconds == pytest.approx(100, abs=0.01)
    assert progress.lag_bytes == journal.spool.size()
    health.warn()
    health.warn()
    assert len(caplog.records) == 1
    assert "recording is 100 s and some 100" in caplog.text
    one.step()
    (progress,) = health.progress()
    assert (progress.delivered, progress.lag_events, progress.lag_seconds) == (1000, 0, 0.0)
    journal.spool.count_dropped(7, 70)
    samples = {sample.name: sample.value for sample in health.sample()}
    assert samples["clues.delivery.dropped"] == 7
    assert samples["clues.delivery.delivered"] == 1000
