"""What one worker holds: in Redis under its id, on its record, and in its memory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import pytest
import redis as redis_py

from clues.metadata import Failure
from clues.resque import Resque
from clues.resque.holding import Holding
from clues.resque.job import Job
from clues.resque.outcome import Ended
from clues.resque.pruner import Pruner
from clues.resque.records import Ending
from clues.resque.registry import Registry
from clues.resque.scoreboard import Outcome, State
from clues.resque.store import Store
from tests.redis_server import RedisServer
from tests.resque.cutting import cut_off
from tests.resque.proxy import Proxy

Redis: TypeAlias = Any  # redis-py's types allow for clients that decode, at every answer

ID = "h:1:q"
QUEUE = "resque:queue:q"
LEASE = "resque:worker:h:1:q"
BATCH = "resque:worker:h:1:q:batch"
ENDED = "resque:worker:h:1:q:ended"


@pytest.fixture
def client(redis_url: str) -> Resque:
    return Resque(redis_url, registry=Registry())


@pytest.fixture
def holding(client: Resque) -> Holding:
    return Holding(client, ID)


def item(number: int) -> bytes:
    return b'{ "class":"job", "args":[%d, 1.0] }' % number


def push(redis: Redis, *numbers: int) -> None:
    redis.sadd("resque:queues", "q")
    redis.rpush(QUEUE, *map(item, numbers))


def numbers(raws: list[bytes]) -> list[int]:
    return [json.loads(raw)["args"][0] for raw in raws]


def held(redis: Redis) -> list[int]:
    """The jobs that Redis says the worker holds, in order."""
    lease = redis.get(LEASE)
    raws = ([lease] if lease is not None else []) + redis.lrange(BATCH, 0, -1)
    return [json.loads(raw)["payload"]["args"][0] for raw in raws]


def queued(redis: Redis) -> list[int]:
    return numbers(redis.lrange(QUEUE, 0, -1))


def ended(job: Job, *, fails: bool = False) -> Ended:
    failure = Failure("ValueError", "no") if fails else None
    return Ended(job, Outcome(1.0, failure, b'{"of":%d}' % job.args[0]))


def perform(holding: Holding, *, fails: bool = False) -> Job:
    """Begin the next job, and note its end."""
    job = holding.next()
    assert job is not None
    assert holding.begin(job)
    assert holding.end(ended(job, fails=fails))
    return job


class Told(list[int]):
    """The jobs whose outcomes were published."""

    def __call__(self, some: Sequence[Ended]) -> None:
        self.extend(numbers([one.job.raw for one in some]))


# a job's way


def test_a_jobs_way(holding: Holding, redis: Redis) -> None:
    """What Redis and the record say at each step; it is told when it is committed, and not before."""
    push(redis, 1, 2)
    record, told = holding.record, Told()
    assert holding.take(["q"]) is True
    assert (record.state, record.begun, record.ended) == (State.HOLDING, False, 0)
    assert redis.get(LEASE).endswith(b'"payload":' + item(1) + b"}")
    job = holding.next()
    assert job is not None
    assert (job.queue, job.raw, held(redis), queued(redis)) == ("q", item(1), [1], [2])
    assert holding.begin(job, timeout=9.0)
    assert record.begun
    assert record.deadline == pytest.approx(record.begun_monotonic + 9)
    assert holding.uncommitted_for == 0
    assert holding.end(ended(job))
    assert (record.begun, record.ended, record.deadline, held(redis), told) == (False, 1, 0, [1], [])
    assert holding.uncommitted_for > 0

    def publish(some: Sequence[Ended]) -> None:
        assert held(redis) == []
        told(some)

    assert holding.commit(publish)
    assert (record.settled, told, holding.next(), holding.uncommitted_for) == (True, [1], None, 0)
    assert redis.get(ENDED) == b'1\n{"of":1}'
    assert (redis.get("resque:stat:processed"), redis.get("resque:stat:processed:h:1:q")) == (b"1", b"1")
    assert holding.commit(publish)
    assert told == [1]
    assert holding.take(["q"]) is True
    assert not redis.exists(ENDED)


def test_nothing_to_take(holding: Holding, redis: Redis) -> None:
    """The queues are empty, or all workers are paused."""
    assert holding.take(["q", "r"]) is False
    assert holding.record.settled
    redis.set("resque:pause-all-workers", "true")
    push(redis, 1)
    assert holding.take(["q"]) is None
    assert (holding.record.settled, holding.next(), queued(redis)) == (True, None, [1])


def test_a_job_that_fails(holding: Holding, redis: Redis) -> None:
    """Its entry and its counts come with the same step."""
    push(redis, 1)
    holding.take(["q"])
    perform(holding, fails=True)
    assert not redis.exists("resque:failed")
    holding.commit(Told())
    (entry,) = map(json.loads, redis.lrange("resque:failed", 0, -1))
    assert (entry["payload"]["args"][0], entry["worker"], entry["exception"]) == (1, ID, "ValueError")
    assert redis.mget("resque:stat:failed", "resque:stat:failed:h:1:q") == [b"1", b"1"]


def test_a_job_that_goes_back_although_it_was_begun(holding: Holding, redis: Redis) -> None:
    """To the head of its queue, to the byte."""
    push(redis, 1, 2)
    holding.take(["q"])
    job = holding.next()
    assert job is not None
    holding.begin(job)
    holding.unbegin()
    assert not holding.record.begun
    assert holding.give_back() == 1
    assert redis.lrange(QUEUE, 0, -1) == [item(1), item(2)]
    assert holding.record.settled
    holding.unbegin()
    assert holding.record.settled


# batches


def test_a_batch(holding: Holding, redis: Redis) -> None:
    """Is of one queue; ends are committed together, and the next job gets its lease."""
    push(redis, *range(5))
    redis.rpush("resque:queue:r", item(9))
    assert holding.take(["q", "r"], 4)
    assert (held(redis), queued(redis), holding.waiting) == ([0, 1, 2, 3], [4], 4)
    leases = [redis.get(LEASE), *redis.lrange(BATCH, 0, -1)]
    assert [json.loads(lease)["queue"] for lease in leases] == ["q"] * 4
    for number in range(3):
        perform(holding, fails=number == 1)
    assert holding.record.ended == 3
    told = Told()
    assert holding.commit(told)
    assert (told, held(redis), holding.waiting, holding.record.state) == ([0, 1, 2], [3], 1, State.HOLDING)
    assert [json.loads(line)["of"] for line in redis.get(ENDED).split(b"\n")[1:]] == [0, 1, 2]
    assert redis.mget("resque:stat:processed", "resque:stat:failed") == [b"3", b"1"]
    assert redis.get(LEASE) == leases[3]
    perform(holding)
    assert holding.commit(told)
    assert (told, held(redis), holding.record.settled) == ([0, 1, 2, 3], [], True)


def test_ends_are_committed_while_the_next_job_runs(holding: Holding, redis: Redis) -> None:
    """It keeps its lease, and is still noted as begun."""
    push(redis, 0, 1, 2)
    holding.take(["q"], 3)
    perform(holding)
    job = holding.next()
    assert job is not None
    holding.begin(job)
    assert holding.commit(Told())
    assert (held(redis), holding.record.begun, holding.record.ended) == ([1, 2], True, 0)
    assert holding.end(ended(job))
    assert holding.commit(Told())
    assert held(redis) == [2]


def test_a_huge_batch(holding: Holding, redis: Redis) -> None:
    """Is more than Lua's unpack takes: nothing is lost."""
    push(redis, *range(20_000))
    assert holding.take(["q"], 15_000)
    assert (holding.waiting, redis.llen(BATCH), redis.llen(QUEUE)) == (15_000, 14_999, 5_000)
    assert holding.give_back() == 15_000
    assert queued(redis) == list(range(20_000))


