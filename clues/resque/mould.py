"""The mould: loads the application once, and forks worker processes that share its memory.

It is a program of its own, started by the master: each has fresh code, and the master none of the application's.
It works for nobody but its master: when that is gone, it ends.
"""

from __future__ import annotations

import base64
import contextlib
import gc
import logging
import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from clues.config import default
from clues.errors import AppError, CluesError, ConfigError, NoQueueError
from clues.event import Companion
from clues.resque import proctitle
from clues.resque.application import client_of
from clues.resque.board import Board
from clues.resque.channel import Channel
from clues.resque.clerk import Clerk
from clues.resque.options import Options
from clues.resque.process import CATCHABLE, Place, WorkerProcess, leave
from clues.resque.queues import QueueList
from clues.resque.recipe import recipe
from clues.resque.sampler import QueueSampler
from clues.resque.signals import WakeUp
from clues.resque.slots import worker_id
from clues.resque.starter import StarterWorker, read_config
from clues.resque.starter_hooks import StarterHooks
from clues.resque.trouble import TROUBLE
from clues.resque.worker_hooks import hooks
from clues.resque.worker_log import log_as_resque, log_as_starter

log = logging.getLogger("clues.resque")

_IGNORED = ("SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGTTIN", "SIGTTOU", "SIGPIPE")


@dataclass(frozen=True, slots=True)
class Paused:
    """What before_pause and after_pause hooks get as their worker.

    Attributes:
        id: the id of the tree's first worker.
        paused: whether it takes no more jobs.
    """

    id: str
    paused: bool


