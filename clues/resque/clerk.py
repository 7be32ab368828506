"""A clerk: a short-lived process of the tree that finishes what dead processes have left.

It has the application loaded, for its hooks and its publishers, and works in a process of its own, so that whatever
those do harms nobody else.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import time
from typing import Any

from clues.backoff import backoff
from clues.faults import describe
from clues.resque import proctitle
from clues.resque.board import Board, dead_ones
from clues.resque.client import Resque
from clues.resque.heartbeat import INTERVAL
from clues.resque.options import Options
from clues.resque.process import CATCHABLE, leave
from clues.resque.pruner import GRACE, Pruner
from clues.resque.queues import QueueList
from clues.resque.settling import Fate, Settler
from clues.resque.slots import worker_id
from clues.resque.trouble import TROUBLE, WAITS

log = logging.getLogger("clues.resque")


class Clerk:
    """Does one thing for the master, and ends."""

    def __init__(self, client: Resque, options: Options, board: Board, lifeline: int) -> None:
        """Prepare.

        Args:
            client: the Redis.
            options: the tree's.
            board: the tree's scoreboard.
            lifeline: a descriptor whose other end the master alone holds.
        """
        self._client = client
        self._options = options
        self._board = board
        self._lifeline = lifeline
        self._base_id = str(board.told["base_id"])
        self._pruner = Pruner(
            client, self._base_id, queues=QueueList(options.queues), hostname=options.hostname, grace=_grace(options)
        )

    def do(self, told: dict[str, Any]) -> None:
        """Do what the master has asked for: ``settle`` a slot, ``open`` up, finish dead ``trees``, or ``prune``.

        Where Redis does not serve for long, it says so and leaves with status 1: the master asks anew.
        """
        proctitle.show("Clerk", prefix=self._options.title_prefix)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, CATCHABLE)
        act = {"settle": self._settle, "open": self._open, "prune": self._prune, "trees": self._trees}[told["task"]]
        try:
            act(told)
        except TROUBLE as error:
            log.warning(
                "Redis does not serve (%s); the clerk's errand is done later: %s", describe(error), told["task"]
            )
            leave(1)

    def _settle(self, told: dict[str, Any]) -> None:
        fate = Fate(told["pid"], told["status"])
        slot = told["slot"]
        self._board.occupy(slot)
        for thread in range(self._board.threads):
            self._settle_record(self._board, slot, thread, fate, told["patience"])

    def _settle_record(self, board: Board, slot: int, thread: int, fate: Fate, patience: float) -> None:
        record = board.record(slot, thread)
        if record.settled:
            return
        name = worker_id(str(board.told["base_id"]), slot, thread)
        settler = Settler(self._client, name, record, fate)
        until, failures = time.monotonic() + patience, 0
        while True:
            try:
                settler.settle()
            except TROUBLE as error:
                failures += 1
                if failures == 1:
                    log.warning("Redis does not serve (%s); a dead process' jobs wait to be settled", error)
                if time.monotonic() > until:
                    raise
                self._pause(backoff(failures, *WAITS))
            else:
                return

    def _open(self, told: dict[str, Any]) -> None:
        """Before the tree's first worker: finish what earlier trees, and earlier workers of our ids, have left."""
        self._settle_dead_trees()
        for name in told["ids"]:
            self._pruner.succeed(name)
        self._pruner.prune()

    def _trees(self, _told: dict[str, Any]) -> None:
        self._settle_dead_trees()

    def _prune(self, _told: dict[str, Any]) -> None:
        self._pruner.prune()
        self._pruner.prune_suspects(self._orphaned)

    def _settle_dead_trees(self) -> None:
        for board in dead_ones(self._options.run_dir, str(self._board.told["place"])):
            log.warning("finishing what a dead tree has left: %s", board.told["base_id"])
            for slot in range(board.capacity):
                for thread, record in enumerate(board.records(slot)):
                    if record.pid:  # else nobody ever worked there
                        self._settle_record(board, slot, thread, Fate(record.pid), patience=10.0)
            self._unregister(str(board.told["token"]))
            board.remove()

    def _unregister(self, token: str) -> None:
        """Forget the workers of a dead tree, by what it has told of them."""
        for name, told in self._client.store.trees().items():
            if f'"token": "{token}"' in told:
                self._client.store.unregister(name, token=token)

    def _pause(self, seconds: float) -> None:
        if self._orphaned(seconds):
            os._exit(1)

    def _orphaned(self, wait: float = 0.0) -> bool:
        """Whether the master is gone, looked at for some seconds."""
        poll = select.poll()
        poll.register(self._lifeline, 0)
        return bool(poll.poll(int(wait * 1000)))


def _grace(options: Options) -> float:
    """Several beats of ours; another tree's beats are hardly slower."""
    return GRACE * options.heartbeat_interval / INTERVAL
