"""What is particular to taskiq, with its worker, scheduler and brokers, in its newest release."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.cells import BADLY, WELL, again, seconds
from tests.conformance.environments import ROOT
from tests.conformance.site import TERMINAL, Event, Program, Site, System, by_type, site_of, told
from tests.publishers.receivers import Lines
from tests.waiting import wait_for

APP = "tests.adapters.taskiq_app"
Start = Callable[..., "TaskiqSite"]


class TaskiqSite(Site):
    """A worker with options of its own."""

    options: Sequence[str] = ()
    surroundings: Mapping[str, str] = {}

    def environ(self, **more: str) -> dict[str, str]:
        return super().environ(**dict(self.surroundings) | more)

    def scheduler(self) -> Program:
        return self.program([str(self.python.parent / "taskiq"), "scheduler", f"{APP}:scheduler"])

    def end_of(self, event_hash: str, attempt: int = 1) -> dict[str, Any]:
        """The metadata of an attempt's end."""
        ends = [event for event in self.ended(event_hash, attempt) if event["event_type"] in TERMINAL]
        found: dict[str, Any] = next(end["metadata"] for end in ends if end["metadata"]["_attempt"] == attempt)
        return found

    def retried(self, event_hash: str) -> list[Event]:
        """All of a job whose second attempt ends well; another process may do that before the first is told."""
        self.ended(event_hash, attempt=2)
        wait_for(lambda: len(self.events(event_hash)) == 8, "both attempts' events")
        events = self.events(event_hash)
        assert told(events) == [*BADLY[:3], "1 failed retrying", *again(WELL)]
        return events

    def redis_command(self, *command: str) -> str:
        """Say something to Redis."""

        async def said() -> Any:
            reader, writer = await asyncio.open_unix_connection(path) if path else await asyncio.open_connection(*tcp)
            writer.write(
                b"".join(
                    [b"*%d\r\n" % len(command), *(b"$%d\r\n%s\r\n" % (len(c.encode()), c.encode()) for c in command)]
                )
            )
            line = await reader.readline()
            writer.close()
            return line

        url = self.redis.url
        path = url.removeprefix("unix://").partition("?")[0] if url.startswith("unix://") else ""
        host, _, port = url.removeprefix("redis://").partition("/")[0].partition(":")
        tcp = (host, int(port or 0))
        return asyncio.run(said()).decode()


def _command(site: Site) -> Sequence[str]:
    assert isinstance(site, TaskiqSite)
    return [str(site.python.parent / "taskiq"), "worker", f"{APP}:broker", *site.options]


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Makes a site: the worker's options, and what it finds in its environment."""
    with contextlib.ExitStack() as sites:

        def make(*options: str, **environ: str) -> TaskiqSite:
            site = sites.enter_context(site_of(TaskiqSite, System("taskiq", _command, ("taskiq-newest",), app=APP)))
            site.options, site.surroundings = options, environ
            return site

        yield make


@pytest.fixture(scope="module")
def site(start: Start) -> TaskiqSite:
    """Two processes, a list, delays by label, our middleware first."""
    here = start("--workers", "2", TASKIQ_RETRY="smart")
    here.work()
    return here


def test_a_retry_of_the_smart_middleware_is_the_next_attempt(site: TaskiqSite) -> None:
    events = site.retried(site.enqueue("fail_first", str(site.place("first"))))
    assert len({event["metadata"]["_job_id"] for event in events}) == 1


def test_requeue_is_the_next_attempt(site: TaskiqSite) -> None:
    site.retried(site.enqueue("requeued", str(site.place("first"))))


def test_a_rejected_job_says_so(site: TaskiqSite) -> None:
    assert told(site.ended(site.enqueue("rejected"))) == [*BADLY[:3], "1 failed rejected"]


def test_a_job_that_wants_no_result_has_ended_well(site: TaskiqSite) -> None:
    assert told(site.ended(site.enqueue("resultless"))) == WELL


def test_a_cancelled_job_says_so(site: TaskiqSite) -> None:
    assert told(site.ended(site.enqueue("cancelled"))) == [*BADLY[:3], "1 failed cancelled"]


def test_a_sync_job_that_takes_too_long(site: TaskiqSite) -> None:
    """Its thread goes on, but that is over for us: nothing that it writes then is on an event."""
    event_hash = site.enqueue("sync_overrun")
    assert told(site.ended(event_hash)) == [*BADLY[:3], "1 failed timeout"]
    end = site.end_of(event_hash)
    assert 0.9 <= end["_time_to_perform"] < 1.5
    assert "too" not in end


