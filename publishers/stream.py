"""Events as lines on a stream: nobody's, any file object's, standard output's."""

from __future__ import annotations

import errno
import io
import os
import select
import stat
import sys
import time
from typing import IO, Any
from urllib.parse import SplitResult

from clues.errors import ConfigError
from clues.event import Event
from clues.forklock import ForkLock
from clues.sanitize import for_terminal

PATIENCE = 0.05
"""Seconds that the first event after a stall waits for standard output's reader; those after it don't wait."""


class NoOpPublisher:
    """Publishes nothing. Items are still stamped, so that others can follow them."""

    @classmethod
    def from_url(cls, url: SplitResult) -> NoOpPublisher:  # noqa: ARG003 - the entry points' signature
        """``noop://``."""
        return cls()

    def publish(self, event: Event, /) -> None:
        """Do nothing."""


class StreamPublisher:
    """Writes each event as one line to a file object, and flushes it: a forked child may leave without a word.

    Text and binary streams both do. The stream may block; for standard output take `StandardOutPublisher`.
    """

    def __init__(self, stream: IO[Any]) -> None:
        """Write to this stream.

        Raises:
            ConfigError: it has no ``write``.
        """
        if not hasattr(stream, "write"):
            msg = f"StreamPublisher needs a file object with write(), not {type(stream).__name__}"
            raise ConfigError(msg)
        self._stream = stream
        self._raw = isinstance(stream, io.RawIOBase)
        text = isinstance(stream, io.TextIOBase)
        self._binary = isinstance(stream, io.RawIOBase | io.BufferedIOBase) or (
            not text and "b" in str(getattr(stream, "mode", ""))
        )
        self._terminal = _is_terminal(stream)

    def publish(self, event: Event, /) -> None:
        """Write the line and flush."""
        line = event.marshalled + b"\n"
        line = for_terminal(line) if self._terminal else line
        written = self._stream.write(line if self._binary else line.decode())
        if self._raw and written != len(line):  # buffered streams write all or raise
            raise OSError(errno.EIO, f"only {written or 0} of {len(line)} bytes were written")
        _flush(self._stream)


class StandardOutPublisher:
    """Writes each event as one line to standard output.

    A reader that has stalled (``worker | less``) must not stall the job: when the pipe is full, the event waits for
    at most `PATIENCE`, once; then events are refused, and so counted, until the pipe takes some again. What the job
    itself prints, and Python's buffer then holds, goes out first and waits as ever.
    """

    def __init__(self) -> None:
        """Write to whatever ``sys.stdout`` is when an event comes."""
        self._using = ForkLock()
        self._rest = b""
        self._rest_of = 0
        self._stalled = False

    @classmethod
    def from_url(cls, url: SplitResult) -> StandardOutPublisher:  # noqa: ARG003 - the entry points' signature
        """``stdout://``."""
        return cls()

    def publish(self, event: Event, /) -> None:
        """Write the line.

        Raises:
            BlockingIOError: the reader has stalled; the event is not written.
            OSError: there is no standard output, or nobody reads it any more.
        """
        line = event.marshalled + b"\n"
        stream = sys.stdout
        if stream is None:
            raise OSError(errno.EBADF, "there is no standard output")
        try:
            fd = stream.fileno()
        except (AttributeError, OSError, ValueError):  # a test's or an application's stand-in
            stream.write(line.decode())
            _flush(stream)
            return
        with self._using.lock:
            self._publish(stream, fd, for_terminal(line) if os.isatty(fd) else line)

    def _publish(self, stream: IO[str], fd: int, line: bytes) -> None:
        until = 0.0 if self._stalled else time.monotonic() + PATIENCE
        if self._rest and self._rest_of == os.getpid():  # a forked child leaves its parent's rest to the parent
            self._rest = self._write(fd, self._rest, until)
        else:
            self._rest = b""
        self._stalled = bool(self._rest) or not _ready(fd, until)
        if self._stalled:
            raise BlockingIOError(errno.EAGAIN, "standard output's reader has stalled")
        stream.flush()
        self._rest_of = os.getpid()
        self._rest = self._write(fd, line, until)
        self._stalled = bool(self._rest)
        if self._rest == line:
            self._rest = b""
            raise BlockingIOError(errno.EAGAIN, "standard output's reader has stalled")

    def _write(self, fd: int, line: bytes, until: float) -> bytes:
        """Write while that blocks nobody; what is left goes out before the next event."""
        if stat.S_ISREG(os.fstat(fd).st_mode):
            return line[os.write(fd, line) :]
        while line and _ready(fd, until):
            try:
                line = line[_write_now(fd, line) :]
            except BlockingIOError:
                if time.monotonic() >= until:
                    break
        return line


def _is_terminal(stream: object) -> bool:
    try:
        return bool(stream.isatty())  # type: ignore[attr-defined] # what has no such method is none
    except (AttributeError, ValueError, OSError):
        return False


def _ready(fd: int, until: float) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    if poll.poll(0):
        return True
    patience = until - time.monotonic()
    return patience > 0 and bool(poll.poll(patience * 1000))


def _write_now(fd: int, line: bytes) -> int:
    """Write as much as can be without waiting, even if another process has filled the pipe since it was polled."""
    # A pipe that polls as writable takes PIPE_BUF bytes at once, and no more than that is sure.
    line = line[: select.PIPE_BUF]
    try:
        return os.pwritev(fd, [line], -1, os.RWF_NOWAIT)
    except BlockingIOError:
        raise
    except (AttributeError, OSError):  # no Linux, a kernel older than 6.4, or no pipe
        return os.write(fd, line)


def _flush(stream: object) -> None:
    flush = getattr(stream, "flush", None)
    if flush is not None:
        flush()
