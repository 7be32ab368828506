"""Heartbeats: Resque's ``workers:heartbeat``, and a key for each worker that runs out when nobody beats for it.

One thread beats for all workers of a tree, in its master, so a job that keeps its own process busy does them no harm.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence

from clues.resque import times
from clues.resque.records import Registration
from clues.resque.store import Store
from clues.resque.trouble import TROUBLE

log = logging.getLogger("clues.resque")

INTERVAL = 2.0
"""Seconds between two beats (resque_worker_heartbeat's HEARTBEAT_INTERVAL_SECONDS)."""

BEATS_BEFORE_DEAD = 25
"""Beats that a worker misses before it is taken for dead (resque_worker_heartbeat's HEARTBEATS_BEFORE_DEAD)."""


class Heartbeat:
    """Registers workers and beats for them from `start` to `stop`, by the server's clock.

    Whatever Redis raises at a beat is no reason to end: the next one makes the workers known again.
    """

    def __init__(
        self, store: Store, interval: float = INTERVAL, *, on_stranger: Callable[[], None] = lambda: None
    ) -> None:
        """Prepare the thread.

        Args:
            store: where to.
            interval: seconds between beats.
            on_stranger: called when another living process has come to work under an id of ours.
        """
        self._store = store
        self._interval = interval
        self._on_stranger = on_stranger
        self._known: dict[str, Registration] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def register(self, known: Registration) -> bool:
        """Make a worker known, and beat for it from now on; gives False if another process that lives has its id.

        Raises:
            RedisError: Redis can't be reached, or refuses.
        """
        if not self._store.register(known, times.heartbeat(self._store.time())):
            return False
        with self._lock:
            self._known[known.worker_id] = known
        return True

    def adopt(self, some: Iterable[Registration]) -> None:
        """Beat for workers that are registered."""
        with self._lock:
            self._known.update((known.worker_id, known) for known in some)

    def update(self, some: Iterable[Registration]) -> None:
        """What is known of workers has changed; the next beat tells it."""
        with self._lock:
            for known in some:
                if known.worker_id in self._known:
                    self._known[known.worker_id] = known

    def unregister(self, worker_id: str) -> bool:
        """Beat no more for a worker, and forget it; gives whether it could be: not while it holds a job.

        Raises:
            RedisError: Redis can't be reached, or refuses.
        """
        with self._lock:
            known = self._known.pop(worker_id, None)
        return self._store.unregister(worker_id, token=known.token if known else "")

    def beat(self) -> None:
        """Beat once for all.

        Raises:
            RedisError: Redis can't be reached, or refuses.
        """
        with self._lock:
            known = list(self._known.values())
        if known and self._store.beat(known, times.heartbeat(self._store.time())):
            log.error("another process works under the id %s; this one stops", known[0].worker_id)
            self._on_stranger()
        self._take_back(known)

    def _take_back(self, beaten: Sequence[Registration]) -> None:
        """Forget again those that were unregistered while the beat was on its way: it has made them known."""
        with self._lock:
            gone = [one for one in beaten if one.worker_id not in self._known]
        for one in gone:
            self._store.unregister(one.worker_id, token=one.token)

    def start(self) -> None:
        """Beat from a thread, for the first time after the interval: registering was a beat too."""
        self._thread = threading.Thread(target=self._run, name="clues-heartbeat", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=5.0)

    def _run(self) -> None:
        told = ""
        while not self._stopping.wait(self._interval):
            try:
                self.beat()
                told = ""
            except TROUBLE as error:
                if type(error).__name__ != told:  # once, not at each beat of a long outage
                    told = type(error).__name__
                    log.warning("heartbeat not written: %s", error)
