"""The tables that queries see, `events` and `jobs`: views over what is kept."""

from __future__ import annotations

import json
from collections.abc import Sequence

from clues.analysis.columns import ENDS, STORED
from clues.analysis.facts import RUBY_TWINS

KEPT = "loaded.lines"


def _as_json(column: str) -> str:
    """What is kept as text as a value again: JSON, but where others than clues wrote the event a bare text, too."""
    return f"CASE WHEN json_valid({column}) THEN {column}::JSON WHEN {column} IS NOT NULL THEN to_json({column}) END"


_PLACE = """CASE event_type WHEN 'enqueued' THEN 0 WHEN 'dequeued' THEN 1 WHEN 'perform_started' THEN 2 ELSE 3 END
    + CASE WHEN redelivered THEN 10 ELSE 0 END"""

_JOBS = f"""
CREATE VIEW jobs AS SELECT *,
    CASE
        WHEN outcome = 'failed' AND retrying THEN 'retrying'
        WHEN outcome IS NOT NULL THEN outcome
        WHEN started_at IS NOT NULL THEN 'running'
        WHEN dequeued_at IS NOT NULL THEN 'taken'
        ELSE 'waiting'
    END AS state
FROM (SELECT
    event_hash,
    attempt,
    min(system) AS system,
    min(job_id) AS job_id,
    min(worker_class) AS worker_class,
    min(queue) AS queue,
    coalesce(min(timestamp) FILTER (event_type = 'enqueued'), min(enqueued_time)) AS enqueued_at,
    min(scheduled_time) AS scheduled_at,
    min(timestamp) FILTER (event_type = 'dequeued') AS dequeued_at,
    min(timestamp) FILTER (event_type = 'perform_started') AS started_at,
    max(timestamp) FILTER (event_type IN ({ENDS})) AS ended_at,
    max(timestamp) AS last_at,
    min(time_in_queue) AS time_in_queue,
    max(time_to_perform) AS time_to_perform,
    replace(arg_max(event_type, {_PLACE}) FILTER (event_type IN ({ENDS})), 'perform_', '') AS outcome,
    coalesce(bool_or(retrying), false) AS retrying,
    coalesce(bool_or(redelivered), false) AS redelivered,
    max(exception) AS exception,
    max(message) AS message,
    {_as_json("max(backtrace)")} AS backtrace,
    max(reason) AS reason,
    max(reporter) AS reporter,
    coalesce(
        max(hostname) FILTER (event_type = 'perform_started'),
        max(hostname) FILTER (event_type = 'dequeued'),
        max(hostname) FILTER (event_type IN ('perform_finished', 'failed'))
    ) AS hostname,
    coalesce(
        max(process) FILTER (event_type = 'perform_started'),
        max(process) FILTER (event_type = 'dequeued'),
        max(process) FILTER (event_type IN ('perform_finished', 'failed'))
    ) AS process,
    min(parent_event_hash) AS parent_event_hash,
    arg_max(args, {_PLACE}) AS args,
    arg_max(metadata, {_PLACE}) AS metadata
FROM events WHERE event_hash IS NOT NULL GROUP BY event_hash, attempt)
"""


def tables() -> list[str]:
    """The statements that make what is kept; nothing is in it yet."""
    columns = ", ".join(f"{column.name} {column.type}" for column in STORED)
    return ["CREATE SCHEMA loaded", f"CREATE TABLE {KEPT} ({columns})"]


def views(system_keys: Sequence[str] = ()) -> list[str]:
    """The statements that make what queries see.

    Args:
        system_keys: those that the metadata of the events holds; they are left out of the column `metadata`.
    """
    shown = ["event_type", "timestamp", "queue", "worker_class", "args", f"{_users_own(system_keys)} AS metadata"]
    hidden = {
        "event_type",
        "timestamp",
        "queue",
        "worker_class",
        "args",
        "metadata",
        "identity",
        "source",
        "truncated",
        "backtrace",
    }
    others = [column.name for column in STORED if column.name not in hidden]
    values = [f"{_as_json(name)} AS {name}" for name in ("backtrace", "truncated")]
    listed = ", ".join([*shown, *others, *values, "source"])
    return [f"CREATE VIEW events AS SELECT {listed} FROM {KEPT} WHERE event_type IS NOT NULL", _JOBS]


def _users_own(system_keys: Sequence[str]) -> str:
    """The application's own fields: what begins with ``_`` is left out, and in Ruby's events their twins too."""
    if not system_keys:
        return "metadata"
    ours = {key for key in system_keys if key.startswith("_")}
    own = _without("metadata", ours)
    if not ours or "event_hash" not in system_keys:
        return own
    failure = {"backtrace", "exception", "message"}
    ended = _without(own, RUBY_TWINS)
    going_on = _without(own, RUBY_TWINS - failure)
    ruby = "json_exists(metadata, '$.event_hash')"
    return f"CASE WHEN {ruby} AND event_type = 'failed' THEN {ended} WHEN {ruby} THEN {going_on} ELSE {own} END"


def _without(metadata: str, keys: set[str] | frozenset[str]) -> str:
    if not keys:
        return metadata
    nulls = ",".join(f"{_quoted(key)}:null" for key in sorted(keys))
    return f"json_merge_patch({metadata}, '{{{nulls}}}')"


def _quoted(key: str) -> str:
    return json.dumps(key).replace("'", "''")