@pytest.mark.parametrize(
    ("size", "ends", "begun"),
    [
        (size, ends, begun)
        for size in (1, 2, 3, 5)
        for ends in (0, 1, 2)
        for begun in (False, True)
        if ends + begun <= size
    ],
)
def test_giving_back(holding: Holding, redis: Redis, size: int, ends: int, begun: bool) -> None:
    """What was never begun, in order; what was stays, and ends as ever."""
    push(redis, *range(7))
    holding.take(["q"], size)
    for _ in range(ends):
        perform(holding)
    job = holding.next() if begun else None
    if job is not None:
        holding.begin(job)
    stay = ends + begun
    assert holding.give_back() == size - stay
    assert (held(redis), queued(redis)) == (list(range(stay)), list(range(stay, 7)))
    assert (holding.next(), holding.waiting, holding.give_back()) == (None, 0, 0)
    if job is not None:
        assert holding.end(ended(job))
    told = Told()
    assert holding.commit(told)
    assert (told, held(redis), holding.record.settled) == (list(range(stay)), [], True)


def test_what_was_given_back_is_not_begun(holding: Holding, redis: Redis) -> None:
    """Another thread may give it back between `next` and `begin`."""
    push(redis, 0, 1)
    holding.take(["q"], 2)
    job = holding.next()
    assert job is not None
    holding.give_back()
    assert not holding.begin(job)
    holding.take(["q"], 2)
    assert not holding.begin(job)


