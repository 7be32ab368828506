"""A thread that prunes now and then, for a worker that has no master to do it."""

from __future__ import annotations

import logging
import threading

from clues.resque.pruner import LOCK, Pruner
from clues.resque.trouble import TROUBLE

log = logging.getLogger("clues.resque")

EVERY = LOCK + 1.0
"""Seconds: what the pruner locks has run out by then."""


class PruneThread:
    """Prunes from `start` to `stop`, the suspects first: the others were pruned before the worker registered."""

    def __init__(self, pruner: Pruner, every: float = EVERY) -> None:
        """Prepare the thread."""
        self._pruner = pruner
        self._every = every
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clues-pruner", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, within moments unless it is in the middle of failing a job."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5.0)

    def _run(self) -> None:
        while True:
            try:
                self._pruner.prune_suspects(self._stopping.wait)
                if self._stopping.wait(self._every):
                    return
                self._pruner.prune()
            except TROUBLE as error:
                log.warning("could not prune: %s", error)
                if self._stopping.wait(self._every):
                    return
