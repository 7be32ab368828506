"""Figures as people read them."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.timing import Figure

_SECONDS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_BYTES = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B"))


def spell(value: float, unit: str) -> str:
    """A number with its unit, in three digits or in whole ones."""
    if unit == "s":
        return _sized(value, _SECONDS)
    if unit == "B":
        return _sized(value, _BYTES)
    if unit == "%":
        return f"{value:.1f} %"
    return f"{number(value)} {unit}"


def number(value: float) -> str:
    """A number in three digits, or in whole ones with commas."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def rows(figures: Iterable[Figure]) -> Iterable[tuple[str, str, str]]:
    """Each figure's name, median, and spread."""
    for one in figures:
        yield one.name, spell(one.median, one.unit), f"{spell(one.low, one.unit)} … {spell(one.high, one.unit)}"


def printed(figures: Iterable[Figure]) -> str:
    """A table for a terminal."""
    found = list(rows(figures))
    name, median = (max((len(row[place]) for row in found), default=0) for place in (0, 1))
    return "\n".join(f"  {row[0]:<{name}}  {row[1]:>{median}}  [{row[2]}]" for row in found)


def markdown(header: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> str:
    """A table for a page; columns of numbers are set to the right."""
    body = list(lines)
    columns = list(zip(*body, strict=True)) or [()] * len(header)
    rule = tuple("---:" if all(_is_number(cell) for cell in column) else "---" for column in columns)
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in (header, rule, *body))


def _is_number(cell: str) -> bool:
    return not cell or cell[0].isdigit() or cell[0] in "-–"


def _sized(value: float, units: tuple[tuple[float, str], ...]) -> str:
    size, unit = next((one for one in units if abs(value) >= one[0]), units[-1])
    return f"{value / size:.3g} {unit}" if abs(value / size) < 100 else f"{value / size:.0f} {unit}"
