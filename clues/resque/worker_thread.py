"""One thread of a worker: takes jobs, performs them, ends them. The innermost part of the tree."""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from clues.attempt import Attempt
from clues.backoff import backoff
from clues.errors import JobTimeout
from clues.metadata import Failure
from clues.resque import worker_hooks
from clues.resque.alone import ParentOnly
from clues.resque.client import Resque
from clues.resque.control import Control
from clues.resque.holding import Holding
from clues.resque.interrupts import Interruptible, Uninterruptible
from clues.resque.job import Job
from clues.resque.outcome import Ended
from clues.resque.queues import QueueList
from clues.resque.registry import JobDefinition
from clues.resque.scoreboard import Outcome, Record
from clues.resque.store import shown
from clues.resque.trouble import TROUBLE, WAITS
from clues.resque.waker import Waker
from clues.sanitize import Sanitizer, for_log, one_line

log = logging.getLogger("clues.resque.worker")

COMMIT_AFTER = 0.005
"""Seconds that a job's end in a batch may wait for the next ones', to be committed with them."""

HOLD_FOR = 1.0
"""Seconds after which what was taken in a batch and not begun goes back to its queue."""

_KNOWN_FOR = 1.0  # seconds for which the names of queues that patterns choose from may be old
_LONGEST_WAIT = 86_400.0
_RETELL = 60.0

