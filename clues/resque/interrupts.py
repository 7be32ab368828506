"""Exceptions that are raised in a job from outside: when its worker is stopped, or its time is over.

They are raised while the job's own code is on the stack, at most once a job, and never inside taking or ending it.
"""

from __future__ import annotations

import ctypes
import signal
import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

from clues.errors import Interrupt

T = TypeVar("T")

DELIVER = signal.SIGURG
"""What wakes the main thread to raise what is asked for; ignored by default, and hardly used by anybody."""


class Interruptible(Protocol):
    """Runs a job's own code so that it can be interrupted."""

    def run(self, call: Callable[[], T]) -> T:
        """Run it.

        Raises:
            Interrupt: somebody has asked for it, and the code let it pass.
            BaseException: what the code raises.
        """

    serial: int
    """Which run this is."""

    @property
    def thrown(self) -> type[Interrupt] | None:
        """What was raised in this run, or the last one."""

    def throw(self, kind: type[Interrupt], serial: int) -> bool:
        """Raise this in the code that runs, if it is still that run; gives whether it is, with nothing thrown yet."""

    def kill(self) -> bool:
        """End the code at once, if it runs in a process of its own; gives whether it does."""


class InMainThread:
    """A job in the main thread: a signal's handler raises, which ends system calls that wait, too."""

    def __init__(self) -> None:
        self.serial = 0
        self.thrown: type[Interrupt] | None = None
        self._inside = False
        self._asked: tuple[type[Interrupt], int] | None = None

    def run(self, call: Callable[[], T]) -> T:
        """Run it."""
        self.serial += 1
        self.thrown = None
        try:
            self._inside = True
            return call()
        finally:
            self._inside = False

    def throw(self, kind: type[Interrupt], serial: int) -> bool:
        """Ask for it, and have the main thread woken; once a run, as it may take that long time to hear."""
        asked = self._asked is not None and self._asked[1] == serial
        if not self._inside or self.thrown or asked or serial != self.serial:
            return False
        self._asked = kind, serial
        signal.pthread_kill(threading.main_thread().ident or 0, DELIVER)
        return True

    def raise_now(self, kind: type[Interrupt]) -> None:
        """Raise it, in a signal's handler."""
        if self._inside and not self.thrown:
            self.thrown = kind
            raise kind

    def deliver(self) -> None:
        """Raise what was asked for; in a signal's handler."""
        asked, self._asked = self._asked, None
        if asked is not None and asked[1] == self.serial and self._inside and not self.thrown:
            self.thrown = asked[0]
            raise asked[0]

    def kill(self) -> bool:
        """It can't be ended without this process."""
        return False


class InThread:
    """A job in a thread of its own: Python raises there at the next step of Python code; C code notices late."""

    def __init__(self) -> None:
        self.serial = 0
        self._lock = threading.Lock()
        self.thrown: type[Interrupt] | None = None
        self._inside = False
        self._thread = 0

    def run(self, call: Callable[[], T]) -> T:
        """Run it."""
        with self._lock:
            self.serial += 1
            self._inside, self.thrown, self._thread = True, None, threading.get_ident()
        try:
            return call()
        finally:
            self._leave()

    def throw(self, kind: type[Interrupt], serial: int) -> bool:
        """Have Python raise it."""
        with self._lock:
            if not self._inside or self.thrown or serial != self.serial:
                return False
            self.thrown = kind
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread), ctypes.py_object(kind))
            return True

    def kill(self) -> bool:
        """It can't be ended without this process."""
        return False

    def _leave(self) -> None:
        """Let nothing be raised any more; what comes in the last moment comes too late, the job is over."""
        while True:
            try:
                with self._lock:
                    self._inside = False
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread), None)
            except Interrupt:
                continue
            return


class Uninterruptible:
    """A job of a worker that nobody interrupts, such as one in an application's own thread."""

    serial = 0
    thrown = None

    def run(self, call: Callable[[], T]) -> T:
        """Run it."""
        return call()

    def throw(self, kind: type[Interrupt], serial: int) -> bool:  # noqa: ARG002 - the protocol's signature
        """Nothing is raised."""
        return False

    def kill(self) -> bool:
        """It can't be ended without this process."""
        return False
