"""A report in a terminal."""

from __future__ import annotations

from rich.text import Text

from clues.analysis.report import Report
from clues.cli.console import console
from clues.cli.report_sections import Section, choice, headline, over_time, period, sections
from clues.cli.tables import on_one_line, plain_table, print_table


def print_report(report: Report) -> None:
    """Print all of it."""
    screen = console()
    screen.print(Text(period(report), style="bold"))
    if chosen := choice(report):
        screen.print(Text(f"chosen: {chosen}"))
    screen.print()
    figures = plain_table()
    figures.show_header = False
    figures.add_column()
    figures.add_column(justify="right")
    for name, value in headline(report):
        figures.add_row(Text(name), Text(value, style="bold"))
    print_table(figures)
    for section in (over_time(report), *sections(report)):
        if section.rows or section.name != "bad-lines":
            _print(section, report)


def _print(section: Section, report: Report) -> None:
    screen = console()
    screen.print(Text.assemble("\n", (section.title, "bold"), "  ", (section.about, "dim")))
    if not section.rows:
        screen.print(Text(f"  {section.empty}", style="dim"))
        return
    table = plain_table()
    for heading in section.headings:
        table.add_column(heading.removeprefix(">"), justify="right" if heading.startswith(">") else "left")
    bars = _bars(report) if section.name == "over-time" else None
    if bars is not None:
        table.add_column("p95 run")
    for place, row in enumerate(section.rows):
        cells = [on_one_line(Text(cell)) for cell in row]
        table.add_row(*cells, *([] if bars is None else [Text(bars[place], style="cyan")]))
    print_table(table)


def _bars(report: Report) -> list[str]:
    """A bar for each span: its p95 of the run time."""
    values = [row["time_to_perform"][1] if row["time_to_perform"] else 0.0 for row in report.spans]
    most = max(values, default=0.0) or 1.0
    return [_bar(value / most) for value in values]


def _bar(share: float, width: int = 12) -> str:
    eighths = round(share * width * 8)
    return "█" * (eighths // 8) + ("▏▎▍▌▋▊▉"[eighths % 8 - 1] if eighths % 8 else "")
