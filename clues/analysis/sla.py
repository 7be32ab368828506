"""Whether promises were kept: each is one query of the table `jobs`.

A percentile is the nearest rank: the smallest of the values that this percentage of them don't exceed. Run times are
those of all attempts that ended, failures included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from clues.analysis.database import Database
from clues.analysis.promises import DURATIONS, RATIOS, Condition, Promise
from clues.analysis.selecting import SYSTEM, Chosen, like, text

KEPT, BROKEN, NO_DATA = "kept", "broken", "no data"

_COLUMNS = {
    "queue": "queue",
    "class": "worker_class",
    "system": SYSTEM,
    "host": "hostname",
    "exception": "exception",
}
_FAILED = "outcome = 'failed' AND NOT retrying"
_COUNTED = {
    "enqueued": "enqueued_at IS NOT NULL AND attempt = 1",
    "finished": "outcome = 'finished'",
    "failed": _FAILED,
    "retried": "outcome = 'failed' AND retrying",
    "destroyed": "outcome = 'destroyed'",
    "waiting": "state = 'waiting'",
    "unfinished": "state IN ('taken', 'running')",
}
# The share, and what it is a share of.
_SHARES = {
    "failure_ratio": (_FAILED, f"outcome = 'finished' OR {_FAILED}"),
    "retry_ratio": ("outcome = 'failed' AND retrying", "outcome IN ('finished', 'failed')"),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a promise.

    Attributes:
        promise: the promise.
        outcome: ``kept``, ``broken`` or ``no data``.
        value: what was measured, in seconds, as a share, or a number; None without data.
        jobs: of how many job attempts.
    """

    promise: Promise
    outcome: str
    value: float | None
    jobs: int

    def as_dict(self) -> dict[str, Any]:
        """The verdict as plain JSON values."""
        return {
            "promise": self.promise.text,
            "outcome": self.outcome,
            "measure": self.promise.measure,
            "statistic": self.promise.statistic or None,
            "comparison": self.promise.comparison,
            "limit": self.promise.limit,
            "value": self.value,
            "jobs": self.jobs,
        }


def gathering(promises: Sequence[Promise], chosen: Chosen) -> str:
    """The query for the job attempts that the promises are about."""
    named = {_COLUMNS.get(condition.field, "metadata") for promise in promises for condition in promise.conditions}
    columns = [
        *("attempt", "enqueued_at", "time_in_queue", "time_to_perform", "outcome", "state", "retrying"),
        *sorted({_COLUMNS["system"] + " AS system" if name == SYSTEM else name for name in named}),
    ]
    return f"SELECT {', '.join(columns)} FROM jobs WHERE {chosen.sql()}"


def judge(database: Database, promises: Sequence[Promise], chosen: Chosen) -> list[Verdict]:
    """Measure what was promised.

    Raises:
        QueryError: the database failed.
    """
    database.run(f"CREATE TEMP TABLE attempts AS {gathering(promises, chosen)}")
    return [_judge(database, promise) for promise in promises]


def query(promise: Promise) -> str:
    """What finds a promise's value, and of how many job attempts it is."""
    where = " AND ".join(map(_condition, promise.conditions)) or "true"
    measure = promise.measure
    if measure in DURATIONS:
        found, counted = _statistic(measure, promise.statistic), f"count({measure})"
    elif measure in RATIOS:
        part, whole = _SHARES[measure]
        found = f"count(*) FILTER ({part}) / nullif(count(*) FILTER ({whole}), 0)"
        counted = f"count(*) FILTER ({whole})"
    else:
        found, counted = f"count(*) FILTER ({_COUNTED[measure]})", "count(*)"
    return f"SELECT {found}, {counted} FROM attempts WHERE {where}"


def _judge(database: Database, promise: Promise) -> Verdict:
    ((value, jobs),) = database.run(query(promise))
    if value is None or not jobs:
        return Verdict(promise, NO_DATA, None, 0)
    return Verdict(promise, KEPT if promise.holds(value) else BROKEN, value, jobs)


def _statistic(measure: str, statistic: str) -> str:
    if statistic == "mean":
        return f"avg({measure})"
    if statistic in {"min", "max"}:
        return f"{statistic}({measure})"
    # A decimal, so that the rank is reckoned in whole numbers.
    return f"quantile_disc({measure}, {Decimal(statistic[1:]) / 100:f})"


def _condition(condition: Condition) -> str:
    field = condition.field
    column = _COLUMNS.get(field) or f"metadata ->> {text('$.' + _quoted(field.removeprefix('metadata.')))}"
    found = like(f"({column})", condition.value)
    return f"({found}) IS NOT TRUE" if condition.negated else found


def _quoted(key: str) -> str:
    return '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'
