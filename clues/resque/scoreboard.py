"""The scoreboard: what each worker of a tree is at, in a file that outlives its writers.

A worker notes each step of a job before it takes it, in memory that is mapped to a file, so whoever finds it dead can
finish its story: give back what it never began, fail what it had begun, commit and publish what had ended.

A record's way through a job: idle → taking → holding → begun → ended → (committed and published) → idle. With batches
it goes from ended to holding or begun again; from ended to taking, where the next jobs are taken in the same step as
those are committed. The outcomes that are not yet published stand in the record.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from clues.metadata import Failure

HEADER = 128
RECORD = 65_536
"""Bytes of a record, its header included; a file's pages that nobody has touched take no room."""

# Native sizes: a number is then copied in one go, so that no death tears it.
_WORD = struct.Struct("@Q")
_TIME = struct.Struct("@d")
_BEGINNING = struct.Struct("@ddd")
_ENTRY = struct.Struct("@IIdB")
_STATE, _TAKEN, _BEGUN_AT, _BEGUN_MONOTONIC, _DEADLINE, _SEQ, _PROCESSED, _FAILED, _PID, _REASON, _WORKED = range(
    0, 88, 8
)

_PADDING = bytes(8)
_MOST = 1 << 40  # that a count ever is
_SHORT = 1000


class State(IntEnum):
    """What a worker is at."""

    IDLE = 0
    TAKING = 1
    HOLDING = 2


class Reason(IntEnum):
    """Why somebody has killed a worker process, where it was on purpose."""

    NONE = 0
    SHUTDOWN = 1
    TIMEOUT = 2
    KILLED = 3


class Outcome(NamedTuple):
    """How a job ended.

    Attributes:
        at: when, in epoch seconds.
        failure: why it failed; None if it went well.
        line: the event that tells of it, as its standard line; empty where there is none, or it found no room.
        counted: whether it counts as failed, if it did.
    """

    at: float
    failure: Failure | None = None
    line: bytes = b""
    counted: bool = True


class Record:
    """One worker's place on the board. One process at a time writes it, that which works the slot."""

    __slots__ = ("_end", "_memory", "_start", "_used")

    def __init__(self, memory: memoryview, start: int = 0, size: int = RECORD) -> None:
        """Look at a part of the board's memory; a fresh `bytearray` will do for a worker outside a tree."""
        self._memory = memory
        self._start = start
        self._end = start + size
        self._used = 0

    # what the worker notes

    def taking(self) -> None:
        """A job is about to be taken."""
        self._set_state(State.TAKING)

    def taking_next(self) -> None:
        """The outcomes noted are about to be committed, and a job taken in the same step."""
        self._set_state(State.TAKING, ended=self.ended)

    def holding(self, at: float) -> None:
        """Jobs were taken, at these epoch seconds, and none of them is begun."""
        self._put_time(_TAKEN, at)
        self._set_state(State.HOLDING)

    def begin(self, at: float, monotonic: float, deadline: float = 0.0) -> None:
        """The job's own code is about to run.

        Args:
            at: epoch seconds.
            monotonic: the same moment on the monotonic clock.
            deadline: when it must be over, on the monotonic clock; 0 for never.
        """
        self._put_beginning(at, monotonic, deadline)
        self._put(_REASON, 0)
        word = self._get(_STATE)
        self._put(_STATE, word >> 16 << 16 | 0x100 | State.HOLDING)

    def unbegin(self) -> None:
        """The job that was begun goes back to its queue."""
        self._put_time(_DEADLINE, 0.0)
        self._set_state(State.HOLDING, ended=self.ended)

    def end(self, outcome: Outcome) -> bool:
        """Note how the job that was begun has ended.

        Returns:
            Whether there was room: if not, commit the outcomes noted, then try again.
        """
        ended = self.ended
        entry = _encoded(outcome, self._end - self._start - HEADER if ended == 0 else None)
        place = self._start + HEADER + (self._used if ended else 0)
        end = place + len(entry)
        if end > self._end:
            return False
        self._memory[place:end] = entry
        self._used = end - self._start - HEADER
        if ended == 0:
            self._put(_SEQ, self.seq + 1)
        self._put_time(_DEADLINE, 0.0)
        self._put(_STATE, (ended + 1) << 16 | State.HOLDING)
        return True

    def committed(self, *, rest: bool, processed: int | None = None, failed: int = 0) -> None:
        """The outcomes noted are committed and published.

        Args:
            rest: whether more of a batch is held.
            processed: how many jobs that was, and `failed` of them; None to have them counted.
            failed: how many of them failed.
        """
        if processed is None:
            outcomes = list(self.outcomes())
            processed, failed = len(outcomes), sum(outcome.failure is not None for outcome in outcomes)
        self._put(_PROCESSED, self.processed + processed)
        self._put(_FAILED, self.failed + failed)
        if self.begun:
            self._set_state(State.HOLDING, begun=True)
        elif self.state is not State.TAKING:
            self._set_state(State.HOLDING if rest else State.IDLE)
        else:
            self._set_state(State.TAKING)

    def idle(self) -> None:
        """Nothing is held."""
        self._set_state(State.IDLE)

    # what is noted

    @property
    def state(self) -> State:
        """What the worker is at."""
        return State(self._get(_STATE) & 0xFF)

    @property
    def begun(self) -> bool:
        """Whether a job's own code has begun, and its outcome is not noted."""
        return bool(self._get(_STATE) & 0x100)

    @property
    def ended(self) -> int:
        """How many outcomes are noted."""
        return self._get(_STATE) >> 16

    @property
    def settled(self) -> bool:
        """Whether there is nothing to finish."""
        return self._get(_STATE) == State.IDLE

    @property
    def sound(self) -> bool:
        """Whether what is noted can be read: a machine that lost its power may have kept some pages only."""
        try:
            _ = self.state, self.reason
            ends = [outcome.at for outcome in self.outcomes()]
        except (ValueError, TypeError, RecursionError, struct.error):
            return False
        counts = self.seq, self.processed, self.failed
        times = *ends, self.taken_at, self.begun_at, self.begun_monotonic
        return max(counts) < 2 * _MOST and all(map(math.isfinite, times))

    def distrust(self) -> None:
        """Note nothing but that a job had begun: what can't be read is not known."""
        self._put_time(_TAKEN, 0.0)
        self._put_beginning(0.0, 0.0, 0.0)
        self._put(_REASON, Reason.NONE)
        self._put(_SEQ, _MOST + self.seq % _MOST)  # one that was never used
        self._put(_PROCESSED, self.processed % _MOST)
        self._put(_FAILED, self.failed % _MOST)
        self._set_state(State.HOLDING, begun=True)

    def begin_unknown(self) -> None:
        """The next job of a batch had begun too, for all that is known."""
        self._set_state(State.HOLDING, begun=True)

    @property
    def seq(self) -> int:
        """The number of these outcomes: it grows each time that the first of some is noted."""
        return self._get(_SEQ)

    @property
    def processed(self) -> int:
        """Jobs that ended here."""
        return self._get(_PROCESSED)

    @property
    def failed(self) -> int:
        """Those of them that failed."""
        return self._get(_FAILED)

    @property
    def taken_at(self) -> float:
        """When the job was taken, in epoch seconds."""
        return self._get_time(_TAKEN)

    @property
    def begun_at(self) -> float:
        """When its code began, in epoch seconds."""
        return self._get_time(_BEGUN_AT)

    @property
    def begun_monotonic(self) -> float:
        """When its code began, on the monotonic clock."""
        return self._get_time(_BEGUN_MONOTONIC)

    @property
    def deadline(self) -> float:
        """When it must be over, on the monotonic clock; 0 for never."""
        return self._get_time(_DEADLINE)

    @property
    def pid(self) -> int:
        """The process that works, or worked, here."""
        return self._get(_PID)

    @pid.setter
    def pid(self, pid: int) -> None:
        self._put(_PID, pid)

    @property
    def reason(self) -> Reason:
        """Why the process was killed, where that was on purpose."""
        return Reason(self._get(_REASON))

    @reason.setter
    def reason(self, reason: Reason) -> None:
        self._put(_REASON, reason)

    @property
    def worked(self) -> bool:
        """Whether a job was worked here since the queues were last found empty."""
        return bool(self._get(_WORKED))

    @worked.setter
    def worked(self, worked: bool) -> None:
        self._put(_WORKED, int(worked))

    def outcomes(self) -> Iterator[Outcome]:
        """The outcomes noted, in order."""
        place = self._start + HEADER
        for _ in range(self.ended):
            outcome, place = _decoded(self._memory, place, self._end)
            yield outcome

    # the memory

    def _set_state(self, state: State, *, begun: bool = False, ended: int = 0) -> None:
        self._put(_STATE, state | begun << 8 | ended << 16)

    def _put_beginning(self, at: float, monotonic: float, deadline: float) -> None:
        _BEGINNING.pack_into(self._memory, self._start + _BEGUN_AT, at, monotonic, deadline)

    def _put(self, place: int, value: int) -> None:
        _WORD.pack_into(self._memory, self._start + place, value)

    def _get(self, place: int) -> int:
        value: int = _WORD.unpack_from(self._memory, self._start + place)[0]
        return value

    def _put_time(self, place: int, value: float) -> None:
        _TIME.pack_into(self._memory, self._start + place, value)

    def _get_time(self, place: int) -> float:
        value: float = _TIME.unpack_from(self._memory, self._start + place)[0]
        return value


