"""What is particular to RQ, with its worker programs, in its newest release."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.conformance.cells import BADLY, WELL, again
from tests.conformance.site import TERMINAL, Event, Program, Site, System, by_type, site_of, told
from tests.publishers.receivers import Lines
from tests.waiting import wait_for

APP = "tests.adapters.rq_app"
CLUES = "clues.adapters.rq"
CONFIG = ("--config", APP)


class RqSite(Site):
    """Workers on queues of their own, all of one Redis."""

    workers: list[Program]

    def rq(self, *command: str, **environ: str) -> Program:
        """Start a program of RQ's."""
        program = self.program([str(self.python.parent / "rq"), *command], **environ)
        self.workers.append(program)
        return program

    def do(self, what: str, *args: Any, **options: Any) -> Any:
        answer = self.ask(what, *args, **options)
        assert "error" not in answer, answer
        return answer["id"]

    def of(self, job_id: str) -> list[Event]:
        """The events of RQ's job, whatever their hashes."""
        return [event for event in self.events() if event["metadata"].get("_job_id") == job_id]

    def story(self, job_id: str, end: Sequence[str]) -> list[Event]:
        """Wait until a job's story is this."""
        try:
            wait_for(lambda: len(told(self.of(job_id))) >= len(end), "the story", timeout=30)
        except AssertionError as error:
            raise AssertionError(f"{error}: {told(self.of(job_id))}\n{self.said()}") from None
        assert told(self.of(job_id)) == list(end), self.said()
        return self.of(job_id)

    def end_of(self, job_id: str, end: Sequence[str]) -> dict[str, Any]:
        """The metadata of the last event of the story."""
        events = self.story(job_id, end)
        kind = end[-1].split()[1]
        found: dict[str, Any] = [e["metadata"] for e in events if e["event_type"] == kind][-1]
        return found

    def redis_client(self) -> Redis:
        return Redis.from_url(self.redis.url)


@pytest.fixture(scope="module")
def site() -> Iterator[RqSite]:
    """A worker, a worker without horses, one that spawns them: on the queues conformance, simple, spawn."""
    with site_of(RqSite, System("rq", lambda _: [], (), app=APP)) as here:
        here.workers = []
        try:
            here.rq("worker", *CONFIG, "--with-scheduler", "conformance")
            here.rq("worker", *CONFIG, "--worker-class", f"{CLUES}.CluesSimpleWorker", "simple")
            here.rq("worker", *CONFIG, "--worker-class", "rq.worker.SpawnWorker", "spawn")
            yield here
        finally:
            for worker in here.workers:
                worker.kill()


RETRIED = [*BADLY[:3], "1 failed retrying"]


