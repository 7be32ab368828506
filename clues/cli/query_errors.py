"""What is said when the database refuses."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import typer

from clues.errors import QueryError

USAGE = 2


@contextmanager
def explained(*, mistaken: bool = False) -> Generator[None]:
    """End the command with what DuckDB says, the place in the query under it.

    Args:
        mistaken: whether it is the query that is wrong, which ends the command with 2.
    """
    from clues.cli.output import clean, say_error

    try:
        yield
    except QueryError as error:
        import sys

        first, _, more = str(error).partition("\n")
        say_error(first)
        for line in more.strip("\n").splitlines():
            print(clean(line, lines=True), file=sys.stderr)
        raise typer.Exit(USAGE if mistaken else 1) from error
