"""Finishing the stories of dead processes: wherever they died, and wherever the finishing itself is cut off."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from unittest import mock

import pytest
import redis as redis_py

from clues.errors import DirtyExit
from clues.metadata import Failure
from clues.resque import Resque
from clues.resque.holding import Holding
from clues.resque.outcome import Ended
from clues.resque.records import Wanted
from clues.resque.registry import Registry
from clues.resque.scoreboard import HEADER, RECORD, Outcome, Reason, Record, lone_record
from clues.resque.settling import Fate, Settler
from clues.testing import RecordingPublisher, capture_events
from tests.resque.cutting import Death, cut_off, everywhere

Redis: TypeAlias = Any  # redis-py's types allow for clients that decode, at every answer

ID = "h:1:q"
LEASE, BATCH = f"resque:worker:{ID}", f"resque:worker:{ID}:batch"
KILLED = Fate(77, signal.SIGKILL.value)


@pytest.fixture
def client(redis_url: str) -> Resque:
    found = Resque(redis_url, registry=Registry())
    found.registry.job(queue="q", name="job")(lambda *_: None)
    return found


def item(number: int) -> str:
    return f'{{"class":"job","args":[{number}],"clues_metadata":{{"_event_hash":"{number:032}"}}}}'


def line(number: int, event_type: str) -> bytes:
    told = {
        "event_type": event_type,
        "timestamp": "2026-11-20T15:11:39Z",
        "queue": "q",
        "metadata": {"_event_id": event_id(number), "_event_hash": f"{number:032}"},
        "worker_class": "job",
        "args": [],
    }
    return json.dumps(told).encode()


def event_id(number: int) -> str:
    return f"{number:032}:1:end"


def push(redis: Redis, count: int) -> None:
    redis.sadd("resque:queues", "q")
    redis.rpush("resque:queue:q", *map(item, range(count)))


def numbers(raws: list[bytes]) -> list[int]:
    return [json.loads(raw)["args"][0] for raw in raws]


def queued(redis: Redis) -> list[int]:
    return numbers(redis.lrange("resque:queue:q", 0, -1))


def failed(redis: Redis) -> list[int]:
    return [json.loads(raw)["payload"]["args"][0] for raw in redis.lrange("resque:failed", 0, -1)]


def told(recorder: RecordingPublisher) -> set[str]:
    return {event.metadata["_event_id"] for event in recorder.events}


def end_next(holding: Holding, *, fails: bool = False) -> None:
    """Begin a job, and note its end; those with odd numbers fail."""
    job = holding.next()
    assert job is not None
    assert holding.begin(job)
    number = job.args[0]
    failure = Failure("ValueError", "no") if number % 2 else None
    outcome = Outcome(1.0, failure, line(number, "failed" if failure else "perform_finished"))
    assert holding.end(Ended(job, outcome))


def die_publishing(_: Sequence[Ended]) -> None:
    raise Death


def settle(client: Resque, record: Record, fate: Fate = KILLED) -> None:
    """Settle a record, as a clerk does, who looks first whether that was done."""
    if not record.settled:
        Settler(client, ID, record, fate).settle()


# everywhere a process can die


@dataclass
class Died:
    """How far a process was.

    Attributes:
        size: jobs that it had taken.
        ended: those of them that had ended.
        committed: whether Redis knew of that, and nobody had been told.
        begun: whether a further one was begun.
        taking: whether the next ones were being taken, in the step that commits: that was done, if `committed`.
    """

    size: int
    ended: int = 0
    committed: bool = False
    begun: bool = False
    taking: bool = False

    def __str__(self) -> str:
        words = [f"{self.size} taken", f"{self.ended} ended"]
        words += ["committed"] * self.committed + ["one begun"] * self.begun
        return ", ".join(words + ["taking"] * self.taking)


MOMENTS = [
    Died(size, ended, committed, begun)
    for size in (1, 2, 4)
    for ended in range(size + 1)
    for committed in ([False, True] if ended else [False])
    for begun in ([False, True] if ended < size else [False])
]
MOMENTS += [Died(size, size, committed, taking=True) for size in (1, 2, 4) for committed in (False, True)]


def died(client: Resque, redis: Redis, moment: Died) -> Record:
    """The record of a process that died so; there are more jobs in the queue than it had taken."""
    redis.flushall()
    push(redis, 6)
    holding = Holding(client, ID)
    holding.take(["q"], moment.size)
    for _ in range(moment.ended):
        end_next(holding)
    if moment.begun:
        job = holding.next()
        assert job is not None
        assert holding.begin(job)
    if moment.taking and not moment.committed:
        holding.record.taking_next()
    if moment.committed and moment.taking:
        with pytest.raises(Death):
            holding.commit_and_take(die_publishing, ["q"], moment.size)
    elif moment.committed:
        with pytest.raises(Death):
            holding.commit(die_publishing)
    return holding.record


@pytest.mark.parametrize("moment", MOMENTS, ids=str)
def test_wherever_it_died(client: Resque, redis: Redis, moment: Died) -> None:
    """And wherever its settling is cut off, and begun again: each job has one outcome, or is in its queue again."""
    ends = moment.ended + moment.begun

    def check(record: Record) -> None:
        assert record.settled
        assert queued(redis) == list(range(ends, 6))
        assert failed(redis) == [n for n in range(ends) if n % 2 or n >= moment.ended]
        assert int(redis.get("resque:stat:processed") or 0) == ends
        own = sum(n % 2 for n in range(moment.ended))
        assert int(redis.get("resque:stat:failed") or 0) == own  # not those of dead processes (resque worker.rb)
        assert not redis.exists(LEASE, BATCH)
        assert told(recorder) == set(map(event_id, range(ends)))
        assert (record.processed, record.failed) == (ends, len(failed(redis)))

    def prepare() -> Record:
        record = died(client, redis, moment)
        recorder.clear()
        return record

    with capture_events() as recorder:
        commands = everywhere(client, prepare, lambda record: settle(client, record), check)
    assert commands >= 2


@pytest.mark.parametrize("done", [False, True])
def test_torn_from_committing_and_taking(client: Resque, redis: Redis, done: bool) -> None:
    """By Ctrl-C, say: what has ended is not forgotten by whoever puts things back, and is told once."""
    redis.flushall()
    push(redis, 3)
    holding = Holding(client, ID)
    holding.take(["q"])
    end_next(holding)
    step = client.store.finish_and_take

    def torn(*args: Any) -> None:
        if done:
            step(*args)
        raise KeyboardInterrupt

    with mock.patch.object(client.store, "finish_and_take", torn), pytest.raises(KeyboardInterrupt):
        holding.commit_and_take(lambda _: None, ["q"])
    holding.recover()
    assert holding.give_back() == 0
    with capture_events() as recorder:
        settle(client, holding.record)
    assert told(recorder) == {event_id(0)}
    assert (queued(redis), redis.get("resque:stat:processed")) == ([1, 2], b"1")
    assert not redis.exists(LEASE, BATCH)


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("taken", [False, True])
def test_it_died_taking(client: Resque, redis: Redis, size: int, taken: bool) -> None:
    """What it had taken goes back: it never heard of it."""

    def prepare() -> Record:
        redis.flushall()
        push(redis, 5)
        record = lone_record()
        record.taking()
        if taken:
            client.store.take(ID, Wanted(["q"], "2026-11-20T15:11:39Z", size))
        return record

    def check(record: Record) -> None:
        assert record.settled
        assert (queued(redis), redis.exists(LEASE, BATCH), redis.exists("resque:failed")) == ([0, 1, 2, 3, 4], 0, 0)

    everywhere(client, prepare, lambda record: settle(client, record), check)


@pytest.mark.parametrize("moment", [moment for moment in MOMENTS if not moment.committed], ids=str)
@pytest.mark.parametrize("removed", ["all", "the first alone"])
def test_somebody_else_had_decided(client: Resque, redis: Redis, moment: Died, removed: str) -> None:
    """All that it held, or, knowing of no batches, the first job alone: nothing of that is decided again."""
    ends = moment.ended + moment.begun
    first = moment.size if removed == "all" else 1

    def prepare() -> Record:
        record = died(client, redis, moment)
        recorder.clear()
        redis.delete(LEASE)
        if removed == "all":
            redis.delete(BATCH)
        return record

    def check(record: Record) -> None:
        assert record.settled
        begun = [moment.ended] if moment.begun and moment.ended >= 1 else []
        decided = [*range(first, moment.ended), *(n for n in begun if n >= first)]
        assert told(recorder) == set(map(event_id, decided))
        assert failed(redis) == [n for n in decided if n % 2 or n in begun]
        assert int(redis.get("resque:stat:processed") or 0) == len(decided)
        assert queued(redis) == sorted({*range(max(first, ends), moment.size), *range(moment.size, 6)})
        assert not redis.exists(LEASE, BATCH)

    with capture_events() as recorder:
        everywhere(client, prepare, lambda record: settle(client, record), check)


@pytest.mark.parametrize("raised", [redis_py.ConnectionError("away"), redis_py.ResponseError("OOM"), OSError("x")])
def test_redis_is_away(client: Resque, redis: Redis, raised: Exception) -> None:
    """After any of its commands: that is told, and the next call goes on."""
    with capture_events() as recorder:
        for command in range(5):
            recorder.clear()
            record = died(client, redis, Died(2, 1, begun=True))
            with cut_off(client, command, raised), pytest.raises(type(raised)):
                settle(client, record)
            before = record.settled
            settle(client, record)
            assert (before, record.settled) == (False, True)
            assert told(recorder) == {event_id(0), event_id(1)}


# why


@pytest.mark.parametrize(
    ("fate", "noted", "reason", "exception", "message"),
    [
        (
            Fate(77, signal.SIGKILL.value),
            Reason.NONE,
            "killed:SIGKILL",
            "Resque::DirtyExit",
            "Child process received unhandled signal pid 77 SIGKILL (signal 9)",
        ),
        (
            Fate(77, signal.SIGSEGV.value | 0x80),
            Reason.NONE,
            "killed:SIGSEGV",
            "Resque::DirtyExit",
            "Child process received unhandled signal pid 77 SIGSEGV (signal 11)",
        ),
        (Fate(77, 60), Reason.NONE, "killed:SIG60", "Resque::DirtyExit", "SIG60 (signal 60)"),
        (
            Fate(77, 3 << 8),
            Reason.NONE,
            "exit:3",
            "Resque::DirtyExit",
            "Child process ended before its job did: pid 77 exit 3",
        ),
        (Fate(77, 0), Reason.NONE, "exit:0", "Resque::DirtyExit", "pid 77 exit 0"),
        (Fate(), Reason.NONE, "lost", "Resque::DirtyExit", "The worker process died before its job ended"),
        (Fate(77, 9), Reason.SHUTDOWN, "shutdown", "Resque::DirtyExit", "SIGKILL (signal 9)"),
        (Fate(77, 9), Reason.KILLED, "killed:SIGKILL", "Resque::DirtyExit", "SIGKILL (signal 9)"),
        (Fate(77, 9), Reason.TIMEOUT, "timeout", "clues.errors.JobTimeout", "SIGKILL (signal 9)"),
        (Fate(77, 3 << 8), Reason.TIMEOUT, "timeout", "clues.errors.JobTimeout", "exit 3"),
    ],
)
def test_why_it_died(
    client: Resque, redis: Redis, fate: Fate, noted: Reason, reason: str, exception: str, message: str
) -> None:
    """As its status tells it, or as it has noted itself; in Resque's words where it has some."""
    record = died(client, redis, Died(1, begun=True))
    record.reason = noted
    with capture_events() as recorder:
        settle(client, record, fate)
    (event,) = recorder.events
    metadata = event.metadata
    assert (metadata["_reason"], metadata["_reporter"], metadata["_exception"]) == (reason, "master", exception)
    assert message in metadata["_message"]
    (entry,) = client.failed.all()
    assert (entry["exception"], entry["error"]) == (exception, metadata["_message"])
    assert (entry["worker"], entry["queue"], entry["backtrace"]) == (ID, "q", [])


