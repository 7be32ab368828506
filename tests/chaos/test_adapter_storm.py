"""Workers of every job system, and the processes that run its jobs, are killed again and again: the accounts are right.

Whatever the system makes of its jobs, each attempt that has begun has one end, and never two that differ, but where the
system itself runs a job twice. How many jobs
and kills is said by CLUES_STORM_JOBS; a few show what can be shown in seconds.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.site import TERMINAL, Event, Site, System, site_of
from tests.conformance.systems.rq import age
from tests.conformance.test_conformance import RELEASES
from tests.waiting import wait_for

JOBS = min(int(os.environ.get("CLUES_STORM_JOBS", "6")), 500)
NEWEST = [(system, release) for system, release in RELEASES if not release.endswith("-oldest")]


@pytest.fixture(params=NEWEST, ids=[release for _, release in NEWEST])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    system, release = request.param
    with site_of(Site, storming(system), release) as here:
        yield here


def storming(system: System) -> System:
    """Dramatiq and taskiq find what dead workers had in seconds rather than a minute."""
    quick = {"REDIS_HEARTBEAT": "2000"} if system.name == "dramatiq" else {}
    return System(system.name, system.command, system.releases, {**system.environ, **quick}, app=system.app)


@pytest.mark.timeout(900)
def test_every_attempt_that_began_has_one_end(site: Site) -> None:
    chance = random.Random(4711)
    site.work()
    hashes = [site.enqueue("hang", str(site.place("hang"))) for _ in range(JOBS)]
    places = {event["args"][0]: Path(event["args"][0]) for event in site.events() if event["args"]}
    waiting = [place for place in places.values() if place.name.startswith("hang")]
    last = site.place("mark")
    site.ask("mark", str(last))
    while running := begun(site, waiting, last):
        if chance.random() < 0.5:
            kill_all(site, running)
        else:
            kill(site.pid_in(chance.choice(running)))
        # Those that had begun may be run again, and end well then; the others' turn comes.
        for place in running:
            place.with_suffix(".go").touch()
            waiting.remove(place)
        site.start()
        last = site.place("mark")  # the one before may have been lost
        site.ask("mark", str(last))
    for place in waiting:  # some begin beside the last one, or later
        place.with_suffix(".go").touch()

    # Dramatiq's program ends with one of its processes; as its supervisor would, we start it again.
    def ended() -> bool:
        site.start()
        return not open_ends(site, hashes)

    wait_for(ended, "the ends of all that began", timeout=180)
    for events in attempts(site, hashes).values():
        ends = [event for event in events if event["event_type"] in TERMINAL]
        assert len({event["event_type"] for event in ends}) == 1, events
        # A message that is delivered again is run twice: its worker died between the end and saying so.
        again = any(event["metadata"].get("_redelivered") for event in events)
        assert again or len({json.dumps(event, sort_keys=True) for event in ends}) == 1, events


def kill_all(site: Site, running: list[Path]) -> None:
    """The worker with all its processes, also those that have left its group."""
    site.kill()
    for place in running:
        kill(site.pid_in(place))
    if site.system.name == "rq":
        age(site)


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def begun(site: Site, waiting: list[Path], last: Path) -> list[Path]:
    """The jobs that have begun; none when the last one has run, for what has not begun then never will, or not soon."""

    found: list[Path] = []

    def look() -> bool:
        site.start()
        found[:] = [place for place in waiting if place.exists()]
        return bool(found) or last.exists()

    wait_for(look, "another job's beginning", timeout=120)
    return found


def attempts(site: Site, hashes: list[str]) -> dict[tuple[str, int], list[Event]]:
    """The events of each attempt that began."""
    found: dict[tuple[str, int], list[Event]] = {}
    for event in site.events():
        metadata = event["metadata"]
        if metadata["_event_hash"] in hashes:
            found.setdefault((metadata["_event_hash"], metadata["_attempt"]), []).append(event)
    return {
        who: events for who, events in found.items() if any(one["event_type"] == "perform_started" for one in events)
    }


def open_ends(site: Site, hashes: list[str]) -> list[tuple[str, int]]:
    """The attempts that began, and have no end."""
    stories = attempts(site, hashes)
    return [who for who, events in stories.items() if not any(one["event_type"] in TERMINAL for one in events)]
