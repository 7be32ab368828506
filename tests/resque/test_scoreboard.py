"""The scoreboard's records: what is written is what is read, whoever reads it, whenever the writer dies."""

from __future__ import annotations

import math
import mmap
import os
import random
import signal
import struct
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clues.metadata import Failure
from clues.resque.scoreboard import HEADER, RECORD, Outcome, Reason, Record, State, lone_record
from tests.forks import fork
from tests.waiting import wait_for

ROOM = RECORD - HEADER


def note(record: Record, *outcomes: Outcome) -> None:
    """Have jobs taken, begun and ended so."""
    record.holding(1.0)
    for outcome in outcomes:
        record.begin(2.0, 3.0)
        assert record.end(outcome)


# a record's way


def test_a_records_way() -> None:
    """What it says at each step of a job."""
    record = lone_record()
    assert (record.state, record.begun, record.ended, record.settled) == (State.IDLE, False, 0, True)
    record.taking()
    assert (record.state, record.settled) == (State.TAKING, False)
    record.holding(11.5)
    assert (record.state, record.taken_at, record.begun) == (State.HOLDING, 11.5, False)
    record.reason = Reason.TIMEOUT
    record.begin(12.5, 13.5, 99.0)
    assert (record.state, record.begun, record.begun_at, record.begun_monotonic) == (State.HOLDING, True, 12.5, 13.5)
    assert (record.deadline, record.reason) == (99.0, Reason.NONE)  # why an earlier one was killed is forgotten
    assert record.end(Outcome(14.5))
    assert (record.begun, record.ended, record.deadline, record.seq, record.settled) == (False, 1, 0.0, 1, False)
    record.committed(rest=False)
    assert (record.state, record.ended, record.settled, record.seq) == (State.IDLE, 0, True, 1)
    assert (record.processed, record.failed) == (1, 0)


def test_the_way_of_a_batch() -> None:
    """Ends add up until they are committed; the job at hand stays begun; their number grows with the first of some."""
    record = lone_record()
    record.holding(1.0)
    for number in range(3):
        record.begin(2.0, 3.0)
        assert (record.ended, record.deadline) == (number, 0.0)
        assert record.end(Outcome(float(number), Failure("E", "m") if number else None))
        assert (record.ended, record.seq) == (number + 1, 1)
    record.begin(2.0, 3.0, 7.0)
    assert (record.begun, record.ended, record.state) == (True, 3, State.HOLDING)
    assert [outcome.at for outcome in record.outcomes()] == [0.0, 1.0, 2.0]
    record.committed(rest=True)
    assert (record.begun, record.ended, record.deadline) == (True, 0, 7.0)
    assert (record.processed, record.failed) == (3, 2)
    assert record.end(Outcome(9.0))
    assert (record.seq, [outcome.at for outcome in record.outcomes()]) == (2, [9.0])
    record.committed(rest=True, processed=1)  # which is counted by who knows
    assert (record.state, record.begun, record.settled) == (State.HOLDING, False, False)
    assert (record.processed, record.failed) == (4, 2)
    record.idle()
    assert record.settled


def test_unbeginning() -> None:
    """The job goes back; what had ended before it is still to be committed, and its time is not over any more."""
    record = lone_record()
    note(record, Outcome(1.0))
    record.begin(2.0, 3.0, 4.0)
    record.unbegin()
    assert (record.state, record.begun, record.ended, record.deadline) == (State.HOLDING, False, 1, 0.0)


def test_the_next_is_taken_with_the_commit() -> None:
    """What is to be committed stands there until it is; the job that is taken in the same step is not held yet."""
    record = lone_record()
    note(record, Outcome(1.0), Outcome(2.0))
    record.taking_next()
    assert (record.state, record.begun, record.ended) == (State.TAKING, False, 2)
    assert [outcome.at for outcome in record.outcomes()] == [1.0, 2.0]
    record.committed(rest=True)
    assert (record.state, record.begun, record.ended, record.processed) == (State.TAKING, False, 0, 2)


def test_whose_and_why() -> None:
    """The process, why it was killed, and whether it has worked: beside the job's state."""
    record = lone_record()
    record.pid, record.reason, record.worked = 2**31, Reason.SHUTDOWN, True
    assert (record.pid, record.reason, record.worked, record.settled) == (2**31, Reason.SHUTDOWN, True, True)
    record.worked = False
    assert not record.worked


NAN = struct.unpack("@Q", struct.pack("@d", math.nan))[0]