def test_a_queue_that_was_removed_meanwhile(holding: Holding, redis: Redis) -> None:
    """Is known again when its jobs come back."""
    push(redis, 0, 1, 2)
    for begun in (False, True):
        holding.take(["q"], 2)
        job = holding.next()
        assert job is not None
        if begun:
            holding.begin(job)
        redis.srem("resque:queues", "q")
        holding.give_back()
        assert redis.smembers("resque:queues") == {b"q"}


def test_a_full_journal(holding: Holding, redis: Redis) -> None:
    """Is committed, then there is room."""
    push(redis, 0, 1)
    holding.take(["q"], 2)
    big = b'{"of":"%s"}' % (b"x" * 40_000)
    told = Told()
    for number in range(2):
        job = holding.next()
        assert job is not None
        holding.begin(job)
        end = Ended(job, Outcome(1.0, None, big))
        if number == 1:
            assert not holding.end(end)
            assert holding.commit(told)
            assert (told, holding.record.begun) == ([0], True)
        assert holding.end(end)
    holding.commit(told)
    assert told == [0, 1]


# committing and taking in one step


@pytest.mark.parametrize("size", [1, 3])
def test_committing_and_taking(holding: Holding, redis: Redis, size: int) -> None:
    """The ends are committed and told, and the next jobs held; of those nothing has begun."""
    push(redis, *range(5))
    holding.take(["q"], size)
    for number in range(size):
        perform(holding, fails=number == 0)
    told = Told()
    assert holding.commit_and_take(told, ["q", "r"], size) is True
    assert told == list(range(size))
    assert held(redis) == list(range(size, min(2 * size, 5)))
    assert (holding.record.state, holding.record.ended, holding.record.begun) == (State.HOLDING, 0, False)
    assert (holding.record.processed, holding.record.failed) == (size, 1)
    assert redis.mget("resque:stat:processed", "resque:stat:failed") == [b"%d" % size, b"1"]
    assert redis.exists(ENDED)  # whoever finds us dead before we have told can tell
    perform(holding)
    assert holding.commit(told)
    assert told == list(range(size + 1))


def test_committing_with_nothing_to_take(holding: Holding, redis: Redis) -> None:
    """Empty queues, or a pause, keep no end from being committed."""
    push(redis, 0)
    holding.take(["q"])
    perform(holding)
    told = Told()
    assert holding.commit_and_take(told, ["q"]) is False
    assert (told, holding.record.settled, held(redis)) == ([0], True, [])
    push(redis, 1, 2)
    holding.take(["q"])
    perform(holding)
    redis.set("resque:pause-all-workers", "true")
    assert holding.commit_and_take(told, ["q"]) is None
    assert (told, holding.record.settled, queued(redis)) == ([0, 1], True, [2])


def test_committing_and_taking_in_two_steps(holding: Holding, redis: Redis) -> None:
    """Where there is nothing to commit, or more is held, nothing is done."""
    assert holding.commit_and_take(Told(), ["q"]) is False
    push(redis, 0, 1, 2)
    holding.take(["q"], 2)
    perform(holding)
    assert holding.commit_and_take(Told(), ["q"]) is False
    assert (holding.record.ended, holding.waiting, queued(redis)) == (1, 1, [2])


