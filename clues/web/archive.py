"""The history's database: events as they came, and a row for each attempt, in SQLite and a temporary folder.

SQLite rather than DuckDB: rows are added all the time, and one job is looked for by its key; DuckDB's strength is
reading whole logs, which ``clues query`` does.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from queue import LifoQueue
from typing import Any

from clues.web.attempts import COLUMNS

_SCHEMA = """
CREATE TABLE events (id INTEGER PRIMARY KEY, hash TEXT, line BLOB);
CREATE INDEX events_by_hash ON events (hash);
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY, hash TEXT NOT NULL, attempt INTEGER NOT NULL, class TEXT, queue TEXT, system TEXT,
    job_id TEXT, parent TEXT, state INTEGER, enqueued REAL, dequeued REAL, started REAL, ended REAL, last REAL,
    queue_time REAL, run_time REAL, exception TEXT, message TEXT, reason TEXT, host TEXT, process TEXT, fields TEXT,
    UNIQUE (hash, attempt)
);
CREATE INDEX jobs_by_last ON jobs (last, id);
CREATE INDEX jobs_by_class ON jobs (class, last);
CREATE INDEX jobs_by_enqueued ON jobs (enqueued);
CREATE INDEX jobs_by_ended ON jobs (ended);
CREATE INDEX jobs_by_parent ON jobs (parent) WHERE parent IS NOT NULL;
CREATE INDEX jobs_by_job_id ON jobs (job_id) WHERE job_id IS NOT NULL;
"""
_READERS = 3  # a chart over a million events must not hold up a list
_FIRST = {"enqueued", "dequeued", "started", "ended"}  # a copy that comes later changes nothing
_LATEST = {"class", "queue", "system", "job_id", "parent", "host", "process", "fields"}


def _upsert() -> str:
    changes = []
    for name in COLUMNS[2:]:
        if name in _FIRST:
            change = f"coalesce(jobs.{name}, excluded.{name})"
        elif name in {"state", "last"}:
            change = f"max(jobs.{name}, excluded.{name})"
        elif name in _LATEST:
            change = (
                f"CASE WHEN excluded.state >= jobs.state THEN coalesce(excluded.{name}, jobs.{name}) "
                f"ELSE coalesce(jobs.{name}, excluded.{name}) END"
            )
        else:
            change = f"coalesce(excluded.{name}, jobs.{name})"
        changes.append(f"{name} = {change}")
    marks = ", ".join("?" * len(COLUMNS))
    return (
        f"INSERT INTO jobs ({', '.join(COLUMNS)}) VALUES ({marks}) "  # noqa: S608 - our own names
        f"ON CONFLICT (hash, attempt) DO UPDATE SET {', '.join(changes)}"
    )


_UPSERT = _upsert()


class Archive:
    """Keeps the newest events; one thread writes, any may read."""

    def __init__(self, most: int) -> None:
        """Begin with nothing.

        Args:
            most: events to keep; the oldest are forgotten.
        """
        self._most = most
        self._folder = tempfile.TemporaryDirectory(prefix="clues-web-")
        path = Path(self._folder.name) / "history.db"
        self._writer = _connect(path)
        self._writer.executescript(_SCHEMA)
        self._readers: LifoQueue[sqlite3.Connection] = LifoQueue()
        for _ in range(_READERS):
            self._readers.put(_connect(path, "PRAGMA query_only = 1"))
        self._count = 0

    def close(self) -> None:
        """Forget all."""
        for _ in range(_READERS):
            self._readers.get().close()  # once whoever asks has been answered
        self._writer.close()
        self._folder.cleanup()

    def add(self, events: Sequence[tuple[str | None, bytes]], attempts: Iterable[tuple[Any, ...]]) -> None:
        """Add events, each with its job's hash, and what they make of attempts, in one step."""
        with self._writer:
            self._writer.executemany("INSERT INTO events (hash, line) VALUES (?, ?)", events)
            self._writer.executemany(_UPSERT, attempts)
        self._count += len(events)
        if self._count > self._most * 1.1:
            self._forget_oldest()

    def last_attempt(self, event_hash: str) -> tuple[int, int]:
        """The number and state of a job's last attempt, or of a first that has nothing yet; for the writer."""
        found = self._writer.execute(
            "SELECT attempt, state FROM jobs WHERE hash = ? ORDER BY attempt DESC LIMIT 1", (event_hash,)
        ).fetchone()
        return found or (1, 0)

    def ask(self, query: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[dict[str, Any]]:
        """The rows of a query, by their columns' names."""
        reader = self._readers.get()
        try:
            cursor = reader.execute(query, values)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        finally:
            self._readers.put(reader)

    def _forget_oldest(self) -> None:
        with self._writer:
            newest = self._writer.execute("SELECT max(id) FROM events").fetchone()[0]
            self._writer.execute("DELETE FROM events WHERE id <= ?", (newest - self._most,))
            self._writer.execute("DELETE FROM jobs WHERE NOT EXISTS (SELECT 1 FROM events WHERE hash = jobs.hash)")
        self._count = self._most


def _connect(path: Path, *statements: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False, timeout=60)
    for setting in ("journal_mode = WAL", "synchronous = OFF", "temp_store = MEMORY", "cache_size = -32768"):
        connection.execute(f"PRAGMA {setting}")
    for statement in statements:
        connection.execute(statement)
    return connection
