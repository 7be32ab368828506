"""What is particular to Dramatiq: with its real program on a real Redis, and with its StubBroker."""

from __future__ import annotations

import json
import os
import signal
import socketserver
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conformance.cells import BADLY, WELL, again
from tests.conformance.environments import ROOT, python_of
from tests.conformance.site import TERMINAL, Event, Site, System, by_type, site_of, told
from tests.waiting import wait_for

APP = "tests.adapters.dramatiq_app"
AGAIN = again(WELL)
RETRIED = [*BADLY[:3], "1 failed retrying"]


def command(site: Site) -> list[str]:
    return [str(site.python), "-m", "dramatiq", APP, "--processes", "2", "--threads", "4"]


SYSTEM = System("dramatiq", command, releases=("dramatiq-newest",), app=APP)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with site_of(Site, SYSTEM) as here:
        yield here


def stories(events: list[Event]) -> list[list[Event]]:
    """Events by job, in the order of their jobs' first events."""
    found: dict[str, list[Event]] = {}
    for event in events:
        found.setdefault(event["metadata"]["_event_hash"], []).append(event)
    return list(found.values())


def ended(site: Site, since: int, count: int) -> list[list[Event]]:
    """Wait for so many ends after so many events; gives the stories of all that has happened since."""
    wait_for(lambda: sum(event["event_type"] in TERMINAL for event in site.events()[since:]) >= count, "all ends")
    return stories(site.events()[since:])


def end(events: list[Event]) -> dict[str, Any]:
    """The metadata of a job's last end."""
    found: dict[str, Any] = [event for event in events if event["event_type"] in TERMINAL][-1]["metadata"]
    return found


# With the real program.


def test_a_pipeline(site: Site) -> None:
    """Each of its jobs has a hash of its own, and names the one before it."""
    site.work()
    since = len(site.events())
    assert site.ask("pipeline", 1, 2, 3) == {"id": "6"}
    found = ended(site, since, 3)
    assert [told(story) for story in found] == [WELL] * 3
    hashes = [story[0]["metadata"]["_event_hash"] for story in found]
    parents = [story[0]["metadata"].get("_parent_event_hash") for story in found]
    assert parents == [None, *hashes[:2]]
    assert [story[0]["args"] for story in found] == [[1, 0], [2, 1], [3, 3]]


def test_a_group_with_a_callback(site: Site) -> None:
    site.work()
    since = len(site.events())
    place = site.place("mark")
    assert site.ask("group", str(place)) == {"id": "[1, 2, 3]"}
    wait_for(place.exists, "the callback")
    found = ended(site, since, 4)
    assert [told(story) for story in found] == [WELL] * 4
    callback = found[3][0]
    assert callback["worker_class"] == "mark"
    assert callback["metadata"]["_parent_event_hash"] in {story[0]["metadata"]["_event_hash"] for story in found[:3]}


def test_threads_and_processes(site: Site) -> None:
    """Each job's metadata is its own, in two processes of four threads."""
    site.work()
    since = len(site.events())
    site.ask("many", "busy", 200)
    found = ended(site, since, 200)
    assert Counter(tuple(told(story)) for story in found) == {tuple(WELL): 200}
    ends = [end(story) for story in found]
    assert sorted(metadata["number"] for metadata in ends) == list(range(200))
    assert [metadata["number"] for metadata in ends] == [story[0]["args"][0] for story in found]
    assert all(metadata["same"] for metadata in ends)
    assert len({metadata["_process"] for metadata in ends}) == 2
    assert len({(metadata["_process"], metadata["thread"]) for metadata in ends}) > 2


def test_coroutines(site: Site) -> None:
    """They run on another thread's event loop, all at once; their metadata is theirs, in tasks of theirs too."""
    site.work()
    since = len(site.events())
    site.ask("many", "coroutine", 50)
    found = ended(site, since, 50)
    assert Counter(tuple(told(story)) for story in found) == {tuple(WELL): 50}
    for story in found:
        metadata = end(story)
        assert (metadata["number"], metadata["child"], metadata["same"]) == (story[0]["args"][0],) * 2 + (True,)


def test_a_coroutine_that_fails(site: Site) -> None:
    """The backtrace is its own, without the machinery that runs it."""
    site.work()
    events = site.ended(site.enqueue("coroutine_fails"))
    assert told(events) == BADLY
    metadata = end(events)
    assert metadata["got_to"] == "the end"
    assert [line.rpartition(" ")[2] for line in metadata["_backtrace"]] == ["`fail'", "`coroutine_fails'"]


def test_a_coroutine_over_its_time_limit(site: Site) -> None:
    site.work()
    events = site.ended(site.enqueue("coroutine_overruns"))
    assert told(events) == [*BADLY[:3], "1 failed timeout"]
    assert end(events)["began"] is True


def test_a_job_that_a_coroutine_sends_has_it_as_its_parent(site: Site) -> None:
    site.work()
    since = len(site.events())
    place = site.place("mark")
    parent = site.enqueue("sends_from_coroutine", str(place))
    found = ended(site, since, 2)
    assert {story[0]["metadata"].get("_parent_event_hash") for story in found} == {None, parent}


