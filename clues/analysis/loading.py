"""Brings files into the database: at DuckDB's speed what is sound, by our own reader what is odd."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from clues.analysis.columns import ENDS, reading
from clues.analysis.mending import Mender
from clues.analysis.reader import BadLine, Reader, open_log
from clues.analysis.schema import KEPT
from clues.analysis.session import Session
from clues.errors import QueryError

_MANY = 100_000
"""Odd lines of one file; where there are more, all of it is read by our own reader."""

_LONG = 16 * 1024 * 1024
"""Bytes of a line; DuckDB reads files in pieces of twice as much. What is longer is read by our own reader."""

_COPIES = f"""
DELETE FROM {KEPT} WHERE rowid IN (
    SELECT id FROM (
        SELECT rowid AS id, row_number() OVER (
            PARTITION BY identity, event_hash, attempt, CASE WHEN event_type IN ({ENDS}) THEN 'end' ELSE event_type END
            ORDER BY rowid
        ) AS copy
        FROM {KEPT} WHERE event_type IS NOT NULL AND identity IN (SELECT identity FROM seen_again)
    ) WHERE copy > 1
)"""

# Ruby numbers no attempts: what follows an end is another one.
_NUMBERED = f"""
UPDATE {KEPT} SET attempt = numbered.number FROM (
    SELECT rowid AS id, 1 + count(*) FILTER (event_type IN ({ENDS})) OVER (
        PARTITION BY event_hash ORDER BY timestamp, rowid ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS number
    FROM {KEPT} WHERE event_hash IN (SELECT event_hash FROM {KEPT} WHERE attempt IS NULL)
) AS numbered
WHERE {KEPT.rpartition(".")[2]}.rowid = numbered.id AND attempt IS NULL
"""


class Loader:
    """Loads files, one after the other.

    Attributes:
        events: how many events are in the database.
        copies: how many were left out, for they were there already.
        bad: how many lines were no events.
    """

    def __init__(
        self, session: Session, folder: Path, needed: frozenset[str], progress: Callable[[int], object]
    ) -> None:
        """Load into a session's database.

        Args:
            session: the database's.
            folder: for what has to be written meanwhile.
            needed: the columns that are wanted.
            progress: called with the number of bytes read since its last call.
        """
        self._session = session
        self._needed = needed
        self._progress = progress
        self._mended = folder / "mended.jsonl"
        self._reader = Reader()
        self._mender = Mender(self._reader, self._mended)
        self._unreadable = 0
        self.events: int = 0
        self.copies: int = 0

    @property
    def bad(self) -> int:
        """How many lines were no events."""
        return self._reader.bad + self._unreadable

    @property
    def samples(self) -> Sequence[BadLine]:
        """The first few of these."""
        return self._reader.samples

    def load(self, path: Path) -> None:
        """Load a file; what of it can't be read is counted.

        Raises:
            LogFileError: it can't be opened.
        """
        if not path.is_file():  # a pipe can be read only once
            self._mend_all(path)
            return
        open_log(path).close()
        before = self._rows()
        try:
            self._insert(path, source=path)
        except QueryError:  # a broken gzip, or a line that is longer than DuckDB likes
            self._mend_all(path)
            return
        self._mend_odd(path, before)

    def finish(self) -> None:
        """Remove copies, and number the attempts that have no number."""
        self._session.run(
            "CREATE TEMP TABLE seen_again AS SELECT identity FROM "
            f"{KEPT} WHERE identity IS NOT NULL AND event_type IS NOT NULL GROUP BY identity HAVING count(*) > 1"
        )
        if self._count("seen_again"):
            held = self._count(KEPT)
            self._session.run(_COPIES)
            self.copies = held - self._count(KEPT)
        if self._count(f"{KEPT} WHERE attempt IS NULL AND event_hash IS NOT NULL AND event_type IS NOT NULL"):
            self._session.run(_NUMBERED)
        self.events = self._count(f"{KEPT} WHERE event_type IS NOT NULL")

    def metadata_keys(self) -> list[str]:
        """The keys that are no application's own, of those that the events' metadata holds."""
        if "metadata" not in self._needed:
            return []
        found = self._session.run(
            "SELECT DISTINCT unnest(list_filter(json_keys(metadata), lambda key: key[1] = '_' OR key = 'event_hash')) "
            f"AS key FROM {KEPT} WHERE event_type IS NOT NULL ORDER BY key"
        )
        return [key for (key,) in found]

    def _insert(self, path: Path, *, source: Path, mended: bool = False) -> None:
        size, told = path.stat().st_size, 0

        def watching(done: float) -> None:
            nonlocal told
            if (now := int(size * done)) > told:
                self._progress(now - told)
                told = now

        longest = max(_LONG, self._mender.longest) if mended else _LONG
        compression = "gzip" if path.suffix == ".gz" else "uncompressed"
        self._session.fetch(
            f"INSERT INTO {KEPT} {reading(self._needed, mended=mended)}",
            lambda _cursor: None,
            {"file": _literal(path), "compression": compression, "longest": longest, "source": str(source)},
            None if mended else watching,
        )
        if not mended:
            self._progress(size - told)

    def _mend_odd(self, path: Path, before: int) -> None:
        """Look again at the lines that were no events as they stood: rows are in the order of lines."""
        odd = f"{KEPT} WHERE rowid >= {before} AND event_type IS NULL"
        count = self._count(odd)
        if not count:
            return
        rows = None if count > _MANY else [row - before for (row,) in self._session.run(f"SELECT rowid FROM {odd}")]
        found = None if rows is None else self._mender.mend_some(path, rows)
        if found is None:
            self._session.run(f"UPDATE {KEPT} SET event_type = NULL WHERE rowid >= {before}")
            self._mend_all(path)
        elif found:
            self._insert_mended(path, found)

    def _mend_all(self, path: Path) -> None:
        found = self._mender.mend_all(path, lambda _size: None)
        if found:
            self._insert_mended(path, found)

    def _insert_mended(self, source: Path, count: int) -> None:
        before = self._rows()
        self._insert(self._mended, source=source, mended=True)
        self._unreadable += count - self._count(f"{KEPT} WHERE rowid >= {before} AND event_type IS NOT NULL")

    def _rows(self) -> int:
        """The number of the next row; none is removed while files are loaded."""
        return int(self._session.run(f"SELECT coalesce(max(rowid) + 1, 0) FROM {KEPT}")[0][0])

    def _count(self, what: str) -> int:
        return int(self._session.run(f"SELECT count(*) FROM {what}")[0][0])


def _literal(path: Path) -> str:
    """A path that DuckDB takes for a file's, not for a pattern."""
    absolute = str(path.absolute())
    return "".join(f"[{mark}]" if mark in "*?[" else mark for mark in absolute)
