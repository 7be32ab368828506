"""Which columns a query needs, found out before anything is read: what it doesn't name is left in the files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from clues.analysis.columns import STORED
from clues.analysis.engine import duckdb
from clues.analysis.schema import KEPT, tables, views
from clues.errors import QueryError

EVERYTHING = frozenset(column.name for column in STORED)

_SAFE = (
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)
_TABLE = KEPT.rpartition(".")[2]
_EXPLAIN = "EXPLAIN (FORMAT json) "
# An empty table tells some optimizers that nothing needs to be looked at.
_WHOLE = "SET disabled_optimizers = 'statistics_propagation,empty_result_pullup'"


def needs(*queries: str) -> frozenset[str]:
    """The columns that queries look at; empty for one that looks at no event.

    Raises:
        QueryError: one is mistaken, or would do anything but read.
    """
    library = duckdb()
    found: frozenset[str] = frozenset()
    with library.connect() as connection:
        for statement in (*tables(), *views(), _WHOLE, *_SAFE):
            connection.execute(statement)
        for query in queries:
            try:
                _check(connection, library, query)
                found |= _looked_at(connection, query)
            except library.Error as error:
                raise QueryError(_without_explain(str(error))) from error
    return found


def _check(connection: Any, library: Any, query: str) -> None:
    if any("\ud800" <= mark <= "\udfff" for mark in query):
        msg = "the query is no text that UTF-8 can hold"
        raise QueryError(msg)
    statements = connection.extract_statements(query)
    if len(statements) != 1:
        msg = f"give one statement, not {len(statements)}"
        raise QueryError(msg)
    kinds = library.StatementType
    if statements[0].type not in {kinds.SELECT, kinds.EXPLAIN, kinds.MULTI}:  # the last is PIVOT
        msg = "events are there to be read: a query begins with SELECT, FROM, WITH, DESCRIBE, SUMMARIZE or PIVOT"
        raise QueryError(msg)


def _looked_at(connection: Any, query: str) -> frozenset[str]:
    kind = connection.extract_statements(query)[0].type
    if kind.name != "SELECT":
        return EVERYTHING
    plan = json.loads(connection.execute(f"{_EXPLAIN}{query}").fetchall()[0][1])
    found: set[str] = set()
    for scan in _scans(plan):
        columns = scan.get("Projections", [])
        found |= {columns} if isinstance(columns, str) else set(columns)
        found |= {"event_type"}
        if "Projections" not in scan or not found - {""} <= EVERYTHING:
            return EVERYTHING
        found |= {name for name in EVERYTHING if name in str(scan.get("Filters", ""))}
    if not found and _TABLE in json.dumps(plan):  # another release's way to tell a plan
        return EVERYTHING
    return frozenset(found - {""})


def _without_explain(message: str) -> str:
    """What DuckDB says, as if of the query alone: the mark under it moves along."""
    *before, line, mark = ["", *message.split("\n")]
    if _EXPLAIN in line:
        line, mark = line.replace(_EXPLAIN, ""), mark[len(_EXPLAIN) :]
    return "\n".join([*before, line, mark][1:])


def _scans(plan: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for node in plan:
        told = node.get("extra_info") or {}
        if isinstance(told, dict) and str(told.get("Table", "")).rpartition(".")[2] == _TABLE:
            yield told
        yield from _scans(node.get("children", []))