def lone_record() -> Record:
    """A record that is on no board."""
    return Record(memoryview(bytearray(RECORD)))


def _encoded(outcome: Outcome, room: int | None) -> bytes:
    """An outcome's bytes; what does not even fit into an empty record is shortened."""
    entry = _joined(outcome.at, outcome.line, outcome.failure, counted=outcome.counted)
    if room is None or len(entry) <= room:
        return entry
    failure = outcome.failure
    if failure is not None:
        failure = Failure(failure.exception[:_SHORT], failure.message[:_SHORT])
    entry = _joined(outcome.at, outcome.line, failure, counted=outcome.counted)
    return entry if len(entry) <= room else _joined(outcome.at, b"", failure, counted=outcome.counted)


def _joined(at: float, line: bytes, failure: Failure | None, *, counted: bool) -> bytes:
    told = b""
    if failure is not None:
        told = json.dumps([failure.exception, failure.message, failure.backtrace]).encode()
    end = _ENTRY.size + len(line) + len(told)
    return b"".join((_ENTRY.pack(len(line), len(told), at, counted), line, told, _PADDING[: -end % 8]))


def _decoded(memory: memoryview, place: int, limit: int) -> tuple[Outcome, int]:
    """An outcome, and where the next one is.

    Raises:
        ValueError: it is none, or goes beyond the limit; a TypeError or `struct.error` too.
    """
    line_length, told_length, at, counted = _ENTRY.unpack_from(memory, place)
    line_at = place + _ENTRY.size
    told_at = line_at + line_length
    end = told_at + told_length
    if end > limit:
        raise ValueError(end)
    failure = None
    if told_length:
        exception, message, backtrace = json.loads(bytes(memory[told_at:end]))
        if not all(type(text) is str for text in (exception, message, *backtrace)):
            raise TypeError(exception)
        failure = Failure(exception, message, tuple(backtrace))
    return Outcome(at, failure, bytes(memory[line_at:told_at]), bool(counted)), end + -(end - place) % 8
