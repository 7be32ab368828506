"""What is particular to Celery: pools, late acknowledgement, lost processes, canvas, beat, eager tasks, shutdown."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.conformance.cells import BADLY, WELL, again, check_rules, seconds
from tests.conformance.environments import ROOT
from tests.conformance.site import TERMINAL, Event, Site, System, by_type, site_of, told
from tests.publishers.receivers import Lines
from tests.waiting import wait_for

APP = "tests.adapters.celery_app"
Start = Callable[..., "CelerySite"]


class CelerySite(Site):
    """A worker with options and settings of its own."""

    options: Sequence[str] = ()
    surroundings: Mapping[str, str] = {}

    def environ(self, **more: str) -> dict[str, str]:
        return super().environ(**dict(self.surroundings) | more)

    def id_of(self, job: str, *args: Any, **options: Any) -> str:
        """Enqueue a job; gives Celery's id of it."""
        answer = self.ask(job, *args, **options)
        assert "error" not in answer, answer
        found: str = answer["id"]
        return found

    def story(self, task_id: str) -> list[Event]:
        return [event for event in self.events() if event["metadata"]["_job_id"] == task_id]

    def ended_as(self, task_id: str, attempt: int = 1) -> list[Event]:
        """Wait for the end of the task with this id; gives its events."""

        def over() -> bool:
            return any(
                event["event_type"] in TERMINAL and event["metadata"]["_attempt"] == attempt
                for event in self.story(task_id)
            )

        try:
            wait_for(over, f"the end of {task_id}", timeout=60)
        except AssertionError as error:
            raise AssertionError(f"{error}: {told(self.story(task_id))}\n{self.said()}") from None
        return self.story(task_id)

    def end_of(self, job: str, *args: Any, attempt: int = 1, **options: Any) -> list[str]:
        """Enqueue a job and wait for its end; gives what is told of it."""
        return told(self.ended_as(self.id_of(job, *args, **options), attempt))

    def settled(self) -> int:
        """Wait for the end of all that was enqueued; gives how many events there are."""

        def open_stories() -> set[str]:
            found = self.events()
            return {event["metadata"]["_event_hash"] for event in found} - {
                event["metadata"]["_event_hash"]
                for event in found
                if event["event_type"] in TERMINAL and not event["metadata"].get("_retrying")
            }

        wait_for(lambda: not open_stories(), "all ends")
        return len(self.events())

    def since(self, number: int, count: int) -> dict[str, list[Event]]:
        """Wait until so many attempts have ended since the event of this number; gives the stories, by job."""

        def new() -> list[Event]:
            return self.events()[number:]

        wait_for(lambda: sum(event["event_type"] in TERMINAL for event in new()) >= count, f"{count} ends", timeout=60)
        stories: dict[str, list[Event]] = {}
        for event in new():
            stories.setdefault(event["metadata"]["_event_hash"], []).append(event)
        return stories


