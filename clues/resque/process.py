"""A worker process: one slot of the tree, its threads, and its signals."""

from __future__ import annotations

import atexit
import contextlib
import logging
import math
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from types import FrameType
from typing import NoReturn

from clues.faults import say_the_rest
from clues.resque import proctitle, times
from clues.resque.board import Board
from clues.resque.client import Resque
from clues.resque.control import Control
from clues.resque.forking import ForkingThread
from clues.resque.heartbeat import Heartbeat
from clues.resque.interrupts import DELIVER, InMainThread, Interruptible, InThread
from clues.resque.options import Options
from clues.resque.queues import QueueList
from clues.resque.records import Registration
from clues.resque.scoreboard import Reason
from clues.resque.slots import Told, worker_id
from clues.resque.stop_flag import steered_by
from clues.resque.trouble import TROUBLE
from clues.resque.watcher import Watcher
from clues.resque.worker_hooks import hooks
from clues.resque.worker_thread import WorkerThread

log = logging.getLogger("clues.resque")

CATCHABLE = (
    signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT,
    signal.SIGTTIN, signal.SIGTTOU,
)  # fmt: skip
"""The signals that steer workers. They wait while a process is forked, until it has its handlers."""

_ALONE = 60.0
"""Seconds for which a process without a master waits for Redis; then its board tells the next tree what it did."""

_Handler = Callable[[int, FrameType | None], None]


@dataclass(frozen=True, slots=True)
class Place:
    """Where in its tree a worker process stands.

    Attributes:
        slot: its number.
        board: the tree's scoreboard.
        base_id: the id of the tree's first worker.
        lifeline: a descriptor whose other end the master alone holds.
        notices: a descriptor on which it tells the master how it is: lines ``<what> <slot> <pid>``.
        paused: whether the tree is paused.
    """

    slot: int
    board: Board
    base_id: str
    lifeline: int
    notices: int
    paused: bool = False

    @property
    def abandoned(self) -> bool:
        """Whether the master is gone."""
        poll = select.poll()
        poll.register(self.lifeline, 0)
        return bool(poll.poll(0))

    def notify(self, what: str) -> None:
        """Tell the master."""
        with contextlib.suppress(OSError):  # it is gone; the watcher sees that too
            os.write(self.notices, f"{what} {self.slot} {os.getpid()}\n".encode())


