"""The files that tell other programs of us: which workers a starter has, and a process's id.

Two masters may share them for a while, as Server::Starter lets the old one end beside the new. So the later one takes a
file over, and the earlier neither writes nor removes it any more. A forked child never removes its parent's.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISREG

from clues.errors import ConfigError

_MODE = 0o644


class StatusFile:
    """resque_starter's status file, YAML: ``old_workers:``, a process id and a worker's number on each line below.

    It is replaced at once and whole. A link at its path is never followed.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Write nothing yet.

        Args:
            path: the file's; its folder must be there, and ours to write in.
        """
        self._path = Path(path).absolute()
        self._written: tuple[int, int, bytes] | None = None
        self._writer = 0

    def write(self, workers: Mapping[int, int]) -> None:
        """Write which workers there are, unless a later master has taken the file over.

        Args:
            workers: process id to number.

        Raises:
            ConfigError: the file can't be written.
        """
        with _telling("status file", self._path):
            found = self._found()
            if self._written and found and found != self._written:
                return
            self._replace(_yaml(workers))

    def remove(self) -> None:
        """Remove the file, in the process that wrote it, unless a later master has taken it over, or it is gone."""
        if self._writer != os.getpid():
            return
        with contextlib.suppress(OSError):  # at the end of the process, where nobody could do anything about it
            if self._found() == self._written:
                self._path.unlink()

    def _found(self) -> tuple[int, int, bytes] | None:
        """What is at the path: which file, what it says; None for nothing."""
        try:
            there = self._path.lstat()
            if not S_ISREG(there.st_mode):
                raise OSError(errno.EEXIST, "there is a link, or no ordinary file")
            return there.st_dev, there.st_ino, self._path.read_bytes()
        except FileNotFoundError:
            return None

    def _replace(self, text: bytes) -> None:
        fd, temporary = tempfile.mkstemp(prefix=f".{self._path.name}.", dir=self._path.parent)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(text)
                file.flush()
                os.fchmod(fd, _MODE)
                made = os.fstat(fd)
            Path(temporary).replace(self._path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        self._written = made.st_dev, made.st_ino, text
        self._writer = os.getpid()


class PidFile:
    """A file that holds a process's id.

    It is written in place, as Resque does, for its folder may be another user's. A link at its path is never followed.
    """

    def __init__(self, path: str | os.PathLike[str], *, newline: bool) -> None:
        """Write nothing yet.

        Args:
            path: the file's.
            newline: whether the id ends with a newline: in resque_starter's file it does, in Resque's own it doesn't.
        """
        self._path = Path(path).absolute()
        self._end = "\n" if newline else ""
        self._writer = 0

    def write(self) -> None:
        """Write this process's id.

        Raises:
            ConfigError: the file can't be written.
        """
        self._writer = os.getpid()
        with _telling("pid file", self._path):
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | _FLAGS, _MODE)
            with os.fdopen(fd, "w") as file:
                if S_ISREG(os.fstat(fd).st_mode):  # and not /dev/null
                    os.ftruncate(fd, 0)
                file.write(f"{self._writer}{self._end}")

    def remove(self) -> None:
        """Remove the file, in the process that wrote it, if it still holds that process's id."""
        if self._writer != os.getpid():
            return
        with contextlib.suppress(OSError):  # at the end of the process, where nobody could do anything about it
            if self._holds_our_id():
                self._path.unlink()

    def _holds_our_id(self) -> bool:
        fd = os.open(self._path, os.O_RDONLY | _FLAGS)
        with os.fdopen(fd, "rb") as file:
            return S_ISREG(os.fstat(fd).st_mode) and file.read(32).strip() == str(self._writer).encode()


# Without O_NONBLOCK a named pipe that nobody reads would hold us up.
_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


@contextmanager
def _telling(what: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = "it is a link; give the file's own path" if error.errno == errno.ELOOP else error.strerror or error
        msg = f"can't write the {what} {path}: {reason}"
        raise ConfigError(msg) from error


def _yaml(workers: Mapping[int, int]) -> bytes:
    """Write a hash of integers as Ruby does."""
    if not workers:
        return b"---\nold_workers: {}\n"
    lines = "".join(f"  {pid:d}: {number:d}\n" for pid, number in workers.items())
    return f"---\nold_workers:\n{lines}".encode()
