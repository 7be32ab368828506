"""The master's side of clerks: what they were asked to do, and which are at it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from clues.resque.ladder import lives
from clues.resque.moulds import Moulds


@dataclass(frozen=True, slots=True)
class Errand:
    """What a clerk was asked to do: ``settle`` a slot, ``open`` up, finish dead ``trees``, or ``prune``."""

    task: str
    slot: int = -1


class Clerks:
    """Asks the present mould for clerks, in order, and knows them by their process ids."""

    def __init__(self, moulds: Moulds) -> None:
        """Nobody is at anything."""
        self._moulds = moulds
        self._asked: deque[Errand] = deque()
        self._at_it: dict[int, Errand] = {}

    @property
    def busy(self) -> bool:
        """Whether any is wanted, or at it."""
        return bool(self._asked or self._at_it)

    def on(self, task: str) -> bool:
        """Whether one was asked to do this, or is at it."""
        return any(errand.task == task for errand in (*self._asked, *self._at_it.values()))

    def ask(self, task: str, slot: int = -1, **told: Any) -> bool:
        """Have something done; gives False while there is no mould to fork a clerk."""
        if self._moulds.current is None:
            return False
        self._asked.append(Errand(task, slot))
        self._moulds.send(clerk={"task": task, "slot": slot, **told})
        return True

    def forked(self, pid: int) -> Errand:
        """The next one that was asked for is at it."""
        self._at_it[pid] = self._asked.popleft()
        return self._at_it[pid]

    def ended(self, pid: int) -> Errand | None:
        """A process has ended: what it was at, if it was a clerk."""
        return self._at_it.pop(pid, None)

    def mould_lost(self) -> None:
        """Those that were asked for never come."""
        self._asked.clear()

    def lost(self) -> list[int]:
        """Those that have ended, and nobody has told us."""
        return [pid for pid in self._at_it if not lives(pid)]
