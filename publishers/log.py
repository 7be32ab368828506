"""Events as lines in a file, or through a standard library logger."""

from __future__ import annotations

import errno
import logging
import os
import threading
from pathlib import Path
from typing import Protocol
from urllib.parse import SplitResult, unquote

from clues.errors import ConfigError
from clues.event import Event

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOCTTY
_MODE = 0o640


class LogPublisher:
    """Appends each event as one line: one write to a file opened for appending, so processes share it safely.

    The file is reopened when it was renamed or removed (logrotate, by rename or copytruncate, needs no signal) and
    after a fork. A write that fails raises, which the seam counts; the job never hears of it. Local file systems
    only: appending over NFS is not atomic.
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
        self._sink.write(event)

    def close(self) -> None:
        """Close the file; a later event opens it again."""
        self._sink.close()


class _Sink(Protocol):
    def write(self, event: Event) -> None: ...

    def close(self) -> None: ...


class _Logger:
    def __init__(self, logger: logging.Logger, level: int) -> None:
        self._logger = logger
        self._level = level

    def write(self, event: Event) -> None:
        if self._logger.isEnabledFor(self._level):
            self._logger.log(self._level, "%s", event.marshalled.decode(), extra={"clues_event": event})

    def close(self) -> None:
        """Nothing: the logger is the application's."""


class _File:
    """A file opened for appending that follows its path.

    One file descriptor number serves for the file's whole life: a reopened file takes the number over by ``dup2``,
    so that a thread that is about to write never meets a closed or a foreign descriptor.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._opening = threading.Lock()
        self._fd = -1
        self._torn = False
        try:
            self._open()
        except OSError as error:
            msg = f"LogPublisher can't append to {path}: {error.strerror}; make its folder, or choose another path"
            raise ConfigError(msg) from error

    def write(self, event: Event) -> None:
        self._follow()
        line = event.marshalled + b"\n"
        if self._torn:  # begin on a line of our own after a write that stopped in the middle
            line = b"\n" + line
        written = os.write(self._fd, line)
        self._torn = written < len(line)
        if self._torn:
            raise OSError(errno.ENOSPC, f"only {written} of {len(line)} bytes were written", self._path)

    def close(self) -> None:
        with self._opening:
            if self._fd >= 0 and self._is_ours():
                os.close(self._fd)
            self._fd = -1

    def _follow(self) -> None:
        """Open the file anew if the path leads elsewhere by now, or if we are a forked child."""
        if self._fd < 0 or self._pid != os.getpid():
            self._reopen()
            return
        try:
            found = os.stat(self._path)
        except OSError:
            self._reopen()
            return
        if found.st_ino != self._inode or found.st_dev != self._device:
            self._reopen()

    def _reopen(self) -> None:
        # A lock that a thread of the parent held at the fork would stay locked in the child for ever.
        if self._pid != os.getpid():
            self._opening = threading.Lock()
        with self._opening:
            self._open()

    def _open(self) -> None:
        fd = os.open(self._path, _FLAGS, _MODE)
        if self._fd >= 0 and self._is_ours():
            os.dup2(fd, self._fd, inheritable=False)
            os.close(fd)
        else:
            self._fd = fd
        found = os.fstat(self._fd)
        self._device, self._inode = found.st_dev, found.st_ino
        self._pid = os.getpid()

    def _is_ours(self) -> bool:
        """Whether the number still stands for our file: a daemon closes all, and the number may be another's now."""
        try:
            found = os.fstat(self._fd)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == (self._device, self._inode)


def _path(target: object) -> str:
    try:
        return str(Path(os.fspath(target)).absolute())  # type: ignore[call-overload]
    except TypeError:
        msg = f"LogPublisher takes a path or a logging.Logger, not {type(target).__name__}"
        raise ConfigError(msg) from None
