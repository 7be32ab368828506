"""A flood of events: where each write would look at its file, and looking costs more than writing."""

from __future__ import annotations

import time

_LOOKS = 16


class Flood:
    """Says whether to look: always, but for more than 16 times in a while."""

    __slots__ = ("_looks", "_until", "_while")

    def __init__(self, seconds: float = 0.01) -> None:
        """There is none yet.

        Args:
            seconds: the while.
        """
        self._while = seconds
        self._until = 0.0
        self._looks = 0

    def lets_look(self) -> bool:
        """Whether it is time to look."""
        now = time.monotonic()
        if now > self._until:
            self._until, self._looks = now + self._while, 0
        self._looks += 1
        return self._looks <= _LOOKS

    def over(self) -> None:
        """A look has found something: look again from now on."""
        self._looks = 0