@pytest.mark.parametrize("to", ["conformance", "simple", "spawn"])
class TestEachWorker:
    def test_success(self, site: RqSite, to: str) -> None:
        events = site.story(site.do("succeed", 20, 22, to=to), WELL)
        one = dict(by_type(events))
        assert one["perform_finished"]["metadata"]["sum"] == 42
        assert all(event["metadata"]["customer_id"] == 4711 for event in events)
        assert all(event["queue"] == to for event in events)
        in_worker = {one[kind]["metadata"]["_process"] for kind in ("dequeued", "perform_started")}
        assert len(in_worker) == (1 if to == "simple" else 2)

    def test_failure(self, site: RqSite, to: str) -> None:
        end = site.end_of(site.do("fail", to=to), BADLY)
        assert end["_exception"].endswith("TellingError")
        assert "in `fail'" in end["_backtrace"][0]
        assert not any("/rq/" in line or "adapters/rq.py" in line for line in end["_backtrace"])

    def test_a_job_that_is_too_slow(self, site: RqSite, to: str) -> None:
        place = str(site.place("overrun"))
        end = site.end_of(site.do("overrun", place, to=to, timeout=1), [*BADLY[:3], "1 failed timeout"])
        assert end["_exception"] == "rq.timeouts.JobTimeoutException"

    def test_retries(self, site: RqSite, to: str) -> None:
        job = site.do("fail", to=to, retry={"max": 2})
        events = site.story(job, [*RETRIED, *again(RETRIED, 2), *again(BADLY, 3)])
        assert len({event["metadata"]["_event_hash"] for event in events}) == 1
        assert all(event["metadata"]["customer_id"] == 4711 for event in events)

    def test_a_function_that_is_not_there(self, site: RqSite, to: str) -> None:
        end = site.end_of(site.do("tests.adapters.rq_app.nobody", to=to), [*WELL[:2], "1 failed unknown"])
        assert end["_exception"] in {"AttributeError", "ValueError"}

    def test_what_can_not_be_deserialised(self, site: RqSite, to: str) -> None:
        job = site.do("unreadable", to)
        end = site.end_of(job, [*WELL[:2], "1 failed rejected"])
        assert end["_exception"] == "rq.exceptions.DeserializationError"
        assert site.of(job)[0]["worker_class"] == "tests.adapters.rq_app.take"

    def test_a_result_that_can_not_be_pickled(self, site: RqSite, to: str) -> None:
        """RQ saves that it can't be."""
        site.story(site.do("unsaved", to=to), WELL)

    def test_a_result_that_redis_refuses(self, site: RqSite, to: str) -> None:
        """The job ended well; that could not be saved, nor that it failed therefore, yet Redis says that it failed."""
        end = site.end_of(site.do("refused", to=to), BADLY)
        assert end["_exception"] == "redis.exceptions.ResponseError"
        assert end["_time_to_perform"] >= 0

    def test_a_callback_that_raises(self, site: RqSite, to: str) -> None:
        end = site.end_of(site.do("succeed", 1, 2, to=to, broken_callback=True), BADLY)
        assert end["_message"] == "this callback is broken"
        assert end["sum"] == 3

    def test_a_returned_retry(self, site: RqSite, to: str) -> None:
        end = site.end_of(site.do("give_up", str(site.place("twice")), to=to), [*RETRIED, *again(BADLY, 2)])
        assert end["_exception"] == "rq.job.Retry"

    def test_repetitions_are_jobs_of_their_own(self, site: RqSite, to: str) -> None:
        job = site.do("succeed", 1, 2, to=to, repeat={"times": 1})
        wait_for(lambda: len(site.of(job)) == 8, "the repetition")
        hashes = {event["metadata"]["_event_hash"] for event in site.of(job)}
        assert [told(site.events(one)) for one in hashes] == [WELL, WELL]
        assert all(event["metadata"]["customer_id"] == 4711 for event in site.of(job))

    def test_the_applications_meta_is_its_own(self, site: RqSite, to: str) -> None:
        jobs = site.do("shared_meta", to)
        for job in jobs:
            wait_for(lambda job=job: len(site.of(job)) >= 8, "both attempts")  # type: ignore[misc]
            assert len({event["metadata"]["_event_hash"] for event in site.of(job)}) == 1
        assert site.of(jobs[0])[0]["metadata"]["_event_hash"] != site.of(jobs[1])[0]["metadata"]["_event_hash"]

    def test_objects_among_arguments(self, site: RqSite, to: str) -> None:
        events = site.story(site.do("order", to), WELL)
        one = dict(by_type(events))
        assert one["perform_started"]["args"] == [{"id": 4711}]
        assert one["perform_finished"]["metadata"]["order"] == 4711
        assert "_time_in_queue" in one["dequeued"]["metadata"]

    def test_arguments_that_can_not_be_read_without_their_classes(self, site: RqSite, to: str) -> None:
        one = dict(by_type(site.story(site.do("date", to), WELL)))
        assert one["perform_started"]["args"] == ["2026-11-20T00:00:00+12:00"]

    def test_a_coroutine(self, site: RqSite, to: str) -> None:
        assert site.end_of(site.do("coroutine", to=to), WELL)["in"] == "a coroutine"

    def test_somebody_elses_field_in_our_place(self, site: RqSite, to: str) -> None:
        job = site.do("garbage", f"{to}")
        with site.redis_client() as redis:
            wait_for(lambda: redis.hget(f"rq:job:{job}", "status") == b"finished", "the job's end")


