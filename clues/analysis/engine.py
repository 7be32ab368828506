"""DuckDB, an extra."""

from __future__ import annotations

from types import ModuleType

from clues.errors import MissingExtraError
from clues.extras import too_old

_PART = "the event log as a database"


def duckdb() -> ModuleType:
    """The library.

    Raises:
        MissingExtraError: it is not installed, or too old a release.
    """
    try:
        import duckdb as library  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtraError(_PART, "analysis", "duckdb") from error
    if older := too_old("analysis", "duckdb"):
        raise MissingExtraError(_PART, "analysis", older)
    return library
