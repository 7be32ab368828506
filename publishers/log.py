"""Events as lines in a file, or through a standard library logger."""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import SplitResult, unquote

from clues.errors import ConfigError
from clues.event import Event
from clues.forklock import ForkLock
from clues.planted import open_ours
from clues.publishers.flood import Flood
from clues.sanitize import for_terminal

# Without O_NONBLOCK a named pipe or /dev/stdout would block the job when its reader stalls; files don't mind it.
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
_MODE = 0o640


class LogPublisher:
    """Appends each event as one line: one write to a file opened for appending, so processes share it safely.

    The file is reopened when it was renamed or removed (logrotate, by rename or copytruncate, needs no signal) and
    after a fork. That is looked for at each write, in a flood of them some times in a tenth of a second. A write that
    fails raises, which the seam counts; the job never hears of it. Local file systems only: appending over NFS is not
    atomic.
    """

    def __init__(self, target: str | os.PathLike[str] | logging.Logger, *, level: int = logging.INFO) -> None:
        """Write to a file, or to a logger.

        Args:
            target: the file's path, created with mode 0640 where it is missing; or a ``logging.Logger``, whose
                handlers then get each event's line as a message (and the event itself as ``record.clues_event``).
            level: the level of a logger's records.

        Raises:
            ConfigError: the file can't be opened for appending.
        """
        self._sink: _Sink = _Logger(target, level) if isinstance(target, logging.Logger) else _File(_path(target))

    @property
    def path(self) -> Path | None:
        """The file; None for a logger."""
        return Path(self._sink.path) if isinstance(self._sink, _File) else None

    @classmethod
    def from_url(cls, url: SplitResult) -> LogPublisher:
        """``log:///var/log/clues.log``, or ``log://clues.log`` relative to the current folder.

        Raises:
            ConfigError: the URL has no path, or the file can't be opened for appending.
        """
        path = unquote(url.netloc + url.path)
        if not path or url.query or url.fragment:
            msg = f"{url.geturl()!r} must be log:// and a path, as in log:///var/log/clues.log"
            raise ConfigError(msg)
        return cls(path)

    def publish(self, event: Event, /) -> None:
        """Append the event's line.

        Raises:
            OSError: it could not be written whole, for want of space for instance.
        """
        self._sink.write_one(event)

    def publish_many(self, events: Sequence[Event]) -> None:
        """Append several events' lines, by one write to a file.

        Raises:
            OSError: they could not be written whole.
            Exception: what the user's marshaller raised of one of them; the others are written.
        """
        for event in events:
            if event.marshaller is not None:
                break
        else:  # then nothing is the user's
            self._sink.write(events)
            return
        taken, error = [], None
        for event in events:
            try:
                event.marshalled  # noqa: B018 - made now, kept for the sink
            except Exception as raised:  # noqa: BLE001 - user code; one event's trouble is not the others'
                error = raised
            else:
                taken.append(event)
        self._sink.write(taken)
        if error is not None:
            raise error

    def close(self) -> None:
        """Close the file; a later event opens it again."""
        self._sink.close()


class _Sink(Protocol):
    def write_one(self, event: Event) -> None: ...

    def write(self, events: Sequence[Event]) -> None: ...

    def close(self) -> None: ...


class _Logger:
    def __init__(self, logger: logging.Logger, level: int) -> None:
        self._logger = logger
        self._level = level

    def write_one(self, event: Event) -> None:
        self.write((event,))

    def write(self, events: Sequence[Event]) -> None:
        if self._logger.isEnabledFor(self._level):
            for event in events:
                self._logger.log(self._level, "%s", event.marshalled.decode(), extra={"clues_event": event})

    def close(self) -> None:
        """Nothing: the logger is the application's."""


class _File:
    """A file opened for appending that follows its path.

    One thread at a time: the descriptor that is written to can't be closed, and so become another file's, meanwhile.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._using = ForkLock()
        self._fd = -1
        self._opened_under: object = None
        self._doubtful = False
        self._flood = Flood(0.1)
        try:
            self._open()
        except OSError as error:
            msg = f"LogPublisher can't append to {path}: {error.strerror}; make its folder, or choose another path"
            raise ConfigError(msg) from error

    def write_one(self, event: Event) -> None:
        self._append(event.marshalled + b"\n")

    def write(self, events: Sequence[Event]) -> None:
        lines = [event.marshalled + b"\n" for event in events]
        # A pipe takes short pieces whole.
        for text in [b"".join(lines)] if self._is_file and lines else lines:
            self._append(text)

    def close(self) -> None:
        with self._using.lock:
            if self._fd >= 0 and self._is_ours(self._fd):
                os.close(self._fd)
            self._fd, self._opened_under = -1, None

    def _append(self, text: bytes) -> None:
        with (lock := self._using.lock):  # a forked child has another
            if lock is not self._opened_under or (self._flood.lets_look() and not self._is_current()):
                self._open_again()
            if self._doubtful and not self._ends_whole():
                text = b"\n" + text
            if self._is_terminal:
                text = for_terminal(text)
            self._doubtful = True  # until it is known that all was written
            written = os.write(self._fd, text)
            if written < len(text):
                raise OSError(errno.ENOSPC, f"only {written} of {len(text)} bytes were written", self.path)
            self._doubtful = False

    def _ends_whole(self) -> bool:
        """Whether the file ends with a newline, after a write of ours, and maybe others', that failed."""
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(fd, "rb") as file:
                return file.seek(0, os.SEEK_END) == 0 or (file.seek(-1, os.SEEK_END) >= 0 and file.read(1) == b"\n")
        except OSError:
            return False  # a pipe, or no permission to read: an empty line does less harm than a torn one

    def _is_current(self) -> bool:
        """Whether what we hold open is still the file at the path."""
        try:
            found = os.stat(self.path)  # noqa: PTH116 - on every event's way, and a Path costs as much again
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._identity and self._is_ours(self._fd)

    def _open_again(self) -> None:
        """Open what is at the path now. Where no descriptor is left, the one we have will do, if its file is there."""
        try:
            self._open()
        except OSError as error:
            if error.errno not in {errno.EMFILE, errno.ENFILE} or self._fd < 0 or not self._is_ours(self._fd):
                raise
            if not os.fstat(self._fd).st_nlink:
                raise

    def _open(self) -> None:
        fd = open_ours(self.path, _FLAGS, _MODE)
        if fd != self._fd and self._fd >= 0 and self._is_ours(self._fd):
            os.close(self._fd)
        self._fd = fd
        found = os.fstat(fd)
        self._identity = found.st_dev, found.st_ino
        self._opened_under = self._using.lock
        self._flood.over()
        self._is_file = stat.S_ISREG(found.st_mode)
        self._is_terminal = not self._is_file and os.isatty(fd)  # such as /dev/stdout, while one tries it

    def _is_ours(self, fd: int) -> bool:
        """Whether the number still stands for our file: a daemon closes all, and the number may be another's now."""
        try:
            found = os.fstat(fd)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._identity


def _path(target: object) -> str:
    try:
        return str(Path(os.fspath(target)).absolute())  # type: ignore[call-overload]
    except TypeError:
        msg = f"LogPublisher takes a path or a logging.Logger, not {type(target).__name__}"
        raise ConfigError(msg) from None
