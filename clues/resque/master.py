"""The master: a stable process that keeps the tree's workers as many, as alive and as new as they should be.

It never imports the application. It acts on signals, on what moulds and workers tell, and on time; it beats for all
workers, and has the ends of dead processes settled.
"""

from __future__ import annotations

import base64
import contextlib
import logging
import math
import os
import secrets
import select
import signal
import time
from collections import deque
from dataclasses import replace
from types import FrameType
from typing import Any

from clues.backoff import backoff
from clues.errors import ConfigError, MouldError
from clues.resque import proctitle
from clues.resque.board import Board, has_dead_ones
from clues.resque.clerks import Clerks, Errand
from clues.resque.companion import CompanionKeeper
from clues.resque.crew import Crew, Fork, Hand, Quit, Release, Settle
from clues.resque.family import adopt_grandchildren
from clues.resque.keys import Keys
from clues.resque.ladder import Ladder, kill, lives
from clues.resque.memory import pss
from clues.resque.moulds import Launch, MouldProcess, Moulds
from clues.resque.options import Options
from clues.resque.queues import QueueList
from clues.resque.recipe import client_by
from clues.resque.registrar import Registrar
from clues.resque.scoreboard import Reason
from clues.resque.signals import WakeUp
from clues.resque.slots import base_id
from clues.resque.starter_files import StarterFiles
from clues.resque.store import Store
from clues.resque.trouble import NOT_YET, WAITS

log = logging.getLogger("clues.resque")

PRUNE_EVERY = 60.0
"""Seconds between two looks for dead workers: Resque's lock allows no more."""

_CAPACITY = 256
_TICK = 1.0
_MEMORY_EVERY = 10.0
_PATIENCE = 10.0
_HASTE = 1.0
_HANDLED = (
    signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT,
    signal.SIGTTIN, signal.SIGTTOU, signal.SIGCHLD,
)  # fmt: skip
# What stands in ids and on the scoreboard stays as it is.
_FIXED = ("queues", "hostname", "thread_count", "heartbeat_interval", "heartbeats_before_dead", "run_dir")
_ANEW = "stop the tree and start it anew for that"