@pytest.mark.parametrize(
    ("place", "value"),
    [(0, 7), (0, 3 << 16), (8, NAN), (16, NAN), (24, NAN), (40, 2**63), (48, 2**41), (56, 2**64 - 1), (72, 9)],
    ids=["state", "outcomes", "taken", "begun", "monotonic", "number", "processed", "failed", "reason"],
)
def test_a_record_that_is_torn(place: int, value: int) -> None:
    """A machine that lost its power may have kept some pages only: a job had begun, more is not known."""
    memory = memoryview(bytearray(RECORD))
    record = Record(memory)
    note(record, Outcome(1.0, Failure("E", "m")))
    record.committed(rest=True)
    record.begin(2.0, 3.0, 9.0)
    record.reason = Reason.TIMEOUT
    seq = record.seq
    assert Record(memory).sound
    memory[HEADER:] = b"\xff" * (RECORD - HEADER)
    struct.pack_into("@Q", memory, place, value)
    assert not Record(memory).sound
    record.distrust()
    assert Record(memory).sound
    assert (record.state, record.begun, record.ended, record.reason) == (State.HOLDING, True, 0, Reason.NONE)
    assert (record.taken_at, record.begun_at, record.begun_monotonic, record.deadline) == (0.0, 0.0, 0.0, 0.0)
    assert record.seq > seq
    assert record.processed == (1 if place != 48 else 0)
    assert record.failed == (1 if place != 56 else 2**40 - 1)
    record.distrust()
    assert Record(memory).sound


def test_the_next_had_begun_for_all_that_is_known() -> None:
    """Of a batch whose worker died between two jobs."""
    record = lone_record()
    record.holding(5.0)
    record.begin_unknown()
    assert (record.state, record.begun, record.ended, record.taken_at) == (State.HOLDING, True, 0, 5.0)


# the outcomes noted

texts = st.text(st.characters(codec=None), max_size=60)
failures = st.builds(Failure, texts, texts, st.lists(texts, max_size=4).map(tuple))
outcomes = st.builds(
    Outcome,
    st.floats(allow_nan=False),
    st.none() | failures,
    st.binary(max_size=100),
    st.booleans(),
)


@given(st.lists(outcomes, max_size=20))
def test_what_is_written_is_read(written: list[Outcome]) -> None:
    """Whatever stands in it; by another look at the same memory too."""
    memory = memoryview(bytearray(RECORD))
    note(Record(memory), *written)
    assert list(Record(memory).outcomes()) == written


def test_failures_that_python_can_hold() -> None:
    """Surrogates, zeros, what looks like the record's own bytes."""
    failure = Failure("a\x00b", "\ud800 \U0001f600 é", ('File "\udce9"', "\x00" * 40))
    record = lone_record()
    note(record, Outcome(1.0, failure, b"\x00" * 33), Outcome(2.0, None, b"\xff\n"))
    assert list(record.outcomes()) == [Outcome(1.0, failure, b"\x00" * 33), Outcome(2.0, None, b"\xff\n")]


HEAD = 17  # an entry's lengths, its time, and a flag


@pytest.mark.parametrize(
    ("size", "fits"), [(ROOM - HEAD, True), (ROOM - HEAD + 1, False), (ROOM, False), (10_000_000, False)]
)
def test_a_long_line(size: int, fits: bool) -> None:
    """What finds no room even alone loses its line, and keeps how the job ended; nothing is written beyond the end."""
    memory = memoryview(bytearray(b"\xaa" * RECORD + bytes(RECORD) + b"\xaa" * RECORD))
    record = Record(memory, RECORD)
    line = b"x" * size
    note(record, Outcome(1.0, None, line))
    assert list(record.outcomes()) == [Outcome(1.0, None, line if fits else b"")]
    assert memory[:RECORD] == memory[2 * RECORD :] == b"\xaa" * RECORD
    record.committed(rest=False)
    note(record, Outcome(1.0), Outcome(2.0), Outcome(3.0))
    assert list(record.outcomes()) == [Outcome(1.0), Outcome(2.0), Outcome(3.0)]
    failure = Failure("E", "why")
    record.committed(rest=False)
    note(record, Outcome(1.0, failure, line))
    assert list(record.outcomes()) == [Outcome(1.0, failure)]


@pytest.mark.parametrize("text", ["m" * 10_000_000, "\U0001f600" * 70_000])
def test_a_long_failure(text: str) -> None:
    """Loses its backtrace and the end of its message, even of its name; the line stays where it fits."""
    record = lone_record()
    note(record, Outcome(1.0, Failure("E", text, ("File x",) * 3000), b"line", counted=False))
    assert list(record.outcomes()) == [Outcome(1.0, Failure("E", text[:1000]), b"line", counted=False)]
    record.committed(rest=False)
    note(record, Outcome(1.0, Failure(text, text), b"x" * ROOM))
    assert list(record.outcomes()) == [Outcome(1.0, Failure(text[:1000], text[:1000]))]


