"""The conformance suite's cells: what every job system must tell of a job, with its real worker on a real Redis.

Each is called with a `Site`. A system that makes one impossible has a function of its own in its place, which asserts
what is told instead.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from clues.demo.redis_server import free_port
from tests.conformance.site import TERMINAL, Event, Site, by_type, told
from tests.waiting import wait_for

WELL = ["1 enqueued", "1 dequeued", "1 perform_started", "1 perform_finished"]
BADLY = ["1 enqueued", "1 dequeued", "1 perform_started", "1 failed"]
BEGUN = BADLY[:3]
_SLACK = 0.25  # seconds by which two ways to the same duration may differ, with two clocks and a busy machine


def again(story: Sequence[str], attempt: int = 2) -> list[str]:
    """A story as that of another attempt."""
    return [f"{attempt}{event[1:]}" for event in story]


def success(site: Site) -> None:
    """A job that returns: four events, with true times, by the rules that hold for all events."""
    site.work()
    event_hash = site.enqueue("succeed", 1, 2)
    events = site.ended(event_hash)
    assert told(events) == WELL
    check_rules(site, events)
    for event in events:
        assert event["args"][:2] == [1, 2]
        assert event["worker_class"].rpartition(".")[2].lower() == "succeed"


def failure(site: Site) -> None:
    """A job that raises: `failed`, with the exception as it was."""
    site.work()
    events = site.ended(site.enqueue("fail"))
    assert told(events) == BADLY
    check_rules(site, events)
    end = dict(by_type(events))["failed"]["metadata"]
    assert end["_exception"].endswith("TellingError")
    assert "told to fail" in end["_message"]
    assert any("common.py" in line and "in `fail'" in line for line in end["_backtrace"]), end["_backtrace"]
    assert end["got_to"] == "the end"
    assert end["_time_to_perform"] >= 0


def retry(site: Site) -> None:
    """A job that fails once and is run again: two attempts of one hash, each with its end."""
    site.work()
    events = site.ended(site.enqueue("fail_first", str(site.place("first"))), attempt=2)
    assert told(events) == [*BEGUN, "1 failed retrying", *again(WELL)]
    check_rules(site, events)
    ends = [event["metadata"] for event in events if event["event_type"] in TERMINAL]
    assert [end["was_there"] for end in sorted(ends, key=lambda end: end["_attempt"])] == [False, True]


def retries_exhausted(site: Site) -> None:
    """A job that fails as often as it may: the last attempt's `failed` says of no other."""
    site.work()
    events = site.ended(site.enqueue("fail", retries=1), attempt=2)
    assert told(events) == [*BEGUN, "1 failed retrying", *again(BADLY)]
    check_rules(site, events)


def timeout(site: Site) -> None:
    """A job that exceeds its time limit, which is one second."""
    site.work()
    events = site.ended(site.enqueue("overrun", str(site.place("overrun"))))
    assert told(events) == [*BEGUN, "1 failed timeout"]
    check_rules(site, events)


def job_process_killed(site: Site, reason: str = "killed:SIGKILL") -> None:
    """SIGKILL of the process that runs the job, as the OOM killer does: `failed`, and why."""
    site.work()
    job = site.hanging()
    os.kill(job.pid, signal.SIGKILL)
    events = site.ended(job.event_hash)
    assert told(events) == [*BEGUN, f"1 failed {reason}"]
    check_rules(site, events)
    works_still(site)


def worker_killed(site: Site) -> None:
    """SIGKILL of all the worker's processes; the next worker tells what became of the job."""
    site.work()
    job = site.hanging()
    site.kill()
    site.work()
    events = site.ended(job.event_hash)
    assert told(events) == [*BEGUN, "1 failed lost"]
    check_rules(site, events)