def _command(site: Site) -> Sequence[str]:
    assert isinstance(site, CelerySite)
    return [
        str(site.python), "-m", "celery", "-A", APP, "worker", "--loglevel", "WARNING", "--without-gossip",
        "--without-mingle", "--without-heartbeat", *site.options,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Makes a site: the worker's options, and what it finds in its environment."""
    with contextlib.ExitStack() as sites:

        def make(*options: str, release: str = "celery-newest", **environ: str) -> CelerySite:
            sites.close()  # one at a time: each is a handful of processes
            here = sites.enter_context(site_of(CelerySite, System("celery", _command, (release,), app=APP), release))
            here.options, here.surroundings = options, environ
            return here

        yield make


@pytest.fixture(scope="module")
def site(start: Start) -> CelerySite:
    """Three processes."""
    here = start("--concurrency", "3")
    here.work()
    return here


LOST = [*BADLY[:3]]


# Attempts.


def test_a_retry_with_headers_of_its_own_keeps_its_hash(site: CelerySite) -> None:
    assert site.end_of("try_again", attempt=2) == [*BADLY[:3], "1 failed retrying", *again(WELL)]


def test_ignore_ends_a_task_well(site: CelerySite) -> None:
    assert site.end_of("ignore") == WELL


def test_a_rejected_task(site: CelerySite) -> None:
    assert site.end_of("reject") == [*LOST, "1 failed rejected"]


def test_a_task_that_puts_its_message_back_goes_on_as_the_same_attempt(site: CelerySite) -> None:
    assert sorted(site.end_of("put_back", str(site.place("put")))) == sorted(
        [*WELL, "1 dequeued redelivered", "1 perform_started"]
    )


def test_a_soft_time_limit(site: CelerySite) -> None:
    assert site.end_of("overrun_softly", str(site.place("overrun"))) == [*LOST, "1 failed timeout"]


def test_a_task_that_leaves_its_process(site: CelerySite) -> None:
    assert site.end_of("leave", 3) == [*LOST, "1 failed exit:3"]


def test_a_result_that_cannot_be_stored_is_a_failure(site: CelerySite) -> None:
    events = site.ended_as(site.id_of("give_oddity"))
    assert told(events) == BADLY
    assert "EncodeError" in dict(by_type(events))["failed"]["metadata"]["_exception"]


def test_reject_on_worker_lost_goes_on_as_the_same_attempt(site: CelerySite) -> None:
    assert sorted(site.end_of("die_once", str(site.place("die")))) == sorted(
        [*WELL, "1 dequeued redelivered", "1 perform_started"]
    )


def test_retry_on_worker_lost_is_the_next_attempt(site: CelerySite) -> None:
    story = site.end_of("die_and_be_retried", str(site.place("die")), attempt=2)
    assert story == [*LOST, "1 failed killed:SIGKILL retrying", *again(WELL)]


def test_a_process_that_dies_after_its_task_ended_adds_no_second_end(site: CelerySite) -> None:
    task_id = site.id_of("die_afterwards")
    assert told(site.ended_as(task_id)) == WELL
    site.end_of("leave", 4)  # whose death is noticed later
    assert told(site.story(task_id)) == WELL


# Revoked, expired, unknown, unreadable.


def test_a_task_that_is_revoked_before_it_is_due(site: CelerySite) -> None:
    site.ask("revoke", site.id_of("succeed", 1, 2, countdown=1, task_id="soon"))
    assert told(site.ended_as("soon")) == ["1 enqueued", "1 failed revoked"]


def test_a_task_that_is_terminated(site: CelerySite) -> None:
    place = site.place("hang")
    task_id = site.id_of("hang", str(place))
    site.pid_in(place)
    site.ask("revoke", task_id, terminate=True)
    assert told(site.ended_as(task_id)) == [*LOST, "1 failed cancelled"]


def test_an_expired_task(site: CelerySite) -> None:
    assert site.end_of("succeed", 1, 2, expires=-1) == ["1 enqueued", "1 failed expired"]


def test_an_unknown_task(site: CelerySite) -> None:
    events = site.ended_as(site.id_of("unknown"))
    assert told(events) == ["1 enqueued", "1 failed unknown"]
    assert [event["worker_class"] for event in events] == ["nobody.knows"] * 2
    assert [event["args"] for event in events] == [[1, 2]] * 2


def test_a_message_that_the_worker_may_not_read(site: CelerySite) -> None:
    assert site.end_of("pickled") == ["1 enqueued", "1 failed rejected"]


def test_a_task_that_is_due_later_is_dequeued_then(site: CelerySite) -> None:
    events = site.ended_as(site.id_of("succeed", 1, 2, delay=None, countdown=1))
    assert told(events) == WELL
    one = dict(by_type(events))
    assert seconds(one["dequeued"]) >= one["enqueued"]["metadata"]["_scheduled_time"] - 0.05
    check_rules(site, events)


# What is in messages.


def test_a_task_by_name_and_keyword_arguments(site: CelerySite) -> None:
    assert site.end_of("by_name") == WELL
    events = site.ended_as(site.id_of("kwargs"))
    assert [event["args"] for event in events] == [[1, 2, {"more": 3}]] * 4
    assert dict(by_type(events))["perform_finished"]["metadata"]["sum"] == 6


def test_metadata_that_the_caller_gives_in_headers(site: CelerySite) -> None:
    events = site.ended_as(site.id_of("with_headers"))
    assert [event["metadata"]["tenant"] for event in events] == ["blue"] * 4


def test_garbage_in_our_place_harms_nothing(site: CelerySite) -> None:
    assert site.end_of("garbage") == WELL


def test_tasks_of_producers_without_clues_have_no_events(site: CelerySite) -> None:
    before = len(site.events())
    place = site.place("mark")
    site.ask("mark", str(place), environ={"CONFORMANCE_BARE": "1"})
    wait_for(place.exists, "the task")
    assert site.end_of("succeed", 1, 2) == WELL
    assert len({event["metadata"]["_job_id"] for event in site.events()[before:]}) == 1


# Canvas.


def sums(stories: Mapping[str, Sequence[Event]]) -> dict[Any, str]:
    return {dict(by_type(story))["perform_finished"]["metadata"].get("sum"): key for key, story in stories.items()}


@pytest.mark.parametrize(("way", "second"), [("chain", 13), ("linked", 23)])
def test_each_task_of_a_chain_has_a_hash_of_its_own(site: CelerySite, way: str, second: int) -> None:
    before = site.settled()
    site.ask(way)
    stories = site.since(before, 2)
    assert [told(story) for story in stories.values()] == [WELL, WELL]
    hashes = sums(stories)
    assert set(hashes) == {3, second}
    assert stories[hashes[second]][0]["metadata"]["_parent_event_hash"] == hashes[3]


def test_a_group(site: CelerySite) -> None:
    before = site.settled()
    site.ask("group")
    stories = site.since(before, 2)
    assert [told(story) for story in stories.values()] == [WELL, WELL]
    assert set(sums(stories)) == {2, 4}


def test_a_chord(site: CelerySite) -> None:
    before = site.settled()
    site.ask("chord")
    stories = site.since(before, 3)
    assert [told(story) for story in stories.values()] == [WELL, WELL, WELL]
    assert set(sums(stories)) == {2, 4, None}


def test_a_task_that_enqueues_another_is_its_parent(site: CelerySite) -> None:
    before = site.settled()
    site.ask("enqueue_another")
    stories = site.since(before, 2)
    assert [told(story) for story in stories.values()] == [WELL, WELL]
    first, second = [dict(by_type(story))["enqueued"]["metadata"] for story in stories.values()]
    assert second["_parent_event_hash"] == first["_event_hash"]


# Shutdown.


def test_a_warm_shutdown_lets_running_tasks_finish(site: CelerySite) -> None:
    site.work()
    place = site.place("hang")
    task_id = site.id_of("hang", str(place))
    site.pid_in(place)
    assert site.worker is not None
    site.worker.signal(signal.SIGTERM)
    wait_for(lambda: "Warm shutdown" in site.said(), "the shutdown")
    place.with_suffix(".go").touch()
    assert told(site.ended_as(task_id)) == WELL
    site.worker.process.wait(30)


def test_a_cold_shutdown_ends_running_tasks(site: CelerySite) -> None:
    for _ in range(5):
        site.work()
        place, late = site.place("hang"), site.place("hang")
        task_id, late_id = site.id_of("hang", str(place)), site.id_of("hang_late", str(late))
        site.pid_in(place)
        site.pid_in(late)
        assert site.worker is not None
        site.worker.signal(signal.SIGQUIT)
        try:
            site.worker.process.wait(8)
        except subprocess.TimeoutExpired:  # one in six does not leave, without clues either
            site.kill()
            site.redis.empty()
        else:
            break
    assert told(site.story(task_id)) == [*LOST, "1 failed shutdown"]
    assert told(site.story(late_id)) == LOST  # it was not acknowledged: its message goes back
    late.unlink()
    site.work()
    site.pid_in(late)
    late.with_suffix(".go").touch()
    assert told(site.ended_as(late_id))[-1] == "1 perform_finished"
    assert "1 dequeued redelivered" in told(site.story(late_id))


def test_no_attempt_has_two_ends(site: CelerySite) -> None:
    """Of none of the above; not when their processes' ledgers are found by the next worker, either."""
    site.work()
    places = [site.place("hang") for _ in range(2)]
    terminated, lost = [site.id_of("hang", str(place)) for place in places]
    for place in places:
        site.pid_in(place)
    site.ask("revoke", terminated, terminate=True)
    site.ended_as(terminated)
    assert site.end_of("overrun", str(site.place("overrun"))) == [*LOST, "1 failed timeout"]
    site.kill()
    site.work()
    assert told(site.ended_as(lost)) == [*LOST, "1 failed lost"]
    ends = Counter(
        event["metadata"]["_event_id"] for event in site.events() if event["metadata"]["_event_id"].endswith(":end")
    )
    assert [(key, told(site.events(key.split(":")[0]))) for key, count in ends.items() if count > 1] == []


@pytest.mark.parametrize("settings", [{}, {"task_acks_late": True, "task_reject_on_worker_lost": True}])
def test_each_story_has_one_end_in_a_storm_of_kills(start: Start, settings: dict[str, Any]) -> None:
    site = start("--concurrency", "4", CELERY_SETTINGS=json.dumps(settings))
    worker = site.work()
    before = site.settled()
    for number in range(60):
        site.ask("nap", 0.05)
        if number % 6 == 0:
            for child in Path(f"/proc/{worker.process.pid}/task/{worker.process.pid}/children").read_text().split()[:1]:
                with contextlib.suppress(ProcessLookupError):  # it was dying already
                    os.kill(int(child), signal.SIGKILL)
    stories = site.since(before, 60)
    site.settled()
    site.kill()
    site.work()  # which finds the ledgers of the dead
    for event_hash in stories:
        ends = [event for event in site.events(event_hash) if event["event_type"] in TERMINAL]
        assert len(ends) == 1, told(site.events(event_hash))
        assert ends[0]["metadata"].get("_reason", "killed:SIGKILL") == "killed:SIGKILL"


def test_processes_leave_nothing_behind(start: Start) -> None:
    """Nor do those that Celery asks to leave while they are at a job, before it kills them."""
    site = start("--concurrency", "2")
    site.work()
    assert site.end_of("overrun", str(site.place("overrun"))) == [*LOST, "1 failed timeout"]
    assert site.end_of("succeed", 1, 2) == WELL
    site.stop()
    assert list((site.folder / "run").glob("*.ledger")) == []


# Pools.


@pytest.mark.parametrize("pool", ["threads", "solo", "gevent"])
def test_a_pool(start: Start, pool: str) -> None:
    site = start("--pool", pool, "--concurrency", "4")
    site.work()
    assert told(site.ended(site.enqueue("succeed", 1, 2))) == WELL
    assert told(site.ended(site.enqueue("fail"))) == BADLY
    assert told(site.ended(site.enqueue("fail_first", str(site.place("first"))), attempt=2)) == [
        *BADLY[:3], "1 failed retrying", *again(WELL)
    ]  # fmt: skip
    assert site.end_of("leave", 3)[:4] == [*LOST, "1 failed exit:3"]
    if pool == "solo":  # its one process has left
        assert site.worker is not None
        site.worker.process.wait(30)
        site.work()
    if pool == "gevent":
        assert site.end_of("overrun", str(site.place("overrun"))) == [*LOST, "1 failed timeout"]
        place = site.place("hang")
        task_id = site.id_of("hang", str(place))
        site.pid_in(place)
        site.ask("revoke", task_id, terminate=True)
        assert told(site.ended_as(task_id)) == [*LOST, "1 failed cancelled"]
    before = site.settled()
    for number in range(60):
        site.ask("succeed", number, 1)
    stories = site.since(before, 60)
    assert [told(story) for story in stories.values()] == [WELL] * 60
    assert {dict(by_type(story))["perform_finished"]["metadata"]["sum"] for story in stories.values()} == {
        *range(1, 61)
    }


# Beat.


def test_what_beat_sends_is_enqueued_by_beat(start: Start) -> None:
    site = start("--concurrency", "1", BEAT="1")
    site.work()
    before = site.settled()
    beat = site.program(
        [
            str(site.python),
            "-m",
            "celery",
            "-A",
            APP,
            "beat",
            "--schedule",
            str(site.place("schedule")),
            "--max-interval",
            "1",
        ]
    )
    stories = site.since(before, 2)
    beat.stop()
    for story in list(stories.values())[:2]:
        assert told(story) == WELL
        one = dict(by_type(story))
        assert one["enqueued"]["metadata"]["_process"] == beat.process.pid
        assert one["dequeued"]["metadata"]["_process"] != beat.process.pid


# The shipper beside the worker.


def test_nothing_is_lost_with_a_process_for_each_task(start: Start) -> None:
    with Lines() as lines:
        site = start("--concurrency", "2", "--max-tasks-per-child", "1", TCP=str(lines.port))
        site.work()
        ids = [site.id_of("succeed", number, 1) for number in range(8)]
        for task_id in ids:
            assert told(site.ended_as(task_id)) == WELL
        site.stop()
        logged = {event["metadata"]["_event_id"] for event in site.events()}
        wait_for(lambda: len({json.loads(line)["metadata"]["_event_id"] for line in lines.lines}) >= len(logged))
        assert {json.loads(line)["metadata"]["_event_id"] for line in lines.lines} == logged


# Eager tasks.


def test_eager_tasks_tell_their_whole_story(start: Start) -> None:
    site = start(CELERY_SETTINGS='{"task_always_eager": true}')
    first = site.place("first")
    for job, args, story in (
        ("succeed", [1, 2], WELL),
        ("fail", [], BADLY),
        ("fail_first", [str(first)], [*BADLY[:3], "1 failed retrying", *again(WELL)]),
        ("ignore", [], WELL),
    ):
        assert site.end_of(job, *args, attempt=2 if len(story) > 4 else 1) == story
    before = site.settled()
    site.ask("chain")
    assert [told(story) for story in site.since(before, 2).values()] == [WELL, WELL]
    check_rules(site, site.ended(site.enqueue("succeed", 1, 2)))


def test_eager_tasks_that_raise_where_they_are_called(start: Start) -> None:
    site = start(CELERY_SETTINGS='{"task_always_eager": true, "task_eager_propagates": true}')
    answer = site.ask("fail")
    assert answer["error"] == "TellingError"
    (event_hash,) = {event["metadata"]["_event_hash"] for event in site.events()}
    assert told(site.events(event_hash)) == BADLY


# Adopted.


def test_tasks_of_producers_without_clues_may_be_adopted(start: Start) -> None:
    site = start("--concurrency", "1", ADOPT="1")
    site.work()
    bare = {"CONFORMANCE_BARE": "1"}
    answer = site.ask("succeed", 1, 2, environ=bare)
    assert told(site.ended_as(answer["id"])) == WELL[1:]
    answer = site.ask("fail_first", str(site.place("first")), environ=bare)
    assert told(site.ended_as(answer["id"], attempt=2)) == [*BADLY[1:3], "1 failed retrying", *again(WELL)]
    for _ in range(2):  # an id that is used again is another run of the same
        count = len(site.story("the-same"))
        site.ask("twice", environ=bare)
        wait_for(lambda count=count: len(site.story("the-same")) == count + 3)  # type: ignore[misc]


def test_the_older_message_protocol(start: Start) -> None:
    site = start("--concurrency", "1", CELERY_SETTINGS='{"task_protocol": 1}')
    site.work()
    assert site.end_of("kwargs") == WELL
    story = site.end_of("fail_first", str(site.place("first")), attempt=2)
    assert story == [*BADLY[:3], "1 failed retrying", *again(WELL)]
    assert site.end_of("succeed", 1, 2, countdown=1) == WELL


# OpenTelemetry.


def test_beside_opentelemetrys_own_instrumentation(start: Start) -> None:
    site = start("--concurrency", "1", release="celery-otel")
    spans = site.place("spans")
    site.surroundings = {"SPANS": str(spans)}
    site.work()
    task_id = site.id_of("with_a_span")
    events = site.ended_as(task_id)
    assert told(events) == WELL

    def found() -> dict[str, Any]:
        read = [json.loads(line) for line in spans.read_text().splitlines()]
        return {one["name"]: one for one in read}

    wait_for(lambda: {"run/with_a_span", f"run/{APP}.add"} <= set(found()), "the spans")
    sent, run, inner, second = [
        found()[name] for name in ("apply_async/with_a_span", "run/with_a_span", "inner", f"apply_async/{APP}.add")
    ]
    assert run["parent_id"] == sent["context"]["span_id"]
    assert inner["parent_id"] == run["context"]["span_id"]
    assert second["parent_id"] == inner["context"]["span_id"]
    for event in events:
        _, trace_id, span_id, _ = event["metadata"]["_traceparent"].split("-")
        assert [f"0x{trace_id}", f"0x{span_id}"] == [sent["context"]["trace_id"], sent["context"]["span_id"]]
        assert event["event_type"] == "dequeued" or event["metadata"]["_traced_by"] == "opentelemetry"


# Installing.


def test_install_and_uninstall_leave_celery_as_it_was(start: Start) -> None:
    site = start()
    code = """
from celery import Celery, signals
from celery.app.task import Task
import celery.worker.request as request
from clues.adapters import celery as adapter
import clues

def seen():
    return (
        [len(getattr(signals, name).receivers) for name in signals.__all__],
        Task.retry, request.Request.on_failure, request.Request.on_timeout, request.Request.reject,
    )

before = seen()
app = Celery("shop")
assert adapter.hooked() == []
adapter.install(app)
adapter.install(app)
assert adapter.hooked() == ["Celery app 'shop'"]
assert seen() != before
adapter.uninstall(app)
assert seen() == before
assert adapter.hooked() == []

adapter.install(app)  # unconfigured, nothing happens
app.conf.task_always_eager = True

@app.task
def add(x, y):
    return x + y

assert add.delay(1, 2).get() == 3
from clues.testing import capture_events
with capture_events() as captured:
    assert add.delay(1, 2).get() == 3
assert captured.types == ["enqueued", "dequeued", "perform_started", "perform_finished"]
"""
    done = subprocess.run(
        [site.python, "-c", code], env=site.environ(), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_message_that_is_there_twice_has_one_end(start: Start) -> None:
    """As after an ETA beyond the visibility timeout: two processes run it, the ledgers of both know of the end."""
    site = start()
    site.work()
    site.stop()
    place = site.place("hang")
    task_id = site.id_of("hang", str(place))
    with redis.Redis(port=site.redis.port) as client:
        (message,) = client.lrange("conformance", 0, -1)
        client.lpush("conformance", message)
    site.start()
    wait_for(lambda: told(site.story(task_id)).count("1 perform_started") == 2, "both beginnings")
    place.with_suffix(".go").touch()
    site.ended_as(task_id)
    # Both processes are done with it when both have begun something else.
    others = [site.place("hang"), site.place("hang")]
    ids = [site.id_of("hang", str(other)) for other in others]
    for other in others:
        site.pid_in(other)
    for other in others:
        other.with_suffix(".go").touch()
    for one in ids:
        site.ended_as(one)
    site.kill()
    site.work()
    site.end_of("succeed", 1, 2)
    ends = {line for line in told(site.story(task_id)) if line not in WELL[:3]}
    assert ends == {"1 perform_finished"}


def test_without_celery_the_adapter_names_its_extra() -> None:
    with pytest.raises(ImportError, match=r"clues\[celery\]"):
        import clues.adapters.celery  # noqa: F401