class TestRoutes:
    def test_enqueue_many(self, site: RqSite) -> None:
        before = site.ask("succeed", 1, 2)["id"]
        site.story(before, WELL)
        for job in site.do("many", "conformance", before):
            events = site.story(job, WELL)
            assert all(event["metadata"]["customer_id"] == 4711 for event in events)

    def test_dependents_are_enqueued_when_what_they_wait_for_has_ended(self, site: RqSite) -> None:
        place = site.place("hang")
        first, second = site.do("dependents", "simple", str(place))
        site.pid_in(place)
        assert site.of(second) == []
        place.with_suffix(".go").touch()
        one = dict(by_type(site.story(second, WELL)))
        before = dict(by_type(site.story(first, WELL)))
        assert one["enqueued"]["timestamp"] > before["perform_started"]["timestamp"]
        assert one["enqueued"]["metadata"]["customer_id"] == 4711  # by the preprocessor where it was deferred
        assert one["enqueued"]["metadata"]["_process"] == before["perform_started"]["metadata"]["_process"]
        assert "_parent_event_hash" not in one["enqueued"]["metadata"]

    def test_rate_limited_jobs_are_enqueued_when_they_begin_to_wait(self, site: RqSite) -> None:
        for job in site.do("limited", "conformance"):
            site.story(job, WELL)

    def test_what_rq_refuses(self, site: RqSite) -> None:
        """RQ wants an id of what is to be unique; its own error comes, and no event."""
        before = len(site.events())
        assert site.ask("succeed", 1, 2, to="nowhere", unique=True)["error"] == "ValueError"
        assert site.ask("succeed", 1, 2, to="nowhere", unique=True, delay=60)["error"] == "ValueError"
        assert len(site.events()) == before

    def test_the_applications_own_transaction(self, site: RqSite) -> None:
        site.story(site.do("piped", "conformance", True), WELL)
        assert site.of(site.do("piped", "conformance", False)) == []

    def test_where_it_is_enqueued(self, site: RqSite) -> None:
        events = site.story(site.do("inline", "nowhere", "succeed", 1, 2), WELL)
        assert len({event["metadata"]["_process"] for event in events}) == 1
        assert events[-1]["metadata"]["sum"] == 3
        assert site.end_of(site.do("inline", "nowhere", "fail"), BADLY)["_exception"].endswith("TellingError")

    def test_retries_after_an_interval(self, site: RqSite) -> None:
        job = site.do("fail", retry={"max": 1, "interval": 1})
        second = site.story(job, [*RETRIED, *again(BADLY, 2)])[-4:]
        due = {event["metadata"].get("_scheduled_time") for event in second}
        assert len(due) == 1
        assert None not in due

    def test_requeue(self, site: RqSite) -> None:
        job = site.do("fail")
        site.story(job, BADLY)
        site.do("requeue", job)
        site.story(job, [*BADLY, *again(BADLY, 2)])

    def test_an_old_copy_is_brought_back(self, site: RqSite) -> None:
        job = site.do("fail_and_requeue_old", "simple")
        site.story(job, [*RETRIED, *again(BADLY, 2), *again(RETRIED, 3), *again(BADLY, 4)])  # with its old retries

    def test_a_job_that_enqueues(self, site: RqSite) -> None:
        job = site.do("enqueue_another")
        parent = site.story(job, WELL)[0]["metadata"]["_event_hash"]
        children = [e for e in site.events() if e["metadata"].get("_parent_event_hash") == parent]
        assert {event["event_type"] for event in children} >= {"enqueued"}


class TestWithdrawn:
    def test_cancelled_before_it_ran(self, site: RqSite) -> None:
        for options in ({"to": "nowhere"}, {"to": "nowhere", "delay": 60}):
            job = site.do("succeed", 1, 2, **options)
            site.do("cancel", job)
            site.story(job, ["1 enqueued", "1 failed revoked"])

    def test_what_has_ended_is_not_revoked(self, site: RqSite) -> None:
        job = site.do("succeed", 1, 2)
        site.story(job, WELL)
        site.do("cancel", job)
        site.story(site.do("succeed", 1, 2), WELL)
        assert told(site.of(job)) == WELL

    def test_deleted_before_it_ran(self, site: RqSite) -> None:
        job = site.do("succeed", 1, 2, to="nowhere")
        site.do("delete", job)
        site.story(job, ["1 enqueued", "1 destroyed"])

    @pytest.mark.parametrize("to", ["conformance", "spawn"])
    def test_stopped_while_it_ran(self, site: RqSite, to: str) -> None:
        place = site.place("hang")
        job = site.do("hang", str(place), to=to, retry={"max": 3})
        site.pid_in(place)
        site.do("stop", job)
        site.story(job, [*BADLY[:3], "1 failed cancelled"])


@pytest.mark.parametrize("to", ["conformance", "spawn"])
class TestKilled:
    def test_the_horse(self, site: RqSite, to: str) -> None:
        place = site.place("hang")
        job = site.do("hang", str(place), to=to)
        os.kill(site.pid_in(place), signal.SIGKILL)
        end = site.end_of(job, [*BADLY[:3], "1 failed killed:SIGKILL"])
        assert end["_reporter"] == "adapter"

    def test_it_exits(self, site: RqSite, to: str) -> None:
        site.story(site.do("leave", 3, to=to), [*BADLY[:3], "1 failed exit:3"])

    def test_with_retries_left(self, site: RqSite, to: str) -> None:
        job = site.do("leave", 3, to=to, retry={"max": 1})
        one = [*BADLY[:3], "1 failed exit:3 retrying"]
        site.story(job, [*one, *again([*BADLY[:3], "1 failed exit:3"], 2)])


