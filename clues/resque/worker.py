"""The worker: takes jobs, performs them, ends them. One thread of one process; the innermost part of the tree."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import socket
import time
from collections.abc import Callable, Iterable

from clues.attempt import Attempt
from clues.errors import ConfigError
from clues.metadata import Failure
from clues.resque import proctitle, times
from clues.resque.alone import one_of_its_id, parent_only
from clues.resque.client import Resque
from clues.resque.heartbeat import INTERVAL as HEARTBEAT_INTERVAL
from clues.resque.heartbeat import Heartbeat
from clues.resque.job import Job
from clues.resque.lease import Lease
from clues.resque.outcome import commit
from clues.resque.pruner import PRUNE_INTERVAL, Pruner
from clues.resque.queues import QueueList
from clues.resque.registry import JobDefinition
from clues.resque.signals import WakeUp
from clues.resque.store import NOT_YET, TROUBLE, Taken, shown
from clues.resque.waker import Waker
from clues.sanitize import Sanitizer, for_log, one_line

log = logging.getLogger("clues.resque")

_LONGEST_BACKOFF = 5.0
_LONGEST_WAIT = 86_400.0
_RETELL = 60.0

_sanitizer = Sanitizer()


class Worker:
    """Works queues until it is told to stop.

    Its steps:

    1. *start up*: process title, pruning of the dead, registering, heartbeat;
    2. *reserve*: take a job from the first queue that has one, together with its lease, in one step;
    3. *perform* it between its hooks, whatever it raises;
    4. *end* it: remove the lease, count, store the failure, in one step; then publish the outcome;
    5. *wait* where nothing was found, until a push wakes it or the interval is over;
    6. *shut down*: stop the heartbeat, give back what was taken and not begun, unregister.

    Whatever Redis raises on the way, the worker tells in its log, and tries again until it is well; but for errors at
    its start, as those of a mistaken URL, password or ACL.

    `stop` may be called from a signal handler or another thread; the running job is finished first.

    Attributes:
        id: ``host:pid:queues``, as Resque has it.
        processed: jobs ended so far.
        failed: those of them that failed.
    """

    def __init__(  # noqa: PLR0913 - one parameter for each option
        self,
        client: Resque,
        queues: str | Iterable[str],
        *,
        interval: float = 5.0,
        hostname: str | None = None,
        heartbeat_interval: float = HEARTBEAT_INTERVAL,
        prune_interval: float = PRUNE_INTERVAL,
        title_prefix: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare; nothing is written before `work`.

        Args:
            client: where the jobs are, and how failures are kept.
            queues: names and patterns in order of priority (see `QueueList`).
            interval: the longest wait between two looks at the queues, in seconds; 0 ends when they are empty.
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
        self._lifecycle = client.lifecycle
        self._queues = QueueList(queues)
        self._interval = min(interval, _LONGEST_WAIT)
        self._heartbeat_interval = heartbeat_interval
        self._title_prefix = title_prefix
        self._clock = clock
        self.id = f"{hostname or socket.gethostname()}:{os.getpid()}:{self._queues.id_part}"
        self._pruner = Pruner(client, self.id, prune_interval=prune_interval, clock=clock)
        self._wake_up = WakeUp()
        self._stopping = False
        self._paused = False
        self._signed_on = False
        self._begun = False  # whether the job that we hold was begun
        self._counted = 0  # how many jobs Redis has counted as ours
        self._told = -math.inf
        self.processed = 0
        self.failed = 0

    def stop(self) -> None:
        """Take no more jobs; `work` returns after the running one."""
        self._stopping = True
        self._wake_up.now()

    @property
    def busy(self) -> bool:
        """Whether a job is being performed or ended."""
        return self._begun

    def work(self) -> None:
        """Work until stopped, or until the queues are empty if the interval is 0.

        Raises:
            ConfigError: a worker with this id is already at work in this process.
            RedisError: Redis can't be reached, or refuses us, at the start.
        """
        with one_of_its_id(self._store.describe(), self._store.keys.prefix, self.id):
            self._show("Starting")
            watched = (self._store.keys.queue_prefix, self._store.keys.pause_all)
            waker = Waker(self._store.client, watched, self._interval)
            heartbeat = Heartbeat(self._store, self.id, self._heartbeat_interval)
            try:
                self._start_up(heartbeat)
                self._loop(waker)
            finally:
                waker.close()
                heartbeat.stop()
                self._shut_down()

    def work_one(self) -> bool:
        """Take and perform one job, if there is one; gives whether there was."""
        taken = self._store.take(self.id, self._polled(), times.run_at(self._clock()))
        self._paused = taken.paused
        job = self._reserve(taken)
        if job is None:
            return False
        self._work_on(job)
        return True

    # start up and shut down

    def _start_up(self, heartbeat: Heartbeat) -> None:
        failures = 0
        while not self._stopping:
            try:
                self._sign_on()
            except NOT_YET as error:
                failures += 1
                self._wait_for_redis(error, failures)
            else:
                self._signed_on = True
                heartbeat.start()
                log.info("%s works %s on %s", self.id, self._queues.id_part, self._store.describe())
                return

    def _sign_on(self) -> None:
        if self._store.lease(self.id) is not None:
            # An earlier process had our id, and died on the job: unknown means failed, never silently run again.
            self._pruner.bury(self.id)
        self._store.forget_heartbeat(self.id)
        self._pruner.prune()
        self._store.register(self.id, times.started(self._clock()), times.heartbeat(self._store.time()))

    def _shut_down(self) -> None:
        try:
            if self._signed_on:  # else a lease is an earlier process's, and nobody knows whether it had begun
                self._let_go()
            self._store.unregister(self.id)
        except TROUBLE as error:
            log.warning("%s could not unregister, it will be pruned: %s", self.id, error)
        log.info("%s has stopped: %d processed, %d failed", self.id, self.processed, self.failed)

    def _let_go(self) -> None:
        """Leave no job behind: one whose taking we never heard of, or one that something has torn us from."""
        raw = self._store.lease(self.id)
        if raw is None:
            return
        lease = Lease.read(raw)
        if self._begun or not lease.queue:
            self._pruner.bury(self.id)
        else:
            self._store.give_back(self.id, raw, lease.queue, lease.payload)

    # the loop

    def _loop(self, waker: Waker) -> None:
        self._show_waiting()
        failures = 0
        while not self._stopping:
            try:
                found = self.work_one()
            except TROUBLE as error:
                failures += 1
                self._wait_for_redis(error, failures)
                continue
            failures = self._served_again(failures)
            if found:
                waker.disarm()
            elif self._interval == 0:
                break
            elif waker.arm():  # what was pushed before the waker was armed is found by one more look
                continue
            else:
                self._show_waiting()
                waker.wait(self._interval, self._wake_up.fileno())
                self._wake_up.drain()

    def _wait_for_redis(self, error: BaseException, failures: int) -> None:
        pause = min(0.05 * 2 ** min(failures, 10), _LONGEST_BACKOFF)
        if failures == 1 or time.monotonic() > self._told + _RETELL:
            self._told = time.monotonic()
            log.warning("Redis does not serve (%s: %s); trying again until it does", type(error).__name__, error)
        self._wake_up.wait(pause)

    @staticmethod
    def _served_again(failures: int) -> int:
        if failures:
            _say(logging.INFO, "Redis serves again")
        return 0

    def _polled(self) -> list[str]:
        return self._queues.expand(self._store.queues() if self._queues.has_patterns else ())

    # a job's way

    def _reserve(self, taken: Taken) -> Job | None:
        if taken.lease is not None:
            # We hold no job, so this is the one whose reply was lost: nobody has begun it.
            lease = Lease.read(taken.lease)
            return Job(lease.queue, lease.payload)
        return None if taken.queue is None else Job(taken.queue, taken.raw)

    def _work_on(self, job: Job) -> None:
        self._begun = True
        name = one_line(_sanitizer.name(job.worker_class) or "an item without a class")
        attempt = self._lifecycle.dequeued(job.queue, job.item)
        self._show(f"Processing {shown(job.queue)} since {int(self._clock())} [{name}]")
        failure = self._perform(attempt, job, name)
        self._end(attempt, job, name, failure)
        self._begun = False

    def _perform(self, attempt: Attempt | None, job: Job, name: str) -> Failure | None:
        definition: JobDefinition | None = None
        with self._lifecycle.performing(attempt, job.queue, job.item):
            _say(logging.INFO, "performing %s from %s", name, one_line(shown(job.queue)))
            try:
                definition = job.definition(self._client.registry)
                with parent_only():
                    job.perform(definition)
            except BaseException as error:  # noqa: BLE001 - anything a job raises fails it (resque worker.rb)
                failure = job.fail(definition, error)
                _say(logging.WARNING, "%s failed: %s: %s", name, failure.exception, for_log(failure.message))
                return failure
            _say(logging.INFO, "done %s", name)
        return None

    def _end(self, attempt: Attempt | None, job: Job, name: str, failure: Failure | None) -> None:
        self.processed += 1
        self.failed += failure is not None
        if not self._commit(job, failure):
            _say(logging.WARNING, "%s was ended by somebody else meanwhile; its outcome here is not recorded", name)
        elif failure is None:
            self._lifecycle.perform_finished(attempt)
        else:
            self._lifecycle.failed(attempt, failure)

    def _commit(self, job: Job, failure: Failure | None) -> bool:
        """Commit the outcome, however long Redis is away: the job was done, and must not be taken for lost."""
        at, failures = self._clock(), 0
        while True:
            already = self._has_counted if failures else _no
            try:
                decided = commit(self._client, self.id, job, failure, at=at, already=already)
            except TROUBLE as error:
                failures += 1
                self._wait_for_redis(error, failures)
                continue
            self._counted += decided
            self._served_again(failures)
            return decided

    def _has_counted(self) -> bool:
        """Whether it was us who removed the lease, by a command whose reply was lost: then the job is counted."""
        return self._store.stat_of("processed", self.id) > self._counted

    def _show(self, text: str) -> None:
        proctitle.show(text, prefix=self._title_prefix)

    def _show_waiting(self) -> None:
        self._show("Paused" if self._paused else f"Waiting for {self._queues.id_part}")


def _say(level: int, message: str, *args: object) -> None:
    """Log, and survive a logging handler that raises: between taking a job and ending it nothing else may."""
    with contextlib.suppress(Exception):
        log.log(level, message, *args)


def _no() -> bool:
    return False
