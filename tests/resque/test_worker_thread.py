"""One thread of a worker: batches, limits, waits, deadlines, and what a job's end is put down to."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import pytest
import redis as redis_py

from clues.errors import Interrupt, JobTimeout, TermException
from clues.resque import Resque, worker_hooks, worker_thread
from clues.resque.control import Control
from clues.resque.queues import QueueList
from clues.resque.registry import Registry
from clues.resque.scoreboard import lone_record
from clues.resque.worker_hooks import WorkerHooks
from clues.resque.worker_thread import Pace, WorkerThread
from clues.testing import capture_events
from tests.resque.cutting import cut_off
from tests.stories import Clock
from tests.waiting import wait_for

Redis: TypeAlias = Any  # redis-py's types allow for clients that decode, at every answer

ID = "h:1:q"


@pytest.fixture
def client(redis_url: str) -> Resque:
    return Resque(redis_url, registry=Registry())


@pytest.fixture(autouse=True)
def hooks(monkeypatch: pytest.MonkeyPatch) -> WorkerHooks:
    """Worker hooks of the test's own."""
    own = WorkerHooks()
    monkeypatch.setattr(worker_hooks, "hooks", own)
    return own


class Jobs:
    """A job that notes its number, and does what a test wants of that number.

    Attributes:
        done: the numbers, in order.
        meanwhile: what to do, by number.
    """

    def __init__(self, client: Resque, **options: Any) -> None:
        self.done: list[int] = []
        self.meanwhile: dict[int, Callable[[], object]] = {}
        self._client = client
        client.registry.job(queue="q", name="job", **options)(self._perform)

    def _perform(self, number: int) -> None:
        self.done.append(number)
        self.meanwhile.get(number, lambda: None)()

    def enqueue(self, *numbers: int) -> None:
        self._client.enqueue_many([("job", number) for number in numbers])

    def waiting(self) -> list[int]:
        """The numbers in the queue."""
        raws = self._client.store.peek("q", 0, 10_000)
        return [json.loads(raw)["args"][0] for raw in raws]


@pytest.fixture
def jobs(client: Resque) -> Jobs:
    return Jobs(client)


def thread(client: Resque, control: Control | None = None, *, queues: str = "q", **options: Any) -> WorkerThread:
    """A worker's thread that ends when the queues are empty, unless its pace is another."""
    options = {"pace": Pace(0), **options}
    return WorkerThread(client, QueueList(queues), ID, control or Control(), **options)


@contextmanager
def working(worker: WorkerThread, control: Control) -> Iterator[None]:
    """Have it work beside the test."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            worker.run()
        except BaseException as error:
            errors.append(error)

    beside = threading.Thread(target=run)
    beside.start()
    try:
        yield
    finally:
        control.stop()
        beside.join(60)
        assert not beside.is_alive()
    assert not errors


class Latch:
    """Holds a job until the test has looked around."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.begun.set()
        assert self.go_on.wait(60)


def held(redis: Redis) -> int:
    return int(redis.exists(f"resque:worker:{ID}")) + int(redis.llen(f"resque:worker:{ID}:batch"))


def commits(worker: WorkerThread) -> list[int]:
    """How many jobs each commit was for, from now on."""
    found: list[int] = []
    publish = worker._publish

    def noted(ended: Any) -> None:
        found.append(len(ended))
        publish(ended)

    worker._publish = noted  # type: ignore[method-assign]
    return found


# batches


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_batches_of_all_sizes(client: Resque, redis: Redis, jobs: Jobs, size: int) -> None:
    """Every job runs once, in order, and is told of once."""
    jobs.meanwhile = {number: lambda: 1 / 0 for number in range(0, 30, 7)}
    with capture_events() as recorder:
        jobs.enqueue(*range(30))
        worker = thread(client, pace=Pace(0, batch_size=size))
        worker.run()
    assert jobs.done == list(range(30))
    assert (worker.processed, worker.failed, client.stat("processed"), client.stat("failed")) == (30, 5, 30, 5)
    assert [recorder.types.count(kind) for kind in ("perform_finished", "failed")] == [25, 5]
    assert (held(redis), worker.record.settled, worker.busy) == (0, True, False)


