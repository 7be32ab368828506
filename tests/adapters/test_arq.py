"""What is particular to arq, with its own worker program, in its newest release."""

from __future__ import annotations

import json
import pickle
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.conformance.cells import BADLY, WELL, again, seconds
from tests.conformance.site import TERMINAL, Event, Program, Site, System, by_type, site_of, told
from tests.publishers.receivers import Lines
from tests.waiting import wait_for

APP = "tests.adapters.arq_app"
REFUSED = ["1 enqueued", "1 dequeued", "1 failed"]


class ArqSite(Site):
    """Workers with settings of their own; jobs are known by arq's ids."""

    settings = "WorkerSettings"

    def push(self, job: str, *args: Any, environ: dict[str, str] | None = None, **options: Any) -> Any:
        """Enqueue a job; gives its id, or None where arq does."""
        answer = self.ask(job, *args, environ=environ, **options)
        assert "error" not in answer, answer
        return answer["id"]

    def story(self, job_id: str) -> list[Event]:
        """The events of a job."""
        return [event for event in self.events() if event["metadata"]["_job_id"] == job_id]

    def until(self, job_id: str, last: str) -> list[Event]:
        """Wait until a job's story ends so; gives its events."""
        try:
            wait_for(lambda: told(self.story(job_id))[-1:] == [last], f"{job_id}: {last}")
        except AssertionError as error:
            raise AssertionError(f"{error}: {told(self.story(job_id))}\n{self.said()}") from None
        return self.story(job_id)

    def worker_of(self, settings: str, **environ: str) -> Program:
        """A worker beside the common one."""
        return self.program([str(self.python.parent / "arq"), f"{APP}.{settings}"], **environ)

    def pushed(self, job: str, *args: Any, settings: str, **options: Any) -> str:
        """Enqueue a job with the common worker at rest, and have a new one take it."""
        job_id: str = self.push(job, *args, **options)
        self.others.append(self.worker_of(settings))
        return job_id

    @property
    def others(self) -> list[Program]:
        return self.__dict__.setdefault("_others", [])

    def end_others(self) -> None:
        while self.others:
            self.others.pop().kill()

    def redis_client(self) -> redis.Redis:
        return redis.Redis.from_url(self.redis.url)


def _command(site: Site) -> Sequence[str]:
    return [str(site.python.parent / "arq"), f"{APP}.WorkerSettings"]


SYSTEM = System("arq", _command, releases=("arq-newest",), app=APP)


@pytest.fixture(scope="module")
def whole_site() -> Iterator[ArqSite]:
    with site_of(ArqSite, SYSTEM) as here:
        try:
            yield here
        finally:
            here.end_others()


@pytest.fixture
def idle(whole_site: ArqSite) -> Iterator[ArqSite]:
    """No worker runs."""
    whole_site.stop()
    yield whole_site
    whole_site.end_others()


@pytest.fixture
def site(whole_site: ArqSite) -> ArqSite:
    """The common worker runs."""
    whole_site.work()
    return whole_site


def end_of(events: Sequence[Event], attempt: int = 1) -> dict[str, Any]:
    """The metadata of an attempt's end."""
    ends = [event["metadata"] for event in events if event["event_type"] in TERMINAL]
    found: dict[str, Any] = next(end for end in ends if end["_attempt"] == attempt)
    return found


# Retries.


def test_a_retry_that_is_put_off_has_its_time(site: ArqSite) -> None:
    job_id = site.push("retry_later", str(site.place("first")))
    events = site.until(job_id, "2 perform_finished")
    assert told(events) == [*BADLY[:3], "1 failed retrying", *again(WELL)]
    assert end_of(events)["_exception"] == "arq.worker.Retry"
    second = dict(by_type([event for event in events if event["metadata"]["_attempt"] == 2]))
    due = second["enqueued"]["metadata"]["_scheduled_time"]
    assert abs(due - seconds(second["enqueued"]) - 1.0) < 0.5
    assert seconds(second["dequeued"]) >= due - 0.05
    assert second["dequeued"]["metadata"]["_time_in_queue"] < 0.9
    assert {event["metadata"]["customer_id"] for event in events} == {4711}