@pytest.mark.parametrize("kind", ["CluesWorker", "CluesSpawnWorker"])
def test_by_dotted_path_alone(site: RqSite, kind: str) -> None:
    """Where the worker has no configuration, its horse tells all, once it has imported the job's module."""
    queue = f"{kind}-alone"
    options = ("--worker-class", f"{CLUES}.{kind}", "--queue-class", f"{CLUES}.CluesQueue")
    site.rq("worker", "--url", site.redis.url, *options, queue)
    one = dict(by_type(site.story(site.do("succeed", 1, 2, to=queue), WELL)))
    assert one["dequeued"]["timestamp"] <= one["perform_started"]["timestamp"]
    assert one["dequeued"]["metadata"]["_process"] == one["perform_started"]["metadata"]["_process"]


def test_a_pool_has_one_shipper(site: RqSite) -> None:
    """It is started by the pool's own process, delivers what the horses tell, and leaves with the pool."""
    spool = site.folder / "spool"
    with Lines() as receiver:
        pool = site.rq(
            "worker-pool", *CONFIG, "--num-workers", "2", "--worker-class", f"{CLUES}.CluesWorker", "pooled",
            RQ_APP_RECEIVER=f"127.0.0.1 {receiver.port} {spool}",
        )  # fmt: skip
        jobs = [site.do("succeed", number, 1, to="pooled") for number in range(20)]

        def arrived() -> list[str]:
            events = [json.loads(line) for line in receiver.lines]
            return [e["metadata"]["_job_id"] for e in events if e["event_type"] == "perform_finished"]

        wait_for(lambda: sorted(arrived()) == sorted(jobs), "all ends")
        last = site.do("succeed", 1, 1, to="pooled")
        with site.redis_client() as redis:
            wait_for(lambda: redis.hget(f"rq:job:{last}", "status") == b"finished", "the last job's end")
        pool.stop()
        wait_for(lambda: last in arrived(), "what was told at the end")


def test_maintenance_retries_a_lost_job(site: RqSite) -> None:
    """Its worker is dead, retries are left: it is lost and retried."""
    worker = site.rq("worker", *CONFIG, "lost")
    place = site.place("hang")
    job = site.do("hang", str(place), to="lost", retry={"max": 1})
    horse = site.pid_in(place)
    worker.kill()
    os.kill(horse, signal.SIGKILL)
    with site.redis_client() as redis:
        for member in redis.zrange("rq:wip:lost", 0, -1):
            redis.zadd("rq:wip:lost", {member: 1})  # as if its worker had not been heard of for long
    place.with_suffix(".go").touch()
    site.rq("worker", *CONFIG, "lost")
    site.story(job, [*BADLY[:3], "1 failed lost retrying", *again(WELL, 2)])


def test_an_orphan_tells_no_second_end(site: RqSite) -> None:
    """The worker is dead and its horse is not: what was said to be lost has its end."""
    worker = site.rq("worker", *CONFIG, "orphaned")
    place = site.place("hang")
    job = site.do("hang", str(place), to="orphaned")
    site.pid_in(place)
    worker.kill()
    with site.redis_client() as redis:
        for member in redis.zrange("rq:wip:orphaned", 0, -1):
            redis.zadd("rq:wip:orphaned", {member: 1})
        site.rq("worker", *CONFIG, "orphaned")
        site.story(job, [*BADLY[:3], "1 failed lost"])
        place.with_suffix(".go").touch()
        wait_for(lambda: redis.hget(f"rq:job:{job}", "status") == b"finished", "the orphan's end")
    assert told(site.of(job)) == [*BADLY[:3], "1 failed lost"]


def test_killed_at_any_moment(site: RqSite) -> None:
    """Horses that are killed as they come: each attempt has one end."""
    worker = site.rq("worker", *CONFIG, "storm")
    jobs = [site.do("succeed", number, 1, to="storm", retry={"max": 2}) for number in range(40)]
    pid, killed = worker.process.pid, 0
    with site.redis_client() as redis:
        while redis.llen("rq:queue:storm"):
            for child in _children(pid):
                with contextlib.suppress(ProcessLookupError):
                    if os.getpgid(child) == child:  # a horse
                        os.kill(child, signal.SIGKILL)
                        killed += 1
    assert killed
    for job in jobs:
        wait_for(lambda job=job: any("_retrying" not in end for end in _ends(site.of(job))), "the last end")  # type: ignore[misc]
        numbers = sorted(end["_attempt"] for end in _ends(site.of(job)))
        assert numbers == [*range(1, len(numbers) + 1)], told(site.of(job))


def _ends(events: Sequence[Event]) -> list[dict[str, Any]]:
    return [event["metadata"] for event in events if event["event_type"] in TERMINAL]


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
