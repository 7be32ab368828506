"""The conformance suite of clues, run for tinyq's adapter."""

from pathlib import Path

import pytest

from tests.conformance import cells
from tests.conformance.site import Site, System, site_of, told

ROOT = Path(cells.__file__).parents[2]
HERE = Path(__file__).parent


def no_timeout(site):
    """It has no time limits."""


def no_delay(site):
    """It knows no delayed jobs."""
    assert site.ask("succeed", 1, 2, delay=2.0)["error"] == "TypeError"


SYSTEM = System(
    "tinyq",
    lambda site: [str(site.python), str(HERE / "conformance_app.py")],
    releases=("tinyq",),
    environ={"PYTHONPATH": f"{HERE}:{ROOT}"},
    # Its worker is one process: who kills that of the job kills the worker.
    cells={"timeout": no_timeout, "delayed": no_delay, "job_process_killed": cells.worker_killed},
    app="conformance_app",
)


@pytest.fixture(scope="module")
def site():
    with site_of(Site, SYSTEM, "tinyq") as here:
        yield here


@pytest.mark.parametrize("cell", cells.CELLS, ids=lambda cell: cell.__name__)
def test_cell(site, cell):
    SYSTEM.cells.get(cell.__name__, cell)(site)


def test_told_as_such(site):
    """What the suite does not ask: a job that nobody registered."""
    site.work()
    assert told(site.ended(site.enqueue("nobody")))[-1] == "1 failed"