def test_a_retry_with_a_delay(site: Site) -> None:
    """The delay is no time in queue; the message goes through two queues, and is enqueued once."""
    site.work()
    events = site.ended(site.enqueue("later", str(site.place("later")), max_retries=1), attempt=2)
    assert told(events) == [*RETRIED, *AGAIN]
    second = dict(by_type([event for event in events if event["metadata"]["_attempt"] == 2]))
    due = second["enqueued"]["metadata"]["_scheduled_time"]
    assert abs(due - second["enqueued"]["metadata"]["_enqueued_time"] - 0.7) < 0.25
    assert second["perform_finished"]["metadata"]["_scheduled_time"] == due
    assert "_scheduled_time" not in events[0]["metadata"]


def test_a_message_that_grew_too_old(site: Site) -> None:
    site.work()
    events = site.ended(site.enqueue("too_old", 1, 2, delay=300))
    assert told(events) == ["1 enqueued", "1 dequeued", "1 failed expired"]


def test_a_message_that_no_worker_knows(site: Site) -> None:
    site.work()
    events = site.ended(site.enqueue("nobody"))
    assert told(events) == ["1 enqueued", "1 dequeued", "1 failed unknown"]


def test_messages_of_producers_without_clues(site: Site) -> None:
    """They are worked, and have no events, for all their retries."""
    site.work()
    since = len(site.events())
    place = site.place("later")
    assert "error" not in site.ask("later", str(place), max_retries=1, environ={"CONFORMANCE_BARE": "1"})
    wait_for(place.exists, "the first attempt")
    site.ended(site.enqueue("later", str(site.place("later")), max_retries=1), attempt=2)
    assert len(stories(site.events()[since:])) == 1


def test_a_worker_that_is_stopped_interrupts_what_wants_to_know(site: Site) -> None:
    """It is retried, by the next worker."""
    worker = site.work()
    place = site.place("until")
    event_hash = site.enqueue("until_shutdown", str(place), max_retries=1)
    site.pid_in(place)
    worker.signal(signal.SIGTERM)
    assert told(site.ended(event_hash))[:4] == [*BADLY[:3], "1 failed shutdown retrying"]
    assert worker.process.wait(60) == 0
    site.work()
    assert told(site.ended(event_hash, attempt=2))[4:] == AGAIN


def test_events_are_delivered_by_the_workers_themselves(site: Site) -> None:
    """Each process journals, and one at a time ships, by a thread; when they are stopped, all has been delivered."""
    lines: list[bytes] = []

    class Receiver(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            lines.extend(self.rfile)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Receiver) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        environ = {"DELIVER_TO": str(server.server_address[1]), "SPOOL": str(site.folder / "spool")}
        worker = site.work(**environ)
        site.ask("many", "numbered", 100, environ=environ)
        wait_for(lambda: len(_ids(site.events())) == 400, "all events")
        worker.signal(signal.SIGTERM)
        assert worker.process.wait(60) == 0
        wanted = _ids(site.events())
        wait_for(lambda: wanted <= _ids([json.loads(line) for line in [*lines]]), "all events at the receiver")
        server.shutdown()


def _ids(events: list[Event]) -> set[str]:
    """The ids of those events that are delivered, of this test's jobs."""
    return {event["metadata"]["_event_id"] for event in events if event["worker_class"] == "numbered"}


def test_what_a_dying_process_takes_along(site: Site) -> None:
    """Nothing but its own job: the other process is stopped, as by an operator, and the program ends."""
    worker = site.work(dramatiq_queue_prefetch="1")  # so that each process has one
    places = [site.place("hang") for _ in range(2)]
    hashes = [site.enqueue("until_shutdown", str(place), max_retries=1) for place in places]
    begun = {site.pid_in(place): event_hash for place, event_hash in zip(places, hashes, strict=True)}
    victim, other = begun
    os.kill(victim, signal.SIGKILL)
    assert worker.process.wait(60) != 0
    assert told(site.events(begun[victim])) == BADLY[:3]
    assert told(site.events(begun[other]))[:5] == [*BADLY[:3], "1 failed shutdown retrying", "2 enqueued"]


def test_a_living_worker_knows_what_a_dead_one_held(site: Site) -> None:
    """It looks now and then; Redis gives it the message, and does not say that it was another's."""
    site.work(REDIS_HEARTBEAT="2000", dramatiq_queue_prefetch="1")
    place = site.place("hang")
    event_hash = site.enqueue("until_shutdown", str(place))
    site.pid_in(place)
    ready = "Worker process is ready"
    so_far = site.output.read_text().count(ready)
    other = site.program(command(site), REDIS_HEARTBEAT="2000")
    try:
        wait_for(lambda: site.output.read_text().count(ready) == so_far + 2, "another worker")
        site.kill()
        assert told(site.ended(event_hash)) == [*WELL[:3], "1 dequeued redelivered", *WELL[2:]]
    finally:
        other.stop()


# With the StubBroker.


