"""What is particular to Huey, with its consumer and each kind of worker, in its newest release."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self

import pytest
import redis

from tests.conformance.cells import BADLY, WELL, again
from tests.conformance.environments import ROOT, python_of
from tests.conformance.site import TERMINAL, Event, Program, Site, System, by_type, site_of, told
from tests.publishers.receivers import Lines
from tests.waiting import wait_for

APP = "tests.adapters.huey_app"
KINDS = ("process", "thread", "greenlet")
Start = Callable[..., "HueySite"]
QUEUE = "huey.redis.particular"


class HueySite(Site):
    """A consumer with workers of one kind."""

    kind = "thread"
    surroundings: Mapping[str, str] = {}

    def environ(self, **more: str) -> dict[str, str]:
        return super().environ(**dict(self.surroundings) | more)

    def work(self, **environ: str) -> Program:
        """Start the consumer, unless it runs, and wait until it has worked a job, of which nothing is told."""
        if environ:
            self.stop()
        if self.worker is None or self.worker.process.poll() is not None:
            self.worker = self.program(self.system.command(self), **environ)
            sign = self.place("sign")
            self.ask("add", 1, kwargs={"path": str(sign)}, environ={"CONFORMANCE_BARE": "1"})
            wait_for(lambda: sign.exists() or self._ended(), "the consumer's first job", timeout=60)
            assert sign.exists(), self.said()
        return self.worker

    def end_of(self, event_hash: str, attempt: int = 1) -> dict[str, Any]:
        """The metadata of an attempt's end."""
        ends = [event for event in self.ended(event_hash, attempt) if event["event_type"] in TERMINAL]
        found: dict[str, Any] = next(end["metadata"] for end in ends if end["metadata"]["_attempt"] == attempt)
        return found

    def children_of(self, event_hash: str, count: int) -> list[list[Event]]:
        """Wait for the jobs that a job has caused, and for their ends; gives the events of each."""

        def found() -> list[str]:
            every = [event["metadata"] for event in self.events() if event["event_type"] == "enqueued"]
            return [one["_event_hash"] for one in every if one.get("_parent_event_hash") == event_hash]

        wait_for(lambda: len(found()) >= count, "the jobs that follow")
        assert len(found()) == count
        return [self.ended(one) for one in found()]


def _command(site: Site) -> Sequence[str]:
    assert isinstance(site, HueySite)
    green = site.kind == "greenlet"
    program = [site.python, "-m", "tests.adapters.huey_green"] if green else [site.python.parent / "huey_consumer"]
    options = ["-k", site.kind, "-w", "2" if site.kind == "process" else "8", "-c", "0.3"]
    return [*map(str, program), *options, f"{APP}.huey"]


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Makes a site: the kind of workers, and what all its programs find in their environment."""
    with contextlib.ExitStack() as sites:

        def make(kind: str, **environ: str) -> HueySite:
            site = sites.enter_context(site_of(HueySite, System("huey", _command, ("huey-newest",), app=APP)))
            site.kind, site.surroundings = kind, environ
            return site

        yield make


@pytest.fixture(scope="module")
def sites(start: Start) -> dict[str, HueySite]:
    """One for each kind of workers."""
    return {
        "process": start("process", HUEY_PERIODIC="1"),
        "thread": start("thread"),
        "greenlet": start("greenlet", HUEY_GREEN="1"),
    }


@pytest.fixture(params=KINDS)
def each(request: pytest.FixtureRequest, sites: dict[str, HueySite]) -> HueySite:
    """Each kind of workers, at work."""
    site = sites[request.param]
    site.work()
    return site


@pytest.fixture
def site(sites: dict[str, HueySite]) -> HueySite:
    """Threads: what is tried with them alone is the same with all."""
    sites["thread"].work()
    return sites["thread"]


@pytest.fixture
def processes(sites: dict[str, HueySite]) -> HueySite:
    sites["process"].work()
    return sites["process"]


class _Message(tuple[Any, ...]):
    """Stands for Huey's, which is not installed here."""

    __slots__ = ()

    def __new__(cls, *fields: Any) -> Self:
        return super().__new__(cls, fields)


