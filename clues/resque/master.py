"""The master: a stable process that keeps the tree's workers as many, as alive and as new as they should be.

It never imports the application. It acts on signals, on what moulds and workers tell, and on time; it beats for all
workers, and has the ends of dead processes settled.
"""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import math
import os
import secrets
import select
import signal
import time
from collections import deque
from types import FrameType
from typing import Any

from clues.errors import MouldError, WorkerIdError
from clues.resque import proctitle, times
from clues.resque.board import Board
from clues.resque.crew import Crew, Fork, Hand, Quit, Release, Settle
from clues.resque.family import adopt_grandchildren
from clues.resque.heartbeat import Heartbeat
from clues.resque.keys import Keys
from clues.resque.memory import pss
from clues.resque.moulds import Launch, MouldProcess, start_mould
from clues.resque.options import Options
from clues.resque.queues import QueueList
from clues.resque.recipe import client_by
from clues.resque.scoreboard import Reason
from clues.resque.signals import WakeUp
from clues.resque.slots import base_id, worker_id
from clues.resque.status_file import PidFile, StatusFile
from clues.resque.store import NOT_YET, TROUBLE, Registration, Store
from clues.resque.worker import same_id

log = logging.getLogger("clues.resque")

PRUNE_EVERY = 60.0
"""Seconds between two looks for dead workers: Resque's lock allows no more."""

_CAPACITY = 256
_TICK = 1.0
_MEMORY_EVERY = 10.0
_LATE = 1.0
_PATIENCE = 10.0
_LONGEST_BACKOFF = 30.0
_STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
_HANDLED = (
    *_STOP, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT, signal.SIGTTIN, signal.SIGTTOU, signal.SIGCHLD,
)  # fmt: skip


