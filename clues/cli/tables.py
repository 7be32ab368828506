"""Tables: fitted to a terminal, whole and without trailing spaces elsewhere."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from clues.cli.console import console
from clues.cli.output import on_terminal

_WIDE = 100_000


def plain_table() -> Table:
    """A table without lines, whose columns are still to come."""
    return Table(box=None, padding=(0, 2, 0, 0), header_style="dim", footer_style="bold", pad_edge=False)


def on_one_line(text: Text) -> Text:
    """A cell that is cut rather than wrapped, in a column that may become narrow."""
    text.no_wrap = True
    text.overflow = "ellipsis"
    return text


def print_table(table: Table) -> None:
    """Print it, cut where a terminal's line ends."""
    screen = console(soft_wrap=False)
    if on_terminal():
        screen.print(table)
        return
    screen.width = _WIDE  # a width for printing would be cut to that of the console
    with screen.capture() as captured:
        screen.print(table, crop=False)
    for line in captured.get().splitlines():
        print(line.rstrip())
