"""A session with DuckDB that Ctrl-C ends at once, and that can be asked how far it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

from clues.analysis.engine import duckdb
from clues.errors import ConfigError, QueryError

_T = TypeVar("_T")
_LOOK = 0.1  # seconds between looks at how far it is

_SETTINGS = (
    "SET TimeZone = 'UTC'",
    "SET enable_progress_bar = true",
    "SET enable_progress_bar_print = false",
    "SET progress_bar_time = 0",
)


class Session:
    """Statements, one at a time. They run in a thread, for only the main one hears of Ctrl-C."""

    def __init__(self, folder: Path, *, memory: str, threads: int | None) -> None:
        """Keep a database in a folder.

        Args:
            folder: where it is, and where it goes on when its memory is full.
            memory: how much that is, such as ``2GB``.
            threads: how many; as many as there are processors if left out.

        Raises:
            MissingExtraError: DuckDB is not installed.
            ConfigError: the memory is no size.
        """
        self._library = duckdb()
        settings: dict[str, str | int] = {"memory_limit": memory, "temp_directory": str(folder / "spilled")}
        if threads is not None:
            settings["threads"] = threads
        try:
            self._connection = self._library.connect(str(folder / "events.db"), config=settings)
        except self._library.Error as error:
            msg = f"the database does not start with {memory} of memory: {str(error).partition(chr(10))[0]}"
            raise ConfigError(msg) from error
        for statement in _SETTINGS:
            self._connection.execute(statement)

    def close(self) -> None:
        """End it."""
        self._connection.close()

    def run(self, statement: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        """Run a statement, and give its rows.

        Raises:
            QueryError: it failed.
        """
        return self.fetch(statement, lambda cursor: cursor.fetchall() if cursor.description else [], parameters)

    def fetch(
        self,
        statement: str,
        fetching: Callable[[Any], _T],
        parameters: Any = None,
        watching: Callable[[float], object] | None = None,
    ) -> _T:
        """Run a statement.

        Args:
            statement: in SQL.
            fetching: takes what is wanted from its cursor.
            parameters: the statement's.
            watching: called now and then with how much is done, from 0 to 1.

        Raises:
            QueryError: it failed.
        """
        done: list[_T] = []
        failed: list[BaseException] = []

        def work() -> None:
            try:
                done.append(fetching(self._connection.execute(statement, parameters)))
            except BaseException as error:  # noqa: BLE001 - raised again below, where it belongs
                failed.append(error)

        thread = Thread(target=work, name="clues-query")
        try:
            thread.start()
            self._wait(thread, watching)
        except BaseException:
            while thread.is_alive():  # an interruption just before the statement begins is lost
                self._connection.interrupt()
                thread.join(_LOOK)
            raise
        if failed:
            if isinstance(failed[0], self._library.Error):
                raise QueryError(str(failed[0])) from failed[0]
            raise failed[0]
        return done[0]

    def _wait(self, thread: Thread, watching: Callable[[float], object] | None) -> None:
        while True:
            thread.join(_LOOK)
            if not thread.is_alive():
                return
            if watching is not None:
                watching(max(self._connection.query_progress(), 0.0) / 100)