class Mould:
    """Forks at its master's word, and tells it how the forked processes end."""

    def __init__(self, channel: Channel, lifeline: int, notices: int) -> None:
        """Prepare; `run` does it."""
        self._channel = channel
        self._lifeline = lifeline
        self._notices = notices
        self._child_ended = WakeUp()
        self._children: set[int] = set()
        self._starter: StarterHooks | None = None
        self._actions: dict[str, Callable[[dict[str, Any]], None]] = {
            "board": self._join,
            "fork": self._fork_worker,
            "clerk": self._fork_clerk,
            "companion": self._fork_companion,
            "hook": self._run_hook,
            "workers": self._note_workers,
        }

    def run(self) -> int:
        """Load the application, then serve the master until it hangs up; gives the exit status."""
        self._catch_signals()
        told = self._channel.receive()
        if not told:
            return 0
        try:
            self._load(told[0])
        except CluesError as error:
            self._channel.send(failed={"problem": str(error), "mistaken": isinstance(error, ConfigError)})
            return 1
        except Exception as error:
            log.exception("the application could not be loaded")
            self._channel.send(failed={"problem": f"{type(error).__name__}: {error}", "mistaken": False})
            return 1
        self._serve()
        return 0

    # loading

    def _load(self, told: dict[str, Any]) -> None:
        self._options = Options.by(told["options"])
        proctitle.show("Loading the application", prefix=self._options.title_prefix)
        config = read_config(told["config"]) if told["config"] else None
        settings = {**config.settings, **told["overrides"]} if config else {}
        if "logger" in settings:
            settings["logger"] = str(Path(settings["logger"]).absolute())
        self._options = self._options.having(settings)
        self._check_queues(told["config"])
        if told["as_starter"]:
            log_as_starter(os.environ, config.logger if config else None)
        apps = [*told["app"], *settings.get("app", [])]
        place = {name: settings.get(name) if told[name] is None else told[name] for name in ("redis", "namespace")}
        self._client = client_of(apps, **place)
        if not told["as_starter"]:
            log_as_resque(os.environ)  # once the application has set up its own
        if config is not None:
            self._client.registry.load(config.module)
            self._starter = StarterHooks(config, {**settings, **place, "app": apps})
        if not self._client.registry.names():
            where = ", ".join(apps) or told["config"]
            msg = f"{where} has no jobs: classes with a queue and perform, or functions under @resque.job"
            raise AppError(msg)
        self._companion = _companion()
        hooks.run("before_first_fork")
        hooks.forked = os.getpid()
        redis = self._client.store._client  # noqa: SLF001 - as it is: the master asks Redis what it is
        with contextlib.suppress(Exception):  # a Redis that is away is each child's own to wait for
            self._client.store.ping()  # what each child would do first, done once
            redis.connection_pool.disconnect()  # children make their own connections
        self._client.store.hang_up()
        self._lent = self._client.store.lent()
        gc.collect()
        gc.freeze()  # what is loaded stays: no collection in a child touches its memory, which would copy it
        self._channel.send(
            ready={
                "options": self._options.told(),
                "settings": {name: value for name, value in settings.items() if name != "redis"},
                "recipe": base64.b64encode(recipe(redis)).decode(),
                "namespace": self._client.store.keys.namespace,
                "jobs": len(self._client.registry.names()),
                "ships": self._companion is not None,
            }
        )

    def _check_queues(self, config: str) -> None:
        if config and not self._options.queues:
            msg = f"no queues to work: set queues in {config}, or name them in --queues or QUEUES; * is all queues"
            raise NoQueueError(msg)
        QueueList(self._options.queues)
        if hooks.found.get("before_fork") and self._options.thread_count > 1:
            log.warning("before_fork hooks are not called: with THREAD_COUNT > 1 no process is forked for a job")

    # serving

    def _serve(self) -> None:
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        poll.register(self._child_ended, select.POLLIN)
        proctitle.show("Mould", prefix=self._options.title_prefix)
        while not self._channel.closed:
            ready = {fd for fd, _ in poll.poll()}
            if self._child_ended.fileno() in ready:
                self._child_ended.drain()
                self._reap()
            if self._channel.fileno() in ready:
                for message in self._channel.receive():
                    for word, details in message.items():
                        self._actions[word](details)

    def _reap(self) -> None:
        for pid in list(self._children):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self._children.discard(pid)
                self._lent.ended(pid, well=status == 0)
                if self._starter is not None:
                    self._starter.ended(pid)
                self._channel.send(ended={"pid": pid, "status": status})

    def _join(self, told: dict[str, Any]) -> None:
        self._board = Board.join(told["path"])
        self._base_id = self._board.told["base_id"]
        self._options = self._options.having(told["fixed"])

    def _note_workers(self, told: dict[str, Any]) -> None:
        if self._starter is not None:
            workers = {int(pid): slot for pid, slot in told["old"].items()}
            self._starter.note(int(self._board.told["master"]), self._options, told["count"], workers)

    def _run_hook(self, told: dict[str, Any]) -> None:
        moment = told["moment"]
        args = (Paused(self._base_id, moment == "before_pause"),) if moment.endswith("_pause") else ()
        hooks.run_safely(moment, *args)
        self._channel.send(hooked=moment)

    # forking

    def _fork_worker(self, told: dict[str, Any]) -> None:
        slot = told["slot"]
        place = Place(slot, self._board, self._base_id, self._lifeline, self._notices, told["paused"])
        if self._starter is not None and not self._starter.before_fork(self._starter_worker(slot)):
            self._channel.send(forked={"pid": 0, "slot": slot, "role": "worker"})
            return
        # What can be made before the fork is: a child writes to each page of memory that it uses, which copies it.
        process = WorkerProcess(self._client, self._options, place)
        connection = self._lent.next() if self._options.forks else None
        pid = self._fork(lambda: self._be_worker(process, slot, connection), slot, "worker")
        process.let_go()
        self._lent.to(pid, connection)
        if self._starter is not None:
            self._starter.forked(pid, slot)

    def _be_worker(self, process: WorkerProcess, slot: int, connection: Any) -> None:
        if connection is not None:
            with contextlib.suppress(*TROUBLE):  # it makes one by itself
                self._client.store.adopt(connection)
        if self._starter is not None:
            self._starter.after_fork(self._starter_worker(slot, os.getpid()))
        process.run()

    def _fork_clerk(self, told: dict[str, Any]) -> None:
        self._fork(
            lambda: Clerk(self._client, self._options, self._board, self._lifeline).do(told), told["slot"], "clerk"
        )

    def _fork_companion(self, _told: dict[str, Any]) -> None:
        self._fork(self._be_companion, -1, "companion")

    def _be_companion(self) -> None:
        proctitle.show("Shipper", prefix=self._options.title_prefix)
        assert self._companion is not None
        sampler = QueueSampler(self._client, elected=self._base_id)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, CATCHABLE)
        samplers = default.config.samplers if default.config is not None else ()
        self._companion.run(self._lifeline, (*samplers, sampler))

    def _fork(self, act: Callable[[], None], slot: int, role: str) -> int:
        sys.stdout.flush()
        sys.stderr.flush()
        signal.pthread_sigmask(signal.SIG_BLOCK, CATCHABLE)  # until the child is ready for them
        pid = os.fork()
        if pid == 0:
            self._be_child(act)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, CATCHABLE)
        self._children.add(pid)
        self._channel.send(forked={"pid": pid, "slot": slot, "role": role})
        return pid

    def _be_child(self, act: Callable[[], None]) -> NoReturn:
        status = 1
        try:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._channel.close()
            self._lent.forget()
            act()
            status = 0
        except BaseException:
            log.exception("process %d ends", os.getpid())
        finally:
            leave(status)
        raise AssertionError  # unreachable

    def _starter_worker(self, slot: int, pid: int | None = None) -> StarterWorker:
        return StarterWorker(
            slot, worker_id(self._base_id, slot, 0), self._options.queues, self._options.thread_count, pid
        )

    def _catch_signals(self) -> None:
        for name in _IGNORED:
            signal.signal(getattr(signal, name), signal.SIG_IGN)  # the master decides
        signal.signal(signal.SIGCHLD, lambda _number, _frame: self._child_ended.now())


def _companion() -> Companion | None:
    """What the application's publishers want to have done in a process of its own."""
    make = getattr(default.config and default.config.publisher, "companion", None)
    made: Companion | None = make() if make is not None else None
    return made


def main(arguments: list[str]) -> int:
    """Serve a master over inherited descriptors: the channel, the lifeline, and the pipe for workers' notices."""
    channel, lifeline, notices = map(int, arguments)
    for fd in (channel, lifeline, notices):
        os.set_inheritable(fd, False)  # noqa: FBT003 - no other way
    return Mould(Channel(socket.socket(fileno=channel)), lifeline, notices).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
