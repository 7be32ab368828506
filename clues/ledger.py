"""What each job is at in the worker processes of a foreign job system, in files that outlive them.

Some systems forget a job with the worker that ran it: nobody would ever tell its end. Each worker process keeps a file,
its *ledger*, with a slot for every job that it runs::

    begin(attempt)         the slot holds the attempt's dequeued or perform_started
    end(attempt, event)    it holds the event that ends the attempt; that is published; the slot is free again

Whoever finds the ledger of a dead process (its lock is free) finishes the stories in it: an end that was decided is
told again, under the same id; what had only begun `failed`, for its worker died. The file is memory that is shared with
the page cache: what is written survives the process, not the machine, and costs no system call.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import mmap
import os
import threading
import time
import weakref
from collections.abc import Generator, Iterator
from hashlib import sha256
from pathlib import Path

from clues.attempt import Attempt
from clues.errors import ConfigError
from clues.event import Event, EventType
from clues.lifecycle import Lifecycle
from clues.metadata import ID_ENDS, timestamp
from clues.rundir import checked_folder, run_dir

SLOT = 48 * 1024
"""Bytes of a slot; a file takes up what is written of it only."""

# Begun and ended have places of their own: to tell of the end takes no more than to change the slot's first byte. Each
# has a head, of the state and how long the line is, and room for more than the caps let such an event have.
_PLACES = (0, 16 * 1024)
_ROOM = (16 * 1024, 32 * 1024)
_HEAD = 5
_FREE, _BEGUN, _ENDED = b"-+="
_AT_FIRST = 8  # slots that are mapped
_PAUSE = 5.0  # seconds until a ledger that could not be written is tried again
_PAGE = 4096


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
        self._map: mmap.mmap | None = None
        self._path: Path | None = None
        self._broken: Exception | None = None  # why nothing could be noted
        self._again_at = 0.0  # when that is tried again, on the monotonic clock
        self._opening = threading.Lock()
        self._free: list[int] = []
        self._unused = itertools.count()
        self._held: dict[int, int] = {}
        self._decided: set[int] = set()
        _all.add(self)

    def begin(self, attempt: Attempt | None) -> None:
        """An attempt's code is about to run; best before that is published, for a process may die in between."""
        if attempt is None or (event := attempt.held or attempt.begun) is None:
            return
        if (slot := self._slot_for(attempt)) is not None:
            self._write(slot, _BEGUN, event)

    def decide(self, attempt: Attempt | None, event: Event | None) -> None:
        """What is about to be committed, and told then by `end`; to be used with `inherited`, not with `settle`.

        Args:
            attempt: one that has begun here, or never will.
            event: that ends it.
        """
        if attempt is None or event is None:
            return
        slot = self._held.get(id(attempt))
        if slot is None:
            slot = self._slot_for(attempt)
        if slot is not None:
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
        if self._map is not None:
            self._map[slot * SLOT] = _FREE
            self._decided.discard(slot)
            self._free.append(slot)

    def leave(self) -> bool:
        """Remove the file, unless something has not ended in it: that is somebody else's to tell.

        Returns:
            Whether nothing is left.
        """
        done = not self._held
        if self._path is not None and done:
            with contextlib.suppress(OSError):
                self._path.unlink()
        self.forget()
        return done

    def forget(self) -> None:
        """In a forked child: the file is its parent's."""
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.close(self._fd)
        self._fd, self._map, self._path = -1, None, None
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

    def strike(self, attempt: Attempt) -> None:
        """Take an attempt out of the ledgers of other processes, dead or alive: its end was told in this one.

        Raises:
            OSError: a ledger can't be written.
        """
        named = f'"{attempt.event_hash}:{attempt.number}:'.encode()
        for path in self._others():
            with contextlib.suppress(FileNotFoundError):
                fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
                try:
                    for start, _, line in _slots(fd):
                        if named in line:
                            os.pwrite(fd, bytes([_FREE]), start)
                finally:
                    os.close(fd)

    def inherited(self, pid: int | None = None) -> Generator[tuple[bool, bytes], None, None]:
        """What stands in the ledgers of dead processes, each locked until all of it was taken, and then removed.

        Args:
            pid: of one process alone.

        Yields:
            Whether an end was decided, and the event's line.

        Raises:
            OSError: a ledger can't be read.
        """
        for path in self._others(pid):
            with _dead(path) as fd:
                if fd is not None:
                    yield from _stories(fd)
                    path.unlink()

    def _others(self, pid: int | None = None) -> list[Path]:
        """The ledgers of other processes. A folder that others may write is not believed."""
        folder = Path(self._folder or run_dir())
        if not folder.is_dir():
            return []
        try:
            checked_folder(str(folder))
        except ConfigError as error:
            raise OSError(str(error)) from error
        found = folder.glob(f"{self._stem}-{pid or '*'}-*.ledger")
        return sorted(path for path in found if path != self._path)

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

    def _slot_for(self, attempt: Attempt) -> int | None:
        if self._broken is not None and time.monotonic() < self._again_at:
            self._report(self._broken)
            return None
        try:
            slot = self._free.pop()
        except IndexError:
            try:
                slot = self._another()
            except (OSError, ConfigError) as error:
                self._give_up(error)
                return None
        self._held[id(attempt)] = slot
        return slot

    def _another(self) -> int:
        """A slot that was never used, with the disk's space for what it mostly holds: memory that has none kills."""
        with self._opening:
            if self._fd < 0:
                self._make()
            slot = next(self._unused)
            if self._map is None or len(self._map) < (slot + 1) * SLOT:
                self._map = self._mapped(max(_AT_FIRST, 2 * slot) * SLOT)
            for place in _PLACES:
                if os.pwrite(self._fd, bytes(_PAGE), slot * SLOT + place) < _PAGE:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
            return slot

    def _mapped(self, size: int) -> mmap.mmap:
        os.ftruncate(self._fd, size)
        # A descriptor of its own, for a map holds it, and with it the lock, in forked children that don't know of it.
        fd = os.open(self._path or "", os.O_RDWR | os.O_NOFOLLOW)
        try:
            return mmap.mmap(fd, size)
        finally:
            os.close(fd)

    def _make(self) -> None:
        folder = checked_folder(self._folder or run_dir())
        path = folder / f"{self._stem}-{os.getpid()}-{os.urandom(4).hex()}.ledger"
        new = path.with_suffix(".new")
        fd = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            new.rename(path)  # not seen before it is locked
        except BaseException:
            os.close(fd)
            raise
        self._fd, self._path = fd, path

    def _write(self, slot: int, state: int, event: Event) -> None:
        line, start, shared = event.line, slot * SLOT, self._map
        size, place = len(line), start + _PLACES[state == _ENDED] + 1
        if shared is None or size > _ROOM[state == _ENDED] - _HEAD:
            return
        told = size.to_bytes(_HEAD - 1, "big") + line
        if len(told) < _PAGE:
            shared[place : place + len(told)] = told
        else:  # there may be no space for it
            try:
                os.pwrite(self._fd, told, place)
            except OSError as error:
                self._give_up(error)
                return
        shared[start] = state

    def _give_up(self, error: Exception) -> None:
        """Nothing is noted for a while: the disk may be full, or no descriptor left."""
        self._broken, self._again_at = error.with_traceback(None), time.monotonic() + _PAUSE
        self._report(error)

    def _report(self, error: Exception) -> None:
        if (config := self._lifecycle.settings.config) is not None:
            config.faults.report("clues", error, "a job that is lost with this process now will have no end")


@contextlib.contextmanager
def _dead(path: Path) -> Iterator[int | None]:
    """A ledger of a dead process, locked; None if it lives, or somebody else was quicker."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
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


def _stories(fd: int) -> Iterator[tuple[bool, bytes]]:
    """What stands in a ledger's slots: whether it has ended, and its line."""
    return ((ended, line) for _, ended, line in _slots(fd))


def _slots(fd: int) -> Iterator[tuple[int, bool, bytes]]:
    """A ledger's slots that hold a story: where each begins, whether it has ended, and its line."""
    for start in range(0, os.fstat(fd).st_size, SLOT):
        state = os.pread(fd, 1, start)
        if state in {b"+", b"="}:
            ended = state == b"="
            head = os.pread(fd, _HEAD, start + _PLACES[ended])
            size = int.from_bytes(head[1:], "big")
            if size <= _ROOM[ended] - _HEAD:
                yield start, ended, os.pread(fd, size, start + _PLACES[ended] + _HEAD)


_all: weakref.WeakSet[Ledger] = weakref.WeakSet()


def _forget_parents() -> None:
    for ledger in list(_all):
        ledger.forget()


os.register_at_fork(after_in_child=_forget_parents)
