"""Forks for tests: a child never comes back into pytest."""

from __future__ import annotations

import os
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager


def fork(act: Callable[[], object]) -> int:
    """Run something in a forked child that leaves by `os._exit`; its process id."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forks beside threads are what is tested
        pid = os.fork()
    if pid == 0:
        code = 70
        try:
            act()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return pid


def exit_code(pid: int) -> int:
    """Wait for a child; 0 if what it ran did not raise."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def forked(act: Callable[[], object]) -> int:
    """Run something in a forked child to its end; 0 if it did not raise."""
    return exit_code(fork(act))


@contextmanager
def held_elsewhere(lock: AbstractContextManager[object]) -> Iterator[None]:
    """Have another thread hold a lock throughout the block, so that a child forked in it inherits it held."""
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            release.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(30)
    try:
        yield
    finally:
        release.set()
        thread.join()
