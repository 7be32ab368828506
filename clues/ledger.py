"""What each job is at in the worker processes of a foreign job system, in files that outlive them.

Some systems forget a job with the worker that ran it: nobody would ever tell its end. Each worker process keeps a file,
its *ledger*, with a slot for every job that it runs::

    begin(attempt)         the slot holds the attempt's perform_started
    end(attempt, event)    it holds the event that ends the attempt; that is published; the slot is free again

Whoever finds the ledger of a dead process (its lock is free) finishes the stories in it: an end that was decided is
told again, under the same id; what had only begun `failed`, for its worker died. A write is one system call into the
page cache: it survives the process, not the machine.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import threading
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from clues.attempt import Attempt
from clues.errors import ConfigError
from clues.event import Event, EventType
from clues.lifecycle import Lifecycle
from clues.metadata import ID_ENDS, timestamp
from clues.rundir import checked_folder, run_dir

SLOT = 32 * 1024
"""Bytes of a slot, more than the caps let an event have; a file takes up what is written of it only."""

_HEAD = 5  # a slot's state, and how long its line is
_FREE, _BEGUN, _ENDED = b"-", b"+", b"="


class Ledger:
    """The ledger of this process, and the way to those of dead ones.

    Forked children have their own. Threads and greenlets may share one.
    """

    def __init__(self, lifecycle: Lifecycle, place: str, *, folder: str | None = None) -> None:
        """Prepare; the file is made when the first job begins.

        Args:
            lifecycle: of the job system; it publishes what is found.
            place: what the workers have in common that may finish each other's stories, such as the broker's URL and
                the application's name. No more than its digest is shown.
            folder: where ledgers stand; left out, that of `clues.rundir`.
        """
        digest = sha256(place.encode("utf-8", "surrogateescape")).hexdigest()[:12]
        self._lifecycle = lifecycle
        self._stem = f"{lifecycle.system}-{digest}"
        self._folder = folder
        self._fd = -1
        self._path: Path | None = None
        self._broken = False
        self._opening = threading.Lock()
        self._free: list[int] = []
        self._unused = itertools.count()
        self._held: dict[int, int] = {}
        self._decided: set[int] = set()
        _all.append(self)

    def begin(self, attempt: Attempt | None) -> None:
        """An attempt's code is about to run, and its perform_started is published."""
        if attempt is None or attempt.begun is None or self._broken:
            return
        try:
            if self._fd < 0:
                self._open()
            slot = self._free.pop()
        except IndexError:
            slot = next(self._unused)  # in one step, whatever other threads do
        except (OSError, ConfigError) as error:
            self._give_up(error)
            return
        self._held[id(attempt)] = slot
        self._write(slot, _BEGUN, attempt.begun)

    def decide(self, attempt: Attempt | None, event: Event | None) -> None:
        """What is about to be committed, and told then by `end`; to be used with `inherited`, not with `settle`."""
        slot = self._held.get(id(attempt))
        if slot is not None and event is not None:
            self._decided.add(slot)
            self._write(slot, _ENDED, event)

    def end(self, attempt: Attempt | None, event: Event | None) -> None:
        """Publish the event that ends an attempt, which may have begun here or not."""
        slot = self._held.pop(id(attempt), None)
        if slot is None:
            self._lifecycle.publish(event)
            return
        if event is not None:
            if slot not in self._decided:
                self._write(slot, _ENDED, event)
            self._lifecycle.publish(event)
        self._erase(slot)

    def leave(self) -> None:
        """Remove the file; what has not ended in it is somebody else's to tell."""
        if self._path is not None and not self._held:
            with contextlib.suppress(OSError):
                self._path.unlink()
        self.forget()

    def forget(self) -> None:
        """In a forked child: the file is its parent's."""
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.close(self._fd)
        self._fd, self._path = -1, None
        self._opening = threading.Lock()
        self._free, self._unused, self._held, self._decided = [], itertools.count(), {}, set()

    def settle(self, pid: int | None = None, *, reason: str = "lost") -> set[tuple[str, int]]:
        """Finish the stories in the ledgers of dead processes.

        Args:
            pid: of one process alone.
            reason: the ``_reason`` of what had only begun.

        Returns:
            Whose end was told: hashes, and numbers of attempts.
        """
        config = self._lifecycle.settings.config
        told: set[tuple[str, int]] = set()
        if config is None:
            return told
        try:
            for ended, line in self.inherited(pid):
                told |= self._tell(line, reason, ended=ended)
        except OSError as error:
            config.faults.report("clues", error, "stories of dead workers are left for the next one")
        return told

    def inherited(self, pid: int | None = None) -> Iterator[tuple[bool, bytes]]:
        """What stands in the ledgers of dead processes, each locked until all of it was taken, and then removed.

        Args:
            pid: of one process alone.

        Yields:
            Whether an end was decided, and the event's line.

        Raises:
            OSError: a ledger can't be read.
        """
        folder = Path(self._folder or run_dir())
        for path in sorted(folder.glob(f"{self._stem}-{pid or '*'}-*.ledger")) if folder.is_dir() else []:
            if path == self._path:
                continue
            with _dead(path) as fd:
                if fd is not None:
                    yield from ((state == _ENDED, line) for state, line in _stories(fd))
                    path.unlink()

    def _tell(self, line: bytes, reason: str, *, ended: bool) -> set[tuple[str, int]]:
        try:
            event = Event.from_line(line)
            event_hash, number = event.metadata["_event_hash"], event.metadata["_attempt"]
        except (ValueError, KeyError):  # its process died while it wrote
            return set()
        if ended:
            self._lifecycle.retell(line)
        else:
            self._lifecycle.publish(self._failed(event, reason))
        return {(event_hash, number)}

    def _failed(self, begun: Event, reason: str) -> Event | None:
        config = self._lifecycle.settings.config
        if config is None:
            return None
        told = dict(begun.metadata)
        told["_event_id"] = f"{told['_event_hash']}:{told['_attempt']}:{ID_ENDS[EventType.FAILED]}"
        died = f"its worker process {told.get('_process')} on {told.get('_hostname')} died while it ran"
        told |= {"_exception": "clues.errors.DirtyExit", "_message": died, "_backtrace": []}
        told |= {"_reason": reason, "_reporter": "adapter"}
        at = timestamp(config.clock())
        return Event(
            EventType.FAILED, at, begun.queue, told, begun.worker_class, begun.args, marshaller=config.marshaller
        )

    def _open(self) -> None:
        with self._opening:
            if self._fd < 0:
                self._make()

    def _make(self) -> None:
        folder = checked_folder(self._folder or run_dir())
        path = folder / f"{self._stem}-{os.getpid()}-{os.urandom(4).hex()}.ledger"
        new = path.with_suffix(".new")
        fd = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            new.rename(path)  # not seen before it is locked
        except BaseException:
            os.close(fd)
            raise
        self._fd, self._path = fd, path

    def _write(self, slot: int, state: bytes, event: Event) -> None:
        line = event.line
        if len(line) > SLOT - _HEAD:
            return
        try:
            os.pwrite(self._fd, state + len(line).to_bytes(_HEAD - 1, "big") + line, slot * SLOT)
        except OSError as error:
            self._give_up(error)

    def _erase(self, slot: int) -> None:
        with contextlib.suppress(OSError):
            os.pwrite(self._fd, _FREE, slot * SLOT)
        self._decided.discard(slot)
        self._free.append(slot)

    def _give_up(self, error: Exception) -> None:
        """Nothing is noted any more in this process: it is not worth a complaint at every job."""
        self._broken = True
        if (config := self._lifecycle.settings.config) is not None:
            config.faults.report("clues", error, "jobs that are lost with this process will have no end")


@contextlib.contextmanager
def _dead(path: Path) -> Iterator[int | None]:
    """A ledger of a dead process, locked; None if it lives, or somebody else was quicker."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        yield None
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        yield None
        return
    try:
        yield fd if os.fstat(fd).st_nlink else None
    finally:
        os.close(fd)


def _stories(fd: int) -> Iterator[tuple[bytes, bytes]]:
    """What stands in a ledger's slots: their states and lines."""
    for start in range(0, os.fstat(fd).st_size, SLOT):
        head = os.pread(fd, _HEAD, start)
        size = int.from_bytes(head[1:], "big")
        if head[:1] in {_BEGUN, _ENDED} and size <= SLOT - _HEAD:
            yield head[:1], os.pread(fd, size, start + _HEAD)


_all: list[Ledger] = []


def _forget_parents() -> None:
    for ledger in _all:
        ledger.forget()


os.register_at_fork(after_in_child=_forget_parents)
