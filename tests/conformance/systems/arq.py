"""arq, with its own ``arq`` program."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence

import redis

from tests.conformance.cells import BEGUN, WELL, again, check_rules, works_still
from tests.conformance.site import Hanging, Site, System, told

SLACK = 1.0  # seconds between two looks at the same clock on a busy machine


def command(site: Site) -> Sequence[str]:
    return [str(site.python.parent / "arq"), "tests.conformance.apps.arq_app.WorkerSettings"]


def worker_killed(site: Site) -> None:
    """arq runs a job again whose worker has died, once the time limit of jobs and ten seconds are over: the next worker
    on the host tells `failed`, ``lost``, with ``_retrying``, and when that will be."""
    site.work()
    job = site.hanging()
    site.kill()
    site.work()
    _check_lost(site, job)


def job_process_killed(site: Site) -> None:
    """arq runs jobs in the worker's one process: it dies as a whole. As above."""
    site.work()
    job = site.hanging()
    os.kill(job.pid, signal.SIGKILL)
    site.kill()
    site.work()
    _check_lost(site, job)
    works_still(site)


def _check_lost(site: Site, job: Hanging) -> None:
    events = site.ended(job.event_hash)
    assert told(events) == [*BEGUN, "1 failed lost retrying", "2 enqueued"]
    job_id = events[0]["metadata"]["_job_id"]
    with redis.Redis.from_url(site.redis.url) as client:
        left = client.pttl(f"arq:in-progress:{job_id}") / 1000
        assert abs(events[-1]["metadata"]["_scheduled_time"] - time.time() - left) < SLACK
        client.delete(f"arq:in-progress:{job_id}")  # as if that time were over
    job.let_go()
    events = site.ended(job.event_hash, attempt=2)
    assert told(events)[4:] == again(WELL)
    check_rules(site, events)


SYSTEM = System(
    "arq",
    command,
    releases=("arq-newest", "arq-oldest"),
    cells={"worker_killed": worker_killed, "job_process_killed": job_process_killed},
)
