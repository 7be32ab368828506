"""The heat map of run time, as SVG: time to the right, run time upwards, the more attempts the stronger the colour."""

from __future__ import annotations

import math
from datetime import timedelta
from html import escape

from clues.analysis.report import Report, bin_start
from clues.cli.report_words import moment, number
from clues.cli.words import seconds

_WIDTH, _HEIGHT = 1180, 300
_LEFT, _BOTTOM, _TOP = 64, 26, 8
_STRENGTHS = 8
_MOST_TIMES = 6


def heat_map(report: Report) -> str:
    """The picture."""
    if not report.heat:
        return '<p class="none">no run times</p>'
    first = min(row["start"] for row in report.heat)
    columns = int((max(row["start"] for row in report.heat) - first).total_seconds()) // report.width + 1
    low, high = min(row["bin"] for row in report.heat), max(row["bin"] for row in report.heat) + 1
    wide, tall = (_WIDTH - _LEFT) / columns, (_HEIGHT - _BOTTOM - _TOP) / (high - low)
    most = max(row["count"] for row in report.heat)
    cells = []
    for row in report.heat:
        column = int((row["start"] - first).total_seconds()) // report.width
        x, y = _LEFT + column * wide, _TOP + (high - 1 - row["bin"]) * tall
        shortest, longest = seconds(bin_start(row["bin"])), seconds(bin_start(row["bin"] + 1))
        told = f"{moment(row['start'])}: {number(row['count'])} took {shortest} to {longest}"
        size = f'width="{max(wide - 0.6, 0.8):.1f}" height="{max(tall - 0.6, 0.8):.1f}"'
        cells.append(
            f'<rect class="h{_strength(row["count"], most)}" x="{x:.1f}" y="{y:.1f}" {size}>'
            f"<title>{escape(told)}</title></rect>"
        )
    every = max(1, math.ceil((high - low) / 12))
    marks = [
        f'<text x="{_LEFT - 8}" y="{_TOP + (high - bin) * tall + 4:.1f}" text-anchor="end">'
        f"{escape(seconds(bin_start(bin)))}</text>"
        for bin in range(low, high + 1)  # noqa: A001 - that is what it is
        if (bin - low) % every == 0
    ]
    step = max(1, columns // _MOST_TIMES)
    marks += [
        f'<text x="{_LEFT + column * wide:.1f}" y="{_HEIGHT - 6}">'
        f"{escape(_time(report, first + timedelta(seconds=column * report.width)))}</text>"
        for column in range(0, max(columns - step // 2, 1), step)
    ]
    return (
        f'<svg class="heat" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="Heat map of run time">'
        f"{''.join(marks)}{''.join(cells)}</svg>"
    )


def _strength(count: int, most: int) -> int:
    """From 1 up; by the logarithm, so that the few slow ones are seen beside the many quick ones."""
    return 1 if most == 1 else 1 + round((_STRENGTHS - 1) * math.log(count) / math.log(most))


def _time(report: Report, found: object) -> str:
    return moment(found)[5:16] if report.width >= 60 else moment(found)[11:]  # type: ignore[arg-type]  # noqa: PLR2004
