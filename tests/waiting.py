"""Waiting on conditions; tests never sleep and hope."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(condition: Callable[[], T], what: str = "the condition", *, timeout: float = 30.0) -> T:
    """Call a condition until it holds; gives what it gave.

    Raises:
        AssertionError: it did not hold within the timeout, in seconds.
    """
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not hold within {timeout} s"
        time.sleep(0.005)
    return found
