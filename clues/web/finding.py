"""What somebody looks for in the history: ``class:PdfGeneration state:failed customer_id:42 since:2h 0695f4``."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from clues.web.archive import Archive
from clues.web.attempts import STATES

PAGE = 50
"""Rows of a page."""

_Condition = tuple[str, tuple[Any, ...]]
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_AGO = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_COLUMNS = {"class": "class", "queue": "queue", "host": "host", "system": "system", "parent": "parent"}
_SHOWN = (
    "id, hash, attempt, class, queue, system, job_id, parent, state, enqueued, started, ended, last, queue_time, "
    "run_time, exception, message, reason, host, fields"
)


_TIMES = ("enqueued", "started", "ended", "last", "run_time")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for.

    Attributes:
        conditions: in SQL, all of which hold.
        values: of their marks.
        problems: what was not understood.
    """

    conditions: tuple[str, ...] = ()
    values: tuple[Any, ...] = ()
    problems: tuple[str, ...] = field(default=())


def understood(text: str, *, now: float | None = None) -> Wanted:
    """Read a query: words, and ``name:value`` for columns, times and the application's own fields.

    Args:
        text: the query.
        now: epoch seconds that ``since:2h`` counts from.
    """
    conditions: list[str] = []
    values: list[Any] = []
    problems: list[str] = []
    for word in _words(text):
        name, colon, value = word.partition(":")
        try:
            condition, own = _condition(name, value, now or time.time()) if colon and name and value else _free(word)
        except ValueError as error:
            problems.append(str(error))
            continue
        conditions.append(condition)
        values.extend(own)
    return Wanted(tuple(conditions), tuple(values), tuple(problems))


def found(archive: Archive, wanted: Wanted, after: tuple[float, int] | None = None) -> dict[str, Any]:
    """A page of attempts, the latest first.

    Args:
        archive: the history.
        wanted: which.
        after: where the page before ended, as its ``next`` says.
    """
    conditions, values = list(wanted.conditions), list(wanted.values)
    if after is not None:
        conditions.append("(last, id) < (?, ?)")
        values.extend(after)
    where = " AND ".join(conditions) or "1"
    rows = archive.ask(
        f"SELECT {_SHOWN} FROM jobs WHERE {where} ORDER BY last DESC, id DESC LIMIT {PAGE + 1}",  # noqa: S608 - marks
        values,
    )
    more = len(rows) > PAGE
    rows = rows[:PAGE]
    last = f"{rows[-1]['last']!r},{rows[-1]['id']}" if more else None
    return {"jobs": [shown(row) for row in rows], "next": last, "problems": wanted.problems}


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """A row as the page gets it."""
    return {**row, "state": STATES[row["state"]]}


def _words(text: str) -> list[str]:
    reading = shlex.shlex(text, posix=True, punctuation_chars="")
    reading.whitespace_split, reading.commenters, reading.escape, reading.quotes = True, "", "", '"'
    try:
        return list(reading)
    except ValueError:  # a quote that nothing closes
        return text.split()


def _condition(name: str, value: str, now: float) -> _Condition:
    if name in _COLUMNS:
        return _in_column(_COLUMNS[name], value)
    if name in _SPECIAL:
        return _SPECIAL[name](value, now)
    return _field(name, value)


def _in_column(column: str, value: str) -> _Condition:
    if value.endswith("*"):
        return f"{column} GLOB ?", (_glob(value[:-1]) + "*",)
    return f"{column} = ?", (value,)


def _in_state(value: str, _now: float) -> _Condition:
    if value not in STATES:
        msg = f"there is no state {value!r}; there are {', '.join(STATES)}"
        raise ValueError(msg)
    return "state = ?", (STATES.index(value),)


def _of_job(value: str, _now: float) -> _Condition:
    return "(hash GLOB ? OR job_id = ?)", (_glob(value.lower()) + "*", value)


