"""The names of a tree's workers in Redis: registering, beating, unregistering, and whoever else has such a name."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping

from clues.errors import WorkerIdError
from clues.resque import times
from clues.resque.heartbeat import Heartbeat
from clues.resque.options import Options
from clues.resque.records import Registration
from clues.resque.slots import Told, worker_id
from clues.resque.store import Store
from clues.resque.trouble import TROUBLE
from clues.resque.worker import same_id

log = logging.getLogger("clues.resque")


class Registrar:
    """Keeps the workers of a tree known."""

    def __init__(
        self, store: Store, options: Options, base_id: str, token: str, *, on_stranger: Callable[[], None]
    ) -> None:
        """Prepare; nobody is registered yet.

        Args:
            store: where to.
            options: the tree's.
            base_id: the id of its first worker.
            token: tells this tree from another of the same id.
            on_stranger: called, in another thread, when a process that lives has come to work under an id of ours.
        """
        self._store = store
        self._options = options
        self._base_id = base_id
        self._token = token
        self._heartbeat = Heartbeat(store, options.heartbeat_interval, on_stranger=on_stranger)
        self._known: dict[str, Registration] = {}
        self._strangers: dict[str, int] = {}

    def ids(self, slots: Iterable[int]) -> list[str]:
        """The ids of the workers of some slots."""
        threads = range(self._options.thread_count)
        return [worker_id(self._base_id, slot, thread) for slot in slots for thread in threads]

    # at the start

    def register_first(self, slots: range) -> bool:
        """Register the first workers; gives False while a process with such an id may be alive: then call it again.

        Raises:
            WorkerIdError: it is alive.
            RedisError: Redis can't be reached, or refuses.
        """
        for slot in slots:
            for thread, name in enumerate(self.ids([slot])):
                if name not in self._known and not self._register(name, slot, thread):
                    self._wait_for(name)
                    return False
        return True

    def start(self) -> None:
        """Begin to beat."""
        self._heartbeat.start()

    def _wait_for(self, name: str) -> None:
        """Whether the other lives its key tells, when it is renewed, or runs out."""
        left = self._store.life_left(name)
        if left > self._strangers.get(name, left):
            raise WorkerIdError(same_id(name))
        if name not in self._strangers:
            log.warning("a process worked as %s; waiting up to %d s to see whether it lives", name, left // 1000 + 1)
        self._strangers[name] = left

    # later

    def register(self, slot: int) -> bool:
        """Register a slot's workers, before the first of its processes is forked; gives False if others have their ids.

        While Redis is away, the next beat makes them known.
        """
        for thread, name in enumerate(self.ids([slot])):
            if name in self._known:
                continue
            try:
                if not self._register(name, slot, thread):
                    log.error("%s", same_id(name))
                    return False
            except TROUBLE as error:
                log.warning("%s is registered once Redis serves: %s", name, error)
                self._known[name] = self._registration(name, slot, thread)
                self._heartbeat.adopt([self._known[name]])
        return True

    def release(self, slots: Iterable[int]) -> None:
        """Forget the workers of some slots."""
        for name in self.ids(slots):
            if self._known.pop(name, None) is None:
                continue
            try:
                if not self._heartbeat.unregister(name):
                    log.warning("%s still holds a job; it is pruned when its heartbeat runs out", name)
            except TROUBLE as error:
                log.warning("%s could not unregister, it will be pruned: %s", name, error)

    def release_all(self) -> None:
        """Stop beating, and forget all."""
        self._heartbeat.stop()
        for name in list(self._known):
            self._known.pop(name)
            try:
                self._heartbeat.unregister(name)
            except TROUBLE as error:
                log.warning("%s could not unregister, it will be pruned: %s", name, error)
                return

    def tell(
        self, slots: Iterable[int], working: Mapping[int, int], memory: Mapping[int, int], *, paused: bool
    ) -> None:
        """What there is to know of the workers, for the next beat.

        Args:
            slots: those there are.
            working: the process that works in each, by slot.
            memory: the processes' memory in bytes, by process id.
            paused: whether the tree takes no more jobs.
        """
        for slot in slots:
            process = working.get(slot)
            for thread, name in enumerate(self.ids([slot])):
                if name in self._known:
                    told = self._registration(name, slot, thread, process, memory.get(process or 0), paused=paused)
                    self._known[name] = told
        self._heartbeat.update(self._known.values())

    def _register(self, name: str, slot: int, thread: int) -> bool:
        known = self._registration(name, slot, thread)
        if not self._heartbeat.register(known):
            return False
        self._known[name] = known
        return True

    def _registration(  # noqa: PLR0913 - what there is to know of a worker
        self,
        name: str,
        slot: int,
        thread: int,
        process: int | None = None,
        memory: int | None = None,
        *,
        paused: bool = False,
    ) -> Registration:
        options = self._options
        told = Told(
            options.hostname, os.getpid(), slot, thread, process, self._token, options.dead_after, memory, paused
        )
        started = self._known[name].started if name in self._known else times.started(time.time())
        return Registration(name, self._token, options.dead_after, started, told.encode())
