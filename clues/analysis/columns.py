"""The columns that events are kept in, and how each is read from an event's line. Names follow the event's own keys.

A value that is none, such as a time that is a word, is NULL, as `clues.analysis.facts` reads it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from clues.analysis.facts import LONGEST_TIME
from clues.event import EventType

TYPES = ", ".join(f"'{kind}'" for kind in EventType)
ENDS = ", ".join(f"'{kind}'" for kind in EventType if kind.terminal)

_SECONDS = f"CASE WHEN try_cast({{0}} AS DOUBLE) BETWEEN 0 AND {LONGEST_TIME} THEN try_cast({{0}} AS DOUBLE) END"
_EPOCH = (
    "CASE WHEN try_cast({0} AS DOUBLE) > 0 AND try_cast({0} AS DOUBLE) < 253402300800 "
    "THEN make_timestamp(round(try_cast({0} AS DOUBLE) * 1000000)::BIGINT) END"
)
_TRUE = "CASE WHEN {0} = 'true' THEN true END"
# An item whose number is none is at its first attempt; one without any is Ruby's, and is counted later.
_ATTEMPT = (
    "CASE WHEN {0} IS NOT NULL THEN coalesce(CASE WHEN try_cast({0} AS BIGINT) BETWEEN 1 AND 999999999 "
    "THEN try_cast({0} AS BIGINT) END, 1) END"
)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of what is kept.

    Attributes:
        name: its name.
        type: its type in SQL.
        key: the key in an event's metadata that it is of; empty for a field beside them.
        sql: its value, ``{0}`` being the key's text.
    """

    name: str
    type: str
    key: str = ""
    sql: str = "{0}"


METADATA = (
    Column("event_hash", "VARCHAR", "_event_hash"),
    Column("attempt", "BIGINT", "_attempt", _ATTEMPT),
    Column("event_id", "VARCHAR", "_event_id"),
    Column("system", "VARCHAR", "_system"),
    Column("job_id", "VARCHAR", "_job_id"),
    Column("hostname", "VARCHAR", "_hostname"),
    Column("process", "BIGINT", "_process", "try_cast({0} AS BIGINT)"),
    Column("enqueued_time", "TIMESTAMP", "_enqueued_time", _EPOCH),
    Column("scheduled_time", "TIMESTAMP", "_scheduled_time", _EPOCH),
    Column("time_in_queue", "DOUBLE", "_time_in_queue", _SECONDS),
    Column("time_to_perform", "DOUBLE", "_time_to_perform", _SECONDS),
    Column("exception", "VARCHAR", "_exception"),
    Column("message", "VARCHAR", "_message"),
    Column("backtrace", "VARCHAR", "_backtrace"),
    Column("reason", "VARCHAR", "_reason"),
    Column("reporter", "VARCHAR", "_reporter"),
    Column("retrying", "BOOLEAN", "_retrying", _TRUE),
    Column("redelivered", "BOOLEAN", "_redelivered", _TRUE),
    Column("clock_skew", "DOUBLE", "_clock_skew", _SECONDS),
    Column("parent_event_hash", "VARCHAR", "_parent_event_hash"),
    Column("traceparent", "VARCHAR", "_traceparent"),
    Column("traced_by", "VARCHAR", "_traced_by"),
    Column("truncated", "VARCHAR", "_truncated"),
)
"""Those of system keys."""

FIELDS = (
    Column("event_type", "VARCHAR"),
    Column("timestamp", "TIMESTAMP"),
    Column("queue", "VARCHAR", sql="queue"),
    Column("worker_class", "VARCHAR", sql="worker_class"),
    Column("args", "JSON", sql="args"),
    Column("metadata", "JSON", sql="metadata"),
    Column("source", "VARCHAR"),
)
"""The others."""

STORED = (*FIELDS, *METADATA, Column("identity", "UBIGINT"))
"""All that is kept; `identity` tells copies of an event."""