class Master:
    """Runs a tree from `run` to its end."""

    def __init__(self, launch: Launch, options: Options) -> None:
        """Prepare.

        Args:
            launch: what moulds load.
            options: how to work; a config file's settings count before them.
        """
        self._options = options
        self._signals: deque[int] = deque()
        self._wake_up = WakeUp()
        self._lifeline = os.pipe()
        self._notices = os.pipe()
        self._notices_rest = b""
        self._crew = Crew(0)
        self._moulds = Moulds(launch, options.told(), self._lifeline[0], self._notices[1])
        self._clerks = Clerks(self._moulds)
        self._companion = CompanionKeeper(self._moulds)
        self._ready: dict[str, Any] = {}
        self._opened = False
        self._paused = False
        self._forked_paused: dict[int, bool] = {}
        self._left_over = self._mistaken = False
        self._stop_signal: signal.Signals | None = None
        self._next_tick = self._next_prune = self._next_memory = 0.0
        self._memory: dict[int, int] = {}
        self._hooks_under_way: set[str] = set()
        self._files = StarterFiles(own_log=launch.as_starter)
        self._board: Board | None = None

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
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)  # whoever has started us may have blocked some
        os.set_blocking(self._notices[0], False)
        try:
            self._show("Starting")
            if self._boot():
                self._open()
                self._loop()
            return 0
        except BaseException:
            self._left_over = True  # nobody has seen to it that nothing is: the next tree will
            raise
        finally:
            self._close()
            for number, handler in before.items():
                signal.signal(number, handler)

    # starting

    def _boot(self) -> bool:
        """Start the first mould, and wait until it is ready; gives whether to go on."""
        self._moulds.start()
        while self._moulds.current is None and not self._stopping:
            self._wait(_TICK)
            if self._moulds.failures:
                raise (ConfigError if self._mistaken else MouldError)(self._moulds.problem)
        return not self._stopping and self._ask_redis()

    def _ask_redis(self) -> bool:
        self._store = _store_of(self._ready)
        failures = 0
        while not self._stopping:
            try:
                self._store.ping()
            except NOT_YET as error:
                failures += 1
                if failures == 1:
                    log.warning("Redis does not serve (%s); trying again until it does", error)
                self._wait(backoff(failures, *WAITS))
            else:
                return True
        return False

    def _open(self) -> None:
        """Take a name and a scoreboard, and have settled what earlier trees have left."""
        options, self._queues = self._options, QueueList(self._options.queues)
        name, token = base_id(options.hostname, os.getpid(), self._queues.id_part), secrets.token_hex(8)
        self._board = Board.create(
            options.run_dir,
            _place(self._store),
            token,
            capacity=max(_CAPACITY, options.worker_count),
            threads=options.thread_count,
            base_id=name,
            master=os.getpid(),
        )
        self._base_id = name
        self._ladder = Ladder(self._crew, self._board)
        self._registrar = Registrar(self._store, options, name, token, on_stranger=lambda: self._note(signal.SIGQUIT))
        self._crew.count = options.worker_count
        self._greet()
        self._clerks.ask("open", ids=self._registrar.ids(self._first_slots))

    @property
    def _first_slots(self) -> range:
        return range(max(1, self._options.worker_count))

    def _register(self) -> None:
        """Register the first workers, once no dead process' keys are in the way."""
        if self._clerks.busy or not self._registrar.register_first(self._first_slots):
            return
        self._opened = True
        self._registrar.start()
        log.info("%s works %s on %s", self._base_id, self._queues.id_part, self._store.describe())
        self._show_state()

    def _greet(self) -> None:
        """Have the present mould know the tree."""
        assert self._board is not None and self._moulds.current is not None  # noqa: PT018 - the callers' order
        fixed = {name: getattr(self._options, name) for name in _FIXED}
        self._moulds.send(board={"path": str(self._board.path), "fixed": fixed})
        self._crew.mould = self._moulds.current.number
        self._moulds.go_on()

    # the loop

    def _loop(self) -> None:
        while not self._done:
            now = time.monotonic()
            if now >= self._next_tick:
                self._tick(now)
            self._act(now)
            due = min(self._next_tick, self._crew.due(), self._ladder.due)
            self._wait(max(0.0, due - time.monotonic()))

    @property
    def _done(self) -> bool:
        if self._opened and not self._stopping and self._crew.all_empty:
            log.info("nothing waits, stopping")
            self._stop(signal.SIGQUIT)
        return self._stopping and self._crew.done and not self._clerks.busy

    def _wait(self, seconds: float) -> None:
        """Wait for something to happen, and take it in."""
        poll = select.poll()
        poll.register(self._wake_up, select.POLLIN)
        poll.register(self._notices[0], select.POLLIN)
        for mould in self._moulds.all():
            if not mould.channel.closed:
                poll.register(mould.channel, select.POLLIN)
        ready = {fd for fd, _ in poll.poll(math.ceil(min(seconds, 3600.0) * 1000))}
        self._wake_up.drain()
        for mould, word, told in self._moulds.hear(ready):
            getattr(self, f"_heard_{word}")(mould, told)
        if self._notices[0] in ready:
            self._read_notices()
        while self._signals:
            self._handle(self._signals.popleft())

    def _act(self, now: float) -> None:
        if not self._opened or (self._moulds.current is None and not self._stopping):
            return
        for action in self._crew.actions(now):
            match action:
                case Fork(slot):
                    self._fork(slot)
                case Quit(pid):
                    kill(pid, signal.SIGQUIT)
                case Settle(slot, pid, status):
                    patience = _HASTE if self._stopping else _PATIENCE
                    if not self._clerks.ask("settle", slot, pid=pid, status=status, patience=patience):
                        self._crew.settled(slot, settled=self._gave_up, now=now)
                        self._left_over |= self._gave_up
                case Release(slot):
                    self._registrar.release([slot])
        if not self._stopping:
            self._companion.keep(now)
        if self._moulds.retiring:
            self._moulds.retire(lambda mould: self._crew.needs(mould) or self._clerks.needs(mould))

    def _fork(self, slot: int) -> None:
        if not self._registrar.register(slot):
            self._stop(signal.SIGQUIT)
            return
        workers = {str(pid): number for pid, number in self._crew.manned().items()}
        self._moulds.send(workers={"count": self._crew.count, "old": workers})
        self._moulds.send(fork={"slot": slot, "paused": self._paused})
        self._forked_paused[slot] = self._paused

    def _tick(self, now: float) -> None:
        self._next_tick = now + _TICK
        if not self._opened:
            if not self._stopping:
                self._register()
            return
        self._ladder.keep_time(now, self._options.term_timeout)
        self._look_for_lost(now)
        no_mould = self._moulds.current is None and self._moulds.coming is None
        if no_mould and now >= self._moulds.not_before and not self._gave_up:
            self._moulds.start_again(now)
        if not self._stopping:
            self._look_for_the_dead(now)
        if now >= self._next_memory:
            self._next_memory = now + _MEMORY_EVERY
            self._memory = {hand.pid: size for hand in self._crew.hands() if (size := pss(hand.pid))}
        working = {slot: pid for pid, slot in self._crew.workers().items()}
        self._registrar.tell(self._crew.slots, working, self._memory, paused=self._paused)

    def _look_for_the_dead(self, now: float) -> None:
        """Trees of this host that are gone, and workers anywhere."""
        assert self._board is not None
        if now >= self._next_prune and not self._clerks.on("prune"):
            self._next_prune = now + PRUNE_EVERY
            self._clerks.ask("prune")
        with contextlib.suppress(OSError):  # there may be no descriptor left: it is looked again
            if not self._clerks.on("trees") and has_dead_ones(self._options.run_dir, str(self._board.told["place"])):
                self._clerks.ask("trees")

    @property
    def _gave_up(self) -> bool:
        """Whether there is no use in another mould: what is left to settle waits for the next tree."""
        return self._stopping and (self._moulds.failures > 0 or self._crew.done)

    # what moulds tell

    def _heard_ready(self, mould: MouldProcess, told: dict[str, Any]) -> None:
        if self._board is None:
            self._ready = told
            self._moulds.take_over(mould)
            self._companion.wanted = told["ships"]
            self._options = Options.by(told["options"])
            self._files.open(told["settings"])
        elif _place(_store_of(told)) != self._board.told["place"]:
            mould.problem = f"another Redis or namespace can't be taken by HUP; {_ANEW}"
            mould.channel.close()
        else:
            self._moulds.take_over(mould)
            self._companion.wanted = told["ships"]
            self._companion.renew()
            self._take_settings(Options.by(told["options"]))
            self._files.change(told["settings"])
            self._greet()

    def _take_settings(self, options: Options) -> None:
        """What a restart may change; the rest stays."""
        fixed = {name: getattr(self._options, name) for name in _FIXED}
        changed = [name for name, value in fixed.items() if getattr(options, name) != value]
        if changed:
            log.warning("%s can't be changed by HUP; %s", ", ".join(changed), _ANEW)
        if options.worker_count != self._options.worker_count:
            self._crew.count = min(options.worker_count, self._capacity)
        self._options = replace(options, **fixed)

    def _heard_failed(self, mould: MouldProcess, told: dict[str, Any]) -> None:
        mould.problem = told["problem"]
        self._mistaken = told["mistaken"]

    def _heard_lost(self, mould: MouldProcess, what: str) -> None:
        self._crew.forget_requests(mould.number)
        self._companion.mould_lost(mould.number)
        for errand in self._clerks.mould_lost(mould.number):
            if errand.task == "settle":
                self._crew.settled(errand.slot, settled=False, now=time.monotonic())
        if what == "current":
            self._hooks_under_way.clear()
        elif what == "coming" and self._moulds.current is None and self._board is not None:
            log.error("the mould failed to start, it is tried again: %s", self._moulds.problem)

    def _heard_forked(self, mould: MouldProcess, told: dict[str, Any]) -> None:
        if told["role"] == "worker":
            self._crew.forked(told["pid"], told["slot"], mould.number, now=time.monotonic())
            if told["pid"] and self._forked_paused.get(told["slot"]) != self._paused:  # changed meanwhile
                kill(told["pid"], signal.SIGUSR2 if self._paused else signal.SIGCONT)
            self._write_status()
        elif told["role"] == "companion":
            self._companion.forked(told["pid"], time.monotonic())
        else:
            errand = self._clerks.forked(mould.number, told["pid"])
            if errand.task == "settle":
                self._crew.settling(errand.slot, told["pid"])

    def _heard_ended(self, _mould: MouldProcess, told: dict[str, Any]) -> None:
        self._ended(told["pid"], told["status"])

    def _heard_hooked(self, _mould: MouldProcess, moment: str) -> None:
        self._hooks_under_way.discard(moment)

    # what workers tell, and how they end

    def _read_notices(self) -> None:
        with contextlib.suppress(BlockingIOError):
            *lines, self._notices_rest = (self._notices_rest + os.read(self._notices[0], 65536)).split(b"\n")
            for line in lines:
                what, slot, pid = line.decode().split()
                self._crew.noticed(what, int(slot), int(pid))
                if what == "working":
                    self._greet_worker(int(pid))
            self._write_status()

    def _greet_worker(self, pid: int) -> None:
        """What it may have missed while it was being forked."""
        if self._paused:
            kill(pid, signal.SIGUSR2)
        if self._stop_signal is not None:
            kill(pid, self._stop_signal)

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return
                self._ended(pid, status)

    def _ended(self, pid: int, status: int) -> None:
        self._read_notices()  # what the process has told of itself came before its end
        now = time.monotonic()
        if (errand := self._clerks.ended(pid)) is not None:
            self._clerk_ended(errand, status, now)
            return
        if self._companion.ended(pid, now):
            return
        hand = self._crew.hand(pid)
        if hand is None or self._board is None:
            return
        self._ladder.forget(pid)
        records = [record for record in self._board.records(hand.slot) if record.pid == pid]
        settled = all(record.settled for record in records)
        worked = any(record.begun or record.ended for record in records)
        self._crew.ended(pid, status, settled=settled, worked=worked, now=now)
        if status:
            code = os.waitstatus_to_exitcode(status)
            pause = self._crew.pause(hand.slot, now)
            then = f"; another one in {pause:.1f} s" if pause else ""
            log.warning("worker process %d of slot %d died, status %d%s", pid, hand.slot, code, then)
        self._write_status()

    def _clerk_ended(self, errand: Errand, status: int, now: float) -> None:
        if errand.task == "settle":
            settled = self._is_settled(errand.slot)
            if not settled and self._stopping:
                log.warning("slot %d could not be settled; the next tree will do it", errand.slot)
                self._left_over = True
            self._crew.settled(errand.slot, settled=settled or self._stopping, now=now)
        elif status:
            log.warning("dead workers' jobs could not be settled just now; it is tried again")
        if errand.task == "open" and not self._stopping:
            self._register()

    def _is_settled(self, slot: int) -> bool:
        return self._board is None or all(record.settled for record in self._board.records(slot))

    def _look_for_lost(self, now: float) -> None:
        """Processes whose mould has died: where the system does not make them ours, nobody tells how they end."""
        known = {mould.number for mould in self._moulds.all()}
        for hand in self._crew.hands():
            if hand.mould not in known and not lives(hand.pid):
                self._ended(hand.pid, self._guess(hand))
        if self._companion.lost:
            self._companion.ended(self._companion.pid, now)
        for pid in self._clerks.lost():
            errand = self._clerks.ended(pid)
            if errand is not None:
                self._clerk_ended(errand, 1, now)

    def _guess(self, hand: Hand) -> int:
        return 0 if self._is_settled(hand.slot) else signal.SIGKILL

    # signals

    def _note(self, number: int, frame: FrameType | None = None) -> None:  # noqa: ARG002 - a handler's signature
        self._signals.append(number)
        self._wake_up.now()

    @property
    def _stopping(self) -> bool:
        return self._stop_signal is not None

    def _handle(self, number: int) -> None:
        match number:
            case signal.SIGCHLD:
                self._reap()
            case signal.SIGTERM | signal.SIGINT | signal.SIGQUIT:
                log.info("received %s, stopping", signal.Signals(number).name)
                self._stop(signal.Signals(number))
            case signal.SIGHUP if not self._stopping:
                self._restart()
            case signal.SIGUSR1:
                self._kill_jobs()
            case signal.SIGUSR2 | signal.SIGCONT:
                self._pause(paused=number == signal.SIGUSR2)
            case signal.SIGTTIN | signal.SIGTTOU:
                self._scale(1 if number == signal.SIGTTIN else -1)

    def _restart(self) -> None:
        if self._board is None:  # the tree does not stand yet
            self._moulds.hup_again = True
        else:
            self._moulds.restart()

    def _stop(self, number: signal.Signals) -> None:
        """No more forks; each worker acts on the signal itself, and is killed if it does not."""
        if not self._stopping:
            self._run_hook("shutdown")
        self._stop_signal = number
        self._crew.stopping = True
        self._moulds.hup_again = False
        self._signal_all(number)
        options = self._options
        if number == signal.SIGQUIT or (options.graceful_term and number == signal.SIGTERM):
            return
        self._kill_later(Reason.SHUTDOWN, options.pre_shutdown_timeout)

    def _kill_jobs(self) -> None:
        log.info("received USR1, killing the running jobs")
        self._paused = False
        self._signal_all(signal.SIGUSR1)
        self._kill_later(Reason.KILLED)
        self._show_state()

    def _kill_later(self, reason: Reason, before: float = 0.0) -> None:
        if self._opened and self._options.term_child:
            self._ladder.kill_later(before + self._options.term_timeout, reason)
        elif self._opened and self._options.forks:
            self._ladder.kill_later(0.0, reason)

    def _pause(self, *, paused: bool) -> None:
        log.info("received %s", "USR2, taking no more jobs" if paused else "CONT, taking jobs again")
        self._paused = paused
        self._signal_all(signal.SIGUSR2 if paused else signal.SIGCONT)
        self._run_hook("before_pause" if paused else "after_pause")
        self._show_state()

    def _scale(self, by: int) -> None:
        if self._opened and not self._stopping:
            self._crew.count = min(max(0, self._crew.count + by), self._capacity)
            log.info("received %s, %d worker processes", "TTIN" if by > 0 else "TTOU", self._crew.count)
            self._show_state()

    def _signal_all(self, number: int) -> None:
        for hand in self._crew.hands():
            kill(hand.pid, number)

    def _run_hook(self, moment: str) -> None:
        if self._moulds.current is not None and self._opened:
            self._hooks_under_way.add(moment)
            self._moulds.send(hook={"moment": moment})

    @property
    def _capacity(self) -> int:
        return self._board.capacity if self._board is not None else _CAPACITY

    # the end

    def _close(self) -> None:
        if self._board is not None:
            self._registrar.release_all()
            self._finish_hooks()
            self._finish_companion()
        self._moulds.close()
        if self._board is not None:
            if not self._left_over:
                self._board.remove()
            self._board.close()
        self._files.remove()
        for fd in (*self._lifeline, *self._notices):
            os.close(fd)
        log.info("stopped")

    def _finish_hooks(self) -> None:
        self._run_hook("worker_exit")
        until = time.monotonic() + _PATIENCE
        while self._hooks_under_way and time.monotonic() < until:
            self._wait(_TICK)

    def _finish_companion(self) -> None:
        """Have the last events delivered; it ends within its own deadline, and need not be waited for longer."""
        self._companion.leave()
        until = time.monotonic() + _PATIENCE
        while self._companion.pid and not self._companion.lost and time.monotonic() < until:
            self._wait(_TICK)

    # files and titles

    def _write_status(self) -> None:
        self._files.write_status(self._crew.manned())

    def _show_state(self) -> None:
        if self._opened:
            self._show(f"{'Paused, m' if self._paused else 'M'}aster of {self._crew.count} for {self._queues.id_part}")

    def _show(self, text: str) -> None:
        proctitle.show(text, prefix=self._options.title_prefix)


def _store_of(ready: dict[str, Any]) -> Store:
    """Where a mould's workers work."""
    return Store(client_by(base64.b64decode(ready["recipe"])), Keys(ready["namespace"]))


def _place(store: Store) -> str:
    return f"{store.describe()} {store.keys.prefix}"
