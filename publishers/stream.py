"""Events as lines on a stream: nobody's, any file object's, standard output's."""

from __future__ import annotations

import io
import os
import select
import sys
from typing import IO, Any
from urllib.parse import SplitResult

from clues.errors import ConfigError
from clues.event import Event

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
        self._binary = isinstance(stream, io.RawIOBase | io.BufferedIOBase) or "b" in getattr(stream, "mode", "")

    def publish(self, event: Event, /) -> None:
        """Write the line and flush."""
        line = event.marshalled + b"\n"
        self._stream.write(line if self._binary else line.decode())
        flush = getattr(self._stream, "flush", None)
        if flush is not None:
            flush()


class StandardOutPublisher:
    """Writes each event as one line to standard output.

    A reader that has stalled (``worker | less``) must not stall the job: when the pipe is full, the event waits for
    at most `PATIENCE`, once; then events are refused, and so counted, until the pipe takes some again.
    """

    def __init__(self) -> None:
        """Write to whatever ``sys.stdout`` is when an event comes."""
        self._rest = b""
        self._stalled = False

    @classmethod
    def from_url(cls, url: SplitResult) -> StandardOutPublisher:  # noqa: ARG003 - the entry points' signature
        """``stdout://``."""
        return cls()

    def publish(self, event: Event, /) -> None:
        """Write the line.

        Raises:
            BlockingIOError: the reader has stalled; the event is not written.
        """
        stream = sys.stdout
        try:
            fd = stream.fileno()
        except (AttributeError, OSError, ValueError):  # a test's or an application's stand-in, or none at all
            self._write_text(stream, event)
            return
        stream.flush()
        if self._rest:
            self._rest = self._write(fd, self._rest)
        if self._rest or not self._ready(fd):
            msg = "standard output's reader has stalled"
            raise BlockingIOError(msg)
        self._rest = self._write(fd, event.marshalled + b"\n")

    def _write_text(self, stream: IO[str] | None, event: Event) -> None:
        if stream is not None:
            stream.write(event.marshalled.decode() + "\n")

    def _write(self, fd: int, line: bytes) -> bytes:
        """Write while that blocks nobody; what is left goes out before the next event."""
        while line and self._ready(fd):
            # A pipe that polls as writable takes PIPE_BUF bytes without blocking, and no more than that is sure.
            line = line[os.write(fd, line[: select.PIPE_BUF]) :]
        return line

    def _ready(self, fd: int) -> bool:
        poll = select.poll()
        poll.register(fd, select.POLLOUT)
        self._stalled = not poll.poll(0 if self._stalled else PATIENCE * 1000)
        return not self._stalled