class WorkerProcess:
    """Works a slot from the moment it is free until no job is left to this process, or it is told to stop."""

    def __init__(self, client: Resque, options: Options, place: Place) -> None:
        """Prepare.

        Args:
            client: where the jobs are.
            options: how to work.
            place: where it stands.
        """
        self._client = client
        self._options = options
        self._place = place
        self._queues = QueueList(options.queues)
        self._threaded = options.thread_count > 1
        self._forks_each = options.forks and not self._threaded and bool(hooks.found.get("before_fork"))
        jobs = math.inf
        if options.forks and not self._forks_each:
            jobs = max(options.jobs_per_fork, options.thread_count)  # each thread gets one, at least
        self._control = Control(jobs, on_ending=lambda: place.notify("ending"))
        self._control.paused = place.paused
        self._workers = [self._worker(thread) for thread in range(options.thread_count)]
        self._watcher = Watcher(
            self._workers,
            self._control,
            place.lifeline,
            term_timeout=options.term_timeout,
            batches=options.batch_size > 1 and not self._forks_each,
            on_orphaned=self._orphaned,
        )
        self._crashed: BaseException | None = None
        self._alone: Heartbeat | None = None  # beats for a process without a master

    def let_go(self) -> None:
        """In the process that forks: this is the child's."""
        # They know of us, so that nothing would be closed before the next garbage collection.
        del self._watcher
        self._workers.clear()

    def run(self) -> NoReturn:
        """Do it; the process ends here."""
        status = 1
        try:
            status = self._work()
        except BaseException:
            log.exception("worker process %d ends", os.getpid())
        finally:
            leave(status, run_at_exit_hooks=self._options.run_at_exit_hooks)
        raise AssertionError  # unreachable

    def _work(self) -> int:
        self._handle_before()
        self._show("Starting")
        with contextlib.suppress(*TROUBLE):
            self._client.store.get_ready()  # ahead of need
        self._place.notify("ready")
        self._place.board.occupy(self._place.slot)
        try:
            self._place.board.reserve(self._place.slot)
        except OSError as error:
            log.warning("no room for this worker on the scoreboard: %s; CLUES_RUN_DIR names another folder", error)
            return 1
        records = self._place.board.records(self._place.slot)
        if not all(record.settled for record in records) or self._place.abandoned:
            return 0  # a predecessor's end is to be settled first, which the master sees; or there is no master
        for record in records:
            record.pid = os.getpid()
        self._handle()
        steered_by(self._control)
        self._place.notify("working")
        self._watcher.start()
        self._run_threads()
        self._unregister_alone()
        if self._crashed is not None:
            raise self._crashed
        if self._options.interval == 0 and not self._control.stopping and not self._control.used_up:
            self._place.notify("empty")
        return 0

    def _run_threads(self) -> None:
        if not self._threaded:
            self._workers[0].run()
            return
        threads = [threading.Thread(target=self._run_thread, args=(worker,)) for worker in self._workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():  # so that signals' handlers run
                thread.join(0.5)

    def _run_thread(self, worker: WorkerThread) -> None:
        try:
            worker.run()
        except BaseException as error:  # noqa: BLE001 - the process ends by it
            self._crashed = error
            self._control.stop()

    def _worker(self, thread: int) -> WorkerThread:
        made: Callable[..., WorkerThread] = WorkerThread
        interruptible: Interruptible = InThread() if self._threaded else InMainThread()
        pace = self._options.pace
        if self._forks_each:
            made = partial(ForkingThread, run_at_exit_hooks=self._options.run_at_exit_hooks)
            pace = replace(pace, batch_size=1)  # a job's end is its child's
        return made(
            self._client,
            self._queues,
            worker_id(self._place.base_id, self._place.slot, thread),
            self._control,
            pace=pace,
            record=self._place.board.record(self._place.slot, thread),
            interruptible=interruptible,
            show=self._show_threads if self._threaded else self._show,
        )

    # signals

    def _handle_before(self) -> None:
        """While it stands by it holds nothing, and leaves at once."""
        _handle(lambda _number, _frame: os._exit(0), signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
        _handle(self._pause, signal.SIGUSR2)
        _handle(self._resume, signal.SIGCONT, signal.SIGUSR1)
        _handle(signal.SIG_IGN, signal.SIGTTIN, signal.SIGTTOU)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, CATCHABLE)

    def _handle(self) -> None:
        interruptible = self._workers[0].interruptible
        if isinstance(interruptible, InMainThread):
            _handle(lambda _number, _frame: interruptible.deliver(), DELIVER)
        _handle(self._term, signal.SIGTERM, signal.SIGINT)
        _handle(lambda _number, _frame: self._control.stop(), signal.SIGQUIT, signal.SIGHUP)
        _handle(self._kill, signal.SIGUSR1)

    def _term(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a handler's signature
        options = self._options
        if options.graceful_term and number == signal.SIGTERM:
            self._control.stop()
        elif options.term_child:
            self._watcher.cut(options.pre_shutdown_timeout)
        elif options.forks:
            self._watcher.end_jobs(Reason.SHUTDOWN)
        else:
            self._control.stop()
        self._control.hurry(options.pre_shutdown_timeout + options.term_timeout)

    def _kill(self, number: int, frame: FrameType | None) -> None:
        self._resume(number, frame)
        if self._options.term_child:
            self._watcher.kill_jobs()
        elif self._options.forks:
            self._watcher.die_if_busy(Reason.KILLED)

    def _pause(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a handler's signature
        self._control.pause()

    def _resume(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a handler's signature
        self._control.resume()

    # without a master

    def _orphaned(self) -> None:
        """Finish the jobs at hand, and beat for their workers meanwhile, lest they be taken for dead."""
        log.warning("the master of process %d is gone; it finishes its jobs and leaves", os.getpid())
        self._control.stop()
        self._control.hurry(_ALONE)
        self._alone = Heartbeat(self._client.store, self._options.heartbeat_interval)
        self._alone.adopt(self._registration(thread, worker.id) for thread, worker in enumerate(self._workers))
        threading.Thread(target=self._beat_alone, name="clues-heartbeat", daemon=True).start()

    def _beat_alone(self) -> None:
        while self._alone is not None:
            with contextlib.suppress(*TROUBLE):
                self._alone.beat()
            time.sleep(self._options.heartbeat_interval)

    def _unregister_alone(self) -> None:
        if self._alone is not None:
            with contextlib.suppress(*TROUBLE):  # the next tree will
                for worker in self._workers:
                    self._alone.unregister(worker.id)

    def _registration(self, thread: int, name: str) -> Registration:
        options, board = self._options, self._place.board.told
        told = Told(
            options.hostname, board["master"], self._place.slot, thread, os.getpid(), board["token"], options.dead_after
        )
        return Registration(name, board["token"], options.dead_after, times.started(time.time()), told.encode())

    # titles

    def _show(self, text: str) -> None:
        proctitle.show(text, prefix=self._options.title_prefix)

    def _show_threads(self, _text: str) -> None:
        busy = sum(worker.busy for worker in self._workers)
        if self._control.paused:
            self._show("Paused")
        elif busy:
            self._show(f"Processing {busy} of {len(self._workers)} since {int(time.time())}")
        else:
            self._show(f"Waiting for {self._queues.id_part}")


def _handle(handler: _Handler | signal.Handlers, *numbers: signal.Signals) -> None:
    for number in numbers:
        signal.signal(number, handler)


def leave(status: int, *, run_at_exit_hooks: bool = False) -> NoReturn:
    """End a forked process: without the `atexit` hooks of its parents, unless they are wanted (RUN_AT_EXIT_HOOKS)."""
    with contextlib.suppress(BaseException):
        if run_at_exit_hooks:
            atexit._run_exitfuncs()  # noqa: SLF001 - a forked child has no other way to run them
    with contextlib.suppress(BaseException):
        say_the_rest()
        logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(status)
