"""The process title, as Resque's: Ruby's pruning looks for ``resque-<digit>`` among local processes."""

from __future__ import annotations

from setproctitle import setproctitle

from clues import __version__


def show(text: str, *, prefix: str = "") -> None:
    """Set this process' title to ``resque-<version>: <text>``.

    Args:
        text: what the worker does.
        prefix: what stands before it (RESQUE_PROCLINE_PREFIX).
    """
    setproctitle(f"{prefix}resque-{__version__}: {text}")
