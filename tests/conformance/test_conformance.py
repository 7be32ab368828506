"""One suite for every adapter and for clues.resque: the real worker program of each system on a real Redis.

Each system is a module of `tests.conformance.systems`, with the releases that it is tried with.
``CLUES_RELEASES=newest`` tries those alone; ``CLUES_REQUIRE=celery`` makes it a failure where Celery can't be had.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conformance.cells import CELLS
from tests.conformance.environments import ROOT
from tests.conformance.site import Site, System, site_of

SYSTEMS: list[System] = [
    importlib.import_module(f"tests.conformance.systems.{path.stem}").SYSTEM
    for path in sorted((Path(__file__).parent / "systems").glob("[a-z]*.py"))
]
_WANTED = os.environ.get("CLUES_RELEASES", "")
RELEASES = [
    (system, release)
    for system in SYSTEMS
    for release in system.releases
    if not _WANTED or release == system.name or release.endswith(f"-{_WANTED}")
]


@pytest.fixture(scope="module", params=RELEASES, ids=[release for _, release in RELEASES])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A release at work, for all cells."""
    system, release = request.param
    with site_of(Site, system, release) as here:
        yield here


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.__name__)
def test_cell(site: Site, cell: Callable[[Site], None]) -> None:
    """The cell holds, or what the system makes of it."""
    site.system.cells.get(cell.__name__, cell)(site)


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)
def test_what_differs_is_a_cell_and_has_its_reason(system: System) -> None:
    assert set(system.cells) <= {cell.__name__ for cell in CELLS}
    assert all(cell.__doc__ for cell in system.cells.values())


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)
def test_what_differs_stands_in_the_docs(system: System) -> None:
    rows = (ROOT / "docs" / "adapters.md").read_text().splitlines()
    assert [
        cell for cell in system.cells if not any(row.startswith(f"| {system.name} | `{cell}` |") for row in rows)
    ] == []