class _Strict(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        assert (module, name) in {("huey.registry", "Message"), ("collections", "OrderedDict")}
        return _Message if name == "Message" else super().find_class(module, name)


def test_a_hundred_at_once_have_each_their_own_metadata(each: HueySite) -> None:
    hashes = {each.enqueue("add", number, 1): number for number in range(100)}
    for event_hash, number in hashes.items():
        events = each.ended(event_hash)
        assert told(events) == WELL
        assert dict(by_type(events))["perform_finished"]["metadata"]["sum"] == number + 1


def test_keyword_arguments_are_shown_after_the_others(each: HueySite) -> None:
    place = each.place("sum")
    for event in each.ended(each.enqueue("add", 1, 2, kwargs={"path": str(place)})):
        assert event["args"] == [1, 2, {"path": str(place)}]
        assert event["worker_class"] == "tests.adapters.huey_app.add"
        assert event["queue"] == "particular"
        assert event["metadata"]["_system"] == "huey"
    assert place.read_text() == "3"


def test_a_retry_with_delay_is_due_later(each: HueySite) -> None:
    """The second attempt is enqueued by the consumer, with the time when it is due."""
    events = each.ended(each.enqueue("fail", retries=1, retry_delay=1), attempt=2)
    assert told(events) == [*BADLY[:3], "1 failed retrying", *again(BADLY, 2)]
    second = dict(by_type([event for event in events if event["metadata"]["_attempt"] == 2]))
    metadata = second["enqueued"]["metadata"]
    assert 0.9 < metadata["_scheduled_time"] - metadata["_enqueued_time"] < 1.5
    assert all(event["metadata"]["_scheduled_time"] == metadata["_scheduled_time"] for event in second.values())
    assert "_scheduled_time" not in events[0]["metadata"]
    assert all(event["metadata"]["customer_id"] == 4711 for event in events)


def test_a_task_asks_for_another_attempt_itself(each: HueySite) -> None:
    events = each.ended(each.enqueue("ask_again", str(each.place("asked"))), attempt=2)
    assert told(events) == [*BADLY[:3], "1 failed retrying", *again(WELL, 2)]
    ends = [event["metadata"] for event in events if event["event_type"] in TERMINAL]
    assert ends[0]["_exception"] == "huey.exceptions.RetryTask"
    assert ends[1]["context"] == ends[1]["_job_id"]
    assert all(len(event["args"]) == 1 for event in events)  # the task that Huey puts in is no argument


def test_a_time_limit(sites: dict[str, HueySite]) -> None:
    """In threads Huey has none."""
    for kind in ("process", "greenlet"):
        here = sites[kind]
        here.work()
        events = here.ended(here.enqueue("overrun", str(here.place("overrun"))))
        assert told(events) == [*BADLY[:3], "1 failed timeout"]
        end = dict(by_type(events))["failed"]["metadata"]
        assert end["_exception"] == "huey.exceptions.TaskTimeout"
        assert 0.9 < end["_time_to_perform"] < 30


def test_what_the_consumer_interrupts_when_it_stops(each: HueySite) -> None:
    place = each.place("hang")
    event_hash = each.enqueue("hang", str(place))
    each.pid_in(place)
    each.stop()
    assert told(each.ended(event_hash)) == [*BADLY[:3], "1 failed shutdown"]
    assert not [*each.folder.glob("run/*.ledger")], "processes that end well leave no ledger"


def test_what_a_killed_consumer_had_the_next_one_tells(each: HueySite) -> None:
    place = each.place("hang")
    event_hash = each.enqueue("hang", str(place))
    each.pid_in(place)
    each.kill()
    each.work()
    assert told(each.ended(event_hash)) == [*BADLY[:3], "1 failed lost"]


def test_a_follow_up_is_a_job_of_its_own(each: HueySite) -> None:
    first = each.enqueue("pipeline")
    assert told(each.ended(first)) == WELL
    (second,) = each.children_of(first, 1)
    assert told(second) == WELL
    assert dict(by_type(second))["perform_finished"]["metadata"]["sum"] == 7
    assert second[0]["args"] == [4, 3]
    assert second[0]["metadata"]["_job_id"] != each.events(first)[0]["metadata"]["_job_id"]


def test_an_error_handler_is_a_job_at_each_attempt(site: HueySite) -> None:
    failing = site.enqueue("handled")
    assert told(site.ended(failing, attempt=2))[3::4] == ["1 failed retrying", "2 failed"]
    for events in site.children_of(failing, 2):
        assert told(events) == WELL
        assert dict(by_type(events))["perform_finished"]["metadata"]["handled"] == "told to fail"


def test_a_group_and_a_chord(site: HueySite) -> None:
    for made, count in (("group", 3), ("chord", 4)):
        before = len(site.events())
        site.ask(made)

        def ended(before: int = before, count: int = count) -> bool:
            return sum(event["event_type"] in TERMINAL for event in site.events()[before:]) >= count

        wait_for(ended, f"the end of the {made}")
        new = site.events()[before:]
        assert stories(new) == [WELL] * count
    callback = [event for event in site.events() if event["worker_class"].endswith(".total")]
    assert dict(by_type(callback))["perform_finished"]["metadata"]["total"] == 6
    members = {event["metadata"]["_event_hash"] for event in site.events() if event["worker_class"].endswith(".add")}
    assert callback[0]["metadata"]["_parent_event_hash"] in members


def test_a_task_that_enqueues_another_is_its_parent(each: HueySite) -> None:
    parent = each.enqueue("enqueue_another")
    assert told(each.ended(parent)) == WELL
    (child,) = each.children_of(parent, 1)
    assert told(child) == WELL


def test_withdrawn_before_it_ran(site: HueySite) -> None:
    for made, reason in (("revoked", "revoked"), ("expired", "expired")):
        events = site.ended(site.enqueue(made))
        assert told(events) == [*BADLY[:2], f"1 failed {reason}"]
        end = dict(by_type(events))["failed"]["metadata"]
        assert end["_reporter"] == "adapter"
        assert "_time_to_perform" not in end


def test_cancelled(site: HueySite) -> None:
    assert told(site.ended(site.enqueue("add", 13))) == [*BADLY[:2], "1 failed cancelled"]
    place = site.place("asked")
    assert told(site.ended(site.enqueue("give_up", retries=3))) == [*BADLY[:3], "1 failed cancelled"]
    events = site.ended(site.enqueue("give_up", str(place)), attempt=2)
    assert told(events) == [*BADLY[:3], "1 failed cancelled retrying", *again([*BADLY[:3], "1 failed cancelled"], 2)]
    assert site.end_of(events[0]["metadata"]["_event_hash"])["_message"] == "no more of that"


def test_a_lock_keeps_a_task_out(site: HueySite) -> None:
    events = site.ended(site.enqueue("locked", retries=1), attempt=2)
    out = [*BADLY[:3], "1 failed rejected"]
    assert told(events) == [*out[:3], "1 failed rejected retrying", *again(out, 2)]
    end = next(event["metadata"] for event in events if event["event_type"] == "failed")
    assert end["_exception"] == "huey.exceptions.TaskLockedException"
    assert end["_backtrace"] == []  # all of it is Huey's
    site.ask("unlock")
    assert told(site.ended(site.enqueue("go_in"))) == WELL


def test_a_rate_limit(site: HueySite) -> None:
    assert told(site.ended(site.enqueue("pour"))) == WELL
    assert told(site.ended(site.enqueue("pour"))) == [*BADLY[:3], "1 failed rejected"]


def test_a_task_that_the_consumer_does_not_know(site: HueySite) -> None:
    for options in ({}, {"delay": 1}):
        events = site.ended(site.enqueue("stranger", 7, **options))
        assert told(events) == [*BADLY[:2], "1 failed unknown"]
        end = dict(by_type(events))["failed"]
        assert end["worker_class"] == "tests.adapters.huey_app.stranger"
        assert "stranger not found" in end["metadata"]["_message"]


def test_garbage_in_the_queue_harms_nobody(site: HueySite) -> None:
    site.ask("garbage")
    assert told(site.ended(site.enqueue("add", 1))) == WELL


def test_one_task_that_is_enqueued_twice_is_two_jobs(site: HueySite) -> None:
    before = len(site.events())
    site.ask("twice")
    wait_for(lambda: sum(event["event_type"] in TERMINAL for event in site.events()[before:]) == 2, "both ends")
    events = site.events()[before:]
    assert len({event["metadata"]["_event_hash"] for event in events}) == 2
    assert len({event["metadata"]["_job_id"] for event in events}) == 1


def test_periodic_tasks_are_enqueued_by_the_scheduler(processes: HueySite) -> None:
    """At the consumer's start, which is the first minute of all."""

    def ticks() -> list[Event]:
        return [event for event in processes.events() if event["worker_class"].endswith(".tick")]

    wait_for(lambda: "perform_finished" in dict(by_type(ticks())), "the periodic task")
    first = ticks()[0]["metadata"]["_event_hash"]
    events = processes.ended(first)
    assert told(events) == WELL
    one = dict(by_type(events))
    assert one["enqueued"]["metadata"]["_process"] != one["dequeued"]["metadata"]["_process"]
    assert one["perform_finished"]["metadata"]["ticked"] is True
    assert one["perform_finished"]["metadata"]["customer_id"] == 4711


def test_a_worker_process_that_is_killed_or_leaves(processes: HueySite) -> None:
    place = processes.place("hang")
    event_hash = processes.enqueue("hang", str(place), retries=3)
    os.kill(processes.pid_in(place), signal.SIGKILL)
    assert told(processes.ended(event_hash)) == [*BADLY[:3], "1 failed killed:SIGKILL"]  # Huey has forgotten it
    place = processes.place("hang")
    event_hash = processes.enqueue("hang", str(place))
    os.kill(processes.pid_in(place), signal.SIGRTMIN + 3)
    assert told(processes.ended(event_hash))[3] == f"1 failed killed:{signal.SIGRTMIN + 3}"  # it has no name
    assert told(processes.ended(processes.enqueue("leave", 3, kwargs={"gently": False})))[3] == "1 failed exit:3"
    end = processes.end_of(processes.enqueue("leave", 3, kwargs={"gently": True}))
    assert (end["_exception"], "_reason" in end) == ("SystemExit", False)
    assert told(processes.ended(processes.enqueue("add", 1))) == WELL


def test_a_worker_process_that_is_killed_before_the_function_began(processes: HueySite) -> None:
    place = processes.place("hang")
    event_hash = processes.enqueue("add", 14, kwargs={"path": str(place)})
    os.kill(processes.pid_in(place), signal.SIGKILL)
    assert told(processes.ended(event_hash)) == ["1 enqueued", "1 failed killed:SIGKILL"]


def test_producers_and_consumers_without_clues(site: HueySite) -> None:
    """Each works with the other, and nothing is told of jobs that were enqueued without it."""
    before = len(site.events())
    bare = {"CONFORMANCE_BARE": "1"}
    places = [site.place("bare") for _ in range(3)]
    for place, options in zip(places, ({}, {"delay": 1}, {"retries": 1}), strict=True):
        answer = site.ask("add", 2, 3, kwargs={"path": str(place)}, environ=bare, **options)
        assert "error" not in answer
    site.ask("fail", environ=bare, retries=1, retry_delay=1)
    for place in places:
        wait_for(place.exists, "a job enqueued without clues")
    assert told(site.ended(site.enqueue("add", 1, delay=2))) == WELL  # all that was due before is over
    assert len(site.events()[before:]) == 4

    site.work(CONFORMANCE_BARE="1")
    place = site.place("bare")
    event_hash = site.enqueue("add", 2, 3, kwargs={"path": str(place)})
    later = site.place("bare")
    site.enqueue("add", 4, 5, delay=1, kwargs={"path": str(later)})
    wait_for(lambda: place.exists() and place.read_text(), "the job in a consumer without clues")
    wait_for(lambda: later.exists() and later.read_text(), "the delayed one")
    assert (place.read_text(), later.read_text()) == ("5", "9")
    assert told(site.events(event_hash)) == ["1 enqueued"]
    site.stop()


def test_what_was_enqueued_without_clues_can_be_adopted(site: HueySite) -> None:
    site.work(HUEY_ADOPTS="1")
    answer = site.ask("fail", environ={"CONFORMANCE_BARE": "1"}, retries=1)

    def events() -> list[Event]:
        return [event for event in site.events() if event["metadata"].get("_job_id") == answer["id"]]

    wait_for(lambda: sum(event["event_type"] == "failed" for event in events()) == 2, "both attempts")
    assert told(events()) == [*BADLY[1:3], "1 failed retrying", *again(BADLY, 2)]
    assert len({event["metadata"]["_event_hash"] for event in events()}) == 1
    site.stop()


def test_the_message_is_hueys_own(site: HueySite) -> None:
    """A tuple of what Huey knows, from classes of Huey and of the standard library."""
    site.stop()
    event_hash = site.enqueue("add", 1, 2, kwargs={"path": "x"})
    with redis.Redis.from_url(site.redis.url) as client:
        ((raw, _),) = client.zpopmin(QUEUE)  # a time, and the message

    message = _Strict(io.BytesIO(raw[8:])).load()
    assert message[6:8] == ((1, 2), {"path": "x"})
    assert message[7].clues_metadata["_event_hash"] == event_hash


def arrived(receiver: Lines) -> Counter[str]:
    """The ids of the events that came, and how often each did."""
    return Counter(json.loads(line)["metadata"]["_event_id"] for line in [*receiver.lines])


def test_all_is_shipped_beside_the_consumer(start: Start) -> None:
    """Over TCP, from a spool, with one process that ships; killed workers' and the last events too."""
    with Lines() as receiver:
        for kind in KINDS:
            here = start(kind, **({"HUEY_GREEN": "1"} if kind == "greenlet" else {}))
            here.surroundings = {
                **here.surroundings, "HUEY_TCP": str(receiver.port), "HUEY_SPOOL": str(here.folder / "spool"),
            }  # fmt: skip
            consumer = here.work()
            hashes = [here.enqueue("add", number, 1) for number in range(30)]
            for event_hash in hashes:
                here.ended(event_hash)
            place = here.place("hang")
            last = here.enqueue("hang", str(place))
            here.pid_in(place)
            consumer.signal(signal.SIGTERM)
            consumer.process.wait(30)
            here.ended(last)
            wanted = {event["metadata"]["_event_id"] for event in here.events()}
            found = [told(here.events(one)) for one in [*hashes, last]]
            assert found == [WELL] * 30 + [[*BADLY[:3], "1 failed shutdown"]]

            wait_for(lambda: wanted <= arrived(receiver).keys(), "all events at the receiver", timeout=60)  # noqa: B023
            assert max(arrived(receiver).values()) == 1


# Within one process, in both releases.

RETRIED = [*BADLY[:3], "1 failed retrying", "2 enqueued", "2 dequeued", "2 perform_started", "2 failed"]


@pytest.fixture(scope="module", params=["huey-newest", "huey-oldest"])
def inline(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Event]]:
    """The events of all scenarios of `tests.adapters.huey_inline`."""
    run = tmp_path_factory.mktemp("run")
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "CLUES_RUN_DIR": str(run)}
    command = [str(python_of(request.param)), "-m", "tests.adapters.huey_inline"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert not [*run.iterdir()], "there is no consumer to keep a ledger"
    found: dict[str, list[Event]] = json.loads(done.stdout)
    return found


def stories(events: Sequence[Event]) -> list[list[str]]:
    """Each job's story, in the order in which they began."""
    hashes = dict.fromkeys(event["metadata"]["_event_hash"] for event in events)
    return [told([event for event in events if event["metadata"]["_event_hash"] == one]) for one in hashes]


def test_immediate_mode_tells_the_whole_story_at_once(inline: dict[str, list[Event]]) -> None:
    events = inline["immediate"]
    assert stories(events) == [WELL, RETRIED, WELL, WELL, WELL, WELL, [*BADLY[:3], "1 failed cancelled"]]
    outer = next(event["metadata"] for event in events if event["worker_class"].endswith("outer"))
    inner = events[15]["metadata"]
    assert (inner["_parent_event_hash"], inner["_attempt"]) == (outer["_event_hash"], 1)
    ends = [event["metadata"] for event in events if event["event_type"] == "perform_finished"]
    assert [end.get("after") for end in ends if "before" in end] == [3]
    assert inline["call_local"] == []


@pytest.mark.parametrize("scenario", ["stored", "sqlite", "files", "compressed_and_signed"])
def test_any_storage_and_serializer(inline: dict[str, list[Event]], scenario: str) -> None:
    assert stories(inline[scenario]) == [WELL, RETRIED, WELL, WELL]
    assert inline[scenario][3]["args"] == [1, {"y": 2}]


def test_what_is_due_later(inline: dict[str, list[Event]]) -> None:
    for scenario, story in (("local_time", WELL[:1]), ("scheduled", WELL)):
        assert stories(inline[scenario]) == [story]
        metadata = inline[scenario][0]["metadata"]
        assert 999 < metadata["_scheduled_time"] - metadata["_enqueued_time"] < 1001
    assert stories(inline["peeked"]) == [WELL]


def test_the_storage_is_away_where_huey_gives_up(inline: dict[str, list[Event]]) -> None:
    """What it had in its hands is lost: taken to the schedule, brought from there, to be tried again, its result."""
    lost = ["1 enqueued", "1 dequeued", "1 failed"]
    assert stories(inline["storage_away"]) == [lost, lost, BADLY, BADLY]
    ends = [event["metadata"] for event in inline["storage_away"] if event["event_type"] == "failed"]
    assert [end["_exception"] for end in ends] == [
        "ConnectionError",
        "ConnectionError",
        "ValueError",
        "ConnectionError",
    ]


def test_what_a_hook_puts_back_is_a_job_of_its_own(inline: dict[str, list[Event]]) -> None:
    assert stories(inline["postponed"]) == [["1 enqueued", "1 dequeued", "1 failed cancelled"], WELL]
    assert len({event["metadata"]["_job_id"] for event in inline["postponed"]}) == 1


def test_uninstalled_it_is_huey_alone(inline: dict[str, list[Event]]) -> None:
    assert stories(inline["uninstalled"]) == [WELL[:1], WELL]
    assert stories(inline["patched"]) == [WELL]
    for scenario in ("odd_slot", "unconfigured", "names"):
        assert inline[scenario] == []
