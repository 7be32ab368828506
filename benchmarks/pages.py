"""The page with the figures: a block between two marks is made from them, all else is written by hand; and plots."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks import promises, table
from benchmarks.environments import prepared
from benchmarks.groups import GROUPS
from benchmarks.programs import Program, output_of
from benchmarks.results import Measured, Results
from benchmarks.run import Run
from benchmarks.timing import Figure

BEGIN = "<!-- figures: made by make bench, change nothing by hand -->"
END = "<!-- figures: end -->"

_PLOTS = Path(__file__).parent / "plots"


def brought_up_to_date(page: str, found: Results, plots: Mapping[str, str] | None = None) -> str:
    """A page with its block made anew.

    Args:
        page: what it was.
        found: the figures.
        plots: links to the plots that there are, by group.

    Raises:
        ValueError: it has no block.
    """
    pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    made, times = pattern.subn(lambda _: f"{BEGIN}\n\n{block(found, plots or {})}\n\n{END}", page)
    if times != 1:
        raise ValueError(f"the page has {times} blocks between {BEGIN} and {END}, not one")
    return made


def block(found: Results, plots: Mapping[str, str]) -> str:
    """The machine, what must hold, and the figures of each group."""
    machine = {
        **found.machine,
        "beside": ", ".join(f"{name} {found.versions[name]}" for name in sorted(found.versions)),
    }
    parts = [
        table.markdown(("measured on", ""), [(name, value) for name, value in machine.items() if value]),
        "### What must hold",
        promises.markdown(found),
    ]
    for name in sorted(found.groups, key=list(GROUPS).index):
        parts += _group(GROUPS[name].title, name, found.groups[name], plots.get(name))
    return "\n\n".join(parts)


def draw(figures: Path, folder: Path, run: Run, endings: tuple[str, ...] = ("svg",)) -> None:
    """Draw the plots of a file of figures.

    Raises:
        ProgramError: they can't be drawn.
    """
    place = prepared("plots", run, _PLOTS.parent)
    if place is not None:
        command = [str(place / "python"), str(_PLOTS / "draw.py"), str(figures.absolute()), str(folder.absolute())]
        output_of(Program([*command, *endings], {"MPLCONFIGDIR": tempfile.gettempdir()}))


def plots_in(folder: Path, page: Path) -> dict[str, str]:
    """Links from a page to the plots in a folder, by group."""
    found = {name: folder / f"{name}.svg" for name in GROUPS}
    return {name: os.path.relpath(path, page.parent) for name, path in found.items() if path.exists()}


def _group(title: str, name: str, measured: Measured, plot: str | None) -> Iterator[str]:
    yield f"### {title}"
    if plot is not None:
        yield f"![{title}]({plot})"
    took = f"Group `{name}`, measured in {measured.seconds:,.0f} s."
    yield f"{took} **A quick look: no figures to quote.**" if measured.quick else took
    yield _table(measured.figures)
    yield from (f"Note: {note}." for note in measured.notes)


def _table(figures: tuple[Figure, ...]) -> str:
    """A row for each figure; what is told further of one, as ``name: CPU of a job``, stands in its row."""
    names = {one.name for one in figures}
    further = {one.name: one for one in figures if one.name.rpartition(": ")[0] in names}
    columns = list(dict.fromkeys(name.rpartition(": ")[2] for name in further))
    lines = []
    for one in figures:
        if one.name not in further:
            more = (further.get(f"{one.name}: {column}") for column in columns)
            cells = (table.spell(cell.median, cell.unit) if cell else "" for cell in more)
            lines.append((one.name, *next(iter(table.rows([one])))[1:], *cells))
    return table.markdown(("what", "median", "smallest … largest", *columns), lines)
