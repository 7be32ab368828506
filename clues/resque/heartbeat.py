"""A worker's heartbeat: Resque's ``workers:heartbeat``, written by a thread of the worker's process."""

from __future__ import annotations

import logging
import threading

from clues.resque import times
from clues.resque.store import TROUBLE, Store

log = logging.getLogger("clues.resque")

INTERVAL = 60.0
"""Seconds between two beats (resque ``resque.rb``)."""


class Heartbeat:
    """Beats from `start` to `stop`, by the server's clock. Whatever Redis raises is no reason to end."""

    def __init__(self, store: Store, worker_id: str, interval: float = INTERVAL) -> None:
        """Prepare the thread.

        Args:
            store: where to.
            worker_id: whose.
            interval: seconds.
        """
        self._store = store
        self._worker_id = worker_id
        self._interval = interval
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clues-heartbeat", daemon=True)

    def beat(self) -> None:
        """Beat once."""
        self._store.beat(self._worker_id, times.heartbeat(self._store.time()))

    def start(self) -> None:
        """Beat from the thread, for the first time after the interval: registering was a beat too."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5.0)

    def _run(self) -> None:
        while not self._stopping.wait(self._interval):
            try:
                self.beat()
            except TROUBLE as error:
                log.warning("heartbeat of %s not written: %s", self._worker_id, error)