ALWAYS = frozenset({"event_type", "timestamp", "event_hash", "attempt", "event_id", "redelivered", "identity"})
"""What is read, whatever a query names: copies are told by it, and Ruby's attempts."""

_ANY_TIME = (
    "CASE WHEN ends_with(timestamp, 'Z') THEN try_cast(timestamp AS TIMESTAMP) "
    "ELSE try_cast(timestamp AS TIMESTAMPTZ)::TIMESTAMP END"
)
# Those that Python knows too: not `infinity`, nor the year 10000.
_ISO = f"CASE WHEN {_ANY_TIME} BETWEEN TIMESTAMP '0001-01-02' AND TIMESTAMP '9999-12-31' THEN {_ANY_TIME} END"


def reading(needed: Collection[str], *, mended: bool) -> str:
    """The query that reads a file of lines, whose name, compression, longest line and source are its parameters.

    A line that is no event, or that has something odd about it, has no `event_type`.

    Args:
        needed: the columns that are wanted; the others stay NULL.
        mended: whether the lines are known to be events.
    """
    wanted = ALWAYS | set(needed)
    keys = [*(column.key for column in METADATA if column.name in wanted), "event_hash"]
    if "metadata" in wanted:
        shape, paths = "JSON", ", ".join(f"'$.{key}'" for key in keys)
        found = f"json_extract_string(metadata, [{paths}])"
        texts = {key: f"m[{place}]" for place, key in enumerate(keys, start=1)}
    else:  # quicker, where the metadata itself is not kept
        shape, found = f"STRUCT({', '.join(f'{key} VARCHAR' for key in keys)})", "metadata"
        texts = {key: f"m.{key}" for key in keys}
    values = _values(wanted, texts, mended=mended)
    if "event_id" not in needed:
        del values["event_id"]
    chosen = ", ".join(f"{values.get(column.name, 'NULL')}::{column.type} AS {column.name}" for column in STORED)
    return (
        f"SELECT {chosen} FROM (SELECT *, {found} AS m FROM read_json($file, format = 'newline_delimited', "
        "ignore_errors = true, records = 'true', compression = $compression, maximum_object_size = $longest, "
        "columns = {event_type: 'VARCHAR', timestamp: 'VARCHAR', "
        f"queue: 'VARCHAR', worker_class: 'VARCHAR', args: 'JSON', metadata: '{shape}'}}))"
    )


def _values(wanted: Collection[str], texts: Mapping[str, str], *, mended: bool) -> dict[str, str]:
    """What each column is, by the texts of the metadata's keys."""
    values = {column.name: column.sql.format(texts[column.key]) for column in METADATA if column.name in wanted}
    values |= {column.name: column.sql for column in FIELDS if column.name in wanted and column.sql != "{0}"}
    event_hash = f"coalesce({texts['_event_hash']}, {texts['event_hash']})"
    whole = f"{event_hash} IS NOT NULL AND {_ISO} IS NOT NULL AND starts_with(args::VARCHAR, '[')"
    sound = f"event_type IN ({TYPES})" if mended else f"event_type IN ({TYPES}) AND {whole}"
    # What copies of an event have in common; nothing where two events can't be told from two copies.
    ending = f"CASE WHEN event_type IN ({ENDS}) THEN 'end' ELSE event_type END"
    made = f"{event_hash} || ':' || ({values['attempt']}) || ':' || {ending}"
    same = f"coalesce({texts['_event_id']}, {made})"
    return values | {
        "event_hash": event_hash,
        "event_type": f"CASE WHEN {sound} THEN event_type END",
        "timestamp": _ISO,
        "source": "$source",
        # What was delivered again happened again, under the same id. The hash of NULL would be a number.
        "identity": f"CASE WHEN {same} IS NULL THEN NULL WHEN {values['redelivered']} THEN hash({same} || timestamp) "
        f"ELSE hash({same}) END",
    }
