"""What a process has of one spool: its journal, the publishers that share it, and, where nobody else ships, a thread.

A worker tree has a process of its own for shipping, its *companion*. Web applications and scripts ship by a background
thread, which begins with the first event: in each process that publishes, so in gunicorn's and uWSGI's workers too,
while the destinations' locks let one at a time do it. A thread does not live on in forked children: they begin anew.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import logging
import os
import signal
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from clues.errors import ConfigError
from clues.event import Event, Sampler
from clues.faults import Faults
from clues.publishers.health import Health
from clues.publishers.journal import Journal, JournalOptions
from clues.publishers.sampling import TakesStates, Teller
from clues.publishers.shipper import Shipped, Shipper
from clues.publishers.spool import Checkpoint, Segment

log = logging.getLogger("clues.shipper")

DRAIN_TIMEOUT = 5.0
"""Seconds that a companion goes on to deliver when its tree has ended; what is left stands in the journal."""

_LOOK = 0.02
_GARBAGE = 50_000  # objects, more than a batch has: those are freed as it goes, and were looked through for nothing
_COLLECT = (
    60.0  # seconds after which garbage is looked for all the same: failed connections leave some, with their batch
)


class Outbox:
    """A journal, and whose events go into it.

    Attributes:
        journal: where events wait.
        publishers: whose destinations get them.
        faults: counts what goes wrong with shipping.
    """

    def __init__(self, folder: Path, options: JournalOptions) -> None:
        """Make the journal.

        Raises:
            ConfigError: its folder can't be written.
        """
        self.journal: Journal = Journal(folder, options)
        self.publishers: list[Shipped] = []
        self.faults: Faults = Faults()
        self.flush_timeout: float = 0.0
        self._shipper: Shipper | None = None
        self._accompanied = False
        self._starting = threading.RLock()  # re-entrant: a signal's handler may publish too

    def add(self, publisher: Shipped, flush_timeout: float) -> None:
        """Have a publisher's destination get what is journalled from now on, and what still stands there."""
        self._end_shipper()
        self.publishers.append(publisher)
        self.flush_timeout = max(self.flush_timeout, flush_timeout)
        try:
            self.journal.spool.register(publisher.name)
        except OSError as error:
            msg = f"the spool folder {self.journal.spool.folder} can't be written: {error.strerror or error}"
            raise ConfigError(msg) from error

    def remove(self, publisher: Shipped) -> None:
        """A publisher is closed: what it has not delivered stands in the journal, for the next one."""
        if publisher in self.publishers:
            self._end_shipper()
            self.publishers.remove(publisher)
        if not self.publishers:
            self.journal.close()
            _outboxes.pop(str(self.journal.spool.folder), None)

    def publish(self, *events: Event) -> None:
        """Journal events."""
        self.journal.append(*events)
        if self._shipper is None and not self._accompanied:
            self._ship()

    def flush(self, timeout: float) -> bool:
        """Wait until all that was journalled until now is delivered, by whomever.

        Args:
            timeout: seconds.

        Returns:
            Whether it is.
        """
        wanted = self.journal.spool.segments()
        sizes = [(segment, segment.size) for segment in wanted]
        deadline = time.monotonic() + timeout
        while not self._delivered(sizes):
            if time.monotonic() > deadline:
                return False
            time.sleep(_LOOK)
        return True

    def accompany(self) -> None:
        """Somebody else ships from now on, for this process and those it forks."""
        self._accompanied = True
        self._end_shipper()

    def shipper(self, samplers: Iterable[Sampler] = ()) -> Shipper:
        """A shipper for all publishers."""
        return Shipper(self.journal.spool, tuple(self.publishers), tuple(samplers), faults=self.faults)

    def forget_parents(self) -> None:
        """In a forked child: its parent's threads are not here."""
        self._shipper = None
        self._starting = threading.RLock()

    def _ship(self) -> None:
        with self._starting:
            if self._shipper is None:
                self._shipper = self.shipper()
                with contextlib.suppress(RuntimeError):  # the interpreter ends: the next process ships
                    self._shipper.start()

    def _end_shipper(self) -> None:
        shipper, self._shipper = self._shipper, None
        if shipper is not None:
            self.journal.close()  # so that its segment can end; a later event opens it again
            shipper.end(self.flush_timeout)

    def _delivered(self, sizes: list[tuple[Segment, int]]) -> bool:
        spool = self.journal.spool
        checkpoints = [spool.checkpoint(publisher.name) for publisher in self.publishers]
        return all(_is_past(checkpoint, segment, size) for checkpoint in checkpoints for segment, size in sizes)


