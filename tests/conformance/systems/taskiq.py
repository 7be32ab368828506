"""taskiq, with a Redis list. What it does with a stream, see tests/adapters/test_taskiq.py."""

from __future__ import annotations

from collections.abc import Sequence

from tests.conformance import cells
from tests.conformance.cells import WELL, seconds
from tests.conformance.site import Site, System, by_type, told

APP = "tests.conformance.apps.taskiq_app"


def command(site: Site) -> Sequence[str]:
    return [str(site.python.parent / "taskiq"), "worker", f"{APP}:broker", "--workers", "1"]


def scheduled(site: Site) -> None:
    """taskiq's delays are its scheduler's, a program beside the worker, which counts in whole seconds: a job may begin
    up to two before it is due. In 0.11 it gets its id then."""
    site.work()
    event_hash = site.enqueue("succeed", 1, 2, delay=2.0)
    scheduler = site.program([str(site.python.parent / "taskiq"), "scheduler", f"{APP}:scheduler"])
    try:
        events = site.ended(event_hash)
    finally:
        scheduler.stop()
    assert told(events) == WELL
    one = dict(by_type(events))
    due = one["enqueued"]["metadata"]["_scheduled_time"]
    assert 1.9 < due - one["enqueued"]["metadata"]["_enqueued_time"] < 2.25
    assert all(event["metadata"]["_scheduled_time"] == due for event in events)
    assert all(event["metadata"]["_job_id"] for event in events[1:])
    assert len({event["metadata"]["_event_id"] for event in events}) == 4
    assert seconds(one["perform_started"]) >= due - 2.0
    assert one["dequeued"]["metadata"]["_time_in_queue"] <= max(seconds(one["perform_started"]) - due, 0.0) + 0.05


def process_lost(site: Site) -> None:
    """taskiq's main process starts another worker process, and tells nobody how the one before it died."""
    cells.job_process_killed(site, "lost")


SYSTEM = System(
    "taskiq",
    command,
    releases=("taskiq-newest", "taskiq-oldest"),
    cells={"delayed": scheduled, "job_process_killed": process_lost},
)
