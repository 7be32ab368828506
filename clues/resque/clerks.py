"""The master's side of clerks: what they were asked to do, and which are at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from clues.resque.ladder import lives
from clues.resque.moulds import Moulds


@dataclass(frozen=True, slots=True)
class Errand:
    """What a clerk was asked to do.

    Attributes:
        task: ``settle`` a slot, ``open`` up, finish dead ``trees``, or ``prune``.
        slot: which, to be settled; else -1.
    """

    task: str
    slot: int = -1


class Clerks:
    """Asks the present mould for clerks, and knows them by their process ids.

    A mould forks them in the order in which it was asked; two moulds, where one follows the other, in any.
    """

    def __init__(self, moulds: Moulds) -> None:
        """Nobody is at anything."""
        self._moulds = moulds
        self._asked: list[tuple[int, Errand]] = []
        self._at_it: dict[int, Errand] = {}

    @property
    def busy(self) -> bool:
        """Whether any is wanted, or at it."""
        return bool(self._asked or self._at_it)

    def on(self, task: str) -> bool:
        """Whether one was asked to do this, or is at it."""
        asked = (errand for _, errand in self._asked)
        return any(errand.task == task for errand in (*asked, *self._at_it.values()))

    def ask(self, task: str, slot: int = -1, **told: Any) -> bool:
        """Have something done; gives False while there is no mould to fork a clerk."""
        if self._moulds.current is None:
            return False
        self._asked.append((self._moulds.current.number, Errand(task, slot)))
        self._moulds.send(clerk={"task": task, "slot": slot, **told})
        return True

    def needs(self, mould: int) -> bool:
        """Whether a mould was asked for one that is not there yet."""
        return any(asked == mould for asked, _ in self._asked)

    def forked(self, mould: int, pid: int) -> Errand:
        """The next one that this mould was asked for is at it."""
        index = next(index for index, (asked, _) in enumerate(self._asked) if asked == mould)
        _, self._at_it[pid] = self._asked.pop(index)
        return self._at_it[pid]

    def ended(self, pid: int) -> Errand | None:
        """A process has ended: what it was at, if it was a clerk."""
        return self._at_it.pop(pid, None)

    def mould_lost(self, mould: int) -> list[Errand]:
        """Those that this mould was asked for never come; gives what they were to do."""
        lost = [errand for asked, errand in self._asked if asked == mould]
        self._asked = [one for one in self._asked if one[0] != mould]
        return lost

    def lost(self) -> list[int]:
        """Those that have ended, and nobody has told us."""
        return [pid for pid in self._at_it if not lives(pid)]
