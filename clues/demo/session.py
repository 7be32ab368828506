"""One run of the demo, from starting its Redis to ending it; what it looks like is the screen's affair."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from redis.exceptions import RedisError

import clues
from clues.analysis.follower import Follower
from clues.analysis.reader import Reader
from clues.analysis.rotation import rotate
from clues.analysis.stats import Stats
from clues.demo.customers import add_customer
from clues.demo.producer import Producer
from clues.demo.redis_server import EmbeddedRedis
from clues.demo.workers import Workers, worker_environment
from clues.errors import DemoError
from clues.event import Event, EventType
from clues.resque import Resque
from clues.resque.signals import stopping_on_signals

_TICK = 0.1
# In a fresh checkout each worker compiles all that it imports, on a cold disk and beside the others.
_TO_BOOT = 90.0
_TO_DRAIN = 10.0
_STOP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(slots=True)
class Progress:
    """How far the demo is.

    Attributes:
        phase: ``starting``, ``working``, ``finishing`` (nothing more is enqueued) or ``stopping``.
        elapsed: seconds since the workers were ready.
        seconds: how long jobs are enqueued.
        workers: how many workers are alive.
        stats: what the events tell.
        events: where they are written.
    """

    phase: str
    elapsed: float
    seconds: float
    workers: int
    stats: Stats
    events: Path


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it.

    Attributes:
        stats: what the events tell.
        elapsed: seconds that it took.
        events: the event log.
        former: where the event log of an earlier run in the same folder is now, if there was one.
        failure: a failed job's event, if one failed.
        import_job: an event of a job that enqueued others, if one did.
        interrupted: whether it was told to stop early.
        unfinished: jobs that were left in their queues, or running.
    """

    stats: Stats
    elapsed: float
    events: Path
    former: Path | None
    failure: Event | None
    import_job: Event | None
    interrupted: bool
    unfinished: int


class Screen(Protocol):
    """What shows the demo."""

    def show(self, progress: Progress, events: Sequence[Event]) -> None:
        """Show how far it is, and the events that have come since the last call."""


class Session:
    """Runs the demo, in these steps.

    1. *start* a Redis and the workers, and wait until they are registered;
    2. *produce* jobs for some seconds, showing what the event log tells;
    3. *drain*: let the workers finish what is enqueued, within ten seconds;
    4. *stop* the workers, then Redis, whatever happened before.

    INT, TERM and HUP go straight to the last step.
    """

    def __init__(self, folder: Path, *, seconds: float, workers: int, screen: Screen) -> None:
        """Prepare.

        Args:
            folder: where ``events.log`` and ``workers.log`` are written.
            seconds: how long to enqueue jobs.
            workers: how many worker processes.
            screen: what shows it.
        """
        self._seconds = seconds
        self._wanted_workers = workers
        self._screen = screen
        self._log = folder / "workers.log"
        self._events = folder / "events.log"
        self._former = rotate(self._events)
        rotate(self._log)
        self._reader = Reader()
        self._stats = Stats()
        self._stopped = False
        self._failure: Event | None = None
        self._import_job: Event | None = None
        self._began = time.monotonic()

    def run(self) -> Outcome:
        """Run it.

        Raises:
            RedisServerError: there is no Redis server that starts.
            DemoError: the workers, or Redis, die.
        """
        with stopping_on_signals(self._note_signal, _STOP), _telling_of_redis():
            with EmbeddedRedis() as redis, Follower(self._events) as follower:
                environ = worker_environment(os.environ, redis=redis.url, events=self._events)
                clues.configure(item_preprocessor=add_customer, environ=environ)
                client = Resque(redis.url)
                with Workers(self._wanted_workers, redis=redis.url, events=self._events, log=self._log) as workers:
                    self._follower, self._client, self._workers = follower, client, workers
                    self._start()
                    self._produce()
                    self._drain()
                    self._tick("stopping")
                list(self._new_events())
            return self._outcome()

    def _start(self) -> None:
        deadline = time.monotonic() + _TO_BOOT
        while not self._stopped and len(self._client.workers()) < self._wanted_workers:
            self._tick("starting")
            if time.monotonic() > deadline:
                raise self._workers_died("did not start in time")
        self._began = time.monotonic()

    def _produce(self) -> None:
        producer = Producer(self._client.enqueue, workers=self._wanted_workers, chance=random.Random())
        while not self._stopped and self._elapsed < self._seconds:
            producer.catch_up(self._elapsed)
            self._tick("working")

    def _drain(self) -> None:
        deadline = time.monotonic() + _TO_DRAIN
        while not self._stopped and not self._is_idle() and time.monotonic() < deadline:
            self._tick("finishing")

    def _is_idle(self) -> bool:
        info = self._client.info()
        return not info["pending"] and not info["working"]

    def _tick(self, phase: str) -> None:
        alive = self._workers.running
        self._screen.show(
            Progress(phase, self._elapsed, self._seconds, alive, self._stats, self._events),
            # A worker may be quicker than whoever enqueues: `enqueued` is published once the push has succeeded.
            sorted(self._new_events(), key=lambda event: event.timestamp),
        )
        if not alive and not self._stopped:
            raise self._workers_died("have died")
        if phase != "stopping":
            time.sleep(_TICK)

    def _new_events(self) -> Iterator[Event]:
        for line in self._follower.poll():
            entry = self._reader.parse(line, str(self._events))
            if entry is not None:
                self._stats.add(entry.event)
                self._remember(entry.event)
                yield entry.event

    def _remember(self, event: Event) -> None:
        if event.event_type is EventType.FAILED and self._failure is None:
            self._failure = event
        if event.worker_class == "ImportOrders" and event.event_type is EventType.PERFORM_FINISHED:
            self._import_job = self._import_job or event

    def _outcome(self) -> Outcome:
        total = self._stats.total
        return Outcome(
            stats=self._stats,
            elapsed=self._elapsed,
            events=self._events,
            former=self._former,
            failure=self._failure,
            import_job=self._import_job,
            interrupted=self._stopped,
            unfinished=total.enqueued - total.finished - total.failed,
        )

    def _workers_died(self, what: str) -> DemoError:
        said = self._log.read_text(errors="replace").strip().splitlines()
        return DemoError(f"the workers {what}: {said[-1] if said else 'they said nothing'} (more in {self._log})")

    @property
    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    def _note_signal(self, _name: str) -> None:
        """Note that it is time to stop. A second Ctrl-C changes nothing: stopping takes two seconds at most."""
        self._stopped = True


@contextmanager
def _telling_of_redis() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        msg = f"the demo's Redis has died: {error}"
        raise DemoError(msg) from error
