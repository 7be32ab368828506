"""Waiting before another try."""

from __future__ import annotations

from clues.backoff import Restarts, backoff


def test_twice_as_long_each_time() -> None:
    """Up to a bound, after however many failures."""
    assert [backoff(failures, 0.1, 1.0) for failures in range(5)] == [0.1, 0.2, 0.4, 0.8, 1.0]
    assert backoff(10**9, 0.1, 30.0) == 30.0


def test_restarts() -> None:
    """One that has lasted is followed at once, as the first one was."""
    restarts = Restarts()
    assert [restarts.after(1.0) for _ in range(9)] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    assert restarts.after(61.0) == 0.25
    assert restarts.after(1.0) == 0.5
    restarts.forget()
    assert restarts.after(1.0) == 0.5