def redis_away(site: Site) -> None:
    """Enqueueing fails as it would without clues, and nothing says that it had succeeded."""
    before = len(site.events())
    away = {"REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}  # nobody listens there
    answer = site.ask("succeed", 1, 2, environ=away)
    bare = site.ask("succeed", 1, 2, environ={**away, "CONFORMANCE_BARE": "1"})
    assert "error" in answer
    assert answer["error"] == bare["error"]
    assert [event["event_type"] for event in site.events()[before:]] == []


def delayed(site: Site) -> None:
    """A job that is due later: the delay is no time in queue."""
    site.work()
    events = site.ended(site.enqueue("succeed", 1, 2, delay=2.0))
    assert told(events) == WELL
    check_rules(site, events)
    one = dict(by_type(events))
    due = one["enqueued"]["metadata"]["_scheduled_time"]
    assert abs(due - one["enqueued"]["metadata"]["_enqueued_time"] - 2.0) < _SLACK
    assert all(event["metadata"]["_scheduled_time"] == due for event in events)
    assert seconds(one["perform_started"]) >= due - 0.05
    assert one["dequeued"]["metadata"]["_time_in_queue"] <= seconds(one["perform_started"]) - due + 0.05


def unserialisable(site: Site) -> None:
    """An argument that the system can't serialise: the same error as without clues, and no event."""
    before = len(site.events())
    answer = site.ask("succeed", 1, "ODD")
    bare = site.ask("succeed", 1, "ODD", environ={"CONFORMANCE_BARE": "1"})
    assert "error" in answer
    assert answer["error"] == bare["error"]
    assert [event["event_type"] for event in site.events()[before:]] == []


def metadata(site: Site) -> None:
    """Fields of the item preprocessor are on all events, the job's own on the last."""
    site.work()
    events = site.ended(site.enqueue("succeed", 20, 22))
    assert [event["metadata"]["customer_id"] for event in events] == [4711] * 4
    sums = {event["event_type"]: event["metadata"].get("sum") for event in events}  # their lines come in any order
    assert sums == {"enqueued": None, "dequeued": None, "perform_started": None, "perform_finished": 42}


def broken_publisher(site: Site) -> None:
    """All publishing raises, when enqueueing and in the worker: the job runs as ever."""
    site.stop()
    site.work(CONFORMANCE_BROKEN="1")
    place = site.place("mark")
    answer = site.ask("mark", str(place), environ={"CONFORMANCE_BROKEN": "1"})
    assert "error" not in answer
    works_still(site)
    site.stop()


def many(site: Site) -> None:
    """500 jobs as fast as they go: each has its four events, once, with its own metadata."""
    site.work()
    before = len(site.events())
    for number in range(500):
        assert "error" not in site.ask("succeed", number, 1)

    def ended() -> bool:
        return sum(event["event_type"] in TERMINAL for event in site.events()[before:]) >= 500

    wait_for(ended, "500 ends", timeout=120)
    stories: dict[str, list[Event]] = {}
    for event in site.events()[before:]:
        stories.setdefault(event["metadata"]["_event_hash"], []).append(event)
    assert Counter(tuple(told(story)) for story in stories.values()) == {tuple(WELL): 500}
    sums = {dict(by_type(story))["perform_finished"]["metadata"]["sum"] for story in stories.values()}
    assert sums == {number + 1 for number in range(500)}


CELLS = (
    success, failure, retry, retries_exhausted, timeout, delayed, unserialisable, metadata, redis_away, many,
    job_process_killed, worker_killed, broken_publisher,
)  # fmt: skip
"""In this order: those that harm the worker come last."""


def works_still(site: Site) -> None:
    """Whether the worker works another job."""
    place = site.place("mark")
    site.ask("mark", str(place))
    wait_for(place.exists, "another job", timeout=60)


def check_rules(site: Site, events: list[Event]) -> None:
    """What holds for every story: one hash, ids, one end for each attempt, times that agree with each other."""
    own = site.system.name == "resque"
    assert len({event["metadata"]["_event_hash"] for event in events}) == 1
    ids = Counter(event["metadata"]["_event_id"] for event in events)
    assert set(ids.values()) == {1}, ids
    for event in events:
        assert event["metadata"].get("_system") == (None if own else site.system.name)
        assert own or event["metadata"]["_job_id"]
        assert event["metadata"]["customer_id"] == 4711
        assert event["queue"] == "conformance"
        assert not event["metadata"].get("_clock_skew")
    for attempt in sorted({event["metadata"]["_attempt"] for event in events}):
        _check_times(dict(by_type([event for event in events if event["metadata"]["_attempt"] == attempt])))


def _check_times(one: dict[str, Event]) -> None:
    if "dequeued" in one:
        metadata = one["dequeued"]["metadata"]
        since = max(metadata["_enqueued_time"], metadata.get("_scheduled_time", 0.0))
        waited = max(seconds(one["dequeued"]) - since, 0.0)
        assert abs(metadata["_time_in_queue"] - waited) < _SLACK, metadata
    end = next((event for kind, event in one.items() if kind in TERMINAL), None)
    if end is not None and "perform_started" in one and "_time_to_perform" in end["metadata"]:
        took = seconds(end) - seconds(one["perform_started"])
        assert 0 <= end["metadata"]["_time_to_perform"] <= took + _SLACK


def seconds(event: Event) -> float:
    """An event's time, in epoch seconds."""
    return datetime.fromisoformat(event["timestamp"]).timestamp()