def test_the_try_that_is_one_too_many(site: ArqSite) -> None:
    events = site.until(site.push("retry_always"), "4 failed retries_exhausted")
    assert Counter(told(events)) == Counter([
        *(f"{number} {kind}" for number in (1, 2, 3) for kind in ("enqueued", "dequeued", "perform_started")),
        *(f"{number} failed retrying" for number in (1, 2, 3)),
        "4 enqueued", "4 dequeued", "4 failed retries_exhausted",
    ])  # fmt: skip
    assert end_of(events, 4)["_message"] == "max 3 retries exceeded"


def test_nothing_is_left_in_redis(site: ArqSite) -> None:
    job_id = site.push("retry_later", str(site.place("first")), _expires=60)
    site.until(job_id, "2 perform_finished")
    with site.redis_client() as client:
        assert client.keys("arq:clues:*") == []


def test_a_job_that_cancels_itself_is_run_again(site: ArqSite) -> None:
    events = site.until(site.push("cancel_itself", str(site.place("first"))), "2 perform_finished")
    assert told(events)[3] == "1 failed cancelled retrying"


# Ends that the system decides.


def test_aborted_while_it_runs(site: ArqSite) -> None:
    place = site.place("wait")
    job_id = site.push("wait", str(place))
    site.pid_in(place)
    site.push("abort", job_id)
    events = site.until(job_id, "1 failed cancelled")
    assert told(events) == [*BADLY[:3], "1 failed cancelled"]
    assert end_of(events)["waits"] is True
    assert any("in `wait'" in line for line in end_of(events)["_backtrace"])
    assert not any("/arq/" in line for line in end_of(events)["_backtrace"])


def test_aborted_before_it_runs(site: ArqSite) -> None:
    job_id = site.push("add", 1, _defer_by=60)
    site.push("abort", job_id)
    assert told(site.until(job_id, "1 failed revoked")) == [*REFUSED[:2], "1 failed revoked"]


def test_its_own_time_limit_is_no_timeout(site: ArqSite) -> None:
    events = site.until(site.push("own_timeout"), "1 failed")
    assert told(events) == BADLY
    assert end_of(events)["_exception"] == "TimeoutError"


def test_a_timeout_says_its_limit(site: ArqSite) -> None:
    end = end_of(site.until(site.push("wait_a_second", str(site.place("wait"))), "1 failed timeout"))
    assert (end["_exception"], end["_message"]) == ("TimeoutError", "it ran for longer than 1 s")
    assert any("in `wait'" in line for line in end["_backtrace"])


def test_who_heeds_no_limit_and_returns_has_finished(site: ArqSite) -> None:
    assert told(site.until(site.push("heed_no_limit"), "1 perform_finished")) == WELL


def test_a_result_that_has_no_repr_fails_the_job_in_arq(site: ArqSite) -> None:
    assert end_of(site.until(site.push("odd"), "1 failed"))["_message"] == "no words for it"


def test_no_such_function(site: ArqSite) -> None:
    events = site.until(site.push("nobody_has_it", 1), "1 failed unknown")
    assert told(events) == [*REFUSED[:2], "1 failed unknown"]
    assert events[-1]["worker_class"] == "nobody_has_it"


def test_a_job_that_cannot_be_read(idle: ArqSite) -> None:
    """All that is known of it is what its bytes show."""
    job_id = idle.pushed("add", 1, queue="strict", pickled=True, _job_id="unreadable", settings="StrictSettings")
    events = idle.until(job_id, "1 failed rejected")
    assert told(events) == [*REFUSED[:2], "1 failed rejected"]
    assert len({event["metadata"]["_event_hash"] for event in events}) == 1
    assert events[-1]["worker_class"] == "<unknown>"
    assert "DeserializationError" in end_of(events)["_exception"]


def test_an_expired_job_with_a_time_of_its_own(idle: ArqSite) -> None:
    job_id = idle.push("add", 1, y=2, _job_id="mine", _expires=0.05)
    with idle.redis_client() as client:
        wait_for(lambda: not client.exists(f"arq:job:{job_id}"), "its expiry")
    idle.work()
    events = idle.until(job_id, "1 failed expired")
    assert told(events) == [*REFUSED[:2], "1 failed expired"]
    assert [event["args"] for event in events] == [[1, {"y": 2}]] * 3
    assert {event["worker_class"] for event in events} == {"add"}
    assert {event["metadata"]["customer_id"] for event in events} == {4711}
    assert len({event["metadata"]["_event_hash"] for event in events}) == 1
    with idle.redis_client() as client:
        assert not client.exists(f"arq:clues:{job_id}")


