"""Two sets of logs compared, class by class: what got slower, or fails more.

A class got slower where, for its median, p95 or p99, the intervals that hold the true percentile with a confidence of
99 % don't overlap, and the difference is worth mentioning. The intervals are reckoned from the ranks of the values,
whatever their distribution; a percentile that too few values speak for has an open one, and proves nothing. A class
fails more where Fisher's exact test finds that chance brings about such a difference less than once in a hundred times.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from clues.analysis.database import Database
from clues.analysis.selecting import text

PERCENTS = (50, 95, 99)
SLOWER, FASTER, FAILS_MORE, FAILS_LESS, NEW, GONE = "slower", "faster", "fails more", "fails less", "new", "gone"
WORSE = frozenset({SLOWER, FAILS_MORE})

_Z = 2.576  # 99 %, two-sided
_CHANCE = 0.01
_UNHEARD = 0.001  # seconds; less is no difference to anybody


@dataclass(frozen=True, slots=True)
class Percentile:
    """A percentile, with the interval that it is in.

    Attributes:
        value: the nearest rank, in seconds; None without values.
        low: the interval's beginning; None where it is open.
        high: its end; None where it is open.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """A class in one of the sets.

    Attributes:
        ended: how many attempts finished, or failed for good.
        failed: how many failed for good.
        timed: how many run times are known.
        percentiles: of the run times, failures included.
    """

    ended: int = 0
    failed: int = 0
    timed: int = 0
    percentiles: Mapping[int, Percentile] = field(default_factory=dict)

    @property
    def failure_ratio(self) -> float | None:
        """The share that failed for good."""
        return self.failed / self.ended if self.ended else None

    def as_dict(self) -> dict[str, Any]:
        """The figures as plain JSON values."""
        return {
            "ended": self.ended,
            "failed": self.failed,
            "failure_ratio": self.failure_ratio,
            **{f"p{percent}": found.value for percent, found in self.percentiles.items()},
        }


@dataclass(frozen=True, slots=True)
class Difference:
    """A class in both.

    Attributes:
        worker_class: the class; None where events name none.
        before: in the first set.
        after: in the second.
        findings: what is different: ``slower faster fails more fails less new gone``; empty where nothing is.
        slower_by: for each percentile that got significantly slower or faster, after divided by before.
    """

    worker_class: str | None
    before: Side
    after: Side
    findings: tuple[str, ...]
    slower_by: Mapping[int, float]

    def as_dict(self) -> dict[str, Any]:
        """The difference as plain JSON values."""
        return {
            "worker_class": self.worker_class,
            "findings": list(self.findings),
            "before": self.before.as_dict(),
            "after": self.after.as_dict(),
            "changed": {f"p{percent}": factor for percent, factor in self.slower_by.items()},
        }


def gathering(chosen: str) -> str:
    """The query for a set's job attempts."""
    return f"SELECT worker_class, time_to_perform, outcome, retrying, last_at FROM jobs WHERE {chosen}"


def sides(database: Database, source: str) -> dict[str | None, Side]:
    """The classes of a set.

    Args:
        database: where it is.
        source: what `gathering` has gathered, as a table or a query in parentheses.

    Raises:
        QueryError: the database failed.
    """
    counted = database.run(
        "SELECT worker_class, count(*) FILTER (outcome = 'finished' OR (outcome = 'failed' AND NOT retrying)), "
        "count(*) FILTER (outcome = 'failed' AND NOT retrying), count(time_to_perform) "
        f"FROM {source} GROUP BY worker_class"
    )
    values = _ranked(database, source, {name: timed for name, _, _, timed in counted})
    return {
        name: Side(
            ended, failed, timed, {percent: _percentile(values.get(name, {}), timed, percent) for percent in PERCENTS}
        )
        for name, ended, failed, timed in counted
    }


def differences(
    before: Mapping[str | None, Side], after: Mapping[str | None, Side], threshold: float
) -> list[Difference]:
    """What is different, what got worse first.

    Args:
        before: the classes of the first set.
        after: those of the second.
        threshold: by how much a percentile must have changed: 0.1 is ten percent.
    """
    names = sorted(before.keys() | after.keys(), key=str)
    found = [_difference(name, before.get(name), after.get(name), threshold) for name in names]
    return sorted(found, key=lambda one: (not WORSE & set(one.findings), not one.findings))