class Companion:
    """Ships, and tells states, in a process of its own, which whoever started it keeps alive.

    Attributes:
        ships: whether it does anything where nobody knows states.
    """

    def __init__(self, outboxes: Iterable[Outbox], takers: Iterable[TakesStates] = ()) -> None:
        """Prepare.

        Args:
            outboxes: what to ship; the present process, and what it forks, won't any more.
            takers: publishers that take states themselves.
        """
        self._outboxes = list(outboxes)
        self._takers = list(takers)
        self.ships = bool(self._outboxes)
        for outbox in self._outboxes:
            outbox.accompany()

    def run(self, lifeline: int, samplers: Iterable[Sampler] = (), *, timeout: float = DRAIN_TIMEOUT) -> None:
        """Work until SIGQUIT, or until the other end of a pipe is closed; then deliver what is left.

        TERM, INT and HUP are ignored: platforms send them to all processes while events are still to come.

        Args:
            lifeline: a descriptor that can be read when whoever wants this has gone.
            samplers: who knows states.
            timeout: seconds for what is left.
        """
        wake, waker = os.pipe()
        os.set_blocking(waker, False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGQUIT, lambda _number, _frame: _wake(waker))
        gc.freeze()  # what the application had made before: it is looked through no more, and stays shared
        gc.set_threshold(_GARBAGE)
        samplers = list(samplers)
        shippers = [outbox.shipper(samplers) for outbox in self._outboxes]
        health = [Health(outbox.journal.spool) for outbox in self._outboxes]
        teller = Teller(self._takers, (*health, *samplers), Faults())
        for shipper in shippers:
            shipper.start()
        teller.start()
        while not _one_of(wake, lifeline, seconds=_COLLECT):
            gc.collect()
        teller.end()
        deadline = time.monotonic() + timeout
        for shipper in shippers:
            shipper.end(max(0.0, deadline - time.monotonic()))


def outbox_of(folder: Path, options: JournalOptions) -> Outbox:
    """This process' outbox of a spool; all that share it must want it kept alike.

    Raises:
        ConfigError: the folder can't be written, or another publisher wants it otherwise.
    """
    with _finding:
        found = _outboxes.get(str(folder))
        if found is None:
            found = _outboxes[str(folder)] = Outbox(folder, options)
        elif found.journal.options != options:
            msg = f"publishers that share the spool {folder} must agree on its options: {found.journal.options}"
            raise ConfigError(msg)
        return found


def _is_past(checkpoint: Checkpoint, segment: Segment, size: int) -> bool:
    """Whether a destination is done with so much of a segment; one that is removed is done with."""
    return checkpoint.positions.get(segment.number, 0) >= size or not segment.path.exists()


def _wake(waker: int) -> None:
    with contextlib.suppress(BlockingIOError):
        os.write(waker, b"x")


def _one_of(*fds: int, seconds: float) -> bool:
    """Whether one of these can be read, or is so within some seconds."""
    import select  # noqa: PLC0415 - a companion's alone

    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


_outboxes: dict[str, Outbox] = {}
_finding = threading.Lock()


def _forget_parents() -> None:
    global _finding  # noqa: PLW0603 - the parent's may be held for ever
    _finding = threading.Lock()
    for outbox in _outboxes.values():
        outbox.forget_parents()


def _ship_the_rest() -> None:
    """At the process' exit: what it ships itself is delivered, as far as that is quickly done."""
    for outbox in list(_outboxes.values()):
        outbox._end_shipper()  # noqa: SLF001 - the module's own


os.register_at_fork(after_in_child=_forget_parents)
atexit.register(_ship_the_rest)
