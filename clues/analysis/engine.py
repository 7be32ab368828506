"""DuckDB, an extra."""

from __future__ import annotations

from types import ModuleType

from clues.errors import MissingExtraError


def duckdb() -> ModuleType:
    """The library.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import duckdb as library  # noqa: PLC0415 - an extra
    except ImportError as error:
        part = "the event log as a database"
        raise MissingExtraError(part, "analysis", "duckdb") from error
    return library