def test_who_found_it(client: Resque, redis: Redis) -> None:
    """The worker itself, where it forks for each job."""
    record = died(client, redis, Died(1, begun=True))
    with capture_events() as recorder:
        settle(client, record, Fate(77, 9, "worker"))
    assert recorder.events[0].metadata["_reporter"] == "worker"


@pytest.mark.parametrize(("later", "known"), [(5.0, True), (-5.0, False)])
def test_its_times(client: Resque, redis: Redis, later: float, known: bool) -> None:
    """How long it ran until it was found, unless the clock is another boot's; how long it had waited."""
    record = lone_record()
    holding = Holding(client, ID, record, clock=lambda: 1000.0, monotonic=lambda: 50.0)
    stamp = f'"_event_hash":"{0:032}","_enqueued_time":990.0'
    redis.rpush("resque:queue:q", f'{{"class":"job","args":[],"clues_metadata":{{{stamp}}}}}')
    holding.take(["q"])
    job = holding.next()
    assert job is not None
    holding.begin(job)
    with capture_events() as recorder:
        Settler(client, ID, record, KILLED, monotonic=lambda: 50.0 + later).settle()
    (event,) = recorder.events
    assert event.metadata["_time_in_queue"] == 10.0
    assert event.metadata.get("_time_to_perform") == (5.0 if known else None)


