"""The process title, as Resque's: Ruby's pruning looks for ``resque-<digit>`` among local processes."""

from __future__ import annotations

import os

from setproctitle import setproctitle

from clues import __version__

_LONGEST = 500
_shown = (0, "")


def show(text: str, *, prefix: str = "") -> None:
    """Set this process' title to ``resque-<version>: <text>``.

    Args:
        text: what the worker does; names in it come from Redis and may hold anything.
        prefix: what stands before it (RESQUE_PROCLINE_PREFIX).
    """
    global _shown  # noqa: PLW0603 - what the process has for its title
    title = f"{prefix}resque-{__version__}: {text}"
    if _shown == (os.getpid(), title):  # many short jobs in one second
        return
    _shown = os.getpid(), title
    title = title[:_LONGEST]
    if not title.isprintable():
        title = "".join(character if character.isprintable() else "?" for character in title)
    setproctitle(title)
