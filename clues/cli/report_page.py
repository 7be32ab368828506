"""A report as one HTML page that needs nothing else: styles, scripts and figures are in it.

Whatever a log holds is text: it is escaped, and a policy in the page lets no script run but the page's own.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from importlib.resources import files

from clues import __version__
from clues.analysis.report import Report
from clues.cli.report_heat import heat_map
from clues.cli.report_sections import Section, choice, headline, over_time, period, sections, what_was_read
from clues.cli.report_words import span

_FOOT = "Percentiles are exact (nearest rank), failures included; times are in UTC."
_BAD = {"failed", "failure ratio", "without an end"}


def page(report: Report) -> str:
    """The page."""
    styles = [_vendored("uPlot.min.css"), _own("report.css")]
    scripts = [_vendored("uPlot.iife.min.js"), _own("report.js")]
    policy = "; ".join(
        [
            "default-src 'none'",
            f"style-src {' '.join(map(_hash, styles))}",
            f"script-src {' '.join(map(_hash, scripts))}",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    return "".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
            f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">\n',
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
            '<meta name="color-scheme" content="light dark">\n',
            f"<title>Jobs, {escape(period(report))}</title>\n",
            *(f"<style>{style}</style>\n" for style in styles),
            "</head>\n<body>\n",
            _header(report),
            "<main>\n",
            _figures(report),
            _charts(report),
            *(
                _section(section)
                for section in (*sections(report), over_time(report))
                if section.rows or section.name != "bad-lines"
            ),
            "</main>\n",
            f"<footer>clues {__version__}. {_FOOT}</footer>\n",
            f'<script type="application/json" id="figures">{_json(_plotted(report))}</script>\n',
            *(f"<script>{script}</script>\n" for script in scripts),
            "</body>\n</html>\n",
        ]
    )


def _header(report: Report) -> str:
    chosen = f'<p class="quiet">Chosen: {escape(choice(report))}</p>' if choice(report) else ""
    warned = ' class="warning"' if report.read.bad else ' class="quiet"'
    links = "".join(f'<a href="#{name}">{title}</a>' for name, title in _links(report))
    return (
        f'<header><div class="bar"><h1>Jobs <small>{escape(period(report))}</small></h1>'
        '<button type="button" id="theme" aria-label="Light or dark">◐</button></div>'
        f"<p{warned}>{escape(what_was_read(report))}</p>{chosen}<nav>{links}</nav></header>\n"
    )


def _links(report: Report) -> list[tuple[str, str]]:
    return [("charts", "Charts"), *((section.name, section.title) for section in sections(report) if section.rows)]


def _figures(report: Report) -> str:
    cards = []
    for name, value in headline(report):
        bad = name in _BAD and value not in {"0", "-", "0.00%"}
        cards.append(f'<div class="card{" bad" if bad else ""}"><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>')
    return f'<dl class="cards">{"".join(cards)}</dl>\n'


def _charts(report: Report) -> str:
    if not report.spans:
        return '<section id="charts"><p class="quiet">Nothing ended in this time.</p></section>\n'
    every = f"each {span(report.width)}"
    charts = (
        ("ended", f"Ended, {every}", "finished, failed for good, failed and retried"),
        ("run", f"Run time, {every}", "p50, p95 and p99 of all attempts that ended, failures included"),
        ("wait", f"Time in queue, {every}", "p50, p95 and p99 of the attempts that began"),
    )
    drawn = "".join(
        f'<figure class="panel"><figcaption><h2>{escape(title)}</h2><p class="quiet">{escape(about)}</p></figcaption>'
        f'<div class="chart" id="chart-{name}"></div></figure>'
        for name, title, about in charts
    )
    heat = (
        '<figure class="panel"><figcaption><h2>Heat map of run time</h2>'
        f'<p class="quiet">how many attempts ended {escape(every)}, by how long they took</p></figcaption>'
        f'<div class="wide" tabindex="0">{heat_map(report)}</div></figure>'
    )
    return f'<section id="charts" class="charts">{drawn}{heat}</section>\n'


def _section(section: Section) -> str:
    title = (
        f'<section id="{section.name}" class="panel"><h2>{escape(section.title)}</h2>'
        f'<p class="quiet">{escape(section.about)}</p>'
    )
    if not section.rows:
        return f'{title}<p class="none">{escape(section.empty)}</p></section>\n'
    numbers = [heading.startswith(">") for heading in section.headings]
    headings = "".join(
        f'<th scope="col"{_class(is_number)}>{escape(heading.removeprefix(">"))}</th>'
        for heading, is_number in zip(section.headings, numbers, strict=True)
    )
    rows = "".join(f"<tr>{_cells(row, numbers)}</tr>" for row in section.rows)
    table = (
        f'<div class="wide" tabindex="0"><table><thead><tr>{headings}</tr></thead><tbody>{rows}</tbody></table></div>'
    )
    if section.name == "over-time":
        table = f"<details><summary>{len(section.rows)} spans</summary>{table}</details>"
    return f"{title}{table}</section>\n"


def _cells(row: Sequence[str], numbers: Sequence[bool]) -> str:
    return "".join(f"<td{_class(is_number)}>{escape(cell)}</td>" for cell, is_number in zip(row, numbers, strict=True))


def _class(is_number: bool) -> str:
    return ' class="number"' if is_number else ""


def _plotted(report: Report) -> dict[str, object]:
    """What the charts draw: a value for each span, also for those in which nothing happened."""
    found = {
        int(row["start"].replace(tzinfo=UTC).timestamp()): row
        for row in report.spans
        if isinstance(row["start"], datetime)
    }
    if not found:
        return {"starts": []}
    starts = list(range(min(found), max(found) + 1, report.width))
    rows = [found.get(start) for start in starts]

    def times(key: str, place: int) -> list[float | None]:
        return [row[key][place] if row is not None and row[key] else None for row in rows]

    return {
        "starts": starts,
        "width": report.width,
        "ended": [[row[key] if row is not None else 0 for row in rows] for key in ("finished", "failed", "retried")],
        "run": [times("time_to_perform", place) for place in range(3)],
        "wait": [times("time_in_queue", place) for place in range(3)],
    }


def _json(value: object) -> str:
    """JSON that no HTML parser takes for an end of the script."""
    return (
        json.dumps(value, separators=(",", ":")).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _own(name: str) -> str:
    return files("clues.cli").joinpath("page", name).read_text(encoding="utf-8")


def _vendored(name: str) -> str:
    return files("clues").joinpath("vendor", "uplot", name).read_text(encoding="utf-8")
