"""The last rung: processes whose jobs keep them from acting on a signal, or on their time, are killed by the master."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import signal
import time

from clues.resque.board import Board
from clues.resque.crew import Crew
from clues.resque.scoreboard import Reason, Record

log = logging.getLogger("clues.resque")

LATE = 1.0
"""Seconds that a process gets beyond what its signal allows: it acts itself, unless its job holds the interpreter."""


class Ladder:
    """Knows whom to kill, when, and why."""

    def __init__(self, crew: Crew, board: Board) -> None:
        """Kill nobody yet."""
        self._crew = crew
        self._board = board
        self._due: dict[int, tuple[float, Reason, float]] = {}

    @property
    def due(self) -> float:
        """When to look next, on the monotonic clock."""
        return min((at for at, _, _ in self._due.values()), default=math.inf)

    def kill_later(self, seconds: float, reason: Reason) -> None:
        """End the processes with jobs that run now, if they still do after these seconds, and a little."""
        now = time.monotonic()
        for hand in self._crew.hands():
            if any(record.begun for record in self._records(hand.slot, hand.pid)):
                self._due[hand.pid] = now + seconds + LATE, reason, now

    def forget(self, pid: int) -> None:
        """A process has ended."""
        self._due.pop(pid, None)

    def keep_time(self, now: float, term_timeout: float) -> None:
        """Kill those that are due, and those with a job that is over its time and has not heeded that."""
        for pid, (at, reason, since) in list(self._due.items()):
            if now >= at:
                del self._due[pid]
                self._kill(pid, reason, since)
        for hand in self._crew.hands():
            late = [one for one in self._records(hand.slot, hand.pid) if _is_late(one, now, term_timeout + LATE)]
            if late:
                self._kill_for(hand.pid, Reason.TIMEOUT, late)

    def _kill(self, pid: int, reason: Reason, since: float) -> None:
        hand = next((hand for hand in self._crew.hands() if hand.pid == pid), None)
        if hand is not None:
            running = [one for one in self._records(hand.slot, pid) if one.begun and one.begun_monotonic <= since]
            if running:
                self._kill_for(pid, reason, running)

    @staticmethod
    def _kill_for(pid: int, reason: Reason, records: list[Record]) -> None:
        for record in records:
            record.reason = reason
        log.warning("killing worker process %d: its job does not heed signals", pid)
        kill(pid, signal.SIGKILL)

    def _records(self, slot: int, pid: int) -> list[Record]:
        return [record for record in self._board.records(slot) if record.pid == pid]


def _is_late(record: Record, now: float, allowed: float) -> bool:
    return bool(record.begun and record.deadline and now > record.deadline + allowed)


def kill(pid: int, number: int) -> None:
    """Send a signal, if there is still somebody to take it."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def lives(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