def _of_error(value: str, _now: float) -> _Condition:
    return "(exception LIKE ? ESCAPE '\\' OR message LIKE ? ESCAPE '\\')", (_like(value), _like(value))


_SPECIAL: dict[str, Callable[[str, float], _Condition]] = {
    **dict.fromkeys(("state", "outcome", "is"), _in_state),
    **dict.fromkeys(("hash", "id", "job"), _of_job),
    **dict.fromkeys(("error", "exception"), _of_error),
    "since": lambda value, now: ("last >= ?", (_moment(value, now),)),
    "until": lambda value, now: ("last <= ?", (_moment(value, now),)),
    "slower": lambda value, _now: ("run_time >= ?", (_seconds(value),)),
    "waited": lambda value, _now: ("queue_time >= ?", (_seconds(value),)),
}


def _field(name: str, value: str) -> _Condition:
    """One of the application's own fields; numbers and booleans by how JSON writes them."""
    path = "$." + '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    condition = (
        "fields LIKE ? ESCAPE '\\' AND CASE WHEN NOT json_valid(fields) THEN NULL "  # it was too long, and cut
        "WHEN json_type(fields, ?) IN ('true', 'false') THEN json_type(fields, ?) "
        "ELSE CAST(json_extract(fields, ?) AS TEXT) END = ?"
    )
    return condition, (_like(name), path, path, path, value)


def _free(word: str) -> _Condition:
    texts = ("class", "queue", "exception", "message", "fields")
    condition = " OR ".join(f"{name} LIKE ? ESCAPE '\\'" for name in texts)
    return f"(hash GLOB ? OR job_id = ? OR {condition})", (_glob(word.lower()) + "*", word, *[_like(word)] * len(texts))


def _like(text: str) -> str:
    return "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"


def _glob(text: str) -> str:
    return "".join(f"[{mark}]" if mark in "*?[" else mark for mark in text)


def _seconds(value: str) -> float:
    if ago := _AGO.fullmatch(value):
        return float(ago[1]) * _UNITS[ago[2]]
    try:
        return float(value)
    except ValueError:
        msg = f"{value!r} is no time; write 30s, 5m or 2h"
        raise ValueError(msg) from None


def _moment(value: str, now: float) -> float:
    if ago := _AGO.fullmatch(value):
        return now - float(ago[1]) * _UNITS[ago[2]]
    try:
        return datetime.fromisoformat(value).astimezone().timestamp()
    except (ValueError, OverflowError):
        msg = f"{value!r} is no time; write 2h for two hours ago, or 2026-11-20T15:00"
        raise ValueError(msg) from None


def children(archive: Archive, event_hash: str, *, most: int = 500, depth: int = 12) -> Iterator[dict[str, Any]]:
    """The jobs that a job enqueued, and those that these enqueued, each after its parent, with its ``depth``."""
    seen = {event_hash}
    waiting = [(row, 1) for row in _enqueued_by(archive, event_hash)]
    while waiting and len(seen) <= most:
        row, level = waiting.pop(0)
        if row["hash"] in seen:
            continue
        seen.add(row["hash"])
        yield {**shown(row), "depth": level}
        if level < depth:
            waiting[:0] = [(child, level + 1) for child in _enqueued_by(archive, row["hash"])]


def _enqueued_by(archive: Archive, event_hash: str) -> list[dict[str, Any]]:
    """A row for each job: its last attempt, and the times of all."""
    rows = archive.ask(
        f"SELECT {_SHOWN} FROM jobs WHERE parent = ? ORDER BY coalesce(enqueued, last), attempt LIMIT 1000",  # noqa: S608
        (event_hash,),
    )
    by_job: dict[str, dict[str, Any]] = {}
    for row in rows:
        earlier = by_job.get(row["hash"], {"attempts": []})["attempts"]
        by_job[row["hash"]] = row | {
            "attempts": [*earlier, {**{name: row[name] for name in _TIMES}, "state": STATES[row["state"]]}]
        }
    return list(by_job.values())
