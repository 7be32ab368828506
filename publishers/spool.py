"""The folder between the jobs and the shipper: segments of lines, how far each destination is, what it refused.

::

    00000000000000000042.jsonl   segments: standard lines, appended by any number of processes, oldest first
    destinations/<name>.json     how far a destination is in each segment, and what it counts
    dead/<name>.jsonl            what it refused for good, with its reason; older ones in <name>.1.jsonl
    counts                       what the writers had to drop
    segments.lock                held while a segment is begun or the newest one ends: no number is used twice
    destinations/<name>.lock     held by the process that ships to it

Local file systems only: neither appending nor locks can be trusted over NFS.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import struct
import tempfile
import threading
import time
from collections.abc import Collection, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clues.errors import ConfigError
from clues.event import json_encoder
from clues.planted import check_way
from clues.publishers.dead_letter import add_letters

SUFFIX = ".jsonl"
_SEGMENT = re.compile(r"(\d{20})\.jsonl")
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")
_FOLDER_MODE = 0o700
_FILE_MODE = 0o600
_TRY = ".try"
_ABANDONED = 10.0  # seconds; a checkpoint is written in less
_LINES_MODE = 0o640  # as a log's: who opens the folder to a group lets it read, and no more
_NEW = os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_MOST = 1 << 63
_COUNTS = struct.Struct("@QQ")


def spool_folder(given: str | os.PathLike[str] | None, environ: Mapping[str, str] = os.environ) -> Path:
    """The folder that was given, else CLUES_SPOOL, else one of the user's own."""
    named = os.fspath(given) if given else environ.get("CLUES_SPOOL", "").strip()
    if named:
        return Path(named).expanduser().absolute()
    state = environ.get("XDG_STATE_HOME", "").strip()
    if state:
        return Path(state) / "clues" / "spool"
    home = environ.get("HOME", "").strip()
    if home and os.access(home, os.W_OK):
        return Path(home) / ".local" / "state" / "clues" / "spool"
    return Path(tempfile.gettempdir()) / f"clues-{os.getuid()}" / "spool"


@dataclass(frozen=True, slots=True)
class Segment:
    """One file of lines.

    Attributes:
        number: later segments have greater ones.
        path: where it is.
    """

    number: int
    path: Path

    @property
    def size(self) -> int:
        """Its size in bytes; 0 if it is gone."""
        with contextlib.suppress(OSError):
            return self.path.stat().st_size
        return 0


@dataclass(slots=True)
class Checkpoint:
    """How far a destination is, and what it counts.

    Attributes:
        name: the destination's.
        positions: by a segment's number, how many bytes of it are delivered, or have been left out.
        delivered: events.
        retried: events that were sent again.
        dead_lettered: events that it refused.
        left_out: events that it does not want.
        problem: why it did not take what it was sent last; empty if it did.
        state: the destination's own.
    """

    name: str
    positions: dict[int, int] = field(default_factory=dict)
    delivered: int = 0
    retried: int = 0
    dead_lettered: int = 0
    left_out: int = 0
    problem: str = ""
    state: dict[str, Any] = field(default_factory=dict)