def test_a_job_that_expired_by_default(idle: ArqSite) -> None:
    """Its id is all that is left of it: that is its hash too, if arq gave it."""
    job_id, nobodys = idle.push("add", 1), idle.push("add", 1, environ={"CONFORMANCE_BARE": "1"})
    with idle.redis_client() as client:
        assert client.delete(f"arq:job:{job_id}", f"arq:job:{nobodys}") == 2  # a day later
        idle.work()
        events = idle.until(job_id, "1 failed expired")
        assert {event["metadata"]["_event_hash"] for event in events} == {job_id}
        wait_for(lambda: not client.zcard("main"), "the other one's end")
    assert idle.story(nobodys) == []


# Enqueueing.


def test_a_job_that_exists_is_enqueued_once(idle: ArqSite) -> None:
    assert [idle.push("add", 1, _job_id="once") for _ in range(3)] == ["once", None, None]
    assert told(idle.story("once")) == ["1 enqueued"]
    idle.work()
    idle.until("once", "1 perform_finished")
    assert idle.push("add", 1, _job_id="once") is None  # its result is kept


def test_the_try_that_a_producer_gives_is_the_attempt(site: ArqSite) -> None:
    events = site.until(site.push("add", 1, _job_try=3), "3 perform_finished")
    assert told(events) == [f"3{line[1:]}" for line in WELL]


def test_a_job_of_a_job_names_its_parent(site: ArqSite) -> None:
    parent = site.until(site.push("family"), "1 perform_finished")[0]["metadata"]["_event_hash"]

    def child() -> list[Event]:
        return [event for event in site.events() if event["metadata"].get("_parent_event_hash") == parent]

    wait_for(lambda: told(child()) == WELL, "the child's end")


def test_cron_jobs_are_enqueued_by_the_worker(idle: ArqSite) -> None:
    workers = [idle.worker_of("CronSettings") for _ in range(2)]

    def ticks() -> dict[str, list[str]]:
        found: dict[str, list[Event]] = {}
        for event in idle.events():
            if event["queue"] == "cron":
                found.setdefault(event["metadata"]["_job_id"], []).append(event)
        return {job_id: told(events) for job_id, events in found.items()}

    try:
        wait_for(lambda: [*ticks().values()].count(WELL) >= 2, "two ticks")
    finally:
        for worker in workers:
            worker.stop()
    assert all(story in (WELL[: len(story)], [*BADLY[:3], "1 failed shutdown retrying"]) for story in ticks().values())
    events = [event for event in idle.events() if event["queue"] == "cron"]
    assert {event["worker_class"] for event in events} == {"cron:tick"}


# Serialisers, and programs without clues.


def test_a_serialiser_of_the_users_own(idle: ArqSite) -> None:
    job_id = idle.pushed("add", 1, y=2, queue="strict", settings="StrictSettings")
    events = idle.until(job_id, "1 perform_finished")
    assert told(events) == WELL
    assert events[-1]["args"] == [1, {"y": 2}]


def test_a_serialiser_that_takes_no_field_of_ours_is_heeded(idle: ArqSite) -> None:
    environ = {"ARQ_FIELDS": "t f a k et s r st ft q id"}
    place = idle.place("mark")
    job_id = idle.push("mark", str(place), queue="strict", environ=environ)
    idle.others.append(idle.worker_of("StrictSettings", **environ))
    wait_for(place.exists, "the job")
    assert idle.story(job_id) == []


def test_a_worker_without_clues_works_our_jobs(idle: ArqSite) -> None:
    place = idle.place("mark")
    job_id = idle.push("mark", str(place), _expires=60)
    idle.others.append(idle.worker_of("WorkerSettings", CONFORMANCE_BARE="1"))
    wait_for(place.exists, "the job")
    assert told(idle.story(job_id)) == ["1 enqueued"]


