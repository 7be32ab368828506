"""A lock for what lives on in forked children."""

from __future__ import annotations

import os
import threading
import weakref


class ForkLock:
    """Holds a re-entrant lock; a forked child gets a new one, for the old may be held for ever.

    Re-entrant, because a signal handler may come here while its own thread holds it.

    Attributes:
        lock: the lock of this process.
    """

    def __init__(self) -> None:
        """Make the first."""
        self.lock = threading.RLock()
        _all.add(self)

    def renew(self) -> None:
        """Make another."""
        self.lock = threading.RLock()


_all: weakref.WeakSet[ForkLock] = weakref.WeakSet()


def _renew_all() -> None:
    for held in list(_all):
        held.renew()


os.register_at_fork(after_in_child=_renew_all)
