"""Honest clocks: rounds of all candidates interleaved, so that a busy moment hits each; the median of the rounds."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured cost.

    Attributes:
        name: of what.
        seconds: the median of the rounds.
        low: the quickest round.
        high: the slowest.
        rounds: how many there were.
    """

    name: str
    seconds: float
    low: float
    high: float
    rounds: int


def each_call(cases: Mapping[str, Callable[[], object]], *, rounds: int, calls: int) -> list[Figure]:
    """Seconds that one call of each case takes, the loop around it included."""
    return _interleaved({name: _loop(case, calls) for name, case in cases.items()}, rounds=rounds)


def each_run(cases: Mapping[str, Callable[[], object]], *, rounds: int) -> list[Figure]:
    """Seconds that each case takes when it is run once."""
    return _interleaved({name: _loop(case, 1) for name, case in cases.items()}, rounds=rounds)


def _loop(case: Callable[[], object], calls: int) -> Callable[[], float]:
    def timed() -> float:
        numbers = range(calls)
        begin = time.perf_counter()
        for _ in numbers:
            case()
        return (time.perf_counter() - begin) / calls

    return timed


def _interleaved(cases: Mapping[str, Callable[[], float]], *, rounds: int) -> list[Figure]:
    taken: dict[str, list[float]] = {name: [] for name in cases}
    for case in cases.values():
        case()  # warm
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        for _ in range(rounds):
            for name, case in cases.items():
                taken[name].append(case())
            gc.collect()
    finally:
        if was_enabled:
            gc.enable()
    return [Figure(name, statistics.median(found), min(found), max(found), rounds) for name, found in taken.items()]
