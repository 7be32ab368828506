"""The rows of a query: as a table, or, where they are too wide for the terminal, column by column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.text import Text

from clues.cli.console import console
from clues.cli.output import clean, on_terminal
from clues.cli.tables import on_one_line, plain_table, print_table

_GAP = 2


def print_rows(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows under the names of their columns."""
    cells = [[_cell(value) for value in row] for row in rows]
    if on_terminal() and _width(names, cells) > console().width:
        _print_records(names, cells)
        return
    table = plain_table()
    for place, name in enumerate(names):
        numbers = bool(rows) and all(isinstance(row[place], int | float | None) for row in rows)
        table.add_column(Text(name), justify="right" if numbers else "left")
    for row in cells:
        table.add_row(*map(on_one_line, row))
    print_table(table)


def _width(names: Sequence[str], cells: Sequence[Sequence[Text]]) -> int:
    return sum(
        max(Text(name).cell_len, *(row[place].cell_len for row in cells), 0) + _GAP for place, name in enumerate(names)
    )


def _print_records(names: Sequence[str], cells: Sequence[Sequence[Text]]) -> None:
    screen, widest = console(), max(map(len, names))
    for number, row in enumerate(cells, start=1):
        screen.print(Text(f"row {number}", style="bold"))
        for name, cell in zip(names, row, strict=True):
            screen.print(Text.assemble("  ", (name.ljust(widest + _GAP), "dim"), cell))


def _cell(value: Any) -> Text:
    if value is None:
        return Text("NULL", style="dim")
    return Text(clean(f"{value:.6g}" if isinstance(value, float) else value))