class Spool:
    """A spool folder."""

    def __init__(self, folder: Path) -> None:
        """Name a folder; nothing is made yet."""
        self.folder = folder

    def make(self) -> None:
        """Make the folder, and see that it can be written.

        Raises:
            ConfigError: it can't.
        """
        try:
            check_way(self.folder)
            for part in (self.folder, self._destinations, self._dead):
                part.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
            for part in (self._destinations, self._dead):
                if part.is_symlink():
                    raise NotADirectoryError(errno.ENOTDIR, f"{part} is a link")
            fd, name = tempfile.mkstemp(dir=self.folder, prefix=_TRY)
            os.close(fd)
            Path(name).unlink()
            with self._opened_counts():
                pass
        except OSError as error:
            advice = "make it, or name another by spool= or CLUES_SPOOL"
            if (owner := self._other_owner()) is not None:
                advice = f"its files are user {owner}'s: programs that share a spool run as one user"
            msg = f"the spool folder {self.folder} can't be written: {error.strerror or error}; {advice}"
            raise ConfigError(msg) from error

    def _other_owner(self) -> int | None:
        """The user id of whoever else has a spool there; a group would not do, for locks are their owner's alone."""
        with contextlib.suppress(OSError):
            owner = (self.folder / "counts").lstat().st_uid
            return owner if owner != os.geteuid() else None
        return None

    # segments

    def segments(self) -> list[Segment]:
        """Those there are, oldest first."""
        try:
            names = os.listdir(self.folder)  # noqa: PTH208 - names alone
        except FileNotFoundError:
            return []
        numbers = sorted(int(found[1]) for name in names if (found := _SEGMENT.fullmatch(name)))
        return [self.segment(number) for number in numbers]

    def segment(self, number: int) -> Segment:
        """The segment of this number, which may not be there."""
        return Segment(number, self.folder / f"{number:020d}{SUFFIX}")

    @contextlib.contextmanager
    def changing(self) -> Generator[None]:
        """Begin a segment, or end the newest, as the only one who does so."""
        fd = os.open(self.folder / "segments.lock", os.O_RDWR | _NEW, _FILE_MODE)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def begin(self, *, after: int) -> None:
        """Make the next segment, unless somebody has: its number was never used before.

        Args:
            after: the newest that the caller knows; 0 for none.

        Raises:
            OSError: it can't be made.
        """
        with self.changing():
            segments = self.segments()
            newest = segments[-1].number if segments else 0
            if newest > after:
                return
            used = (
                [number for checkpoint in self.checkpoints() for number in checkpoint.positions] if not newest else []
            )
            self._make(max([newest, *used]) + 1)

    def _make(self, number: int) -> None:
        os.close(os.open(self.segment(number).path, os.O_WRONLY | _NEW, _LINES_MODE))

    def size(self) -> int:
        """The bytes of all segments."""
        return sum(segment.size for segment in self.segments())

    def end(self, segment: Segment, delivered: int) -> bool:
        """Remove a segment that nobody writes any more, if no more stands in it than was delivered.

        The newest one is followed by another first, so that no number is used twice.

        Args:
            segment: which.
            delivered: the bytes that all destinations are done with.

        Returns:
            Whether it is gone.
        """
        try:
            fd = os.open(segment.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)  # until it is removed, so that no writer comes meanwhile
            if os.fstat(fd).st_size > delivered:
                return False
            with self.changing():
                if self.segments()[-1].number == segment.number:
                    self._make(segment.number + 1)
                segment.path.unlink(missing_ok=True)
        except OSError:
            return False
        finally:
            os.close(fd)
        return True

    # destinations

    def checkpoint(self, name: str) -> Checkpoint:
        """How far a destination is; a new one is at the beginning of what there is."""
        # One that is torn, by a failing disk, is as none: to deliver twice is better than not at all.
        return _read(self._checkpoint_path(name)) or Checkpoint(name)

    def checkpoints(self) -> list[Checkpoint]:
        """Those of all destinations that were ever delivered to."""
        return [found for path in sorted(self._destinations.glob("*.json")) if (found := _read(path))]

    def register(self, name: str) -> None:
        """Have a destination known before its first delivery: what it has not got yet is kept for it.

        Raises:
            OSError: it can't be written.
        """
        path = self._checkpoint_path(name)
        if path.exists():
            path.touch()
        else:
            self.save(Checkpoint(name))

    def others(self, names: Collection[str], since: float) -> list[Checkpoint]:
        """The destinations of other programs that were heard of since then, in epoch seconds."""
        ours = {self._checkpoint_path(name) for name in names}
        return [
            _read(path) or Checkpoint(f"{path.stem} (unreadable)")  # what it may lack must not be removed
            for path in sorted(self._destinations.glob("*.json"))
            if path not in ours and _changed(path) >= since
        ]

    def lock(self, name: str) -> Path:
        """The file whose lock makes a process the one that ships to a destination."""
        return self._destinations / f"{_file_name(name)}.lock"

    def save(self, checkpoint: Checkpoint) -> None:
        """Write how far a destination is, whole or not at all.

        Raises:
            OSError: it can't be written.
        """
        path = self._checkpoint_path(checkpoint.name)
        told = {
            "name": checkpoint.name,
            "positions": {str(number): at for number, at in checkpoint.positions.items()},
            "delivered": checkpoint.delivered,
            "retried": checkpoint.retried,
            "dead_lettered": checkpoint.dead_lettered,
            "left_out": checkpoint.left_out,
            "problem": checkpoint.problem,
            "state": checkpoint.state,
        }
        temporary = path.with_suffix(f".{os.getpid()}.{threading.get_ident()}")  # programs may start at once
        try:
            fd = os.open(temporary, os.O_WRONLY | os.O_TRUNC | _NEW, _FILE_MODE)
            with os.fdopen(fd, "wb") as file:
                file.write(_encoded(told))
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise

    def tidy(self, name: str) -> None:
        """Remove what processes left behind that were killed while they saved a checkpoint, or tried the folder."""
        kept = self._checkpoint_path(name), self.lock(name)
        for path in (*self._destinations.glob(f"{_file_name(name)}.*"), *self.folder.glob(f"{_TRY}*")):
            if path not in kept and _changed(path) < time.time() - _ABANDONED:
                path.unlink(missing_ok=True)

    def bury(self, name: str, lines: list[tuple[bytes, str]], at: str) -> None:
        """Keep lines that a destination has refused, each with its reason; too many push the oldest out.

        Args:
            name: the destination.
            lines: each line, and why it was refused.
            at: when, as a timestamp.

        Raises:
            OSError: they can't be written.
        """
        dropped = add_letters(self.dead_letter(name), name, lines, at)
        if any(dropped):
            self.count_dropped(*dropped)

    def dead_letter(self, name: str) -> Path:
        """The file of what a destination has refused."""
        return self._dead / f"{_file_name(name)}.jsonl"

    # what writers had to drop

    def count_dropped(self, events: int, size: int) -> bool:
        """Add to what was dropped, for all processes to see.

        Args:
            events: how many.
            size: their bytes.

        Returns:
            Whether that could be written.
        """
        try:
            with self._opened_counts() as fd:
                fcntl.flock(fd, fcntl.LOCK_EX)
                before = _COUNTS.unpack(os.pread(fd, _COUNTS.size, 0))
                os.pwrite(fd, _COUNTS.pack(before[0] + events, before[1] + size), 0)
        except OSError:
            return False
        return True

    def dropped(self) -> tuple[int, int]:
        """How many events were dropped for want of room, and their bytes."""
        try:
            with self._opened_counts() as fd:
                events, size = _COUNTS.unpack(os.pread(fd, _COUNTS.size, 0))
        except OSError:
            return 0, 0
        return events, size

    @contextlib.contextmanager
    def _opened_counts(self) -> Any:
        fd = os.open(self.folder / "counts", os.O_RDWR | _NEW, _FILE_MODE)
        try:
            if os.fstat(fd).st_size < _COUNTS.size:
                os.pwrite(fd, bytes(_COUNTS.size), 0)  # room is taken now, for when the disk is full
            yield fd
        finally:
            os.close(fd)

    @property
    def _destinations(self) -> Path:
        return self.folder / "destinations"

    @property
    def _dead(self) -> Path:
        return self.folder / "dead"

    def _checkpoint_path(self, name: str) -> Path:
        return self._destinations / f"{_file_name(name)}.json"


def _read(path: Path) -> Checkpoint | None:
    """The checkpoint in a file; None if there is none, or it can't be read."""
    try:
        found = Checkpoint(**json.loads(path.read_bytes()))
        positions = {int(number): at for number, at in found.positions.items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return None
    found.positions = positions
    numbers = (*positions, *positions.values(), found.delivered, found.retried, found.dead_lettered, found.left_out)
    sound = all(type(number) is int and 0 <= number < _MOST for number in numbers)
    sound = sound and type(found.name) is str and type(found.problem) is str and type(found.state) is dict
    return found if sound else None


def _encoded(told: Mapping[str, Any]) -> bytes:
    """A checkpoint: one for each batch, with thousands of numbers in a state."""
    try:
        return json_encoder()(told)
    except (TypeError, ValueError):  # a state with an integer beyond 64 bits, or half a character
        return json.dumps(told).encode()


def _changed(path: Path) -> float:
    with contextlib.suppress(OSError):
        return path.stat().st_mtime
    return 0.0


def _file_name(name: str) -> str:
    """A destination's name as a file's: readable, and no two the same."""
    readable = _UNSAFE.sub("-", name).strip("-.")[:80]
    return f"{readable}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
