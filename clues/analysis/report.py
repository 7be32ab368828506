"""What a report tells of job attempts: plain figures, each group of them found by one query.

Percentiles are the nearest rank over all attempts whose time is known, failures included. An attempt is counted in the
span of time that it ended in; its wait in the one that it began in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from clues.analysis.database import Database, Read
from clues.analysis.selecting import SYSTEM, Chosen

_WIDTHS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800)
_BINS = 4  # of the heat map, to each factor of ten
_TIMES = "quantile_disc({0}, [0.5, 0.95, 0.99])"
_FAILED = "outcome = 'failed' AND NOT retrying"
_RETRIED = "outcome = 'failed' AND retrying"
_BEGAN = "coalesce(dequeued_at, started_at, ended_at)"

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Report:
    """A report's figures; times in seconds, moments as datetimes in UTC.

    Attributes:
        read: what was read.
        chosen: which attempts it is about.
        first: the earliest moment of those.
        last: the latest.
        width: seconds that each of the `spans` is long.
        total: counts and percentiles of all.
        classes: the same by class.
        queues: waits by queue.
        spans: counts and percentiles over time.
        heat: how many attempts of each span took how long: span, bin, count; a bin begins at 10 ** (bin / 4) seconds.
        slowest: the attempts that took longest.
        failures: failures by class and exception.
        retries: classes whose attempts were retried.
        gaps: attempts without an end, by state, class and queue.
        oldest: those of them that are that for longest.
        workers: what was done by each host.
    """

    read: Read
    chosen: Chosen
    first: datetime | None
    last: datetime | None
    width: int
    total: Row
    classes: list[Row] = field(default_factory=list)
    queues: list[Row] = field(default_factory=list)
    spans: list[Row] = field(default_factory=list)
    heat: list[Row] = field(default_factory=list)
    slowest: list[Row] = field(default_factory=list)
    failures: list[Row] = field(default_factory=list)
    retries: list[Row] = field(default_factory=list)
    gaps: list[Row] = field(default_factory=list)
    oldest: list[Row] = field(default_factory=list)
    workers: list[Row] = field(default_factory=list)

    def as_dict(self) -> Row:
        """The report as plain JSON values."""
        parts = ("classes", "queues", "spans", "heat", "slowest", "failures", "retries", "gaps", "oldest", "workers")
        return {
            "read": self.read.as_dict(),
            "chosen": self.chosen.as_dict(),
            "first": _told(self.first),
            "last": _told(self.last),
            "width": self.width,
            "total": self.total,
            **{
                part: [{key: _told(value) for key, value in row.items()} for row in getattr(self, part)]
                for part in parts
            },
        }


def gathering(chosen: Chosen) -> str:
    """The query for the job attempts that a report is about."""
    return (
        f"SELECT event_hash, attempt, {SYSTEM} AS system, worker_class, queue, enqueued_at, scheduled_at, dequeued_at, "
        "started_at, ended_at, last_at, time_in_queue, time_to_perform, outcome, state, retrying, exception, message, "
        f"reason, hostname, process FROM jobs WHERE {chosen.sql()}"
    )


def report(database: Database, chosen: Chosen, *, top: int = 20, spans: int = 120) -> Report:
    """Find the figures out.

    Args:
        database: what `gathering` needs is loaded in it.
        chosen: which attempts.
        top: how many rows the lists have that could be endless.
        spans: how many spans of time there are at most.

    Raises:
        QueryError: the database failed.
    """
    database.run(f"CREATE TEMP TABLE attempts AS {gathering(chosen)}")
    ((first, last),) = database.run("SELECT min(coalesce(enqueued_at, last_at)), max(last_at) FROM attempts")
    width = _width(first, last, spans)
    asked = _Asked(database, top, width)
    return Report(
        database.read,
        chosen,
        first,
        last,
        width,
        asked.counts("")[0],
        classes=asked.counts("worker_class"),
        queues=asked.queues(),
        spans=asked.spans(),
        heat=asked.heat(),
        slowest=asked.slowest(),
        failures=asked.failures(),
        retries=asked.retries(),
        gaps=asked.gaps(),
        oldest=asked.oldest(),
        workers=asked.workers(),
    )


class _Asked:
    """The queries."""

    def __init__(self, database: Database, top: int, width: int) -> None:
        self._database = database
        self._top = top
        self._width = width

    def counts(self, group: str) -> list[Row]:
        chosen, grouped = (f"{group}, ", f"GROUP BY {group} ORDER BY attempts DESC, {group}") if group else ("", "")
        return self._rows(f"""
            SELECT {chosen}count(DISTINCT event_hash) AS jobs, count(*) AS attempts,
                count(*) FILTER (outcome = 'finished') AS finished, count(*) FILTER ({_FAILED}) AS failed,
                count(*) FILTER ({_RETRIED}) AS retried, count(*) FILTER (outcome = 'destroyed') AS destroyed,
                count(*) FILTER (state = 'waiting') AS waiting,
                count(*) FILTER (state IN ('taken', 'running')) AS unfinished,
                count(*) FILTER ({_FAILED}) / nullif(count(*) FILTER (outcome = 'finished' OR {_FAILED}), 0)
                    AS failure_ratio,
                {_TIMES.format("time_in_queue")} AS time_in_queue, max(time_in_queue) AS longest_in_queue,
                {_TIMES.format("time_to_perform")} AS time_to_perform, max(time_to_perform) AS longest_to_perform,
                sum(time_to_perform) AS busy
            FROM attempts {grouped}""")

    def queues(self) -> list[Row]:
        return self._rows(f"""
            FROM (SELECT queue, count(*) AS attempts, count(*) FILTER (state = 'waiting') AS waiting,
                {_TIMES.format("time_in_queue")} AS time_in_queue, max(time_in_queue) AS longest_in_queue,
                min(enqueued_at) FILTER (state = 'waiting') AS oldest_waiting
            FROM attempts GROUP BY queue) ORDER BY time_in_queue[2] DESC NULLS LAST, queue""")

    def spans(self) -> list[Row]:
        return self._rows(f"""
            WITH ended AS (SELECT {self._span("ended_at")} AS start, count(*) FILTER (outcome = 'finished') AS finished,
                    count(*) FILTER ({_FAILED}) AS failed, count(*) FILTER ({_RETRIED}) AS retried,
                    {_TIMES.format("time_to_perform")} AS time_to_perform
                FROM attempts WHERE ended_at IS NOT NULL GROUP BY start),
            begun AS (SELECT {self._span(_BEGAN)} AS start, {_TIMES.format("time_in_queue")} AS time_in_queue
                FROM attempts WHERE {_BEGAN} IS NOT NULL GROUP BY start)
            SELECT start, coalesce(finished, 0) AS finished, coalesce(failed, 0) AS failed,
                coalesce(retried, 0) AS retried, time_to_perform, time_in_queue
            FROM ended FULL JOIN begun USING (start) ORDER BY start""")

    def heat(self) -> list[Row]:
        return self._rows(f"""
            SELECT {self._span("ended_at")} AS start, count(*) AS count,
                greatest(floor(log10(greatest(time_to_perform, 1e-6)) * {_BINS}), -24)::INT AS bin
            FROM attempts WHERE ended_at IS NOT NULL AND time_to_perform IS NOT NULL
            GROUP BY start, bin ORDER BY start, bin""")

    def slowest(self) -> list[Row]:
        return self._rows(f"""
            SELECT event_hash, attempt, worker_class, queue, state, ended_at, time_to_perform, hostname FROM attempts
            WHERE time_to_perform IS NOT NULL ORDER BY time_to_perform DESC, event_hash LIMIT {self._top}""")

    def failures(self) -> list[Row]:
        return self._rows(f"""
            SELECT worker_class, exception, reason, count(*) AS count, count(*) FILTER (retrying) AS retried,
                max(last_at) AS last_at, arg_max(message, last_at) AS message,
                arg_max(event_hash, last_at) AS event_hash
            FROM attempts WHERE outcome = 'failed' GROUP BY worker_class, exception, reason
            ORDER BY count DESC, worker_class, exception, reason LIMIT {self._top}""")

    def retries(self) -> list[Row]:
        return self._rows(f"""
            SELECT worker_class, count(*) AS retried, count(DISTINCT event_hash) AS jobs, max(attempt) AS most_attempts
            FROM attempts WHERE {_RETRIED} GROUP BY worker_class
            ORDER BY retried DESC, worker_class LIMIT {self._top}""")

    def gaps(self) -> list[Row]:
        return self._rows(f"""
            SELECT state, worker_class, queue, count(*) AS count, min(last_at) AS since
            FROM attempts WHERE outcome IS NULL GROUP BY state, worker_class, queue
            ORDER BY count DESC, state, worker_class, queue LIMIT {self._top}""")

    def oldest(self) -> list[Row]:
        return self._rows(f"""
            SELECT event_hash, attempt, state, worker_class, queue, last_at AS since, scheduled_at, hostname, process
            FROM attempts WHERE outcome IS NULL ORDER BY last_at, event_hash LIMIT {self._top}""")

    def workers(self) -> list[Row]:
        return self._rows(f"""
            SELECT hostname, count(DISTINCT process) AS processes, count(*) AS attempts,
                count(*) FILTER ({_FAILED}) AS failed,
                sum(time_to_perform) AS busy, min({_BEGAN}) AS first, max(last_at) AS last
            FROM attempts WHERE hostname IS NOT NULL GROUP BY hostname
            ORDER BY attempts DESC, hostname LIMIT {self._top}""")

    def _span(self, moment: str) -> str:
        return f"time_bucket(to_seconds({self._width}), {moment})"

    def _rows(self, query: str) -> list[Row]:
        names, rows = self._database.table(query, None)
        return [dict(zip(names, row, strict=True)) for row in rows]


def bin_start(number: int) -> float:
    """The seconds that a bin of the heat map begins at."""
    return float(10 ** (number / _BINS))


def _width(first: datetime | None, last: datetime | None, spans: int) -> int:
    """A round number of seconds that divides the time into no more than so many spans."""
    seconds = 0.0 if first is None or last is None else (last - first).total_seconds()
    return next(
        (width for width in _WIDTHS if seconds / width <= spans - 1),
        _WIDTHS[-1] * (1 + int(seconds // _WIDTHS[-1] // spans)),
    )


def _told(value: object) -> object:
    return value.isoformat() + "Z" if isinstance(value, datetime) else value
