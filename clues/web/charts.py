"""Throughput, run times and times in queue, over time and by class, out of the history; percentiles are exact."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clues.web.archive import Archive
from clues.web.attempts import STATES

BUCKETS = 90
"""Points of a chart."""

_WIDTHS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
_PERFORMED = "state IN (3, 4, 5)"

# Nearest rank: the smallest value that so many percent of all do not exceed.
_RANKED = """
SELECT {key}, {picks} FROM (
    SELECT key AS {key}, value, row_number() OVER (PARTITION BY key ORDER BY value) AS rank,
        count(*) OVER (PARTITION BY key) AS size
    FROM (SELECT {keyed} AS key, {value} AS value FROM jobs
        WHERE ended >= :start AND ended < :end AND {wanted} AND {value} IS NOT NULL)
) GROUP BY {key}"""
_SLOT = "CAST((ended - :start) / :width AS INTEGER)"
_PICKS = ", ".join(
    f"min(CASE WHEN rank * 100 >= size * {percent} THEN value END) AS p{percent}" for percent in (50, 95, 99)
)


def charts(archive: Archive, start: float, end: float, worker_class: str | None = None) -> dict[str, Any]:
    """Series over a time: what was enqueued, what ended and how, percentiles of run times and times in queue.

    Args:
        archive: the history.
        start: epoch seconds.
        end: likewise.
        worker_class: only jobs of this class.
    """
    width = next((one for one in _WIDTHS if (end - start) / one <= BUCKETS), _WIDTHS[-1])
    start = start // width * width
    slots = int((end - start) // width) + 1
    values = {"start": start, "end": start + slots * width, "width": width, "class": worker_class}
    only = "(:class IS NULL OR class = :class)"
    wanted = f"{_PERFORMED} AND {only}"
    found: dict[str, Any] = {
        "start": start,
        "end": end,
        "width": width,
        "times": [start + slot * width for slot in range(slots)],
    }
    counted = archive.ask(
        f"SELECT CAST((ended - :start) / :width AS INTEGER) AS slot, state, count(*) AS count FROM jobs "  # noqa: S608
        f"WHERE ended >= :start AND ended < :end AND {only} GROUP BY 1, 2",
        values,
    )
    for state in (3, 4, 5):
        found[STATES[state]] = _dense([row for row in counted if row["state"] == state], slots, "count", 0)
    enqueued = archive.ask(
        f"SELECT CAST((enqueued - :start) / :width AS INTEGER) AS slot, count(*) AS count FROM jobs "  # noqa: S608
        f"WHERE enqueued >= :start AND enqueued < :end AND {only} GROUP BY 1",
        values,
    )
    found["enqueued"] = _dense(enqueued, slots, "count", 0)
    for value in ("run_time", "queue_time"):
        rows = archive.ask(_RANKED.format(key="slot", keyed=_SLOT, value=value, wanted=wanted, picks=_PICKS), values)
        found[value] = {name: _dense(rows, slots, name, None) for name in ("p50", "p95", "p99")}
    return found


def classes(archive: Archive, start: float, end: float) -> list[dict[str, Any]]:
    """What each class did in a time, the busiest first: how many attempts ended, how, and their percentiles."""
    values = {"start": start, "end": end, "width": 1}
    rows = archive.ask(
        "SELECT class, count(*) AS count, sum(state = 3) AS finished, sum(state = 5) AS failed, "  # noqa: S608
        f"sum(state = 4) AS retrying FROM jobs WHERE ended >= :start AND ended < :end AND {_PERFORMED} "
        "GROUP BY class ORDER BY 2 DESC LIMIT 500",
        values,
    )
    by_class = {row["class"]: row for row in rows}
    for value in ("run_time", "queue_time"):
        query = _RANKED.format(key="class", keyed="class", value=value, wanted=_PERFORMED, picks=_PICKS)
        for ranked in archive.ask(query, values):
            if ranked["class"] in by_class:
                by_class[ranked["class"]][value] = {name: ranked[name] for name in ("p50", "p95", "p99")}
    return rows


def span(archive: Archive) -> tuple[float, float] | None:
    """When the first and the last of what is kept happened."""
    (row,) = archive.ask("SELECT min(last) AS first, max(last) AS last FROM jobs")
    return None if row["last"] is None else (row["first"], row["last"])


def _dense(rows: Sequence[dict[str, Any]], slots: int, name: str, empty: Any) -> list[Any]:
    found = [empty] * slots
    for row in rows:
        if 0 <= row["slot"] < slots:
            found[row["slot"]] = row[name]
    return found
