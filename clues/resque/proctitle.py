"""The process title, as Resque's: Ruby's pruning looks for ``resque-<digit>`` among local processes."""

from __future__ import annotations

from setproctitle import setproctitle

from clues import __version__

_LONGEST = 500


def show(text: str, *, prefix: str = "") -> None:
    """Set this process' title to ``resque-<version>: <text>``.

    Args:
        text: what the worker does; names in it come from Redis and may hold anything.
        prefix: what stands before it (RESQUE_PROCLINE_PREFIX).
    """
    title = f"{prefix}resque-{__version__}: {text}"[:_LONGEST]
    setproctitle("".join(character if character.isprintable() else "?" for character in title))
