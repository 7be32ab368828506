"""Honest clocks: rounds of all candidates interleaved, so that a busy moment hits each; the median of the rounds."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self, TypeVar

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Figure:
    """Something measured.

    Attributes:
        name: what it is of; no other figure of its group has it.
        unit: what it is in, such as ``s``, ``jobs/s``, ``events/s``, ``B``.
        median: of the rounds.
        low: the smallest.
        high: the largest.
        values: each round's, in their order.
    """

    name: str
    unit: str
    median: float
    low: float
    high: float
    values: tuple[float, ...]

    @classmethod
    def of(cls, name: str, unit: str, values: Iterable[float]) -> Self:
        """The figure that rounds make."""
        found = tuple(values)
        return cls(name, unit, statistics.median(found), min(found), max(found), found)

    @classmethod
    def by(cls, told: Mapping[str, Any]) -> Self:
        """Read back what `dataclasses.asdict` made of one."""
        return cls(**{**told, "values": tuple(told["values"])})


def each_call(cases: Mapping[str, Callable[[], object]], *, rounds: int, calls: int) -> list[Figure]:
    """Seconds that one call of each case takes, the loop around it included."""
    return _calm({name: _loop(case, calls, time.perf_counter) for name, case in cases.items()}, rounds)


def each_run(cases: Mapping[str, Callable[[], object]], *, rounds: int) -> list[Figure]:
    """Seconds that each case takes when it is run once."""
    return each_call(cases, rounds=rounds, calls=1)


def each_cpu(cases: Mapping[str, Callable[[], object]], *, rounds: int, calls: int) -> list[Figure]:
    """Seconds of this process' CPU, all threads together, that one call of each case takes."""
    return _calm({name: _loop(case, calls, time.process_time) for name, case in cases.items()}, rounds)


def interleaved(cases: Mapping[str, Callable[[], float]], *, rounds: int, unit: str) -> list[Figure]:
    """What each case says of itself when it is called once a round."""
    return [Figure.of(name, unit, values) for name, values in by_rounds(cases, rounds=rounds).items()]


def by_rounds(cases: Mapping[str, Callable[[], _T]], *, rounds: int) -> dict[str, list[_T]]:
    """What each case gives, round by round: all of them once, then all of them again."""
    found: dict[str, list[_T]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            found[name].append(case())
    return found


def _loop(case: Callable[[], object], calls: int, clock: Callable[[], float]) -> Callable[[], float]:
    def timed() -> float:
        numbers = range(calls)
        begin = clock()
        for _ in numbers:
            case()
        return (clock() - begin) / calls

    return timed


def _calm(cases: Mapping[str, Callable[[], float]], rounds: int) -> list[Figure]:
    """Rounds of loops, each case warm, garbage collected between them and not in them."""
    for case in cases.values():
        case()
    with _collecting_between():
        return interleaved({name: _collected(case) for name, case in cases.items()}, rounds=rounds, unit="s")


def _collected(case: Callable[[], float]) -> Callable[[], float]:
    def collecting() -> float:
        try:
            return case()
        finally:
            gc.collect()

    return collecting


@contextmanager
def _collecting_between() -> Iterator[None]:
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