def _difference(name: str | None, before: Side | None, after: Side | None, threshold: float) -> Difference:
    if before is None or after is None:
        return Difference(name, before or Side(), after or Side(), (NEW if before is None else GONE,), {})
    changed = {
        percent: factor
        for percent in PERCENTS
        if (factor := _changed(before.percentiles[percent], after.percentiles[percent], threshold)) is not None
    }
    findings = [
        *([SLOWER] if any(factor > 1 for factor in changed.values()) else []),
        *([FASTER] if any(factor < 1 for factor in changed.values()) else []),
        *_failing(before, after),
    ]
    return Difference(name, before, after, tuple(findings), changed)


def _changed(before: Percentile, after: Percentile, threshold: float) -> float | None:
    """After divided by before, where the difference is one."""
    if before.value is None or after.value is None or abs(after.value - before.value) < _UNHEARD:
        return None
    factor = after.value / before.value if before.value else math.inf
    slower = before.high is not None and after.low is not None and after.low > before.high and factor >= 1 + threshold
    faster = (
        before.low is not None and after.high is not None and after.high < before.low and factor <= 1 / (1 + threshold)
    )
    return factor if slower or faster else None


def _failing(before: Side, after: Side) -> list[str]:
    if not before.ended or not after.ended or before.failure_ratio == after.failure_ratio:
        return []
    if fisher(before.failed, before.ended, after.failed, after.ended) >= _CHANCE:
        return []
    return [FAILS_MORE if (after.failure_ratio or 0) > (before.failure_ratio or 0) else FAILS_LESS]


def fisher(failed: int, ended: int, failed_after: int, ended_after: int) -> float:
    """How often chance alone brings about so great a difference, one way or the other: Fisher's exact test, doubled.

    Args:
        failed: how many failed before,
        ended: of so many.
        failed_after: how many failed after,
        ended_after: of so many.
    """
    total, failures = ended + ended_after, failed + failed_after
    more = failed_after * ended > failed * ended_after
    low, high = max(0, failures - ended), min(failures, ended_after)
    beyond = range(failed_after, high + 1) if more else range(failed_after, low - 1, -1)
    chance = 0.0
    for count in beyond:
        term = math.exp(_choose(ended_after, count) + _choose(ended, failures - count) - _choose(total, failures))
        chance += term
        if term < chance * 1e-12:
            break
    return min(1.0, 2 * chance)


def _choose(total: int, count: int) -> float:
    return math.lgamma(total + 1) - math.lgamma(count + 1) - math.lgamma(total - count + 1)


def _ranks(count: int, percent: int) -> tuple[int, int, int]:
    """A percentile's rank among so many values, and those of its interval: beyond the values where it is open."""
    share = percent / 100
    width = _Z * math.sqrt(count * share * (1 - share))
    low, high = math.floor(count * share - width), math.ceil(count * share + width) + 1
    return max(math.ceil(count * percent / 100), 1), max(low, 0), high


def _ranked(database: Database, source: str, counts: Mapping[str | None, int]) -> dict[str | None, dict[int, float]]:
    """By class, the values of the ranks that are asked for."""
    wanted = [
        (name, rank)
        for name, count in counts.items()
        for rank in sorted({rank for percent in PERCENTS for rank in _ranks(count, percent) if 0 < rank <= count})
    ]
    if not wanted:
        return {}
    rows = ", ".join(f"({'NULL' if name is None else text(name)}, {rank})" for name, rank in wanted)
    found: dict[str | None, dict[int, float]] = {}
    for name, rank, value in database.run(
        "SELECT ranked.worker_class, ranked.rank, time_to_perform FROM ("
        "SELECT worker_class, time_to_perform, "
        "row_number() OVER (PARTITION BY worker_class ORDER BY time_to_perform) AS rank "
        f"FROM {source} WHERE time_to_perform IS NOT NULL) AS ranked "
        f"JOIN (VALUES {rows}) AS wanted(worker_class, rank) "
        "ON ranked.rank = wanted.rank AND ranked.worker_class IS NOT DISTINCT FROM wanted.worker_class"
    ):
        found.setdefault(name, {})[rank] = value
    return found


def _percentile(values: Mapping[int, float], count: int, percent: int) -> Percentile:
    rank, low, high = _ranks(count, percent)
    return Percentile(values.get(rank), values.get(low), values.get(high))