def test_jobs_of_a_producer_without_clues_have_no_events_unless_adopted(idle: ArqSite) -> None:
    idle.work()
    place = idle.place("mark")
    job_id = idle.push("mark", str(place), environ={"CONFORMANCE_BARE": "1"})
    wait_for(place.exists, "the job")
    idle.stop()
    assert idle.story(job_id) == []
    job_id = idle.push("retry_later", str(idle.place("first")), environ={"CONFORMANCE_BARE": "1"})
    idle.others.append(idle.worker_of("WorkerSettings", ARQ_ADOPTS="1"))
    events = idle.until(job_id, "2 perform_finished")
    assert told(events) == ["1 dequeued", "1 perform_started", "1 failed retrying", *again(WELL)]
    assert len({event["metadata"]["_event_hash"] for event in events}) == 1


@pytest.mark.parametrize("garbage", [["no", "dict"], {"_event_hash": 7, "_attempt": "x", 3: b"\xff"}, None])
def test_garbage_in_our_place_harms_no_job(site: ArqSite, garbage: Any) -> None:
    place = site.place("mark")
    job_id = place.name
    body = {"t": None, "f": "retry_later", "a": (str(place),), "k": {}, "et": 1, "clues_metadata": garbage}
    with site.redis_client() as client:
        client.set(f"arq:job:{job_id}", pickle.dumps(body), px=60_000)
        client.set(f"arq:clues:{job_id}", b'{"clues_metadata": [], "lost": 3}', px=60_000)
        client.zadd("main", {job_id: time.time() * 1000})
        wait_for(lambda: client.zscore("main", job_id) is None, "the job's end")
    assert place.exists()
    assert site.story(job_id) == []


