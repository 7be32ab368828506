"""What steers a process' workers: told from anywhere, seen by all of them."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Callable

import pytest

from clues.resque.control import Control
from clues.resque.signals import WakeUp


def woken(wake_up: WakeUp) -> bool:
    return bool(select.select([wake_up], [], [], 0)[0])


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (Control.stop, {"stopping": True, "paused": False}),
        (Control.pause, {"stopping": False, "paused": True}),
        (Control.resume, {"stopping": False, "paused": False}),
        (Control.wake, {"stopping": False, "paused": False}),
    ],
)
def test_what_it_is_told_wakes_all(act: Callable[[Control], None], told: dict[str, bool]) -> None:
    """Each worker that has asked for a wake-up, and waits."""
    control = Control()
    wake_ups = [control.wake_up(), control.wake_up()]
    assert not any(map(woken, wake_ups))
    act(control)
    assert all(map(woken, wake_ups))
    assert {name: getattr(control, name) for name in told} == told
    assert not control.cutting


def test_pausing_and_resuming() -> None:
    """One undoes the other; a stop is for good."""
    control = Control()
    control.pause()
    control.resume()
    assert not control.paused
    control.stop()
    control.resume()
    assert control.stopping


def test_without_a_limit() -> None:
    """As many as are asked for, for ever; no end comes near."""
    control = Control(on_ending=lambda: pytest.fail("there is no end"))
    for _ in range(3):
        assert control.claim(1000) == 1000
        control.unclaim(0)
        assert not control.used_up


def test_a_limit() -> None:
    """Leave for what was not taken comes back; the last one taken is told, once."""
    lasts: list[int] = []
    control = Control(5, on_ending=lambda: lasts.append(1))
    assert control.claim(3) == 3
    control.unclaim(3)
    assert control.claim(3) == 3
    control.unclaim(1)
    assert control.claim(9) == 3
    assert not lasts  # what is claimed may not be found
    assert control.used_up
    assert control.claim(1) == 0
    for _ in range(2):
        control.unclaim(0)
        assert lasts == [1]


def test_the_end_comes_near() -> None:
    """It is told when a tenth is left, so that a successor is ready in time."""
    told: list[int] = []
    control = Control(100, on_ending=lambda: told.append(1))
    control.claim(89)
    control.unclaim(0)
    assert not told
    control.claim(1)
    control.unclaim(0)
    assert (told, control.used_up) == ([1], False)


def test_more_than_was_claimed() -> None:
    """An attempt to take whose reply was lost may have taken more than the next one has leave for."""
    lasts: list[int] = []
    control = Control(2, on_ending=lambda: lasts.append(1))
    assert control.claim(1) == 1
    control.unclaim(1 - 5)
    assert (control.used_up, control.claim(1), lasts) == (True, 0, [1])


def test_many_threads() -> None:
    """Share the leave: together they take just as many as there are."""
    lasts: list[int] = []
    control = Control(10_000, on_ending=lambda: lasts.append(1))
    taken: list[int] = []
    start = threading.Barrier(8)

    def work(number: int) -> None:
        start.wait()
        total = 0
        while not control.used_up:
            granted = control.claim(7)
            used = granted - (granted > number)
            control.unclaim(granted - used)
            total += used
        taken.append(total)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(taken) == 10_000
    assert lasts == [1]


def test_from_a_signals_handler() -> None:
    """Which may come while the same thread is in the middle of anything: nothing waits for itself."""
    control = Control(100_000)
    control.wake_up()
    came = 0

    def handle(*_: object) -> None:
        nonlocal came
        came += 1
        control.pause()
        control.resume()
        control.stop()
        assert not control.used_up

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        for number in range(20_000):
            if number % 20 == 0:
                os.kill(os.getpid(), signal.SIGUSR1)
            control.claim(1)
            control.unclaim(0)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert came > 100
    assert control.stopping
