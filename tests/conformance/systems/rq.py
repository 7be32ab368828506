"""RQ."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

from redis import Redis

from tests.conformance.cells import BEGUN, WELL, check_rules, seconds
from tests.conformance.site import Site, System, by_type, told


def command(site: Site) -> Sequence[str]:
    return [
        str(site.python.parent / "rq"), "worker-pool", "--config", "tests.conformance.apps.rq_app",
        "--num-workers", "3", "conformance",
    ]  # fmt: skip


def delayed_to_the_second(site: Site) -> None:
    """RQ keeps whole seconds of the time that a job is due."""
    site.work()
    events = site.ended(site.enqueue("succeed", 1, 2, delay=2.0))
    assert told(events) == WELL
    check_rules(site, events)
    one = dict(by_type(events))
    due = one["enqueued"]["metadata"]["_scheduled_time"]
    assert due == int(due)
    assert 0.75 < due - one["enqueued"]["metadata"]["_enqueued_time"] <= 2.25
    assert all(event["metadata"]["_scheduled_time"] == due for event in events)
    assert seconds(one["perform_started"]) >= due
    assert one["dequeued"]["metadata"]["_time_in_queue"] <= seconds(one["perform_started"]) - due


def found_by_maintenance(site: Site) -> None:
    """RQ's maintenance finds the job once its worker has not been heard of for a minute and a half."""
    site.work()
    job = site.hanging()
    site.kill()
    os.kill(job.pid, signal.SIGKILL)  # it is in a process group of its own
    age(site)
    site.work()
    events = site.ended(job.event_hash)
    assert told(events) == [*BEGUN, "1 failed lost"]
    check_rules(site, events)


def age(site: Site) -> None:
    """As if a minute and a half had passed since anything was heard of the workers."""
    with Redis.from_url(site.redis.url) as redis:
        for member in redis.zrange("rq:wip:conformance", 0, -1):
            redis.zadd("rq:wip:conformance", {member: 1})


SYSTEM = System(
    "rq",
    command,
    releases=("rq-newest", "rq-oldest"),
    cells={"delayed": delayed_to_the_second, "worker_killed": found_by_maintenance},
)
