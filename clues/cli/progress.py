"""Progress bars for long work, on a terminal's standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

_T = TypeVar("_T")

WORTH_SHOWING = 64 * 1024 * 1024
"""Bytes; less is read before anybody would look at a bar."""

WORTH_COUNTING = 5_000
"""Things; fewer are done before anybody would look at a bar."""


@contextmanager
def reading_progress(paths: Iterable[Path]) -> Iterator[Callable[[int], object] | None]:
    """Show how far the reading of these files is, where they are large and somebody is looking.

    Yields:
        What to call with the number of bytes read since the last call; None where nothing is shown.
    """
    found = list(paths)
    size = sum(path.stat().st_size for path in found if path.is_file())
    if size < WORTH_SHOWING or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    # What a gzipped file holds is not known before it is read; without a total the bar just moves.
    total = None if any(path.suffix == ".gz" for path in found) else size
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("reading", total=total)
        yield lambda count: shown.advance(task, count)


def counted(things: Iterable[_T], total: int, what: str) -> Generator[_T]:
    """Go through things, and show how far, where they are many and somebody is looking."""
    if total < WORTH_COUNTING or not sys.stderr.isatty():
        yield from things
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(what, total=total)
        for thing in things:
            yield thing
            shown.advance(task)