@pytest.fixture(scope="module", params=["dramatiq-newest", "dramatiq-oldest"])
def stub(request: pytest.FixtureRequest) -> dict[str, Any]:
    """All scenarios, played in the system's own environment."""
    done = subprocess.run(
        [python_of(request.param), "-m", "tests.adapters.dramatiq_stub"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


UNRUN = ["1 enqueued", "1 dequeued"]
TWICE = [*RETRIED, *again(BADLY)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("returns", [WELL]),
        ("keywords", [WELL]),
        ("fails_and_is_retried", [TWICE]),
        ("delayed", [WELL]),
        ("delayed_by_eta", [WELL]),
        ("retried_when_it_says", [TWICE]),
        ("throws", [BADLY]),
        ("too_old", [[*UNRUN, "1 failed expired"]]),
        ("unknown", [[*UNRUN, "1 failed unknown"]]),
        ("over_its_time_limit", [[*BADLY[:3], "1 failed timeout"]]),
        ("cancelled", [[*BADLY[:3], "1 failed cancelled"]]),
        ("skipped", [[*UNRUN, "1 failed revoked"]]),
        ("skipped_and_failed", [[*UNRUN, "1 failed rejected"]]),
        ("marked_by_middleware", [[*UNRUN, "1 failed rejected"]]),
        ("broken_by_middleware", [[*UNRUN, "1 failed"]]),
        (
            "broken_by_middleware_and_retried",
            [[*UNRUN, "1 failed retrying", *again([*UNRUN, "1 failed"])]],
        ),
        ("marked_by_itself", [[*BADLY[:3], "1 failed rejected"]]),
        ("enqueues_itself", [[*BADLY, *AGAIN]]),
        ("enqueued_twice", [[*WELL, *AGAIN]]),
        ("copied_to_another", [WELL, WELL]),
        ("sends_another", [WELL, WELL]),
        ("a_pipeline", [WELL, WELL, WELL]),
        ("calls_back", [BADLY, WELL]),
        ("lost_its_connection_while_enqueued", [WELL]),
        ("delivered_again", [["1 dequeued redelivered", *WELL[2:]]]),
        ("acknowledged_at_the_third_try", [[*WELL, "1 dequeued", "1 failed rejected"]]),
        ("interrupted_when_it_was_done", [[*BADLY[:3], "1 failed cancelled retrying", *AGAIN]]),
        ("pickled", [TWICE]),
        ("garbage_in_its_slot", [WELL] * 5),
        ("of_others", []),
        ("of_others_adopted", [WELL[1:], TWICE[1:]]),
        ("unconfigured", []),
        ("installed", [TWICE]),
        ("takes_the_last_place", []),
    ],
)
def test_with_the_stub_broker(stub: dict[str, Any], name: str, expected: list[list[str]]) -> None:
    found = [told(story) for story in stories(stub[name]["events"])]
    assert sorted(found) == sorted(expected)


def test_all_scenarios_are_asserted(stub: dict[str, Any], request: pytest.FixtureRequest) -> None:
    marks = test_with_the_stub_broker.pytestmark
    assert {name for name, _ in marks[0].args[1]} == set(stub)


def test_who_is_whose_parent(stub: dict[str, Any]) -> None:
    """What an actor sends, a pipeline's next job, a callback; never a copy, or a retry."""
    for name in ("sends_another", "a_pipeline", "calls_back"):
        first, *others = stories(stub[name]["events"])
        parents = [story[0]["metadata"]["_parent_event_hash"] for story in others]
        before = [story[0]["metadata"]["_event_hash"] for story in (first, *others[:-1])]
        assert parents == before, name
    for name in ("fails_and_is_retried", "copied_to_another", "enqueued_twice", "enqueues_itself"):
        for event in stub[name]["events"]:
            if name != "enqueues_itself":
                assert "_parent_event_hash" not in event["metadata"], name


def test_what_is_installed_where(stub: dict[str, Any]) -> None:
    assert stub["installed"]["said"] == [["StubBroker"], 1, 1, 0, False]
    assert stub["takes_the_last_place"]["said"] == ["CluesMiddleware", "_WorkerMiddleware"]
    assert stub["unconfigured"]["said"] == []


def test_arguments_by_name_come_last(stub: dict[str, Any]) -> None:
    assert {json.dumps(event["args"]) for event in stub["keywords"]["events"]} == {'[1, {"y": 2}]'}


def test_an_adopted_job_has_the_hash_of_its_id(stub: dict[str, Any]) -> None:
    """Its second attempt too, which this worker has enqueued."""
    found = stories(stub["of_others_adopted"]["events"])
    assert {story[0]["metadata"]["_job_id"] for story in found} == {"foreign-works", "foreign-fails"}


def test_a_backtrace_is_the_jobs_own(stub: dict[str, Any]) -> None:
    failed = [event for event in stub["fails_and_is_retried"]["events"] if event["event_type"] == "failed"]
    assert len(failed) > 1
    for event in failed:
        assert [line.rpartition(" ")[2] for line in event["metadata"]["_backtrace"]] == ["`fails'"]