def test_a_timeout_of_the_jobs_own_is_none_of_taskiqs(site: TaskiqSite) -> None:
    event_hash = site.enqueue("own_timeout")
    assert told(site.ended(event_hash)) == BADLY
    assert any("in `own_timeout'" in line for line in site.end_of(event_hash)["_backtrace"])


def test_a_task_that_no_worker_knows(site: TaskiqSite) -> None:
    event_hash = site.enqueue("nobody", 1)
    assert told(site.ended(event_hash)) == ["1 enqueued", "1 dequeued", "1 failed unknown"]
    assert "'nobody'" in site.end_of(event_hash)["_message"]


def test_a_message_that_cannot_be_parsed(site: TaskiqSite) -> None:
    """Its label still says whose it is; where that is damaged too, nothing is known."""
    label = json.dumps({"_event_hash": "ab" * 16, "_attempt": 1})
    messages: list[Any] = [
        {"task_name": "mark", "labels": {"clues_metadata": label}, "args": "none"},
        {"task_name": "mark", "labels": {"clues_metadata": "{garbage"}, "args": "none"},
        [],
    ]
    for message in messages:
        site.redis_command("LPUSH", "list", json.dumps(message))
    site.redis_command("LPUSH", "list", "no json")
    assert told(site.ended("ab" * 16)) == ["1 dequeued", "1 failed unknown"]
    assert told(site.ended(site.enqueue("resultless"))) == WELL


def test_producers_without_clues_and_with_garbage_in_our_label(site: TaskiqSite) -> None:
    """Their jobs are run, without events."""
    before = len(site.events())
    places = []
    for label in (
        {},
        {"clues_metadata": "{garbage"},
        {"clues_metadata": 17},
        {"clues_metadata": '{"_event_hash": [1]}'},
    ):
        places.append(site.place("mark"))
        message = {"task_id": "x", "task_name": "mark", "labels": label, "args": [str(places[-1])], "kwargs": {}}
        site.redis_command("LPUSH", "list", json.dumps(message))
    for place in places:
        wait_for(place.exists, "the job")
    site.ended(site.enqueue("resultless"))
    assert [event for event in site.events()[before:] if event["worker_class"] == "mark"] == []


def test_clues_metadata_in_threads_and_coroutines(site: TaskiqSite) -> None:
    hashes = [site.enqueue("waits", number) for number in range(40)]
    for number, event_hash in enumerate(hashes):
        end = site.end_of(event_hash)
        assert (end["x"], end["still"], end["child"]) == (number,) * 3
    assert site.end_of(site.enqueue("succeed", 1, 2))["thread"] is True


def test_several_processes(site: TaskiqSite) -> None:
    hashes = [site.enqueue("succeed", number, 1) for number in range(40)]
    ends = [site.end_of(event_hash) for event_hash in hashes]
    assert [end["sum"] for end in ends] == list(range(1, 41))
    assert all(end["_process"] == end["pid"] for end in ends)
    assert len({end["pid"] for end in ends}) == 2


def test_dependencies_come_before_the_job_begins(site: TaskiqSite) -> None:
    """What they write is the job's; where one fails, it has not begun."""
    for job in ("depends", "depends_in_thread"):
        event_hash = site.enqueue(job)
        assert told(site.ended(event_hash)) == WELL
        end = site.end_of(event_hash)
        assert (end["opened"], end["session"], end["closed"]) == (True, "a session", True)
        assert end["_time_to_perform"] < 0.2
    event_hash = site.enqueue("depends_in_vain")
    assert told(site.ended(event_hash)) == ["1 enqueued", "1 dequeued", "1 failed"]
    assert site.end_of(event_hash)["_exception"] == "ConnectionError"


def test_a_job_that_a_job_enqueues_names_its_parent(site: TaskiqSite) -> None:
    parent = site.enqueue("parent")
    site.ended(parent)
    children = [event for event in site.events() if event["metadata"].get("_parent_event_hash") == parent]
    assert children
    assert children[0]["metadata"]["_event_hash"] != parent


def test_schedules(site: TaskiqSite) -> None:
    """One that is withdrawn before it is due; one by time; those of labels, which are enqueued when they are sent."""
    withdrawn = site.enqueue("succeed", 1, 2, delay=600, withdraw=True)
    assert told(site.events(withdrawn)) == ["1 enqueued", "1 failed revoked"]
    by_time = site.enqueue("waits", 5, delay=1.5)
    scheduler = site.scheduler()
    try:
        events = site.ended(by_time)
        wait_for(lambda: [event for event in site.events() if event["worker_class"] == "every_minute"], timeout=5)
    finally:
        scheduler.stop()
    assert told(events) == WELL
    assert len({event["metadata"]["_job_id"] for event in events}) == 1
    every_minute = next(event for event in site.events() if event["worker_class"] == "every_minute")
    assert told(site.ended(every_minute["metadata"]["_event_hash"])) == WELL


