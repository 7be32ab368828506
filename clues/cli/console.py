"""The console that commands print texts with styles to: in colour only on a terminal."""

from __future__ import annotations

import os
import sys

from rich.console import Console

from clues.cli.output import on_terminal


def console(*, soft_wrap: bool = True) -> Console:
    """A console for standard output that leaves broken pipes to the command.

    Args:
        soft_wrap: leave the wrapping of long lines to the terminal.
    """
    stream = sys.stdout
    plain = not on_terminal(stream) or "NO_COLOR" in os.environ
    return _Console(
        file=stream,
        force_terminal=on_terminal(stream),
        color_system=None if plain else "auto",
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=soft_wrap,
    )


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Rich would exit at once, with 1; the commands have something to tidy up."""
        raise BrokenPipeError