def test_committing_and_taking_what_somebody_else_has_ended(holding: Holding, redis: Redis) -> None:
    """Nothing is decided, nor taken; `commit` says so."""
    push(redis, 0, 1)
    holding.take(["q"])
    perform(holding)
    redis.delete(LEASE)
    told = Told()
    assert holding.commit_and_take(told, ["q"]) is False
    assert holding.commit(told) is False
    assert (told, queued(redis), redis.exists("resque:stat:processed")) == ([], [1], 0)
    assert holding.take(["q"]) is True


def test_the_failure_list_is_no_list(holding: Holding, redis: Redis) -> None:
    """Nothing is done by the step, neither half."""
    push(redis, 0, 1)
    holding.take(["q"])
    perform(holding, fails=True)
    redis.set("resque:failed", "x")
    with pytest.raises(redis_py.ResponseError, match="WRONGTYPE"):
        holding.commit_and_take(Told(), ["q"])
    assert (held(redis), queued(redis)) == ([0], [1])
    redis.delete("resque:failed")
    told = Told()
    assert holding.commit(told)
    assert (told, redis.llen("resque:failed")) == ([0], 1)


# lost replies


@contextmanager
def behind(server: RedisServer) -> Iterator[tuple[Proxy, Resque]]:
    """A client behind a proxy, of a Redis that knows the scripts."""
    with Proxy(server.port) as proxy:
        client = Resque(proxy.url, registry=Registry())
        for script in ("take", "finish", "finish_and_take", "give_back", "keep_begun"):
            client.store.client.script_load(getattr(client.store, f"_{script}").script)
        yield proxy, client


def drop_reply(proxy: Proxy, store: Store, script: str, times: int = 1) -> None:
    proxy.drop_reply_to(*[getattr(store, f"_{script}").sha.encode()] * times)


@pytest.mark.parametrize("again", ["take", "recover"])
@pytest.mark.parametrize("most", [1, 3])
def test_a_lost_reply_to_taking(redis_server: RedisServer, redis: Redis, most: int, again: str) -> None:
    """The next attempt finds what was taken; so does whoever is to give it back."""
    push(redis, *range(5))
    with behind(redis_server) as (proxy, client):
        holding = Holding(client, ID)
        drop_reply(proxy, client.store, "take", 2)
        for _ in range(2):
            with pytest.raises(redis_py.ConnectionError):
                holding.take(["q"], most)
        assert (holding.waiting, holding.record.state, held(redis)) == (0, State.TAKING, list(range(most)))
        if again == "take":
            assert holding.take(["q"], most) is True
        else:
            holding.recover()
        assert holding.waiting == most
        assert queued(redis) == list(range(most, 5))
        assert holding.give_back() == most
        assert (queued(redis), held(redis)) == (list(range(5)), [])


@pytest.mark.parametrize("again", ["take", "recover"])
@pytest.mark.parametrize("most", [1, 3])
def test_a_lost_reply_to_committing_and_taking(redis_server: RedisServer, redis: Redis, most: int, again: str) -> None:
    """The ends are told once; what was taken is found."""
    push(redis, *range(5))
    with behind(redis_server) as (proxy, client):
        holding, told = Holding(client, ID), Told()
        holding.take(["q"])
        perform(holding)
        drop_reply(proxy, client.store, "finish_and_take")
        with pytest.raises(redis_py.ConnectionError):
            holding.commit_and_take(told, ["q"], most)
        assert (told, holding.record.state, holding.record.ended) == ([], State.TAKING, 1)
        assert holding.commit_and_take(told, ["q"], most) is False  # that is left to `commit`
        assert holding.commit(told)
        assert (told, holding.record.state, holding.record.ended) == ([0], State.TAKING, 0)
        if again == "take":
            assert holding.take(["q"], most) is True
        else:
            holding.recover()
        assert held(redis) == list(range(1, 1 + most))
        assert holding.waiting == most
        assert redis.get("resque:stat:processed") == b"1"


