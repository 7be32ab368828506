"""Event logs as a database: loaded into a file of DuckDB's in a temporary folder, asked in SQL, gone when closed."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from clues.analysis.loading import Loader
from clues.analysis.needs import EVERYTHING
from clues.analysis.reader import BadLine
from clues.analysis.schema import tables, views
from clues.analysis.session import Session

MEMORY = "2GB"
"""What the database may use before it goes on on disk."""

FORMS = {"csv": "FORMAT csv, HEADER", "json": "FORMAT json, ARRAY true", "parquet": "FORMAT parquet"}
"""What queries can be written as."""


@dataclass(frozen=True, slots=True)
class Read:
    """What was read.

    Attributes:
        files: the files, in order.
        events: how many events they hold, each once.
        copies: how many events were copies of others, which at-least-once delivery brings.
        bad: how many lines were no events.
        samples: the first few of these.
    """

    files: Sequence[str] = ()
    events: int = 0
    copies: int = 0
    bad: int = 0
    samples: Sequence[BadLine] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """The counts as plain JSON values."""
        return {
            "files": list(self.files),
            "events": self.events,
            "copies": self.copies,
            "bad_lines": self.bad,
            "samples": [
                {"file": line.source, "line": line.number, "text": line.text, "reason": line.reason}
                for line in self.samples
            ],
        }


class Database:
    """The events of logs, in the tables `events` and `jobs`; to be closed, for it keeps a temporary folder.

    Attributes:
        read: what was read.
    """

    def __init__(self, *, memory: str = MEMORY, threads: int | None = None) -> None:
        """Begin with nothing.

        Args:
            memory: how much it may use before it goes on on disk, such as ``2GB``.
            threads: how many; as many as there are processors if left out.

        Raises:
            MissingExtraError: DuckDB is not installed.
            ConfigError: the memory is no size.
        """
        self.read: Read = Read()
        self._folder = Path(tempfile.mkdtemp(prefix="clues-query-"))
        try:
            self._session = Session(self._folder, memory=memory, threads=threads)
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        for statement in tables():
            self._session.run(statement)

    def __enter__(self) -> Self:
        """Use it within a ``with`` block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Forget all."""
        self.close()

    def close(self) -> None:
        """Forget all that was read."""
        self._session.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def load(
        self,
        paths: Sequence[Path],
        *,
        needed: frozenset[str] = EVERYTHING,
        progress: Callable[[int], object] | None = None,
    ) -> None:
        """Read files, and then nothing more: queries reach no file, whatever they say.

        Args:
            paths: event logs, plain or gzipped.
            needed: the columns that will be asked for, see `clues.analysis.needs`.
            progress: called with the number of bytes read since its last call.

        Raises:
            LogFileError: a file can't be opened.
        """
        loader = Loader(self._session, self._folder, needed, progress or (lambda _size: None))
        for path in paths if needed else ():
            loader.load(path)
        loader.finish()
        for statement in (*views(loader.metadata_keys()), *self._locks()):
            self._session.run(statement)
        self.read = Read([str(path) for path in paths], loader.events, loader.copies, loader.bad, loader.samples)

    def _locks(self) -> tuple[str, ...]:
        written = str(self._output).replace("'", "''")
        return (
            f"SET allowed_paths = ['{written}']",
            "SET enable_external_access = false",
            "SET lock_configuration = true",
        )

    def run(self, statement: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        """Run a statement of one's own, and give its rows.

        Raises:
            QueryError: it failed.
        """
        return self._session.run(statement, parameters)

    def table(self, query: str, most: int | None) -> tuple[list[str], list[tuple[Any, ...]]]:
        """The names of a query's columns, and its rows, all of them or up to so many.

        Raises:
            QueryError: the query failed.
        """

        def fetching(cursor: Any) -> tuple[list[str], list[tuple[Any, ...]]]:
            rows = cursor.fetchall() if most is None else cursor.fetchmany(most)
            return [column[0] for column in cursor.description or ()], rows

        return self._session.fetch(query, fetching)

    def write(self, query: str, form: str) -> Path:
        """Write all that a query finds to a file.

        Args:
            query: what to write.
            form: one of `FORMS`.

        Returns:
            The file, which is gone when the database is closed.

        Raises:
            QueryError: the query failed.
        """
        bare = query.rstrip().rstrip(";")
        written = str(self._output).replace("'", "''")
        self._session.run(f"COPY ({bare}\n) TO '{written}' ({FORMS[form]}, USE_TMP_FILE false)")
        return self._output

    @property
    def _output(self) -> Path:
        return self._folder / "output"