def test_a_full_record() -> None:
    """Takes no more, and says so; what stands in it stays, and when it is committed there is room."""
    record = lone_record()
    line = b"x" * 20_000
    note(record, Outcome(1.0, None, line), Outcome(2.0, None, line), Outcome(3.0, None, line))
    record.begin(2.0, 3.0)
    assert not record.end(Outcome(4.0, None, line))
    assert (record.begun, record.ended, [outcome.at for outcome in record.outcomes()]) == (True, 3, [1.0, 2.0, 3.0])
    assert record.end(Outcome(4.0, None, b"short"))
    record.begin(2.0, 3.0)
    record.committed(rest=True)
    assert record.end(Outcome(5.0, None, line))
    assert [outcome.at for outcome in record.outcomes()] == [5.0]
    record.begin(2.0, 3.0)
    longest = Outcome(6.0, None, b"x" * (ROOM - HEAD))
    assert not record.end(longest)  # which is not shortened for that: it fits alone
    record.committed(rest=True)
    assert record.end(longest)
    assert list(record.outcomes()) == [longest]


def test_side_by_side() -> None:
    """Records of one memory do not touch each other, in whatever order they are written."""
    chance = random.Random(7)
    count = 5
    memory = memoryview(bytearray(count * RECORD))
    written: list[list[Outcome]] = [[] for _ in range(count)]
    for number in range(count):
        Record(memory, number * RECORD).pid = number
    writers = [Record(memory, number * RECORD) for number in range(count)]
    for step in range(2000):
        number = chance.randrange(count)
        failure = Failure("E", "m" * chance.randrange(50))
        outcome = Outcome(float(step), failure, bytes([number]) * chance.randrange(900))
        writers[number].begin(1.0, 2.0)
        if not writers[number].end(outcome):
            writers[number].committed(rest=True)
            written[number].clear()
            assert writers[number].end(outcome)
        written[number].append(outcome)
    for number in range(count):
        record = Record(memory, number * RECORD)
        assert (record.pid, list(record.outcomes())) == (number, written[number])


# a writer that dies


def live(record: Record, chance: random.Random, number: int = 0) -> int:
    """Work off a batch; each outcome's parts belong together."""
    record.taking()
    record.holding(float(number))
    for _ in range(chance.randrange(1, 5)):
        number += 1
        record.begin(float(number), number + 0.5, number + 0.25)
        text = str(number) * chance.randrange(1, 200)
        assert record.end(Outcome(float(number), Failure("E", text), text.encode()))
    record.committed(rest=chance.random() < 0.5)
    record.idle()
    return number


def check(memory: memoryview) -> None:
    """What a record says is whole, and of one time."""
    record = Record(memory)
    found = list(record.outcomes())
    assert len(found) == record.ended
    for outcome in found:
        number = str(int(outcome.at))
        assert outcome.failure is not None
        assert set(outcome.failure.message.split(number)) == {""}
        assert outcome.line == outcome.failure.message.encode()
    numbers = [outcome.at for outcome in found]
    assert numbers == sorted(set(numbers))
    if record.begun:
        assert record.begun_monotonic == record.begun_at + 0.5
        assert record.deadline in {record.begun_at + 0.25, 0.0}
    if found and not record.begun:
        assert record.begun_at - found[-1].at in {0, 1}  # the next one may be about to begin
    assert not found or record.seq >= 1
    assert record.failed <= record.processed


def test_a_writer_that_dies_after_any_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each number that it puts down, and the outcome between them."""
    memory = memoryview(bytearray(RECORD))
    looks = 0

    def looked_at(step: Any) -> Any:
        def looking(*args: Any) -> Any:
            nonlocal looks
            check(memory)
            done = step(*args)
            check(memory)
            looks += 1
            return done

        return looking

    for name in ("_put", "_put_time", "_put_beginning"):
        monkeypatch.setattr(Record, name, looked_at(getattr(Record, name)))
    chance, record, number = random.Random(1), Record(memory), 0
    for _ in range(15):
        number = live(record, chance, number)
    assert looks > 200


@pytest.mark.parametrize("seed", range(20))
def test_a_writer_that_is_killed(tmp_path: Path, seed: int) -> None:
    """At any moment, by the system."""
    place = tmp_path / "board"
    place.write_bytes(bytes(RECORD))
    with place.open("r+b") as file:
        memory = memoryview(mmap.mmap(file.fileno(), 0))
    record = Record(memory)

    def lives() -> None:
        number, chance = 0, random.Random(seed)
        while True:
            number = live(record, chance, number)

    child = fork(lives)
    wait_for(lambda: record.processed > 20)
    deadline = time.monotonic_ns() + random.Random(seed).randrange(3_000_000)
    while time.monotonic_ns() < deadline:
        pass
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    check(memoryview(place.read_bytes()))