def test_it_can_be_taken_out_again(idle: ArqSite) -> None:
    code = """
import clues.adapters.arq as adapter
from arq import connections, worker

def functions():
    named = [("enqueue_job", connections.ArqRedis), ("pipeline", connections.ArqRedis), ("run_job", worker.Worker)]
    return [getattr(owner, name) for name, owner in named] + [connections.serialize_job, worker.serialize_result]

before = functions()
adapter.install()
adapter.install()
assert not set(before) & set(functions()), functions()
print(*adapter.hooked())
adapter.uninstall()
assert functions() == before
assert adapter.hooked() == []
"""
    done = subprocess.run([idle.python, "-c", code], env=idle.environ(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "ArqRedis.enqueue_job" in done.stdout.split()


# Workers that stop, and die.


@pytest.mark.parametrize("settings", ["WorkerSettings", "NoRetrySettings"])
def test_a_worker_that_is_stopped(idle: ArqSite, settings: str) -> None:
    place = idle.place("wait")
    queue = {"WorkerSettings": "main", "NoRetrySettings": "no-retry"}[settings]
    job_id = idle.pushed("wait", str(place), queue=queue, settings=settings)
    idle.pid_in(place)
    idle.others[-1].signal(signal.SIGTERM)
    idle.others[-1].process.wait(30)
    if settings == "NoRetrySettings":
        assert told(idle.story(job_id)) == [*BADLY[:3], "1 failed shutdown"]
        return
    assert told(idle.story(job_id)) == [*BADLY[:3], "1 failed shutdown retrying", "2 enqueued"]
    place.with_suffix(".go").touch()
    idle.work()
    assert told(idle.until(job_id, "2 perform_finished"))[4:] == again(WELL)


def test_a_job_that_exits_takes_the_worker_with_it(idle: ArqSite) -> None:
    job_id = idle.pushed("leave", settings="WorkerSettings")
    events = idle.until(job_id, "2 enqueued")
    assert told(events) == [*BADLY[:3], "1 failed exit:3 retrying", "2 enqueued"]
    assert idle.others[-1].process.wait(30) != 0
    with idle.redis_client() as client:
        client.delete(f"arq:in-progress:{job_id}", f"arq:job:{job_id}")
        client.zrem("main", job_id)


def test_a_hook_that_raises_before_the_job(idle: ArqSite) -> None:
    """The worker dies of it; the next one runs the job."""
    sign = str(idle.place("sign"))
    job_id = idle.push("add", 1, queue="fragile")
    worker = idle.worker_of("FragileSettings", ARQ_SIGN=sign)
    worker.process.wait(30)
    events = idle.until(job_id, "2 enqueued")
    assert told(events) == ["1 enqueued", "1 dequeued", "1 failed retrying", "2 enqueued"]
    assert end_of(events)["_message"] == "no job is started here"
    with idle.redis_client() as client:
        client.delete(f"arq:in-progress:{job_id}")
    idle.others.append(idle.worker_of("FragileSettings", ARQ_SIGN=sign))
    assert told(idle.until(job_id, "2 perform_finished"))[3:] == again(WELL)


def test_a_worker_of_another_host_tells_what_was_lost(idle: ArqSite) -> None:
    """It finds no ledger, and knows by the attempt's number."""
    place = idle.place("wait")
    job_id = idle.pushed("wait", str(place), settings="WorkerSettings")
    idle.pid_in(place)
    idle.end_others()
    with idle.redis_client() as client:
        client.delete(f"arq:in-progress:{job_id}")
    place.with_suffix(".go").touch()
    idle.others.append(idle.worker_of("WorkerSettings", CLUES_RUN_DIR=str(idle.folder / "another")))
    events = idle.until(job_id, "2 perform_finished")
    twice = again(WELL)
    assert told(events) == [*BADLY[:3], "1 failed lost retrying", *twice]
    # The first host's next worker has nothing to add.
    idle.end_others()
    idle.work()
    idle.until(idle.push("add", 1), "1 perform_finished")
    assert told(idle.story(job_id)) == [*BADLY[:3], "1 failed lost retrying", *twice]


def test_kill_storm(idle: ArqSite) -> None:
    """Workers killed at any moment: no job is without its end, no attempt has two that differ."""
    jobs = [idle.push("add", number) for number in range(60)]
    with idle.redis_client() as client:
        for _ in range(8):
            worker = idle.worker_of("WorkerSettings")
            wait_for(lambda: client.keys("arq:in-progress:*") or not client.zcard("main"), "the worker's beginning")
            worker.kill()
            for key in client.keys("arq:in-progress:*"):
                client.delete(key)  # as if ten seconds were over
            jobs += [idle.push("add", number) for number in range(20)]
    idle.work()
    stories: dict[str, list[Event]] = {}

    def open_ones() -> dict[str, list[str]]:
        stories.clear()
        for event in idle.events():
            stories.setdefault(event["metadata"]["_job_id"], []).append(event)
        found = {job_id: told(stories[job_id]) for job_id in jobs}
        return {job_id: story for job_id, story in found.items() if not _is_over(story[-1])}

    try:
        wait_for(lambda: not open_ones(), "all ends")
    except AssertionError as error:
        raise AssertionError(f"{error}: {open_ones()}") from None
    for job_id in jobs:
        # Who is killed between telling and noting that is followed by who tells it again: the same, under one id.
        told_ids = {event["metadata"]["_event_id"]: event["event_type"] for event in stories[job_id]}
        kinds = {(event["metadata"]["_event_id"], event["event_type"]) for event in stories[job_id]}
        assert kinds == set(told_ids.items()), told(stories[job_id])


def _is_over(last: str) -> bool:
    return last.endswith("perform_finished") or ("failed" in last and not last.endswith("retrying"))


# Concurrency, and shipping.


def test_five_hundred_at_once_have_each_its_own_metadata(site: ArqSite) -> None:
    jobs = [site.push("together", number, 500) for number in range(500)]

    def ends() -> list[Event]:
        found = [event for event in site.events() if event["worker_class"] == "together"]
        return [event for event in found if event["event_type"] in TERMINAL]

    wait_for(lambda: len(ends()) >= 500, "500 ends", timeout=90)
    assert {event["event_type"] for event in ends()} == {"perform_finished"}
    assert {event["metadata"]["_job_id"] for event in ends()} == set(jobs)
    for event in ends():
        written = [event["metadata"][key] for key in ("number", "child", "thread", "executor")]
        assert written == [event["args"][0]] * 4


def test_a_worker_ships_by_itself(idle: ArqSite, tmp_path: Path) -> None:
    """By a thread of the publishers' own; what the worker leaves in the spool, it delivers when it stops."""
    with Lines() as receiver:
        environ = {"ARQ_TCP_PORT": str(receiver.port), "ARQ_SPOOL": str(tmp_path / "spool")}
        job_id = idle.push("add", 1, environ=environ)
        idle.others.append(idle.worker_of("WorkerSettings", **environ))

        def arrived() -> list[str]:
            events = [json.loads(line) for line in [*receiver.lines]]
            return told([event for event in events if event["metadata"]["_job_id"] == job_id])

        wait_for(lambda: len(arrived()) == 4, "the delivery")
        assert arrived() == WELL
