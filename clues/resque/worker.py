"""A worker in one thread of a program of one's own, without a tree: for tests, scripts, and small services."""

from __future__ import annotations

import logging
import math
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterable

from clues.backoff import backoff
from clues.errors import ConfigError, WorkerIdError
from clues.resque import proctitle, times
from clues.resque.alone import one_of_its_id
from clues.resque.client import Resque
from clues.resque.control import Control
from clues.resque.heartbeat import BEATS_BEFORE_DEAD, INTERVAL, Heartbeat
from clues.resque.prune_thread import PruneThread
from clues.resque.pruner import PRUNE_INTERVAL, Pruner
from clues.resque.queues import QueueList
from clues.resque.records import Registration
from clues.resque.settling import Fate, Settler
from clues.resque.slots import Told
from clues.resque.trouble import NOT_YET, TROUBLE, WAITS
from clues.resque.worker_thread import Pace, WorkerThread

log = logging.getLogger("clues.resque")


class Worker:
    """Works queues in the calling thread until it is told to stop.

    Its steps: process title, pruning of the dead, registering and beating; then a `WorkerThread`'s work, beside a
    thread that goes on pruning; then it gives back what was taken and not begun, and unregisters.

    `stop` may be called from a signal handler or another thread; the running job is finished first.

    Attributes:
        id: ``host:pid:queues``, as Resque has it.
    """

    def __init__(  # noqa: PLR0913 - one parameter for each option
        self,
        client: Resque,
        queues: str | Iterable[str],
        *,
        interval: float = 5.0,
        batch_size: int = 1,
        hostname: str | None = None,
        heartbeat_interval: float = INTERVAL,
        prune_interval: float = PRUNE_INTERVAL,
        title_prefix: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare; nothing is written before `work`.

        Args:
            client: where the jobs are, and how failures are kept.
            queues: names and patterns in order of priority (see `QueueList`).
            interval: the longest wait between two looks at the queues, in seconds; 0 ends when they are empty.
            batch_size: the most jobs to take at once.
            hostname: for the worker's id, in place of the system's.
            heartbeat_interval: seconds between heartbeats.
            prune_interval: seconds without a heartbeat after which another worker is taken for dead.
            title_prefix: what stands before the process title.
            clock: epoch seconds.

        Raises:
            NoQueueError: no queue was given.
            ConfigError: the interval is negative, or no number.
        """
        if not interval >= 0:
            msg = f"interval must be a number of seconds, 0 or more, not {interval}"
            raise ConfigError(msg)
        self._client = client
        self._store = client.store
        self._queues = QueueList(queues)
        self._title_prefix = title_prefix
        self._clock = clock
        self._host = hostname or socket.gethostname()
        self._beats_every = heartbeat_interval
        self.id: str = f"{self._host}:{os.getpid()}:{self._queues.id_part}"
        self._token = secrets.token_hex(8)
        self._pruner = Pruner(
            client, self.id, queues=self._queues, hostname=self._host, prune_interval=prune_interval, clock=clock
        )
        self._control = Control()
        self._wake_up = self._control.wake_up()
        pace = Pace(interval, batch_size=batch_size)
        self._thread = WorkerThread(
            client,
            self._queues,
            self.id,
            self._control,
            pace=pace,
            show=lambda text: self._show(text),  # noqa: PLW0108 - looked up at each call
            clock=clock,
        )
        self._signed_on = False

    @property
    def processed(self) -> int:
        """Jobs ended so far."""
        return self._thread.processed

    @property
    def failed(self) -> int:
        """Those of them that failed."""
        return self._thread.failed

    @property
    def busy(self) -> bool:
        """Whether a job is being performed or ended."""
        return self._thread.busy

    def stop(self) -> None:
        """Take no more jobs; `work` returns after the running one."""
        self._control.stop()

    def work(self) -> None:
        """Work until stopped, or until the queues are empty if the interval is 0.

        Raises:
            ConfigError: a worker with this id is already at work in this process.
            WorkerIdError: one is in another process that lives.
            RedisError: Redis can't be reached, or refuses us, at the start.
        """
        with one_of_its_id(self._store.describe(), self._store.keys.prefix, self.id):
            self._show("Starting")
            heartbeat = Heartbeat(self._store, self._beats_every, on_stranger=self.stop)
            pruning = PruneThread(self._pruner)
            try:
                self._start_up(heartbeat)
                if self._signed_on:
                    pruning.start()
                    self._thread.run()
            finally:
                pruning.stop()
                heartbeat.stop()
                if self._signed_on:
                    self._shut_down(heartbeat)
                self._store.hang_up()

    def work_one(self) -> bool:
        """Take and perform one job, or one batch, if there is one; gives whether there was."""
        return self._thread.work_one()

    def _start_up(self, heartbeat: Heartbeat) -> None:
        failures = 0
        while not self._control.stopping:
            try:
                self._sign_on(heartbeat)
            except NOT_YET as error:
                failures += 1
                if failures == 1:
                    name = type(error).__name__
                    log.warning("Redis does not serve (%s: %s); trying again until it does", name, error)
                self._wake_up.wait(backoff(failures, *WAITS))
            else:
                self._signed_on = True
                heartbeat.start()
                log.info("%s works %s on %s", self.id, self._queues.id_part, self._store.describe())
                return

    def _sign_on(self, heartbeat: Heartbeat) -> None:
        self._pruner.succeed(self.id)
        self._pruner.prune()
        dead_after = max(1, math.ceil(self._beats_every * BEATS_BEFORE_DEAD))
        told = Told(self._host, os.getpid(), 0, 0, os.getpid(), self._token, dead_after)
        started = times.started(self._clock())
        if not heartbeat.register(Registration(self.id, self._token, dead_after, started, told.encode())):
            raise WorkerIdError(same_id(self.id))

    def _shut_down(self, heartbeat: Heartbeat) -> None:
        try:
            self._settle()
            heartbeat.unregister(self.id)
        except TROUBLE as error:
            log.warning("%s could not unregister, it will be pruned: %s", self.id, error)
        log.info("%s has stopped: %d processed, %d failed", self.id, self.processed, self.failed)

    def _settle(self) -> None:
        """Finish the story of a job that something has torn us from, as that of a process that died on it."""
        if not self._thread.record.settled:
            Settler(self._client, self.id, self._thread.record, Fate(reporter="worker"), clock=self._clock).settle()

    def _show(self, text: str) -> None:
        proctitle.show(text, prefix=self._title_prefix)


def same_id(worker_id: str) -> str:
    """What to say where another process that lives has a worker's id."""
    return (
        f"another process works as {worker_id}, and it lives: give this one a host name of its own "
        "(--hostname, or the container's), or end the other; a dead one's place is free when its heartbeat runs out"
    )