def test_stopping_the_worker_ends_what_runs(start: Start) -> None:
    here = start("--workers", "1", "--wait-tasks-timeout", "0.1", TASKIQ_LAST="1")
    here.work()
    here.retried(here.enqueue("fail_first", str(here.place("first"))))  # in the other order of middlewares too
    place = here.place("hang")
    event_hash = here.enqueue("hang", str(place))
    here.pid_in(place)
    here.stop()
    assert told(here.ended(event_hash)) == [*BADLY[:3], "1 failed shutdown"]
    assert list((here.folder / "run").glob("*.ledger")) == []


def test_a_stream(start: Start) -> None:
    """What was not acknowledged is delivered again: the same attempt. What was, is lost with its process."""
    here = start("--workers", "1", TASKIQ_BROKER="stream", TASKIQ_RETRY="scheduled")
    here.work()
    scheduler = here.scheduler()
    events = here.retried(here.enqueue("fail_first", str(here.place("first"))))
    scheduler.stop()
    due = next(event["metadata"]["_scheduled_time"] for event in events if event["metadata"]["_attempt"] == 2)
    assert due > next(e["metadata"]["_enqueued_time"] for e in events if e["metadata"]["_attempt"] == 2)

    place, other = here.place("hang"), here.place("taken")
    kept, taken = here.enqueue("hang_once", str(place)), here.enqueue("taken", str(other))
    pid = here.pid_in(place)
    assert here.pid_in(other) == pid
    os.kill(pid, signal.SIGKILL)
    assert told(here.ended(taken)) == [*BADLY[:3], "1 failed lost"]

    def ended() -> bool:
        """The broker looks for such messages when it has been given another one."""
        here.ask("resultless")
        return any(event["event_type"] in TERMINAL for event in here.events(kept))

    wait_for(ended)
    assert told(here.events(kept)) == [
        "1 enqueued", "1 dequeued", "1 perform_started", "1 dequeued redelivered", "1 perform_started",
        "1 perform_finished",
    ]  # fmt: skip


def test_sync_jobs_begin_when_a_thread_has_them(start: Start) -> None:
    """Two at a time; one that is killed while it waits is lost, too."""
    here = start("--workers", "1", "--max-threadpool-threads", "2")
    here.work()
    hashes = [here.enqueue("nap") for _ in range(6)]
    ends = [here.end_of(event_hash) for event_hash in hashes]
    stories = [dict(by_type(here.events(event_hash))) for event_hash in hashes]
    for story, end in zip(stories, ends, strict=True):  # while it waits for a thread it is not performed
        run = seconds(story["perform_finished"]) - seconds(story["perform_started"])
        assert 0.1 <= end["_time_to_perform"] < run + 0.05
    began = sorted(seconds(story["perform_started"]) for story in stories)
    assert began[-1] - began[0] >= 0.19
    hanging = [here.place("hang") for _ in range(2)]
    running = [here.enqueue("pool_hang", str(place)) for place in hanging]
    pids = {here.pid_in(place) for place in hanging}
    waiting = here.enqueue("nap")
    wait_for(lambda: "1 dequeued" in told(here.events(waiting)))
    os.kill(pids.pop(), signal.SIGKILL)
    assert told(here.ended(waiting)) == ["1 enqueued", "1 dequeued", "1 failed lost"]
    assert [told(here.ended(event_hash))[-1] for event_hash in running] == ["1 failed lost"] * 2


def test_a_process_pool(start: Start) -> None:
    """What a job writes in a process of the pool comes back with its end, also when it raises."""
    here = start("--workers", "1", "--use-process-pool", "--max-process-pool-processes", "2")
    here.work()
    end = here.end_of(here.enqueue("succeed", 20, 22))
    assert end["sum"] == 42
    assert end["pid"] != end["_process"]
    event_hash = here.enqueue("fail")
    assert told(here.ended(event_hash)) == BADLY
    assert here.end_of(event_hash)["got_to"] == "the end"
    place = here.place("killed")
    hanging = here.enqueue("pool_hang", str(place))
    os.kill(here.pid_in(place), signal.SIGKILL)
    assert told(here.ended(hanging)) == [*BADLY[:3], "1 failed lost"]