# stopped on purpose


def going_back(client: Resque) -> None:
    client.registry = Registry()
    client.registry.job(queue="q", name="job", requeue_on_shutdown=True)(lambda *_: None)


@pytest.mark.parametrize(("size", "ended"), [(1, 0), (3, 0), (3, 1)])
def test_a_job_that_is_to_go_back(client: Resque, redis: Redis, size: int, ended: int) -> None:
    """Whose class says `requeue_on_shutdown`, and whose worker was stopped: to the head of its queue, no failure."""
    going_back(client)

    def prepare() -> Record:
        record = died(client, redis, Died(size, ended, begun=True))
        record.reason = Reason.SHUTDOWN
        recorder.clear()
        return record

    def check(record: Record) -> None:
        assert record.settled
        assert (queued(redis), failed(redis), told(recorder)) == (
            list(range(ended, 6)),
            [],
            set(map(event_id, range(ended))),
        )

    with capture_events() as recorder:
        everywhere(client, prepare, lambda record: settle(client, record), check)


@pytest.mark.parametrize("reason", [Reason.NONE, Reason.TIMEOUT, Reason.KILLED])
def test_it_does_not_go_back_for_other_reasons(client: Resque, redis: Redis, reason: Reason) -> None:
    """It may be what kills its worker."""
    going_back(client)
    record = died(client, redis, Died(1, begun=True))
    record.reason = reason
    settle(client, record)
    assert (failed(redis), queued(redis)) == ([0], [1, 2, 3, 4, 5])


