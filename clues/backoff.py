"""How long to wait before what has failed is tried again: twice as long each time, up to a bound."""

from __future__ import annotations

_DOUBLINGS = 64  # beyond any bound; a float holds 1,023 of them, which a day of failures has


def backoff(failures: int, first: float, longest: float) -> float:
    """Seconds to wait.

    Args:
        failures: how many there were in a row before; 0 gives the first wait.
        first: seconds.
        longest: seconds.
    """
    return min(first * 2.0 ** min(failures, _DOUBLINGS), longest)


class Restarts:
    """Says when a process that is to be kept alive may be started again: at once, unless it dies soon and often."""

    _FIRST, _LONGEST = 0.25, 30.0  # seconds
    _LASTED = 60.0  # seconds after which a death is no sign of trouble

    def __init__(self) -> None:
        """Nothing has died yet."""
        self._deaths = 0

    def after(self, lived: float) -> float:
        """It has died; gives the seconds until the next one may begin.

        Args:
            lived: seconds that it did.
        """
        self._deaths = 0 if lived > self._LASTED else self._deaths + 1
        return backoff(self._deaths, self._FIRST, self._LONGEST)

    def forget(self) -> None:
        """What comes next is new, and has not died yet."""
        self._deaths = 0