def test_all_is_delivered_by_a_thread_of_one_worker_process(start: Start) -> None:
    """The processes share a spool; whoever has its lock ships, and the last one delivers what is left.

    Nobody calls `clues.configure`: CLUES_PUBLISHERS is all.
    """
    with Lines() as receiver:
        here = start("--workers", "3")
        publishers = f"tcp://127.0.0.1:{receiver.port}?spool={here.folder / 'spool'},log://{here.log}"
        here.surroundings = {"CLUES_PUBLISHERS": publishers, "PYTHONPATH": f"{ROOT}:{_installed(here.folder)}"}
        here.work()
        for number in range(200):
            assert "error" not in here.ask("succeed", number, 1)
        wait_for(lambda: sum(event["event_type"] in TERMINAL for event in here.events()) >= 201)
        here.stop()
        for producer in here._producers.values():
            assert producer.process.stdin is not None
            producer.process.stdin.close()
            producer.process.wait(30)
        written = {event["metadata"]["_event_id"] for event in here.events()}
        assert len(written) == 4 * 201
        wait_for(lambda: {json.loads(line)["metadata"]["_event_id"] for line in receiver.lines} >= written)


def _installed(folder: Path) -> Path:
    """What pip would write beside clues: the publishers by their schemes."""
    entry_points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["clues.publishers"]
    place = folder / "site" / "clues-0.dist-info"
    place.mkdir(parents=True)
    (place / "METADATA").write_text("Metadata-Version: 2.1\nName: clues\nVersion: 0\n")
    lines = [f"{scheme} = {found}" for scheme, found in entry_points.items()]
    (place / "entry_points.txt").write_text("\n".join(["[clues.publishers]", *lines, ""]))
    return place.parent


def _answer_of(site: TaskiqSite, script: str) -> Any:
    """What a script of this folder prints, in taskiq's environment."""
    done = subprocess.run(
        [site.python, "-m", f"tests.adapters.{script}"],
        env=site.environ(), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_beside_taskiqs_own_tracing(site: TaskiqSite) -> None:
    """Its spans are the ones: they are as without us, the job's own are in them, and our events are in their trace."""
    found = _answer_of(site, "taskiq_otel")
    for order in ("ours first", "ours last", "installed"):
        spans = {name: (trace, parent, span) for name, trace, parent, span in found[order]["spans"]}
        assert set(spans) == {"send/traces", "execute/traces", "within"}
        assert {trace for trace, _, _ in spans.values()} == {spans["send/traces"][0]}
        assert spans["execute/traces"][1] == spans["send/traces"][2]
        assert spans["within"][1] == spans["execute/traces"][2]
        assert told(found[order]["events"]) == WELL
        marks = {event["event_type"]: event["metadata"].get("_traced_by") for event in found[order]["events"]}
        assert marks["enqueued"] == marks["perform_finished"] == "opentelemetry"
        if order != "ours first":
            carried = {event["metadata"]["_traceparent"] for event in found[order]["events"]}
            assert carried == {f"00-{spans['send/traces'][0]}-{spans['send/traces'][2]}-01"}
    assert [name for name, *_ in found["ours alone"]["spans"]] == ["within"]


def test_in_memory(site: TaskiqSite) -> None:
    """In the process that enqueues, at once or later; and what serialisers make of the label."""
    stories: dict[str, list[Event]] = _answer_of(site, "taskiq_inline")
    assert told(stories["in place"]) == WELL
    assert [event["event_type"] for event in stories["in place"]] == [
        "enqueued", "dequeued", "perform_started", "perform_finished",
    ]  # fmt: skip
    assert told(stories["later"]) == BADLY
    assert told(stories["unknown"]) == []
    assert told(stories["uninstalled"]) == []
    for name in ("pre_execute raises", "pre_execute raises before ours"):
        assert told(stories[name]) == ["1 enqueued", "1 dequeued", "1 failed"], name
    for name in ("on_error raises", "on_error raises after ours", "post_execute raises"):
        assert told(stories[name]) == BADLY, name
    for name in ("we raise", "unconfigured", "undelivered"):
        assert told(stories[name]) == [], name
    for name in ("json", "pickle", "formatter"):
        assert told(stories[name]) == WELL, name
        assert dict(by_type(stories[name]))["perform_finished"]["metadata"]["sum"] == 3
    assert Counter(event["event_type"] for event in stories["twice installed"]) == Counter(line[2:] for line in WELL)