def test_a_lost_reply_where_the_next_job_looks_the_same(redis_server: RedisServer, redis: Redis) -> None:
    """Items may be alike to the byte, and leases with them: the next job is not taken for the one that ended."""
    push(redis, 7, 7)
    with behind(redis_server) as (proxy, client):
        holding, told = Holding(client, ID, clock=lambda: 1795176000.0), Told()
        holding.take(["q"])
        perform(holding)
        drop_reply(proxy, client.store, "finish_and_take")
        with pytest.raises(redis_py.ConnectionError):
            holding.commit_and_take(told, ["q"])
        assert holding.commit(told)
        assert held(redis) == [7]
        assert holding.take(["q"]) is True
        perform(holding)
        assert holding.commit(told)
    assert (told, redis.get("resque:stat:processed")) == ([7, 7], b"2")


def test_nothing_to_recover(holding: Holding, redis: Redis, client: Resque) -> None:
    """The attempt never came to Redis; or there was none, and what stands there is an earlier process'."""
    redis.set(LEASE, "an earlier one's")
    holding.recover()
    assert holding.waiting == 0
    redis.delete(LEASE)
    holding.record.taking()
    holding.recover()
    assert holding.record.settled


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("size", [1, 3])
def test_a_lost_reply_to_committing(redis_server: RedisServer, redis: Redis, size: int, times: int) -> None:
    """Redis has said how the jobs ended: they are told once, and counted once."""
    push(redis, *range(size + 1))
    told = Told()
    with behind(redis_server) as (proxy, client):
        holding = Holding(client, ID)
        holding.take(["q"], size + 1)
        for _ in range(size):
            perform(holding, fails=True)
        # The first time it is the reply to that, then those to the question whether it was done.
        proxy.drop_reply_to(client.store._finish.sha.encode(), *[ENDED.encode()] * (times - 1))
        for _ in range(times):
            with pytest.raises(redis_py.ConnectionError):
                holding.commit(told)
        assert (told, proxy.dropped) == ([], times)
        assert holding.commit(told)
        assert (told, held(redis), holding.waiting) == (list(range(size)), [size], 1)
        assert (redis.get("resque:stat:processed"), redis.llen("resque:failed")) == (b"%d" % size, size)
        perform(holding)
        assert holding.commit(told)
    assert (told, held(redis)) == (list(range(size + 1)), [])


@pytest.mark.parametrize("begun", [0, 1])
def test_a_lost_reply_to_giving_back(redis_server: RedisServer, redis: Redis, begun: int) -> None:
    """What may be in its queue again is not begun here, nor given back twice."""
    push(redis, *range(4))
    with behind(redis_server) as (proxy, client):
        holding = Holding(client, ID)
        holding.take(["q"], 3)
        job = holding.next()
        assert job is not None
        if begun:
            holding.begin(job)
        drop_reply(proxy, client.store, "keep_begun" if begun else "give_back")
        with pytest.raises(redis_py.ConnectionError):
            holding.give_back()
        assert (holding.next(), holding.waiting) == (None, 3 - begun)
        if begun:
            holding.end(ended(job))
            holding.commit(Told())
        holding.give_back()
        assert (held(redis), queued(redis), holding.waiting) == ([], list(range(begun, 4)), 0)
        assert holding.record.settled


# somebody else took the lease away


@pytest.mark.parametrize("lost", [0, 1], ids=["", "a reply was lost besides"])
def test_a_lease_that_somebody_removed(client: Resque, holding: Holding, redis: Redis, lost: int) -> None:
    """It decides the outcome; nothing of ours is counted, stored or told."""
    push(redis, 0, 1)
    holding.take(["q"])
    perform(holding, fails=True)
    redis.delete(LEASE)
    told = Told()
    if lost:
        with cut_off(client, 0, redis_py.ConnectionError), pytest.raises(redis_py.ConnectionError):
            holding.commit(told)
    assert not holding.commit(told)
    assert (told, holding.record.settled, redis.keys("resque:stat:*")) == ([], True, [])
    assert not redis.exists("resque:failed", ENDED)
    holding.take(["q"])
    perform(holding)
    assert holding.commit(told)
    assert told == [1]


