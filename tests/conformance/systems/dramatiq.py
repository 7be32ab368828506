"""Dramatiq, with its Redis broker and its own program: two processes of four threads."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

from tests.conformance.cells import BADLY, WELL
from tests.conformance.site import Site, System, told
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
    place = site.place("hang")
    event_hash = site.enqueue("hang", str(place))
    os.kill(site.pid_in(place), signal.SIGKILL)
    worker.process.wait(60)
    assert worker.process.returncode != 0
    assert told(site.events(event_hash)) == BADLY[:3]
    delivered_again(site, event_hash, place)


def delivered_again_later(site: Site) -> None:
    """Redis holds the message until the next worker finds that the dead one's heartbeat has run out: none is lost."""
    site.work()
    place = site.place("hang")
    event_hash = site.enqueue("hang", str(place))
    site.pid_in(place)
    site.kill()
    delivered_again(site, event_hash, place)


def delivered_again(site: Site, event_hash: str, place: Path) -> None:
    place.unlink()
    site.work(**QUICKLY)
    wait_for(place.exists, "the second delivery", timeout=60)
    place.with_suffix(".go").touch()
    events = site.ended(event_hash)
    assert told(events) == [*WELL[:3], "1 dequeued redelivered", *WELL[2:]]
    assert {event["metadata"]["_attempt"] for event in events} == {1}
    site.stop()


SYSTEM = System(
    "dramatiq",
    command,
    releases=("dramatiq-newest", "dramatiq-oldest"),
    cells={"job_process_killed": program_stops, "worker_killed": delivered_again_later},
)
