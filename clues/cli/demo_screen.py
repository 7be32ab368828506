"""The demo while it runs: a live table over the last events on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.text import Text

from clues.cli.console import console
from clues.cli.demo_table import figures, table
from clues.cli.event_line import event_line
from clues.cli.output import on_terminal
from clues.demo.session import Progress, Screen
from clues.event import Event

_REFRESH = 0.25
_MOST_EVENTS = 12
_OTHER_LINES = 16  # of the live screen: the heading, the table with its six classes, the foot


@contextmanager
def screen() -> Iterator[Screen]:
    """The screen that suits standard output."""
    if not on_terminal():
        yield PlainScreen(console())
        return
    shown = console(soft_wrap=False)
    with Live(console=shown, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False) as live:
        yield LiveScreen(shown, live)


class LiveScreen:
    """Redraws its part of the terminal four times a second; the summary takes its place at the end."""

    def __init__(self, console: Console, live: Live) -> None:
        """Draw with these."""
        self._console = console
        self._live = live
        self._last: deque[Event] = deque(maxlen=_MOST_EVENTS)
        self._drawn = 0.0

    def show(self, progress: Progress, events: Sequence[Event]) -> None:
        """Remember the events, and redraw if it is time."""
        self._last.extend(events)
        now = time.monotonic()
        if now - self._drawn >= _REFRESH:
            self._drawn = now
            self._live.update(self._picture(progress), refresh=True)

    def _picture(self, progress: Progress) -> Padding:
        room = max(self._console.height - _OTHER_LINES, 0)
        last = list(self._last)[-room:] if room else []
        lines = [_one_line(event_line(event)) for event in last]
        foot = Text(f"{progress.events}   Ctrl-C ends the demo", style="dim", no_wrap=True, overflow="ellipsis")
        parts: list[RenderableType] = [_heading(progress), Text(), table(progress.stats), Text(), *lines, Text(), foot]
        return Padding(Group(*parts), (1, 1, 0, 1))


class PlainScreen:
    """Prints each event as it comes, and the figures once a second."""

    def __init__(self, console: Console) -> None:
        """Print there."""
        self._console = console
        self._printed = time.monotonic()
        self._begun = False

    def show(self, progress: Progress, events: Sequence[Event]) -> None:
        """Print the events, and the figures if it is time."""
        if not self._begun:
            self._begun = True
            self._console.print(f"clues demo: events go to {progress.events}")
        for event in events:
            self._console.print(event_line(event))
        now = time.monotonic()
        if now - self._printed >= 1 and progress.phase != "starting":
            self._printed = now
            self._console.print(Text("-- ") + _heading(progress))
        self._console.file.flush()


def _heading(progress: Progress) -> Text:
    clock = f"{min(progress.elapsed, progress.seconds):.0f}s of {progress.seconds:.0f}s"
    return Text.assemble(
        ("clues demo", "bold"),
        "  ",
        (clock if progress.phase == "working" else progress.phase, "cyan"),
        "  ",
        f"{progress.workers} workers",
        "  ",
        figures(progress.stats, time.time()),
        no_wrap=True,
        overflow="ellipsis",
    )


def _one_line(text: Text) -> Text:
    text.no_wrap = True
    text.overflow = "ellipsis"
    return text