class Master:
    """Runs a tree from `run` to its end."""

    def __init__(self, launch: Launch, options: Options, *, pid_files: tuple[PidFile, ...] = ()) -> None:
        """Prepare.

        Args:
            launch: what moulds load.
            options: how to work; a config file's settings count before them.
            pid_files: removed at the end.
        """
        self._launch = launch
        self._options = options
        self._given = options
        self._pid_files = list(pid_files)
        self._status_file: StatusFile | None = None
        self._crew = Crew(0)
        self._signals: deque[int] = deque()
        self._wake_up = WakeUp()
        self._lifeline = os.pipe()
        self._notices = os.pipe()
        self._notices_rest = b""
        self._mould: MouldProcess | None = None
        self._coming: MouldProcess | None = None
        self._retiring: list[MouldProcess] = []
        self._clerks: dict[int, tuple[str, int]] = {}
        self._clerk_tasks: deque[tuple[str, int]] = deque()
        self._hup_again = False
        self._mould_failures = 0
        self._mould_not_before = 0.0
        self._opened = False
        self._paused = False
        self._stop_signal: signal.Signals | None = None
        self._kill_at: dict[int, tuple[float, Reason, float]] = {}
        self._next_tick = self._next_prune = self._next_memory = 0.0
        self._memory: dict[int, int] = {}
        self._hooks_waited: set[str] = set()
        self._registered: dict[str, Registration] = {}
        self._strangers: dict[str, int] = {}
        self._status = 0

    def run(self) -> int:
        """Start the tree, and keep it until it is told to stop, or its queues are empty where INTERVAL is 0.

        Returns:
            The exit status.

        Raises:
            MouldError: the application can't be loaded.
            WorkerIdError: another process that lives works under our id.
            ConfigError: a setting is mistaken.
            RedisError: Redis can't be reached, or refuses us, at the start.
        """
        adopt_grandchildren()
        before = {number: signal.signal(number, self._note) for number in _HANDLED}
        os.set_blocking(self._notices[0], False)
        try:
            self._show("Starting")
            self._boot()
            if not self._stopping:
                self._open()
                self._loop()
            return self._status
        finally:
            self._close()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a handler's signature
        self._signals.append(number)
        self._wake_up.now()

    @property
    def _stopping(self) -> bool:
        return self._stop_signal is not None

    # starting

    def _boot(self) -> None:
        """Start the first mould, and wait until it is ready."""
        self._coming = self._new_mould()
        while self._booting:
            self._wait(_TICK)
        if self._mould is None and not self._stopping:
            raise MouldError(self._problem)

    @property
    def _booting(self) -> bool:
        return self._coming is not None and not self._stopping

    def _new_mould(self) -> MouldProcess:
        return start_mould(self._launch, self._given.told(), self._lifeline[0], self._notices[1])

    def _open(self) -> None:
        """Come to know Redis, settle what earlier trees have left, and register."""
        ready = self._ready
        self._store = Store(client_by(base64.b64decode(ready["recipe"])), Keys(ready["namespace"]))
        self._ask_redis()
        if self._stopping:
            return
        self._queues = QueueList(self._options.queues)
        self._base_id = base_id(self._options.hostname, os.getpid(), self._queues.id_part)
        self._token = secrets.token_hex(8)
        place = f"{self._store.describe()} {self._store.keys.prefix}"
        self._board = Board.create(
            self._options.run_dir,
            place,
            self._token,
            capacity=max(_CAPACITY, self._options.worker_count),
            threads=self._options.thread_count,
            base_id=self._base_id,
            master=os.getpid(),
        )
        self._heartbeat = Heartbeat(self._store, self._options.heartbeat_interval, on_stranger=self._stop_by_stranger)
        self._greet(self._the_mould)
        self._crew.count = self._options.worker_count
        self._crew.mould = self._the_mould.number
        self._ask_clerk("open", ids=self._ids(range(max(1, self._options.worker_count))))

    def _ask_redis(self) -> None:
        failures = 0
        while not self._stopping:
            try:
                self._store.client.ping()
            except NOT_YET as error:
                failures += 1
                if failures == 1:
                    log.warning("Redis does not serve (%s); trying again until it does", error)
                self._wait(min(0.05 * 2 ** min(failures, 7), 5.0))
            else:
                return

    def _register(self) -> None:
        """Register the first workers, once no dead process' keys are in the way."""
        for name in self._ids(range(max(1, self._crew.count))):
            if name not in self._registered and not self._register_one(name):
                self._wait_for_stranger(name)
                return
        self._opened = True
        self._heartbeat.start()
        self._next_prune = time.monotonic() + PRUNE_EVERY
        log.info("%s works %s on %s", self._base_id, self._queues.id_part, self._store.describe())

    def _wait_for_stranger(self, name: str) -> None:
        """A process with our id may live, or have died a moment ago: its key tells, when it is renewed or runs out."""
        left = self._store.life_left(name)
        if left > self._strangers.get(name, left):
            raise WorkerIdError(same_id(name))
        if name not in self._strangers:
            log.warning("a process worked as %s; waiting up to %d s to see whether it lives", name, left // 1000 + 1)
        self._strangers[name] = left

    def _register_one(self, name: str) -> bool:
        known = self._registration(name, 0, 0, None)
        if not self._heartbeat.register(known):
            return False
        self._registered[name] = known
        return True

    def _registration(self, name: str, slot: int, thread: int, process: int | None) -> Registration:
        tree = {
            "host": self._options.hostname,
            "master": os.getpid(),
            "slot": slot,
            "thread": thread,
            "process": process,
            "token": self._token,
            "dead_after": self._options.dead_after,
            "pss": self._memory.get(process or 0),
            "paused": self._paused,
        }
        started = self._registered[name].started if name in self._registered else times.started(time.time())
        return Registration(name, self._token, self._options.dead_after, started, json.dumps(tree))

    def _ids(self, slots: range) -> list[str]:
        return [worker_id(self._base_id, slot, thread) for slot in slots for thread in range(self._options.thread_count)]

    def _ids_of(self, slot: int) -> list[str]:
        return self._ids(range(slot, slot + 1))

    # the loop

    def _loop(self) -> None:
        while True:
            now = time.monotonic()
            if now >= self._next_tick:
                self._tick(now)
            self._act()
            if self._stopping and self._crew.done and not self._clerks and not self._clerk_tasks:
                return
            if self._opened and self._crew.all_empty:
                self._stop(signal.SIGQUIT)
                continue
            due = min(self._next_tick, self._crew.due(), *(at for at, _, _ in self._kill_at.values()))
            self._wait(max(0.0, due - time.monotonic()))

    def _act(self) -> None:
        if not self._opened or (self._mould is None and not self._stopping):
            return
        for action in self._crew.actions(time.monotonic()):
            match action:
                case Fork(slot):
                    self._fork(slot)
                case Quit(pid):
                    self._kill(pid, signal.SIGQUIT)
                case Settle(slot, pid, status):
                    self._ask_clerk("settle", slot, pid=pid, status=status)
                case Release(slot):
                    self._release(slot)
        self._end_rolling()

    def _wait(self, seconds: float) -> None:
        """Wait for something to happen, and take it in."""
        poll = select.poll()
        moulds = [mould for mould in (self._mould, self._coming, *self._retiring) if mould is not None]
        poll.register(self._wake_up, select.POLLIN)
        poll.register(self._notices[0], select.POLLIN)
        for mould in moulds:
            if not mould.channel.closed:
                poll.register(mould.channel, select.POLLIN)
        ready = {fd for fd, _ in poll.poll(math.ceil(min(seconds, 3600.0) * 1000))}
        if self._wake_up.fileno() in ready:
            self._wake_up.drain()
        for mould in moulds:
            if not mould.channel.closed and mould.channel.fileno() in ready:
                self._hear(mould)
        if self._notices[0] in ready:
            self._read_notices()
        while self._signals:
            self._handle(self._signals.popleft())

    def _tick(self, now: float) -> None:
        self._next_tick = now + _TICK
        if not self._opened:
            if not self._clerks and not self._clerk_tasks and not self._stopping:
                self._register()
            return
        self._keep_time(now)
        self._look_for_lost(now)
        if self._mould is None and self._coming is None and now >= self._mould_not_before and not self._gave_up:
            self._coming = self._new_mould()
        if now >= self._next_prune and not self._stopping:
            self._next_prune = now + PRUNE_EVERY
            self._ask_clerk("prune")
        if now >= self._next_memory:
            self._next_memory = now + _MEMORY_EVERY
            self._memory = {hand.pid: size for hand in self._crew.hands() if (size := pss(hand.pid))}
        self._heartbeat.update(self._known())

    def _known(self) -> list[Registration]:
        working = {slot: pid for pid, slot in self._crew.workers().items()}
        return [
            self._registration(name, slot, thread, working.get(slot))
            for slot in self._crew.slots
            for thread, name in enumerate(self._ids_of(slot))
            if name in self._registered
        ]

    # what moulds tell

    def _hear(self, mould: MouldProcess) -> None:
        for message in mould.channel.receive():
            for word, told in message.items():
                getattr(self, f"_heard_{word}")(mould, told)
        if mould.channel.closed:
            self._lost_mould(mould)

    def _heard_ready(self, mould: MouldProcess, told: dict[str, Any]) -> None:
        mould.ready = told
        if self._stopping and self._mould is not None:
            self._retire(mould)
            self._coming = None
            return
        old, self._mould, self._coming = self._mould, mould, None
        self._mould_failures = 0
        self._take_settings(told)
        if old is not None:
            self._retiring.append(old)
            log.info("the new mould %d is ready; its workers take over, one at a time", mould.pid)
        if self._crew.mould:
            self._greet(mould)
            self._crew.mould = mould.number

    def _heard_failed(self, mould: MouldProcess, told: str) -> None:
        mould.problem = told

    def _heard_forked(self, mould: MouldProcess, told: dict[str, Any]) -> None:
        if told["role"] == "worker":
            if told["slot"] in self._crew.slots:
                self._crew.forked(told["pid"], told["slot"], mould.number)
            self._write_status()
        else:
            task, slot = self._clerk_tasks.popleft()
            self._clerks[told["pid"]] = task, slot
            if task == "settle":
                self._crew.settling(slot, told["pid"])

    def _heard_ended(self, _mould: MouldProcess, told: dict[str, Any]) -> None:
        self._ended(told["pid"], told["status"])

    def _heard_hooked(self, _mould: MouldProcess, moment: str) -> None:
        self._hooks_waited.discard(moment)

    def _take_settings(self, told: dict[str, Any]) -> None:
        options, settings = Options.by(told["options"]), told["settings"]
        if self._crew.mould:  # what stands in ids and on the scoreboard stays as it is
            kept = {"thread_count", "queues", "hostname", "run_dir", "heartbeat_interval", "heartbeats_before_dead"}
            changed = sorted(name for name in kept if getattr(options, name) != getattr(self._options, name))
            if changed:
                log.warning("%s can't be changed by HUP; start anew for that", ", ".join(changed))
            if options.worker_count != self._options.worker_count:
                self._crew.count = min(options.worker_count, self._board.capacity)
        self._options = options
        if self._crew.mould == 0:
            if settings.get("pid_file"):
                self._pid_files.append(PidFile(settings["pid_file"], newline=True))
                self._pid_files[-1].write()
            if settings.get("status_file"):
                self._status_file = StatusFile(settings["status_file"])
                self._write_status()

    def _lost_mould(self, mould: MouldProcess) -> None:
        """A mould has gone: by itself, killed, or for good."""
        mould.channel.close()
        if mould in self._retiring:
            self._retiring.remove(mould)
        elif mould is self._coming:
            self._coming = None
            self._problem = mould.problem or "the process that loads the application died"
            self._mould_not_before = time.monotonic() + min(2.0**self._mould_failures, _LONGEST_BACKOFF)
            self._mould_failures += 1
            if self._mould is not None:
                log.error("the new mould failed to start, the old one stays: %s", self._problem)
            elif self._crew.mould:
                log.error("the mould failed to start, it is tried again: %s", self._problem)
        elif mould is self._mould:
            log.warning("the mould %d died; another one is started, the workers go on", mould.pid)
            self._mould = None
            self._crew.forget_requests()
            self._clerk_tasks.clear()
            self._mould_not_before = 0.0
        if self._hup_again and self._coming is None:
            self._hup_again = False
            self._restart()

    _problem = ""

    @property
    def _gave_up(self) -> bool:
        """Whether there is no use in another mould: what is left to settle waits for the next tree."""
        return self._stopping and (self._mould_failures > 0 or self._crew.done)

    @property
    def _ready(self) -> Any:
        return self._the_mould.ready

    @property
    def _the_mould(self) -> MouldProcess:
        assert self._mould is not None  # noqa: S101 - asked for only while there is one
        return self._mould

    def _greet(self, mould: MouldProcess) -> None:
        mould.channel.send(board={"path": str(self._board.path)})

    def _retire(self, mould: MouldProcess) -> None:
        mould.channel.close()

    # what workers tell

    def _read_notices(self) -> None:
        with contextlib.suppress(BlockingIOError):
            *lines, self._notices_rest = (self._notices_rest + os.read(self._notices[0], 65536)).split(b"\n")
            for line in lines:
                what, slot, pid = line.decode().split()
                self._crew.noticed(what, int(slot), int(pid))
                if what == "working":
                    self._greet_worker(int(pid))
            if lines:
                self._write_status()

    def _greet_worker(self, pid: int) -> None:
        """What it may have missed while it was being forked."""
        if self._paused:
            self._kill(pid, signal.SIGUSR2)
        if self._stop_signal is not None:
            self._kill(pid, self._stop_signal)

    # processes' ends

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return
                self._ended(pid, status)

    def _ended(self, pid: int, status: int) -> None:
        now = time.monotonic()
        self._kill_at.pop(pid, None)
        if pid in self._clerks:
            self._clerk_ended(*self._clerks.pop(pid), status, now)
            return
        hand = next((hand for hand in self._crew.hands() if hand.pid == pid), None)
        if hand is None:
            return
        records = self._board.records(hand.slot)
        mine = [record for record in records if record.pid == pid]
        settled = all(record.settled for record in mine)
        worked = any(record.begun or record.ended for record in mine)
        self._crew.ended(pid, status, settled=settled, worked=worked, now=now)
        if status:
            log.warning("worker process %d of slot %d died, status %d", pid, hand.slot, os.waitstatus_to_exitcode(status))
        self._write_status()

    def _clerk_ended(self, task: str, slot: int, status: int, now: float) -> None:
        if task == "settle":
            settled = all(record.settled for record in self._board.records(slot))
            if not settled and self._stopping:
                log.warning("slot %d could not be settled; the next tree will do it", slot)
                self._left_over = True
            self._crew.settled(slot, settled=settled or self._stopping, now=now)
        elif task == "open":
            if status:
                log.warning("what earlier trees have left could not be settled; it is tried again later")
            if not self._stopping:
                self._register()

    _left_over = False

    def _look_for_lost(self, now: float) -> None:
        """Processes whose mould has died: where the system does not make them ours, nobody tells how they end."""
        known = {mould.number for mould in (self._mould, *self._retiring) if mould is not None}
        for hand in self._crew.hands():
            if hand.mould not in known and not _lives(hand.pid):
                self._ended(hand.pid, 0 if self._is_settled(hand) else signal.SIGKILL)
        for pid in [pid for pid in self._clerks if not _lives(pid)]:
            self._clerk_ended(*self._clerks.pop(pid), 1, now)

    def _is_settled(self, hand: Hand) -> bool:
        return all(record.settled for record in self._board.records(hand.slot) if record.pid == hand.pid)

    # acts

    def _fork(self, slot: int) -> None:
        for thread, name in enumerate(self._ids_of(slot)):
            if name not in self._registered:
                known = self._registration(name, slot, thread, None)
                with contextlib.suppress(*TROUBLE):
                    if not self._heartbeat.register(known):
                        log.error("%s", same_id(name))
                        self._stop(signal.SIGQUIT)
                        return
                self._heartbeat.adopt([known])
                self._registered[name] = known
        mould = self._the_mould
        mould.channel.send(
            workers={"count": self._crew.count, "old": {str(pid): slot for pid, slot in self._crew.workers().items()}}
        )
        mould.channel.send(fork={"slot": slot, "paused": self._paused})

    def _ask_clerk(self, task: str, slot: int = -1, **told: Any) -> None:
        if self._mould is None:
            if slot >= 0:
                self._crew.slots[slot].settling = None
            return
        self._clerk_tasks.append((task, slot))
        patience = _LATE if self._stopping else _PATIENCE
        self._mould.channel.send(clerk={"task": task, "slot": slot, "patience": patience, **told})

    def _release(self, slot: int) -> None:
        for name in self._ids_of(slot):
            self._registered.pop(name, None)
            try:
                self._heartbeat.unregister(name)
            except TROUBLE as error:
                log.warning("%s could not unregister, it will be pruned: %s", name, error)

    def _kill(self, pid: int, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    def _kill_later(self, seconds: float, reason: Reason) -> None:
        """End the processes whose jobs keep them from acting on a signal themselves."""
        now = time.monotonic()
        for hand in self._crew.hands():
            if any(record.begun for record in self._board.records(hand.slot)):
                self._kill_at[hand.pid] = now + seconds, reason, now

    def _keep_time(self, now: float) -> None:
        for pid, (at, reason, since) in list(self._kill_at.items()):
            if now >= at:
                del self._kill_at[pid]
                self._kill_now(pid, reason, since)
        for hand in self._crew.hands():
            late = self._options.term_timeout + _LATE
            if any(record.deadline and now > record.deadline + late for record in self._board.records(hand.slot)):
                self._kill_now(hand.pid, Reason.TIMEOUT, now)

    def _kill_now(self, pid: int, reason: Reason, since: float) -> None:
        hand = next((hand for hand in self._crew.hands() if hand.pid == pid), None)
        if hand is None:
            return
        stuck = [
            record
            for record in self._board.records(hand.slot)
            if record.pid == pid and record.begun and record.begun_monotonic <= since
        ]
        for record in stuck:
            if reason is not Reason.TIMEOUT or (record.deadline and time.monotonic() > record.deadline):
                record.reason = reason
        if stuck:
            log.warning("killing worker process %d: its job does not heed signals", pid)
            self._kill(pid, signal.SIGKILL)

    # signals

    def _handle(self, number: int) -> None:
        match number:
            case signal.SIGCHLD:
                self._reap()
            case signal.SIGTERM | signal.SIGINT | signal.SIGQUIT:
                self._stop(signal.Signals(number))
            case signal.SIGHUP:
                self._restart()
            case signal.SIGUSR1:
                self._kill_jobs()
            case signal.SIGUSR2 | signal.SIGCONT:
                self._pause(paused=number == signal.SIGUSR2)
            case signal.SIGTTIN | signal.SIGTTOU:
                self._scale(1 if number == signal.SIGTTIN else -1)

    def _stop(self, number: signal.Signals) -> None:
        log.info("%s: stopping", number.name)
        if not self._stopping:
            self._run_hook("shutdown")
        self._stop_signal = number
        self._crew.stopping = True
        if not self._opened:
            self._close_moulds(self._coming)
            return
        for hand in self._crew.hands():
            self._kill(hand.pid, number)
        options = self._options
        if number == signal.SIGQUIT or (options.graceful_term and number == signal.SIGTERM):
            return
        if options.term_child:
            self._kill_later(options.pre_shutdown_timeout + options.term_timeout + _LATE, Reason.SHUTDOWN)
        elif options.forks:
            self._kill_later(_LATE, Reason.SHUTDOWN)

    def _stop_by_stranger(self) -> None:
        self._note(signal.SIGQUIT, None)

    def _kill_jobs(self) -> None:
        log.info("USR1: killing the running jobs")
        self._paused = False
        for hand in self._crew.hands():
            self._kill(hand.pid, signal.SIGUSR1)
        if self._options.term_child:
            self._kill_later(self._options.term_timeout + _LATE, Reason.KILLED)
        elif self._options.forks:
            self._kill_later(_LATE, Reason.KILLED)
        self._show_state()

    def _pause(self, *, paused: bool) -> None:
        log.info("%s", "USR2: taking no more jobs" if paused else "CONT: taking jobs again")
        self._paused = paused
        for hand in self._crew.hands():
            self._kill(hand.pid, signal.SIGUSR2 if paused else signal.SIGCONT)
        self._run_hook("before_pause" if paused else "after_pause")
        self._show_state()

    def _scale(self, by: int) -> None:
        if self._opened and not self._stopping:
            self._crew.count = min(max(0, self._crew.count + by), self._board.capacity)
            log.info("%s: %d worker processes", "TTIN" if by > 0 else "TTOU", self._crew.count)
            self._show_state()

    def _restart(self) -> None:
        """A new mould with new code; HUPs that come meanwhile are one more."""
        if self._stopping:
            return
        if self._coming is not None or self._retiring:
            self._hup_again = True
            return
        log.info("HUP: starting a new mould")
        self._coming = self._new_mould()

    def _end_rolling(self) -> None:
        """Once all workers are the new mould's, the old ones go."""
        if self._retiring and self._crew.rolled_over and not self._stopping:
            for mould in list(self._retiring):
                self._retire(mould)
            self._retiring.clear()
            log.info("all workers are the new mould's")
            if self._hup_again:
                self._hup_again = False
                self._restart()

    def _run_hook(self, moment: str) -> None:
        if self._mould is not None and self._opened:
            self._hooks_waited.add(moment)
            self._mould.channel.send(hook={"moment": moment})

    # the end

    def _close(self) -> None:
        if self._opened:
            self._heartbeat.stop()
            for slot in list(self._crew.slots) or [0]:
                self._release(slot)
            self._finish_hooks()
        elif self._registered:
            self._release(0)
        self._close_moulds(self._mould, self._coming, *self._retiring)
        if hasattr(self, "_board"):
            if not self._left_over:
                self._board.remove()
            self._board.close()
        if self._status_file is not None:
            self._status_file.remove()
        for pid_file in self._pid_files:
            pid_file.remove()
        for fd in (*self._lifeline, *self._notices):
            os.close(fd)
        log.info("stopped")

    def _finish_hooks(self) -> None:
        self._run_hook("worker_exit")
        until = time.monotonic() + _PATIENCE
        while self._hooks_waited and self._mould is not None and time.monotonic() < until:
            self._wait(_TICK)

    def _close_moulds(self, *moulds: MouldProcess | None) -> None:
        for mould in moulds:
            if mould is not None:
                mould.channel.close()

    # showing

    def _write_status(self) -> None:
        if self._status_file is None:
            return
        workers = {}
        for slot in self._crew.slots.values():
            hand = slot.working or slot.standing_by
            if hand is not None:
                workers[hand.pid] = slot.number
        self._status_file.write(workers)

    def _show_state(self) -> None:
        self._show(f"{'Paused' if self._paused else 'Master of'} {self._crew.count} for {self._queues.id_part}")

    def _show(self, text: str) -> None:
        proctitle.show(text, prefix=self._options.title_prefix)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
