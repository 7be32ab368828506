"""Ships a journal: one courier for each destination, in the one process that holds that destination's lock."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from clues.event import Sampler
from clues.faults import Faults
from clues.publishers.choice import Choice
from clues.publishers.courier import Courier, Steering
from clues.publishers.delivery import Destination
from clues.publishers.health import Health
from clues.publishers.sampling import Sampling
from clues.publishers.spool import Spool

log = logging.getLogger("clues.shipper")

_TICK = 0.5
_RETRY_LOCK = 1.0
_SHOW_LIFE_EVERY = 60.0
_FORGET_AFTER = 86_400.0  # a destination that nobody has configured or shipped to for so long keeps no segments


class Shipped(Protocol):
    """A publisher whose events are shipped.

    Attributes:
        name: its destination's.
        choice: what it wants.
    """

    name: str
    choice: Choice

    def destination(self) -> Destination:
        """The destination."""


class Shipper:
    """Ships to the destinations of some publishers, as far as no other process does."""

    def __init__(
        self,
        spool: Spool,
        publishers: Sequence[Shipped],
        samplers: Sequence[Sampler] = (),
        *,
        faults: Faults | None = None,
    ) -> None:
        """Prepare.

        Args:
            spool: the journal's.
            publishers: whose destinations to ship to.
            samplers: who knows states.
            faults: counts and says what goes wrong.
        """
        self._spool = spool
        self._publishers = publishers
        self._faults = faults or Faults()
        self._steering = Steering()
        self._couriers: list[Courier] = []
        self._threads: list[threading.Thread] = []
        self._health = Health(spool)
        self._sampling = Sampling((self._health, *samplers), self._faults)
        self._next_life = 0.0

    def start(self) -> None:
        """Begin; returns at once."""
        self._threads = [threading.Thread(target=self._ship, args=(one,), daemon=True) for one in self._publishers]
        for thread in (*self._threads, threading.Thread(target=self._tend, daemon=True)):
            thread.start()

    def end(self, timeout: float) -> bool:
        """Deliver what is left, no longer than so many seconds, and end.

        Returns:
            Whether nothing is left, as far as this process shipped it.
        """
        deadline = time.monotonic() + timeout
        self._steering.draining = True
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        done = not any(thread.is_alive() for thread in self._threads)
        self._steering.stop.set()
        self.clean()
        for courier in self._couriers:
            self._spool.tidy(courier.name)
        return done

    def clean(self) -> None:
        """Remove the segments that all destinations are done with."""
        checkpoints = [courier.checkpoint for courier in self._couriers]
        ours = {checkpoint.name for checkpoint in checkpoints}
        checkpoints += self._spool.others(ours, time.time() - _FORGET_AFTER)
        if not checkpoints:
            return
        for segment in self._spool.segments():
            delivered = min(checkpoint.positions.get(segment.number, 0) for checkpoint in checkpoints)
            if delivered and delivered >= segment.size:
                self._spool.end(segment, delivered)

    # the threads

    def _ship(self, publisher: Shipped) -> None:
        """Wait for the destination's lock, then deliver to it; another process may hold it for as long as it lives."""
        lock = _Lock(self._spool.lock(publisher.name))
        while True:
            try:
                if lock.taken():
                    self._deliver(publisher)
                    return
            except Exception as error:  # noqa: BLE001 - a file that is missing, a full disk: it may be well later
                self._faults.report(publisher.name, error, "its events wait in the journal")
            finally:
                lock.release()
            if self._steering.draining or self._steering.stop.wait(_RETRY_LOCK):
                return

    def _deliver(self, publisher: Shipped) -> None:
        courier = Courier(self._spool, publisher.destination(), publisher.choice, self._steering, faults=self._faults)
        self._couriers = [*(other for other in self._couriers if other.name != courier.name), courier]
        courier.run()

    def _tend(self) -> None:
        while not (self._steering.draining or self._steering.stop.wait(_TICK)):
            if not self._couriers:
                continue
            try:
                self._show_life()
                self.clean()
                self._sample()
                self._health.warn()
            except Exception as error:  # noqa: BLE001 - the couriers go on
                self._faults.report("the shipper", error, "the journal is cleaned later")

    def _show_life(self) -> None:
        """Whoever has nothing delivered for long, as its back end is away, is not to be forgotten by others."""
        now = time.monotonic()
        if now >= self._next_life:
            self._next_life = now + _SHOW_LIFE_EVERY
            for courier in self._couriers:
                self._spool.register(courier.name)
                self._spool.tidy(courier.name)

    def _sample(self) -> None:
        samples = self._sampling.due()
        if samples is not None:
            for courier in self._couriers:
                courier.offer(samples)


class _Lock:
    """A file's lock, which one process at a time can have; it ends with the process, and no child inherits it."""

    _held: set[str] = set()  # noqa: RUF012 - such locks don't keep threads of one process from each other
    _holding = threading.Lock()

    def __init__(self, path: os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        self._fd = -1

    def taken(self) -> bool:
        """Take it, if it is free."""
        with self._holding:
            if self._path in self._held:
                return False
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(fd)
                return False
            with contextlib.suppress(OSError):  # who it is helps people only, and a disk may be full
                os.truncate(fd, 0)
                os.write(fd, f"{os.getpid()}\n".encode())
            self._held.add(self._path)
            self._fd = fd
            return True

    def release(self) -> None:
        """Let go of it."""
        with self._holding, contextlib.suppress(OSError):
            if self._fd >= 0:
                self._held.discard(self._path)
                os.close(self._fd)
                self._fd = -1


def holder(lock: Path) -> int:
    """The process that ships, by its destination's lock, from any other process; 0 if nobody does."""
    try:
        with lock.open("r+b") as file:
            text = file.read()
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return int(text or b"0")
    except (OSError, ValueError):
        pass
    return 0


def _forget_locks() -> None:
    """A forked child has none of its parent's locks, nor its threads."""
    _Lock._held.clear()  # noqa: SLF001 - the child's side of the class
    _Lock._holding = threading.Lock()  # noqa: SLF001


os.register_at_fork(after_in_child=_forget_locks)