_sanitizer = Sanitizer()
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a worker waits where it found nothing, in seconds, and how much it takes at once.

    Attributes:
        interval: the longest wait between two looks at the queues; 0 ends when they are empty.
        least: the wait after a job (MIN_INTERVAL); `interval` if None.
        most: the longest that it grows to (MAX_INTERVAL); `interval` if None.
        backoff: how much it grows with each look that finds nothing (BACKOFF_INTERVAL).
        batch_size: the most jobs to take at once.
    """

    interval: float = 5.0
    least: float | None = None
    most: float | None = None
    backoff: float = 0.1
    batch_size: int = 1


class WorkerThread:
    """Works queues until its process is told to stop.

    A job's way: take it, together with its lease, in one step; perform it between its hooks, whatever it raises;
    commit how it ended, in one step; then publish that.

    Whatever Redis raises on the way, the log tells, and it is tried again until Redis is well.

    Attributes:
        processed: jobs ended so far.
        failed: those of them that failed.
    """

    def __init__(  # noqa: PLR0913 - its collaborators
        self,
        client: Resque,
        queues: QueueList,
        worker_id: str,
        control: Control,
        *,
        pace: Pace = Pace(),
        record: Record | None = None,
        interruptible: Interruptible | None = None,
        show: Callable[[str], None] = lambda text: None,  # noqa: ARG005
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare; nothing is written before `run`.

        Args:
            client: where the jobs are, and how failures are kept.
            queues: names and patterns in order of priority.
            worker_id: in whose name jobs are held.
            control: tells when to stop or to pause.
            pace: how long to wait, how much to take.
            record: the worker's place on the scoreboard.
            interruptible: what runs jobs' code.
            show: takes what the worker does, for the process title.
            clock: epoch seconds.
        """
        self._client = client
        self._store = client.store
        self._lifecycle = client.lifecycle
        self._queues = queues
        self._control = control
        self._pace = pace
        self._interruptible = interruptible or Uninterruptible()
        self._show = show
        self._clock = clock
        self.id = worker_id
        self._holding = Holding(client, worker_id, record, clock=clock)
        self.record = self._holding.record
        self._wake_up = control.wake_up()
        self._interval = self._shortest
        self._paused = False
        self._begun = False
        self._told = self._polled_at = -math.inf
        self._known: Sequence[str] = () if queues.has_patterns else queues.expand(())
        self._store.know(worker_id, self._known)
        self.processed = 0
        self.failed = 0

    @property
    def busy(self) -> bool:
        """Whether a job is being performed or ended."""
        return self._begun

    @property
    def interruptible(self) -> Interruptible:
        """What runs the jobs' code."""
        return self._interruptible

    def run(self) -> None:
        """Work until told to stop, until no job is left to this process, or the queues are empty and INTERVAL is 0.

        However it ends, what was taken and never begun goes back to its queue.
        """
        watched = (self._store.keys.queue_prefix, self._store.keys.pause_all, self._store.keys.paused_queues)
        waker = Waker(self._store.client, watched, min(self._longest, _LONGEST_WAIT))
        try:
            self._loop(waker)
        finally:
            waker.close()
            self._let_go()

    def work_one(self) -> bool:
        """Take and perform one job, or one batch, if there is one; gives whether there was."""
        return self._work_some(further=False)

    # the loop

    def _loop(self, waker: Waker) -> None:
        self._show_waiting()
        failures = 0
        while not self._control.stopping and (self._holding.waiting or not self._control.used_up):
            try:
                found = self._work_some(further=True)
            except TROUBLE as error:
                failures += 1
                self._wait_for_redis(error, failures)
                continue
            failures = self._served_again(failures)
            if found:
                waker.disarm()
                self._interval = self._shortest
            elif self._pace.interval == 0:
                break
            elif not self._control.paused and waker.arm():
                continue  # what was pushed before the waker was armed is found by one more look
            else:
                self._wait(waker)

    def _work_some(self, *, further: bool) -> bool:
        """Perform what is held, or else what can be taken; gives whether there was some.

        Args:
            further: whether to take the next jobs in the same step in which these are committed.
        """
        if self._control.paused or not (self._holding.waiting or self._take()):
            self._until_served(self._holding.give_back)
            return False
        while not self._resting and (job := self._holding.next()) is not None:
            self._work_on(job)
        taken = further and not self._resting and self._commit_and_take()
        self.commit()
        if self._resting or not taken:
            self._until_served(self._holding.give_back)
        return True

    def _wait(self, waker: Waker) -> None:
        self._show_waiting()
        if self.record.worked and not self._resting:
            self.record.worked = False
            worker_hooks.run_queue_empty()
        self._interval = min(self._interval + self._pace.backoff, self._longest)
        waker.wait(min(self._interval, _LONGEST_WAIT), self._wake_up.fileno())
        self._wake_up.drain()

    @property
    def _resting(self) -> bool:
        return self._control.stopping or self._control.paused

    @property
    def _shortest(self) -> float:
        return self._pace.interval if self._pace.least is None else self._pace.least

    @property
    def _longest(self) -> float:
        return self._pace.interval if self._pace.most is None else self._pace.most

    def _take(self) -> bool:
        queues = self._polled()
        found = self._taken(lambda most: self._holding.take(queues, most))
        if not found and self._queues.has_patterns and (now_known := self._polled(anew=True)) != queues:
            found = self._taken(lambda most: self._holding.take(now_known, most))
        return found

    def _commit_and_take(self) -> bool:
        with contextlib.suppress(*TROUBLE):  # `commit` follows, and tries until Redis is well
            queues = self._polled()
            return self._taken(lambda most: self._holding.commit_and_take(self._publish, queues, most))
        return False

    def _taken(self, take: Callable[[int], bool | None]) -> bool:
        """Take as many jobs as are left to this process, at once; gives whether there were some."""
        granted = self._control.claim(self._pace.batch_size)
        if not granted:
            return False
        used = 0
        try:
            taken = take(granted)
            self._paused = taken is None
            used = self._holding.waiting
        finally:
            self._control.unclaim(granted - used)
        if taken:
            self.record.worked = True
        return bool(taken)

    def _polled(self, *, anew: bool = False) -> Sequence[str]:
        """The queues to look at; where there are patterns, of those known a moment ago."""
        if anew or (self._queues.has_patterns and time.monotonic() > self._polled_at + _KNOWN_FOR):
            self._known = self._queues.expand(self._store.queues() if self._queues.has_patterns else ())
            self._polled_at = time.monotonic()
        return self._known

    def _let_go(self) -> None:
        """Leave no job behind: one whose taking we never heard of, or one that something has torn us from."""
        try:
            if not self._begun:
                self._holding.recover()
                self._holding.give_back()
        except TROUBLE as error:
            log.warning("%s could not give back what it holds: %s", self.id, error)

    # when Redis is away

    def _until_served(self, call: Callable[[], _T]) -> _T:
        """Call it, however long Redis is away, unless this process was told to hurry."""
        failures = 0
        while True:
            try:
                answer = call()
            except TROUBLE as error:
                failures += 1
                if time.monotonic() > self._control.patience_until:
                    raise
                self._wait_for_redis(error, failures)
                continue
            self._served_again(failures)
            return answer

    def _wait_for_redis(self, error: BaseException, failures: int) -> None:
        pause = backoff(failures, *WAITS)
        if failures == 1 or time.monotonic() > self._told + _RETELL:
            self._told = time.monotonic()
            log.warning("Redis does not serve (%s: %s); trying again until it does", type(error).__name__, error)
        self._wake_up.wait(pause)

    @staticmethod
    def _served_again(failures: int) -> int:
        if failures:
            _say(logging.INFO, "Redis serves again")
        return 0

    # a job's way

    def _work_on(self, job: Job) -> None:
        """Perform a job, and note how it ended; one that is not to be begun any more stays taken."""
        definition, problem = self._look_up(job)
        if not self._holding.begin(job, definition.timeout if definition is not None else None):
            return
        self._begun = True
        name = _spoken(_sanitizer.name(job.worker_class) or "an item without a class")
        queue = shown(job.queue)
        attempt = self._lifecycle.dequeued(job.queue, job.item, hold=True)
        self._show(f"Processing {queue} since {int(self._clock())} [{name}]")
        performed = self._perform(attempt, job, name, definition, problem)
        if performed is None:
            self._holding.unbegin()
            _say(logging.WARNING, "%s goes back to %s: its worker is being stopped", name, _queue_spoken(job.queue))
        else:
            self._end(attempt, job, *performed)
        self._begun = False

    def _look_up(self, job: Job) -> tuple[JobDefinition | None, Exception | None]:
        try:
            return job.definition(self._client.registry), None
        except Exception as error:  # noqa: BLE001 - it fails the job when it should be performed
            return None, error

    def _perform(
        self,
        attempt: Attempt | None,
        job: Job,
        name: str,
        definition: JobDefinition | None,
        problem: Exception | None,
    ) -> tuple[Failure | None, str | None] | None:
        """Run the job's code; gives its failure, and the reason if it did not fail by itself; None to give it back."""
        before = self._interruptible.serial
        with self._lifecycle.performing(attempt, job.queue, job.item):
            _say(logging.INFO, "performing %s from %s", name, _queue_spoken(job.queue))
            try:
                if definition is None:
                    raise problem or LookupError(name)  # noqa: TRY301 - it fails as if its code had raised it
                if self._control.cutting:
                    return None
                worker_hooks.run_after_fork(job)
                worker_hooks.hooks.run_safely("before_job", job)
                with ParentOnly():
                    self._interruptible.run(lambda: job.perform(definition))
            except BaseException as error:  # noqa: BLE001 - anything a job raises fails it (resque worker.rb)
                # What an earlier job was interrupted by is no reason for one whose code never ran.
                reason = self._reason() if self._interruptible.serial != before else None
                if reason == "shutdown" and definition is not None and definition.requeue_on_shutdown:
                    return None
                failure = job.fail(definition, error)
                _say(logging.WARNING, "%s failed: %s: %s", name, failure.exception, for_log(failure.message))
                return failure, reason
            _say(logging.INFO, "done %s", name)
        return None, None

    def _reason(self) -> str | None:
        thrown = self._interruptible.thrown
        if thrown is None:
            return None
        if issubclass(thrown, JobTimeout):
            return "timeout"
        return "shutdown" if self._control.stopping else "killed:SIGUSR1"

    def _end(self, attempt: Attempt | None, job: Job, failure: Failure | None, reason: str | None) -> None:
        self.processed += 1
        self.failed += failure is not None
        event = self._lifecycle.outcome(attempt, failure, reason=reason)
        outcome = Outcome(self._clock(), failure, b"" if event is None else event.line)
        while not self._holding.end(Ended(job, outcome, event)):
            self.commit()
        if self._holding.uncommitted_for > COMMIT_AFTER:
            self.commit()

    def commit(self) -> None:
        """Commit the outcomes, however long Redis is away: the jobs were done, and must not be taken for lost."""
        if not self._until_served(lambda: self._holding.commit(self._publish)):
            _say(logging.WARNING, "a job of %s was ended by somebody else; its outcome here is not recorded", self.id)

    def tend(self) -> None:
        """What can't wait for the job at hand, in a batch: ends are committed, and what waits too long goes back.

        Called by the process' watching thread.
        """
        with contextlib.suppress(*TROUBLE):  # the worker itself tries until Redis is well
            if self._holding.uncommitted_for > COMMIT_AFTER:
                self._holding.commit(self._publish)
            if self._holding.waiting and self._clock() - self.record.taken_at > HOLD_FOR:
                self._holding.give_back()

    def _publish(self, ended: Sequence[Ended]) -> None:
        self._lifecycle.publish(*[one.event for one in ended])

    def _show_waiting(self) -> None:
        paused = self._paused or self._control.paused
        self._show("Paused" if paused else f"Waiting for {self._queues.id_part}")


@functools.lru_cache(1024)
def _spoken(text: str) -> str:
    """A class as the log and the process title may show it."""
    return one_line(text)


@functools.lru_cache(1024)
def _queue_spoken(queue: str) -> str:
    """A queue as the log may show it."""
    return one_line(shown(queue))


def _say(level: int, message: str, *args: object) -> None:
    """Log, and survive a logging handler that raises: between taking a job and ending it nothing else may."""
    if log.isEnabledFor(level):
        with contextlib.suppress(Exception):
            log.log(level, message, *args)
