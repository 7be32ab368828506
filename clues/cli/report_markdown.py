"""A report in Markdown, as a pull request or a wiki shows it."""

from __future__ import annotations

import re

from clues.analysis.report import Report
from clues.cli.report_sections import Section, choice, headline, over_time, period, sections, what_was_read

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|~&])")


def markdown_text(report: Report) -> str:
    """All of it."""
    parts = ["# Jobs", f"{_escaped(period(report))}  ", _escaped(what_was_read(report))]
    if chosen := choice(report):
        parts.append(f"Chosen: {_escaped(chosen)}")
    figures = Section("", "", "", ("", ">"), headline(report))
    tables = [section for section in (over_time(report), *sections(report)) if section.rows]
    return "\n\n".join([*parts, _table(figures), *map(_section, tables)]) + "\n"


def _section(section: Section) -> str:
    return f"## {section.title}\n\n{_escaped(section.about)}\n\n{_table(section)}"


def _table(section: Section) -> str:
    rules = ["---:" if heading.startswith(">") else "---" for heading in section.headings]
    headings = [heading.removeprefix(">") for heading in section.headings]
    rows = [[_escaped(cell) for cell in row] for row in section.rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in (headings, rules, *rows))


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)
