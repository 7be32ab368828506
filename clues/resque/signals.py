"""Signals: handlers set a flag and wake the loop; the loop decides."""

from __future__ import annotations

import contextlib
import math
import os
import select
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


class WakeUp:
    """A pipe to oneself: `now` may be called from a signal handler or a thread, and ends a wait."""

    def __init__(self) -> None:
        """Open the pipe."""
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    def fileno(self) -> int:
        """The descriptor that becomes readable."""
        return self._reader

    def now(self) -> None:
        """Wake whoever waits."""
        with contextlib.suppress(BlockingIOError):  # a full pipe wakes as well
            os.write(self._writer, b".")

    def drain(self) -> None:
        """Forget the calls so far."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._reader, 4096):
                pass

    def wait(self, seconds: float) -> None:
        """Sleep, unless woken."""
        poll = select.poll()  # not select, which takes no descriptor above 1023
        poll.register(self._reader, select.POLLIN)
        poll.poll(math.ceil(seconds * 1000))
        self.drain()

    def __del__(self) -> None:
        """Close the pipe."""
        for fd in (getattr(self, "_reader", -1), getattr(self, "_writer", -1)):
            if fd >= 0:
                os.close(fd)


@contextmanager
def stopping_on_signals(stop: Callable[[str], None], numbers: Iterable[signal.Signals] = STOP) -> Iterator[None]:
    """Call `stop` with the signal's name on TERM, INT and QUIT, or others, in this block; in the main thread only."""

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a handler's signature
        stop(signal.Signals(number).name)

    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