@pytest.mark.parametrize("begun", [False, True], ids=["", "one is begun"])
@pytest.mark.parametrize("ends", [1, 2, 3])
@pytest.mark.parametrize("lost", [None, 0, 1], ids=["", "first reply lost", "second reply lost"])
def test_a_lease_that_was_removed_alone(
    client: Resque, holding: Holding, redis: Redis, lost: int | None, ends: int, begun: bool
) -> None:
    """By who knows of no batches, as Ruby's pruner: that outcome is theirs, those of the batch's others are ours."""
    push(redis, *range(6))
    holding.take(["q"], 5)
    for _ in range(ends):
        perform(holding, fails=True)
    job = holding.next() if begun else None
    if job is not None:
        holding.begin(job)
    redis.delete(LEASE)
    told = Told()
    if lost is not None:
        with cut_off(client, lost, redis_py.ConnectionError), pytest.raises(redis_py.ConnectionError):
            holding.commit(told)
    assert not holding.commit(told)
    assert told == list(range(1, ends))
    assert [json.loads(raw)["payload"]["args"][0] for raw in redis.lrange("resque:failed", 0, -1)] == told
    assert (held(redis), redis.exists(LEASE)) == (list(range(ends, 5)), 1)
    if job is not None:
        holding.end(ended(job))
    while holding.next():
        perform(holding)
    assert holding.commit(told)
    assert (told, held(redis), holding.record.settled) == (list(range(1, 5)), [], True)


def test_a_lease_that_was_removed_alone_and_nobody_noticed(client: Resque, redis: Redis) -> None:
    """What is left of the batch is what the next attempt to take gives: nothing mixes with it."""
    push(redis, *range(6))
    Holding(client, ID).take(["q"], 3)
    redis.delete(LEASE)
    holding = Holding(client, ID)
    assert holding.take(["q"], 3)
    assert (holding.waiting, held(redis), queued(redis)) == (2, [1, 2], [3, 4, 5])


@pytest.mark.parametrize("ends", [1, 2])
def test_buried_alive(client: Resque, holding: Holding, redis: Redis, ends: int) -> None:
    """A pruner fails all that it holds; none of that is ours any more."""
    push(redis, *range(5))
    holding.take(["q"], 4)
    for _ in range(ends):
        perform(holding)
    Pruner(client, "pruner").bury(ID)
    assert numbers_failed(redis) == [0, 1, 2, 3]
    told = Told()
    assert not holding.commit(told)
    assert (told, holding.next(), holding.waiting, held(redis)) == ([], None, 0, [])
    assert numbers_failed(redis) == [0, 1, 2, 3]
    holding.take(["q"], 4)
    perform(holding)
    assert holding.commit(told)
    assert (told, queued(redis)) == ([4], [])


@pytest.mark.parametrize("act", ["commit", "give back", "keep what is begun"])
def test_half_buried(client: Resque, holding: Holding, redis: Redis, act: str) -> None:
    """A pruner has failed the first job, and is about to fail the next: that one's lease is not ours to take."""
    push(redis, *range(4))
    holding.take(["q"], 3)
    if act == "keep what is begun":
        job = holding.next()
        assert job is not None
        holding.begin(job)
    if act == "commit":
        perform(holding)
    assert client.store.finish(ID, Ending(1, redis.get(LEASE)))
    told = Told()
    if act == "commit":
        assert not holding.commit(told)
        assert held(redis) == [1, 2]
    else:
        holding.give_back()
        assert sorted(held(redis) + queued(redis)) == [1, 2, 3]
    assert (told, holding.next()) == ([], None)


def numbers_failed(redis: Redis) -> list[int]:
    return [json.loads(raw)["payload"]["args"][0] for raw in redis.lrange("resque:failed", 0, -1)]


def test_a_job_that_goes_back_when_nothing_is_ours_any_more(client: Resque, holding: Holding, redis: Redis) -> None:
    """Somebody else has decided: it does not run again."""
    push(redis, 0, 1)
    holding.take(["q"])
    job = holding.next()
    assert job is not None
    holding.begin(job)
    Pruner(client, "pruner").bury(ID)
    holding.unbegin()
    assert holding.give_back() == 0
    assert (queued(redis), holding.record.settled, holding.next()) == ([1], True, None)


def test_forgetting(holding: Holding, redis: Redis) -> None:
    """Another process has settled the record: nothing is held, nothing is committed."""
    push(redis, 0, 1)
    holding.take(["q"], 2)
    perform(holding)
    holding.forget()
    assert (holding.next(), holding.waiting, holding.commit(Told()), held(redis)) == (None, 0, True, [0, 1])
