"""Celery, with its prefork pool."""

from __future__ import annotations

from collections.abc import Sequence

from tests.conformance.cells import BADLY
from tests.conformance.site import Site, System, told


def command(site: Site) -> Sequence[str]:
    return [
        str(site.python), "-m", "celery", "-A", "tests.conformance.apps.celery_app", "worker", "--loglevel", "WARNING",
        "--concurrency", "2", "--without-gossip", "--without-mingle", "--without-heartbeat",
    ]  # fmt: skip


def lost_silently(site: Site) -> None:
    """Celery takes a message off its queue when the pool accepts it: who kills all processes then, kills the job."""
    site.work()
    place = site.place("hang")
    event_hash = site.enqueue("hang", str(place))
    site.pid_in(place)
    site.kill()
    site.work()
    assert told(site.events(event_hash)) == BADLY[:3]


SYSTEM = System(
    "celery",
    command,
    releases=("celery-newest", "celery-oldest"),
    cells={"worker_killed": lost_silently},
)
