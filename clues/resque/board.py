"""The scoreboard's file: one to a tree, shared by its processes, and found by the next tree when all of them are dead.

Two kinds of locks tell who lives. Every process of the tree holds a shared lock on the file beside the board: nobody
can lock it exclusively before the last one is gone. And whoever works a slot holds that slot's byte of the board,
which the system gives to the next in line the moment its holder ends, however it ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import mmap
import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

from clues.errors import ConfigError
from clues.resque.scoreboard import RECORD, Record
from clues.rundir import checked_folder

_PAGE = 4096
_MAGIC = b"clues board 2\n"


class Board:
    """A tree's scoreboard.

    Attributes:
        path: its file.
        told: what stands in its head: ``base_id``, ``token``, ``place``, ``capacity``, ``threads``, …
    """

    def __init__(self, path: Path, board: int, lock: int) -> None:
        """Map an open file; see `create`, `join` and `dead_ones`."""
        head = os.pread(board, _PAGE, 0)
        if not head.startswith(_MAGIC):
            msg = f"{path} is no scoreboard of this version"
            raise ConfigError(msg)
        self.path = path
        self._board = board
        self._lock = lock
        self._memory = memoryview(mmap.mmap(board, 0))
        self.told: dict[str, Any] = json.loads(head[len(_MAGIC) :].rstrip(b"\0"))
        if not _is_whole(self.told, len(self._memory)):
            msg = f"{path} is no whole scoreboard"
            raise ConfigError(msg)
        self._records = _records_begin(self.capacity)

    @classmethod
    def create(cls, folder: str, place: str, token: str, *, capacity: int, threads: int, **told: Any) -> Self:
        """Make a board for a tree.

        Args:
            folder: where; it is made if it is not there, for this user only.
            place: the Redis and namespace that the tree works on.
            token: tells this tree from all others.
            capacity: slots that there may be.
            threads: threads of each.
            told: what else to write into its head.

        Raises:
            ConfigError: the folder can't be made or written, or is somebody else's.
        """
        path = checked_folder(folder) / f"{_name(place)}-{os.getpid()}-{token}.board"
        head = {**told, "place": place, "token": token, "capacity": capacity, "threads": threads}
        try:
            # The lock first: a board that nobody has locked is a dead tree's.
            lock = os.open(_lock_of(path), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            fcntl.flock(lock, fcntl.LOCK_SH)
            board = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            begin = _records_begin(capacity)
            os.posix_fallocate(board, 0, begin)
            os.truncate(board, begin + capacity * threads * RECORD)  # slots that nobody has worked take no room
            os.pwrite(board, _MAGIC + json.dumps(head).encode(), 0)
        except OSError as error:
            for left in (path, _lock_of(path)):
                left.unlink(missing_ok=True)
            msg = f"can't make the scoreboard {path}: {error.strerror or error}; CLUES_RUN_DIR names another folder"
            raise ConfigError(msg) from error
        return cls(path, board, lock)

    @classmethod
    def join(cls, path: str | Path) -> Self:
        """Open the board of one's own tree, in another of its processes."""
        path = Path(path)
        lock = os.open(_lock_of(path), os.O_RDWR | os.O_CLOEXEC)
        fcntl.flock(lock, fcntl.LOCK_SH)
        return cls(path, os.open(path, os.O_RDWR | os.O_CLOEXEC), lock)

    def record(self, slot: int, thread: int) -> Record:
        """The place of one worker."""
        return Record(self._memory, self._records + (slot * self.threads + thread) * RECORD)

    def records(self, slot: int) -> list[Record]:
        """The places of a slot's workers; none while nobody has ever worked there."""
        return [self.record(slot, thread) for thread in range(self.threads)] if self.is_used(slot) else []

    def reserve(self, slot: int) -> None:
        """Take the disk's space for a slot: memory that has none kills whoever touches it, were it only to read.

        Raises:
            OSError: there is none.
        """
        size = self.threads * RECORD
        os.posix_fallocate(self._board, self._records + slot * size, size)
        self._memory[_PAGE + slot] = 1

    def is_used(self, slot: int) -> bool:
        """Whether anybody has ever worked a slot: its memory may be touched."""
        return self._memory[_PAGE + slot] != 0

    @property
    def capacity(self) -> int:
        """How many slots there may be."""
        return int(self.told["capacity"])

    @property
    def threads(self) -> int:
        """How many workers each slot has."""
        return int(self.told["threads"])

    def occupy(self, slot: int) -> None:
        """Wait for a slot to be free, and hold it until this process ends."""
        fcntl.lockf(self._board, fcntl.LOCK_EX, 1, slot)

    def remove(self) -> None:
        """Delete it: nothing of it is left to settle."""
        for path in (self.path, _lock_of(self.path)):
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of it."""
        with contextlib.suppress(OSError):
            os.close(self._board)
            os.close(self._lock)


def dead_ones(folder: str, place: str) -> Iterator[Board]:
    """The boards of trees of this Redis and namespace whose processes are all gone; each is ours while it is given."""
    for path in sorted(Path(folder).glob(f"{_name(place)}-*.board")):
        with contextlib.suppress(OSError, ValueError, RecursionError), contextlib.ExitStack() as opened:
            lock = os.open(_lock_of(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            opened.callback(os.close, lock)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            board = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            opened.callback(os.close, board)
            if not os.pread(board, _PAGE, 0).strip(b"\0"):  # its master died before it had written what it is
                path.unlink()
                _lock_of(path).unlink()
                continue
            yield Board(path, board, lock)


def has_dead_ones(folder: str, place: str) -> bool:
    """Whether `dead_ones` would give any."""
    return next(dead_ones(folder, place), None) is not None


def _is_whole(told: object, size: int) -> bool:
    if not isinstance(told, dict) or not all(type(told.get(name)) is str for name in ("token", "place")):
        return False
    capacity, threads = told.get("capacity"), told.get("threads")
    if type(capacity) is not int or type(threads) is not int or capacity < 0 or threads < 1:
        return False
    return size == _records_begin(capacity) + capacity * threads * RECORD


def _records_begin(capacity: int) -> int:
    """After the head comes a byte for each slot, whether anybody has worked there, then the records."""
    return _PAGE + -(-capacity // _PAGE) * _PAGE


def _lock_of(path: Path) -> Path:
    return path.with_suffix(".lock")


def _name(place: str) -> str:
    return sha256(place.encode("utf-8", "surrogateescape")).hexdigest()[:12]