# hooks, odd jobs


@pytest.mark.parametrize("raised", [None, ValueError("hook"), SystemExit(1)], ids=str)
def test_hooks_run(client: Resque, redis: Redis, raised: BaseException | None) -> None:
    """Those of the job that had begun alone; what they raise hurts nobody."""
    errors: list[tuple[BaseException, Any]] = []

    def on_failure(_: type, error: BaseException, *args: Any) -> None:
        errors.append((error, args))
        if raised is not None:
            raise raised

    hooked = {"on_failure": classmethod(on_failure), "perform": staticmethod(print), "queue": "q"}
    client.registry = Registry()
    client.registry.register(type("job", (), hooked))
    settle(client, died(client, redis, Died(4, 2, begun=True)))
    ((error, args),) = errors
    assert isinstance(error, DirtyExit)
    assert (str(error), args) == (KILLED.message, (2,))
    assert failed(redis) == [1, 2]


@pytest.mark.parametrize("raw", ["not json", "[1]", '{"class":"none","args":[]}', '{"class":"job","args":7}', ""])
def test_odd_jobs(client: Resque, redis: Redis, raw: str) -> None:
    """Fail like any."""
    redis.rpush("resque:queue:q", raw)
    holding = Holding(client, ID)
    holding.take(["q"])
    job = holding.next()
    assert job is not None
    holding.begin(job)
    settle(client, holding.record)
    (entry,) = client.failed.all()
    assert raw in (entry["payload"], json.dumps(entry["payload"], separators=(",", ":")))
    assert (redis.exists(LEASE), redis.get("resque:stat:processed"), holding.record.settled) == (0, b"1", True)


def test_what_found_no_room_on_the_board(client: Resque, redis: Redis) -> None:
    """Ends as it did, though its event is lost, and most of its message."""
    push(redis, 1)
    holding = Holding(client, ID)
    holding.take(["q"])
    job = holding.next()
    assert job is not None
    holding.begin(job)
    holding.end(Ended(job, Outcome(1.0, Failure("E", "m" * 100_000), b"x" * 100_000)))
    with capture_events() as recorder:
        settle(client, holding.record)
    assert recorder.events == []
    assert (client.failed.all()[0]["error"], client.stat("failed")) == ("m" * 1000, 1)


# by the status of a real process


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "killed:SIGKILL"),
        (lambda: os.kill(os.getpid(), signal.SIGTERM), "killed:SIGTERM"),
        (lambda: os._exit(7), "exit:7"),
    ],
    ids=["killed", "terminated", "left"],
)
def test_real_fates(end: Callable[[], None], reason: str) -> None:
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        end()
    fate = Fate(*os.waitpid(child, 0))
    assert fate.reason == reason
    assert str(child) in fate.message


@pytest.mark.parametrize("torn", ["outcome", "state", "time"])
def test_a_torn_record_fails_what_it_held(client: Resque, redis: Redis, torn: str) -> None:
    """A machine that died may have kept one page of it and not another: nobody knows which jobs of a batch have run."""
    push(redis, 3)
    memory = bytearray(RECORD)
    record = Record(memoryview(memory))
    holding = Holding(client, ID, record)
    assert holding.take(["q"], 2)
    end_next(holding)
    place = {"outcome": HEADER, "state": 0, "time": 16}[torn]
    memory[place : place + 8] = b"\xff" * 8
    with capture_events() as recorder:
        settle(client, record)
    assert failed(redis) == [0, 1]
    assert queued(redis) == [2]
    assert told(recorder) == {event_id(0), event_id(1)}
    assert record.settled
