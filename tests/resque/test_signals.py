"""Signals, and the pipe that wakes the loop."""

from __future__ import annotations

import os
import resource
import signal
import threading
from collections.abc import Iterator

import pytest

from clues.resque.signals import STOP, WakeUp, stopping_on_signals


def test_calls_before_the_wait_count() -> None:
    """None is lost between looking and waiting; afterwards they are forgotten."""
    wake_up = WakeUp()
    for _ in range(3):
        wake_up.now()
    wake_up.wait(600)
    wake_up.wait(0)
    wake_up.now()
    wake_up.drain()
    wake_up.wait(0.01)


def test_a_full_pipe_is_no_trouble() -> None:
    """A handler must never block, nor raise."""
    wake_up = WakeUp()
    for _ in range(200_000):
        wake_up.now()
    wake_up.wait(600)
    wake_up.wait(0)


def test_another_thread_wakes() -> None:
    """The one that waits."""
    wake_up = WakeUp()
    thread = threading.Thread(target=wake_up.wait, args=(600,))
    thread.start()
    wake_up.now()
    thread.join(60)
    assert not thread.is_alive()


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """More than select can take."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2000:
        pytest.skip("this system allows too few descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2000), hard))
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    yield
    for fd in opened:
        os.close(fd)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_descriptors")
def test_a_process_with_many_descriptors() -> None:
    """Waits as well."""
    wake_up = WakeUp()
    assert wake_up.fileno() > 1023
    wake_up.wait(0.01)
    wake_up.now()
    wake_up.wait(600)


def test_the_pipe_is_closed_with_its_owner_and_not_inherited() -> None:
    """No descriptor is left, and programs that jobs start get none."""
    wake_up = WakeUp()
    fd = wake_up.fileno()
    assert not os.get_inheritable(fd)
    del wake_up
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_the_three_signals_stop() -> None:
    """Within the block; afterwards the handlers are who they were."""
    before = [signal.getsignal(number) for number in STOP]
    calls: list[str] = []
    with stopping_on_signals(calls.append):
        for number in STOP:
            signal.raise_signal(number)
    assert calls == [number.name for number in STOP]
    assert [signal.getsignal(number) for number in STOP] == before