def test_ends_are_committed_together(client: Resque, jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that come within milliseconds; at the end of a batch, and one by one without batches."""
    monkeypatch.setattr(worker_thread, "COMMIT_AFTER", math.inf)
    jobs.enqueue(*range(10))
    worker = thread(client, pace=Pace(0, batch_size=4))
    found = commits(worker)
    worker.run()
    assert found == [4, 4, 2]
    monkeypatch.setattr(worker_thread, "COMMIT_AFTER", 0.0)
    jobs.enqueue(*range(3))
    worker.run()
    assert found[3:] == [1, 1, 1]
    monkeypatch.setattr(worker_thread, "COMMIT_AFTER", math.inf)
    jobs.enqueue(*range(3))
    single = thread(client)
    found = commits(single)
    single.run()
    assert found == [1, 1, 1]


def test_ends_do_not_wait_for_a_long_job(
    client: Resque, redis: Redis, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever tends the worker commits them meanwhile; the long one stays begun."""
    monkeypatch.setattr(worker_thread, "COMMIT_AFTER", math.inf)
    jobs.meanwhile = {2: (latch := Latch())}
    jobs.enqueue(0, 1, 2, 3)
    control = Control()
    worker = thread(client, control, pace=Pace(60, batch_size=4))
    with capture_events(adopt_unstamped=True) as recorder, working(worker, control):
        assert latch.begun.wait(60)
        worker.tend()
        assert client.stat("processed") == 0
        monkeypatch.setattr(worker_thread, "COMMIT_AFTER", 0.0)
        worker.tend()
        assert (client.stat("processed"), held(redis), worker.record.begun) == (2, 2, True)
        assert recorder.types.count("perform_finished") == 2
        latch.go_on.set()
        wait_for(lambda: client.stat("processed") == 4)
    assert jobs.done == [0, 1, 2, 3]


def test_what_waits_too_long_goes_back(client: Resque, redis: Redis, jobs: Jobs) -> None:
    """Behind a long job of its batch, so that others can take it; to the head of the queue, in order."""
    clock = Clock()
    jobs.meanwhile = {1: (latch := Latch())}
    jobs.enqueue(*range(6))
    control = Control()
    worker = thread(client, control, pace=Pace(60, batch_size=5), clock=clock)
    with working(worker, control):
        assert latch.begun.wait(60)
        clock.now += worker_thread.HOLD_FOR
        worker.tend()
        assert jobs.waiting() == [5]
        clock.now += 0.1
        worker.tend()
        assert jobs.waiting() == [2, 3, 4, 5]
        assert held(redis) in {1, 2}  # the first one may be committed
        control.pause()
        latch.go_on.set()
        wait_for(lambda: client.stat("processed") == 2)
        assert jobs.waiting() == [2, 3, 4, 5]
        control.resume()
        wait_for(lambda: client.stat("processed") == 6)
    assert jobs.done == list(range(6))


@pytest.mark.parametrize("act", [Control.pause, Control.stop])
def test_the_rest_goes_back(client: Resque, redis: Redis, jobs: Jobs, act: Callable[[Control], None]) -> None:
    """When the worker is paused or stopped, after the job at hand."""
    control = Control()
    jobs.meanwhile = {1: lambda: act(control)}
    jobs.enqueue(*range(6))
    worker = thread(client, control, pace=Pace(0, batch_size=5))
    worker.run()
    assert (jobs.done, jobs.waiting(), held(redis)) == ([0, 1], [2, 3, 4, 5], 0)
    assert (client.stat("processed"), worker.record.settled) == (2, True)


def test_tending_while_redis_is_away(client: Resque, redis: Redis, jobs: Jobs) -> None:
    """Is tried again; what may be in its queue again is not begun here."""
    clock = Clock()

    def lost() -> None:
        clock.now += 5
        with cut_off(client, 0, redis_py.ConnectionError("lost")):
            worker.tend()

    jobs.meanwhile = {0: lost}
    jobs.enqueue(*range(4))
    worker = thread(client, pace=Pace(0, batch_size=3), clock=clock)
    worker.run()
    assert jobs.done == [0, 1, 2, 3]
    assert (client.stat("processed"), held(redis)) == (4, 0)


def test_tended_all_the_time(client: Resque, redis: Redis, jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """By another thread, which commits and gives back whatever it finds: each job runs once, and is counted once."""
    monkeypatch.setattr(worker_thread, "COMMIT_AFTER", 0.0)
    monkeypatch.setattr(worker_thread, "HOLD_FOR", -1.0)
    worker = thread(client, pace=Pace(0, batch_size=10))
    over = threading.Event()

    def tend() -> None:
        while not over.is_set():
            worker.tend()

    with capture_events() as recorder:
        jobs.enqueue(*range(500))
        tending = threading.Thread(target=tend)
        tending.start()
        try:
            worker.run()
        finally:
            over.set()
            tending.join()
    assert sorted(jobs.done) == list(range(500))
    assert (client.stat("processed"), worker.processed, held(redis)) == (500, 500, 0)
    assert recorder.types.count("perform_finished") == 500
    assert worker.record.settled


def test_a_full_journal(client: Resque, redis: Redis, jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is committed in the middle of a batch."""
    monkeypatch.setattr(worker_thread, "COMMIT_AFTER", math.inf)

    def fail() -> None:
        raise ValueError("m" * 20_000)

    jobs.meanwhile = dict.fromkeys(range(6), fail)
    jobs.enqueue(*range(6))
    worker = thread(client, pace=Pace(0, batch_size=6))
    found = commits(worker)
    worker.run()
    assert len(found) > 1
    assert sum(found) == client.stat("failed") == client.failed.count() == 6
    assert {len(entry["error"]) for entry in client.failed.all(0, 6)} == {20_000}


# how many jobs a process may do


@pytest.mark.parametrize("size", [1, 2, 10])
def test_a_limit_of_jobs(client: Resque, redis: Redis, jobs: Jobs, size: int) -> None:
    """It ends after as many, and takes no more of a batch than that; the last one taken is told before it runs."""
    lasts: list[int] = []
    control = Control(3, on_ending=lambda: lasts.append(len(jobs.done)))
    jobs.enqueue(*range(5))
    worker = thread(client, control, pace=Pace(60, batch_size=size))
    worker.run()
    assert (jobs.done, jobs.waiting(), held(redis)) == ([0, 1, 2], [3, 4], 0)
    assert lasts == [(3 - 1) // size * size]
    assert not worker.work_one()


def test_looking_uses_up_nothing(client: Resque, jobs: Jobs) -> None:
    """Nor does an attempt that Redis refuses."""
    control = Control(1)
    worker = thread(client, control)
    for _ in range(3):
        assert not worker.work_one()
        with cut_off(client, 0, redis_py.ConnectionError("away")), pytest.raises(redis_py.ConnectionError):
            worker.work_one()
    jobs.enqueue(0)
    assert worker.work_one()
    assert jobs.done == [0]
    assert control.used_up


def test_a_lost_reply_and_a_limit(client: Resque, jobs: Jobs) -> None:
    """The jobs were taken: they run, though it has leave for fewer then."""
    jobs.enqueue(*range(6))
    control = Control(5)
    worker = thread(client, control, pace=Pace(0, batch_size=4))
    with cut_off(client, 0, redis_py.ConnectionError("lost")), pytest.raises(redis_py.ConnectionError):
        worker.work_one()
    assert control.claim(3) == 3
    worker.run()
    assert (jobs.done, control.used_up) == ([0, 1, 2, 3], True)


# waiting


class Waits:
    """In place of a `Waker`: notes how long it was to wait, and ends the work after so many times."""

    def __init__(self, control: Control, most: int) -> None:
        self.found: list[float] = []
        self.titles: list[str] = []
        self._control = control
        self._most = most

    def __call__(self, *_: Any) -> Waits:
        return self

    def arm(self) -> bool:
        return False

    def disarm(self) -> None:
        pass

    def close(self) -> None:
        pass

    def wait(self, seconds: float, _fd: int) -> None:
        self.found.append(seconds)
        if len(self.found) >= self._most:
            self._control.stop()


@pytest.mark.parametrize(
    ("pace", "waits"),
    [
        (Pace(5.0), [5.0] * 4),
        (Pace(5.0, least=1.0, most=1.25, backoff=0.1), [1.1, 1.2, 1.25, 1.25]),
        (Pace(5.0, least=4.8), [4.9, 5.0, 5.0, 5.0]),
        (Pace(1.0, most=2.0, backoff=0.6), [1.6, 2.0, 2.0, 2.0]),
        (Pace(1e12), [86_400.0] * 4),
    ],
)
def test_waits_grow(
    client: Resque, jobs: Jobs, monkeypatch: pytest.MonkeyPatch, pace: Pace, waits: list[float]
) -> None:
    """With each look that finds nothing, up to the longest; a job brings them back to the shortest."""
    control = Control()
    noted = Waits(control, 4)
    monkeypatch.setattr(worker_thread, "Waker", noted)
    worker = thread(client, control, pace=pace)
    worker.run()
    assert noted.found == pytest.approx(waits)
    control.stopping = False
    noted.found.clear()
    jobs.enqueue(1)
    worker.run()
    assert noted.found == pytest.approx(waits)


def test_paused_with_an_interval_of_0(client: Resque, jobs: Jobs) -> None:
    """It ends, as in Resque, and does not look again and again."""
    control = Control()
    control.pause()
    jobs.enqueue(0)
    thread(client, control).run()
    assert jobs.done == []


def test_the_queues_are_empty(client: Resque, jobs: Jobs, hooks: WorkerHooks, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hook runs when that is found after work, once; not at a start with nothing to do, nor in a pause."""
    told: list[list[int]] = []
    hooks.add("queue_empty", lambda: told.append(list(jobs.done)))
    control = Control()
    noted = Waits(control, 3)
    monkeypatch.setattr(worker_thread, "Waker", noted)
    record = lone_record()

    def run() -> None:
        noted.found.clear()
        control.stopping = False
        thread(client, control, pace=Pace(5), record=record).run()

    run()
    assert told == []
    jobs.enqueue(0, 1)
    run()
    assert told == [[0, 1]]
    run()
    assert told == [[0, 1]]
    jobs.meanwhile = {2: control.pause}
    jobs.enqueue(2)
    run()
    assert told == [[0, 1]]
    control.resume()
    run()  # another process of the slot: its record knows that there was work
    assert told == [[0, 1], [0, 1, 2]]


def test_a_hook_that_fails_ends_the_worker(client: Resque, redis: Redis, jobs: Jobs, hooks: WorkerHooks) -> None:
    """As in Resque; what it held is not lost."""

    def fail() -> None:
        raise ZeroDivisionError

    hooks.add("queue_empty", fail)
    jobs.enqueue(0)
    with pytest.raises(ZeroDivisionError):
        thread(client, pace=Pace(60)).run()
    assert (client.stat("processed"), held(redis)) == (1, 0)


def test_what_it_shows(client: Resque, redis: Redis, jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it waits for, what it performs, and that it is paused."""
    shown: list[str] = []
    control = Control()
    monkeypatch.setattr(worker_thread, "Waker", Waits(control, 1))
    worker = thread(client, control, queues="q,r*", pace=Pace(5), show=shown.append, clock=lambda: 1234.5)
    jobs.enqueue(0)
    worker.run()
    assert shown == ["Waiting for q,r*", "Processing q since 1234 [job]", "Waiting for q,r*"]
    control.stopping = False
    redis.set("resque:pause-all-workers", "true")
    worker.run()
    assert shown[-1] == "Paused"


# interrupted jobs


class Thrower:
    """An `Interruptible` whose runs are interrupted as a test says, by number."""

    def __init__(self, **runs: type[Interrupt]) -> None:
        self.serial = 0
        self.thrown: type[Interrupt] | None = None
        self._runs = runs

    def run(self, call: Callable[[], Any]) -> Any:
        self.serial += 1
        self.thrown = self._runs.get(f"run{self.serial}")
        answer = call()
        if self.thrown is not None:
            raise self.thrown
        return answer

    def throw(self, kind: type[Interrupt], serial: int) -> bool:
        raise NotImplementedError

    def kill(self) -> bool:
        raise NotImplementedError


def run(client: Resque, thrower: Thrower, control: Control | None = None, **options: Any) -> list[tuple[str, Any]]:
    """Work off the queue; gives each end's type and reason."""
    with capture_events(adopt_unstamped=True) as recorder:
        thread(client, control, interruptible=thrower, **options).run()
    ends = [event for event in recorder.events if event.metadata["_event_id"].endswith(":end")]
    return [(event.event_type.value, event.metadata.get("_reason")) for event in ends]


@pytest.mark.parametrize(
    ("kind", "stopping", "reason"),
    [
        (JobTimeout, False, "timeout"),
        (JobTimeout, True, "timeout"),
        (TermException, True, "shutdown"),
        (TermException, False, "killed:SIGUSR1"),
    ],
)
def test_why_a_job_was_interrupted(
    client: Resque, jobs: Jobs, kind: type[Interrupt], stopping: bool, reason: str
) -> None:
    """Its failure says so; it is counted as any."""
    control = Control()
    if stopping:
        jobs.meanwhile = {0: control.stop}
    jobs.enqueue(0)
    assert run(client, Thrower(run1=kind), control) == [("failed", reason)]
    assert (client.stat("failed"), client.stat("processed")) == (1, 1)


def test_what_one_job_was_interrupted_by(client: Resque, jobs: Jobs, hooks: WorkerHooks) -> None:
    """Is no reason for the next one, not even for one whose code never runs."""
    client.enqueue_to("q", "job", 0)
    client.enqueue_to("q", "unknown")
    client.store.push("q", b"not json")
    client.enqueue_to("q", "job", 1)
    jobs.meanwhile = {1: lambda: 1 / 0}
    ends = run(client, Thrower(run1=JobTimeout))
    assert ends == [("failed", "timeout"), ("failed", None), ("failed", None), ("failed", None)]


@pytest.mark.parametrize("size", [1, 3])
def test_a_job_that_goes_back(client: Resque, redis: Redis, size: int) -> None:
    """When its worker is stopped, and its class says `requeue_on_shutdown`; not when it is killed or too slow."""
    jobs = Jobs(client, requeue_on_shutdown=True)
    control = Control()
    jobs.meanwhile = {1: control.stop}
    jobs.enqueue(*range(5))
    assert run(client, Thrower(run2=TermException), control, pace=Pace(0, batch_size=size)) == [
        ("perform_finished", None)
    ]
    assert (jobs.waiting(), held(redis), client.failed.count()) == ([1, 2, 3, 4], 0, 0)
    jobs.meanwhile.clear()
    ends = run(client, Thrower(run1=TermException, run2=JobTimeout), pace=Pace(0, batch_size=size))
    assert [reason for _, reason in ends] == ["killed:SIGUSR1", "timeout", None, None]


def test_nothing_is_begun_while_jobs_are_cut(client: Resque, redis: Redis, jobs: Jobs) -> None:
    """One that was taken in that moment goes back, whatever its class says."""
    control = Control()

    def show(text: str) -> None:
        if text.startswith("Processing"):
            control.stop()
            control.cutting = True

    jobs.enqueue(0, 1)
    worker = thread(client, control, show=show)
    worker.run()
    assert (jobs.done, jobs.waiting(), held(redis)) == ([], [0, 1], 0)
    assert (worker.record.settled, client.stat("processed")) == (True, 0)


# time


@pytest.mark.parametrize(("timeout", "deadline"), [(None, False), (2.5, True)])
def test_a_timeout_is_a_deadline(client: Resque, timeout: float | None, deadline: bool) -> None:
    """On the record, while the job runs, for whoever watches."""
    record, found = lone_record(), []
    jobs = Jobs(client, timeout=timeout)
    jobs.meanwhile = {0: lambda: found.append((record.begun, record.deadline - record.begun_monotonic))}
    jobs.enqueue(0)
    thread(client, record=record).run()
    ((begun, left),) = found
    assert begun
    assert left == pytest.approx(2.5) if deadline else left < 0
    assert record.deadline == 0.0


def test_what_the_record_says(client: Resque, jobs: Jobs) -> None:
    """While a job runs, and afterwards."""
    record = lone_record()
    found: list[tuple[bool, bool]] = []
    worker = thread(client, record=record)
    jobs.meanwhile = {0: lambda: found.append((record.begun, worker.busy)), 1: lambda: 1 / 0}
    jobs.enqueue(0, 1)
    worker.run()
    assert found == [(True, True)]
    assert (record.settled, record.processed, record.failed, record.worked) == (True, 2, 1, True)


# hooks of forked processes


def test_after_fork(client: Resque, jobs: Jobs, hooks: WorkerHooks) -> None:
    """Runs before the first job of a forked process, and fails it where it fails; not where nothing was forked."""
    came: list[Any] = []

    def hook(job: Any) -> None:
        came.append(job.args)
        raise ZeroDivisionError

    hooks.add("after_fork", hook)
    jobs.enqueue(0)
    thread(client).run()
    assert (came, jobs.done) == ([], [0])
    hooks.forked = 0
    jobs.enqueue(1, 2)
    thread(client).run()
    assert (came, jobs.done) == ([[1]], [0, 2])
    assert client.failed.all()[0]["exception"].endswith("ZeroDivisionError")
