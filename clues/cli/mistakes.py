"""What is said of mistaken arguments: no more than a terminal may get."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from typer.core import TyperGroup

from clues.cli.output import clean


def told_safely(kind: type[TyperGroup]) -> type[TyperGroup]:
    """A group of commands whose errors have their control characters spelled out."""

    class Told(kind):  # type: ignore[misc, valid-type]
        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            """Read the arguments before the command."""
            with _safely():
                found: list[str] = super().parse_args(ctx, args)
                return found

        def invoke(self, ctx: Any) -> Any:
            """Run a command, which reads its own."""
            with _safely():
                return super().invoke(ctx)

    return Told


@contextmanager
def _safely() -> Generator[None]:
    try:
        yield
    except Exception as error:
        told = getattr(error, "format_message", None)  # those of mistaken usage have one
        if told is not None:
            error.format_message = lambda: clean(told(), lines=True)  # type: ignore[attr-defined]
        raise
