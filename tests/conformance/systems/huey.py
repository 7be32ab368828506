"""Huey: its consumer with worker processes, which alone can be killed one by one."""

from __future__ import annotations

from collections.abc import Sequence

from tests.conformance import cells
from tests.conformance.cells import BEGUN
from tests.conformance.site import Site, System, told
from tests.waiting import wait_for


def command(site: Site) -> Sequence[str]:
    return [
        str(site.python.parent / "huey_consumer"), "tests.conformance.apps.huey_app.huey", "--worker-type", "process",
        "--workers", "3", "-c", "0.5", "--delay", "0.05",
    ]  # fmt: skip


def timeout(site: Site) -> None:
    """Before 3.0 Huey has no time limits: a job that is too long goes on until its end."""
    if site.python.parents[1].name == "huey-newest":
        cells.timeout(site)
        return
    site.work()
    place = site.place("overrun")
    event_hash = site.enqueue("overrun", str(place))
    wait_for(place.exists, "the job's beginning")
    assert told(site.events(event_hash)) == BEGUN
    site.kill()


SYSTEM = System(
    "huey",
    command,
    releases=("huey-newest", "huey-oldest"),
    cells={"timeout": timeout},
)
