"""The master's side of the shipper, the publishers' companion: one is kept alive, as long as the tree is."""

from __future__ import annotations

import signal

from clues.backoff import Restarts
from clues.resque.ladder import kill, lives
from clues.resque.moulds import Moulds


class CompanionKeeper:
    """Asks the present mould for a companion, whenever one is wanted and there is none.

    Attributes:
        wanted: whether the application's publishers want one.
        pid: its process id; 0 while there is none.
    """

    def __init__(self, moulds: Moulds) -> None:
        """Nobody is there."""
        self._moulds = moulds
        self._asked = 0
        self._restarts = Restarts()
        self._not_before = 0.0
        self._since = 0.0
        self.wanted = False
        self.pid = 0

    def keep(self, now: float) -> None:
        """Ask for one, if that is to be done; `now` is on the monotonic clock."""
        mould = self._moulds.current
        if self.wanted and not self.pid and not self._asked and mould is not None and now >= self._not_before:
            self._asked = mould.number
            self._moulds.send(companion={})

    def forked(self, pid: int, now: float) -> None:
        """It is there."""
        self._asked, self.pid, self._since = 0, pid, now

    def ended(self, pid: int, now: float) -> bool:
        """A process has ended; gives whether it was the companion."""
        if not pid or pid != self.pid:
            return False
        self.pid = 0
        self._not_before = now + self._restarts.after(now - self._since)
        return True

    def mould_lost(self, mould: int) -> None:
        """One that was asked of this mould never comes."""
        if self._asked == mould:
            self._asked = 0

    def renew(self) -> None:
        """There is new code: the present one delivers what it can, and is followed by one that has it."""
        self.leave()
        self._restarts.forget()

    def leave(self) -> None:
        """Have it deliver what it can, and leave."""
        if self.pid:
            kill(self.pid, signal.SIGQUIT)

    @property
    def lost(self) -> bool:
        """Whether it has ended, and nobody has told us."""
        return bool(self.pid) and not lives(self.pid)
