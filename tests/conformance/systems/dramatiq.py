"""Dramatiq, with its Redis broker and its own program: two processes of four threads."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

from tests.conformance.cells import BEGUN, WELL
from tests.conformance.site import Hanging, Site, System, told
from tests.waiting import wait_for

QUICKLY = {"REDIS_HEARTBEAT": "2000"}
"""The next worker takes what a dead one had after two seconds; sixty are the rule."""


def command(site: Site) -> Sequence[str]:
    return [
        str(site.python), "-m", "dramatiq", "tests.conformance.apps.dramatiq_app", "--processes", "2", "--threads", "4",
    ]  # fmt: skip


def program_stops(site: Site) -> None:
    """Dramatiq's master ends the whole program when one of its processes dies; whoever supervises it starts it again.

    Nobody in the program knows what the process was at: the master has none of the application's code. The message is
    delivered again, as the same attempt.
    """
    worker = site.work()
    job = site.hanging()
    os.kill(job.pid, signal.SIGKILL)
    worker.process.wait(60)
    assert worker.process.returncode != 0
    assert told(site.events(job.event_hash)) == BEGUN
    delivered_again(site, job)


def delivered_again_later(site: Site) -> None:
    """Redis holds the message until the next worker finds that the dead one's heartbeat has run out: none is lost."""
    site.work()
    job = site.hanging()
    site.kill()
    delivered_again(site, job)


def delivered_again(site: Site, job: Hanging) -> None:
    job.place.unlink()
    site.work(**QUICKLY)
    wait_for(job.place.exists, "the second delivery", timeout=60)
    job.let_go()
    events = site.ended(job.event_hash)
    assert told(events) == [*WELL[:3], "1 dequeued redelivered", *WELL[2:]]
    assert {event["metadata"]["_attempt"] for event in events} == {1}
    site.stop()


SYSTEM = System(
    "dramatiq",
    command,
    releases=("dramatiq-newest", "dramatiq-oldest"),
    cells={"job_process_killed": program_stops, "worker_killed": delivered_again_later},
)
