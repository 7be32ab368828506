"""The client: enqueueing, removing, looking; against a real Redis."""

from __future__ import annotations

import asyncio
import enum
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import pytest
import redis as redis_py

import clues
from clues import resque
from clues.errors import (
    ConfigError,
    DecodeError,
    EncodeError,
    NoQueueError,
    NotAJobError,
    QueueNameError,
    UnknownJobError,
)
from clues.resque import FailureEntry, Receipt, Resque
from clues.resque.registry import Registry
from clues.resque.worker import Worker
from clues.testing import capture_events
from tests.redis_server import RedisServer, private_server
from tests.resque.counting import Counting

Redis: TypeAlias = Any  # redis-py's types allow for clients that decode, at every answer


class Mail:
    """An ordinary job."""

    queue = "mail"

    @staticmethod
    def perform(*args: Any) -> None:
        """Do nothing."""


@pytest.fixture
def client(redis_url: str) -> Resque:
    """A client with a registry of its own."""
    registry = Registry()
    registry.register(Mail)
    return Resque(redis_url, registry=registry)


def items(redis: Redis, queue: str = "mail") -> list[Any]:
    """A queue's items, decoded."""
    return [json.loads(raw) for raw in redis.lrange(f"resque:queue:{queue}", 0, -1)]


def numbers(redis: Redis, queue: str = "mail") -> list[Any]:
    """The first argument of each item."""
    return [item["args"][0] for item in items(redis, queue)]


# round trips


@pytest.mark.parametrize("batch_size", [1000, 10, 7])
def test_many_take_one_round_trip_a_batch(counted: Resque, redis: Redis, batch_size: int) -> None:
    """From a generator, in order."""
    receipts = counted.enqueue_many(((Mail, number) for number in range(40)), batch_size=batch_size)
    assert Counting.sent == -(-40 // batch_size)
    assert receipts == [Receipt("mail")] * 40
    assert numbers(redis) == list(range(40))


def test_several_queues_take_one_round_trip_too(counted: Resque, redis: Redis) -> None:
    """Each job goes to its own queue, in order."""
    other = type("Other", (Mail,), {"queue": "other"})
    counted.enqueue_many((job, number) for number in range(10) for job in (Mail, other))
    assert Counting.sent == 1
    assert numbers(redis) == numbers(redis, "other") == list(range(10))
    assert redis.smembers("resque:queues") == {b"mail", b"other"}
    counted.enqueue_many([(Mail, 1), (other, 2)], queue="third")
    assert numbers(redis, "third") == [1, 2]


def test_one_job_takes_one_round_trip(counted: Resque) -> None:
    """SADD and RPUSH together."""
    counted.enqueue(Mail, 1)
    assert Counting.sent == 1


def test_a_batch_is_read_when_its_turn_comes(client: Resque, redis: Redis) -> None:
    """An endless source is no trouble as long as it is not read ahead."""
    seen: list[int] = []

    def calls() -> Iterator[tuple[Any, ...]]:
        for number in range(6):
            seen.append(len(items(redis)))
            yield Mail, number

    client.enqueue_many(calls(), batch_size=2)
    assert seen == [0, 0, 2, 2, 4, 4]
    with pytest.raises(ConfigError):
        client.enqueue_many([], batch_size=0)
    assert client.enqueue_many([]) == []


@pytest.mark.parametrize(
    ("bad", "error"),
    [((Mail, {1, 2}), EncodeError), ((type("NoQ", (), {"perform": print}), 1), NoQueueError), (("x",), NoQueueError)],
)
def test_a_bad_job_keeps_its_batch_out(client: Resque, redis: Redis, bad: Any, error: type[Exception]) -> None:
    """Nothing of its batch is pushed, the batches before it are."""
    with capture_events() as recorder, pytest.raises(error):
        client.enqueue_many([(Mail, 0), (Mail, 1), (Mail, 2), bad, (Mail, 3)], batch_size=2)
    assert numbers(redis) == [0, 1]
    assert recorder.types == ["enqueued", "enqueued"]


def test_vetoed_jobs_are_left_out(client: Resque, redis: Redis) -> None:
    """Of receipts, hooks and queue."""
    after: list[int] = []
    picky = type("Picky", (Mail,), {
        "before_enqueue": staticmethod(lambda number: number % 2 == 0),
        "after_enqueue": staticmethod(after.append),
    })  # fmt: skip
    with capture_events() as recorder:
        receipts = client.enqueue_many([(picky, number) for number in range(5)])
    assert numbers(redis) == after == [0, 2, 4]
    assert [receipt.event_hash for receipt in receipts] == [event.metadata["_event_hash"] for event in recorder.events]
    assert client.enqueue_many([(picky, 1), (picky, 3)]) == []


def test_a_queue_of_another_type_keeps_a_batch_whole_in_its_error(client: Resque, redis: Redis) -> None:
    """What Redis refuses is raised as it is."""
    redis.set("resque:queue:mail", "a string")
    with capture_events() as recorder:
        for enqueue in (lambda: client.enqueue(Mail, 1), lambda: client.push("mail", {"class": "Mail", "args": []})):
            with pytest.raises(redis_py.ResponseError, match="WRONGTYPE"):
                enqueue()
    assert recorder.events == []


# what goes in


@pytest.mark.parametrize(
    ("args", "place"),
    [
        ([{"when": [object()]}], r"args\[0\]\.when\[0\] is an object"),
        ([1, float("nan")], r"args\[1\] is nan"),
        ([b"x"], r"args\[0\] is a bytes"),
        (["\ud800"], r"args\[0\] holds half a character"),
        ([[[[{(1, 2): 3}]]]], "has a tuple as a key"),
    ],
)
def test_what_json_cant_hold_is_refused(client: Resque, redis: Redis, args: list[Any], place: str) -> None:
    """With its place, before anything is pushed or published, or a preprocessor is run."""
    preprocessed: list[Any] = []
    with capture_events(item_preprocessor=lambda *call: preprocessed.append(call)) as recorder:
        for enqueue in (
            lambda: client.enqueue(Mail, *args),
            lambda: client.enqueue_many([(Mail, 1), (Mail, *args)]),
            lambda: client.push("mail", {"class": "Mail", "args": args}),
        ):
            with pytest.raises(EncodeError, match=place):
                enqueue()
    assert redis.keys() == []
    assert recorder.events == []
    assert [item["args"] for _, item in preprocessed] == [[1]]  # the good job of the batch


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [float("nan"), object(), b"\xff", "\ud800", {1, 2}, 10**5000, deep(3000), {(1, 2): 3}, {"a": deep(98)}, 1e400],
    ids=lambda value: type(value).__name__,
)
def test_metadata_keep_no_job_out(client: Resque, redis: Redis, value: Any) -> None:
    """Whatever a preprocessor adds, the job is pushed with its hash and published, and the worker can read it."""

    def preprocess(_queue: str, item: Any) -> None:
        item["clues_metadata"]["odd"] = value

    with capture_events(item_preprocessor=preprocess) as recorder:
        receipt = client.enqueue(Mail, 1)
        Worker(client, "mail", interval=0).work()
    assert receipt is not None
    assert recorder.types == ["enqueued", "dequeued", "perform_started", "perform_finished"]
    assert {event.metadata["_event_hash"] for event in recorder.events} == {receipt.event_hash}


def cycle(_queue: str, item: Any) -> None:
    item["args"][0]["self"] = item


DAMAGES: list[Callable[[str, Any], object]] = [
    lambda _, item: item["args"].append(object()),
    lambda _, item: item["args"][0].update(bad={1, 2}),
    lambda _, item: item["args"][0].clear() or item["args"][0].update({float("nan"): b""}),
    lambda _, item: item.update(args="text"),
    lambda _, item: item.pop("args"),
    lambda _, item: item.clear(),
    lambda _, item: item.update({"class": "\ud800"}),
    lambda _, item: item.update(traceparent=object()),
    lambda _, item: item.update({object(): 1}),
    lambda _, item: item.update(clues_metadata=[1]),
    cycle,
]


@pytest.mark.parametrize("damage", range(len(DAMAGES)))
def test_a_preprocessor_that_damages_the_item_keeps_no_job_out(client: Resque, redis: Redis, damage: int) -> None:
    """The job goes in as its caller gave it; by push too."""
    with capture_events(item_preprocessor=DAMAGES[damage]) as recorder:
        assert client.enqueue(Mail, {"a": 1})
        client.push("mail", {"class": "Mail", "args": [{"a": 1}]})
    assert recorder.types == ["enqueued", "enqueued"]
    for item, event in zip(items(redis), recorder.events, strict=True):
        assert (item["class"], item["args"]) == ("Mail", [{"a": 1}])
        assert item["clues_metadata"]["_event_hash"] == event.metadata["_event_hash"]


def test_events_come_after_the_push_and_only_then() -> None:
    """With Redis gone there is none; afterwards all is well."""
    with private_server() as server:
        client = Resque(server.url, registry=Registry())
        with capture_events() as recorder:
            assert client.enqueue(Mail, 1)
            server.kill()
            for enqueue in (
                lambda: client.enqueue(Mail, 2),
                lambda: client.enqueue_many([(Mail, 3), (Mail, 4)]),
                lambda: client.push("mail", {"class": "Mail", "args": []}),
            ):
                with pytest.raises(redis_py.ConnectionError):
                    enqueue()
            assert recorder.types == ["enqueued"]
            server.start()
            assert client.enqueue(Mail, 5)
        assert recorder.types == ["enqueued", "enqueued"]


def test_the_item_is_there_when_its_event_is(client: Resque, redis: Redis) -> None:
    """A publisher finds it in the queue."""
    found: list[int] = []
    clues.configure(lambda _event: found.append(redis.llen("resque:queue:mail")))
    client.enqueue(Mail, 1)
    client.enqueue_many([(Mail, 2), (Mail, 3)])
    assert found == [1, 3, 3]


def test_receipts(client: Resque, redis: Redis) -> None:
    """True, frozen, with the hash by which events are found; without clues there is none."""
    plain = client.enqueue(Mail)
    assert plain
    assert plain.event_hash is None
    with capture_events() as recorder:
        receipt = client.enqueue_to("urgent", Mail)
    assert receipt == Receipt("urgent", recorder.events[0].metadata["_event_hash"])


# names


def test_ways_to_name_a_job(client: Resque, redis: Redis) -> None:
    """A class, a function, a registered name, another program's name."""

    @client.registry.job(queue="mail", name="Billing::Send")
    def send(*args: Any) -> None:
        """Do nothing."""

    client.enqueue(Mail, 1)
    client.enqueue(send, 2)
    client.enqueue("Billing::Send", 3)
    client.enqueue("::Mail", 4)
    client.enqueue_to("mail", "Foreign::Job", 5)
    assert [item["class"] for item in items(redis)] == [
        "Mail",
        "Billing::Send",
        "Billing::Send",
        "::Mail",
        "Foreign::Job",
    ]
    with pytest.raises(NoQueueError, match=r"Foreign::Job.*enqueue_to"):
        client.enqueue("Foreign::Job", 5)
    with pytest.raises(UnknownJobError, match=r"@resque\.job"):
        client.enqueue(lambda: None)
    with pytest.raises(NotAJobError):
        client.enqueue(int)


def test_a_foreign_job_runs_nowhere_inline(client: Resque) -> None:
    """It is known by its name only."""
    with client.performing_inline(), pytest.raises(UnknownJobError):
        client.enqueue_to("mail", "Foreign::Job")


class Queues(str, enum.Enum):  # noqa: UP042 - as in programs older than StrEnum
    """Names as an application keeps them."""

    MAIL = "mail"


def test_queue_names(client: Resque, redis: Redis) -> None:
    """Enums are their text; heartbeat, the empty name, and what is no text are refused everywhere."""
    client.enqueue_to(Queues.MAIL, Mail, 1)
    client.push(Queues.MAIL, {"class": "Mail", "args": [2]})
    client.enqueue_many([(Mail, 3)], queue=Queues.MAIL)
    assert numbers(redis) == [1, 2, 3]
    assert redis.smembers("resque:queues") == {b"mail"}
    beating = type("Beating", (Mail,), {"queue": "heartbeat"})
    refused: list[Callable[[], object]] = [lambda: client.enqueue(beating), lambda: Worker(client, "a,heartbeat")]
    for name in ("heartbeat", b"mail", 7, "\ud800"):
        queue: Any = name
        refused += [
            lambda queue=queue: client.enqueue_to(queue, Mail),  # type: ignore[misc]
            lambda queue=queue: client.push(queue, {}),  # type: ignore[misc]
            lambda queue=queue: client.enqueue_many([(Mail,)], queue=queue),  # type: ignore[misc]
        ]
    for enqueue in refused:
        with pytest.raises(QueueNameError):
            enqueue()
    with pytest.raises(NoQueueError):
        client.enqueue_to("", Mail)
    with pytest.raises(QueueNameError):
        client.push("", {})
    assert client.size("mail") == 3


def test_a_queue_that_is_no_utf8_can_be_looked_at_and_removed(client: Resque, redis: Redis) -> None:
    """Another program's."""
    redis.sadd("resque:queues", b"caf\xe9")
    redis.rpush(b"resque:queue:caf\xe9", '{"class":"A","args":[1]}')
    (name,) = client.queues()
    assert client.size(name) == 1
    assert client.info()["pending"] == 1
    assert client.destroy(name, "B") == 0
    assert client.remove_queue(name) == 1
    assert redis.keys() == []


# where


def test_a_client_that_decodes_will_do(redis_server: RedisServer, redis: Redis) -> None:
    """Whatever its settings, bytes are bytes to us."""
    given = redis_py.Redis(port=redis_server.port, decode_responses=True, encoding="latin-1")
    client = Resque(given, registry=Registry())
    client.enqueue(Mail, "é世")
    assert items(redis)[0]["args"] == ["é世"]
    assert client.peek("mail") == {"class": "Mail", "args": ["é世"]}
    assert client.destroy("mail", Mail, "é世") == 1
    given.close()


@pytest.mark.parametrize(("namespace", "prefix"), [("shop", "shop:"), ("", ""), ("a:b", "a:b:")])
def test_namespaces(redis_url: str, redis: Redis, namespace: str, prefix: str) -> None:
    """They stand before every key; without one there is no prefix."""
    registry = Registry()
    registry.register(Mail)
    client = Resque(redis_url, namespace=namespace, registry=registry)
    client.enqueue(Mail, 1)
    assert sorted(redis.keys()) == [f"{prefix}queue:mail".encode(), f"{prefix}queues".encode()]
    Worker(client, "mail", interval=0).work()
    assert redis.get(f"{prefix}stat:processed") == b"1"
    assert all(key.startswith(prefix.encode()) for key in redis.scan_iter())


def test_the_process_wide_client(redis_url: str, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made at first use for REDIS_URL, or as configured; the module's functions are its methods."""
    monkeypatch.setattr(resque._Default, "client", None)
    monkeypatch.setenv("REDIS_URL", redis_url)
    assert resque.enqueue_to("mail", "Foreign", 1)
    assert resque.client() is resque.client()
    assert resque.push("mail", {"class": "Foreign", "args": [2]}) == 2
    assert resque.enqueue_many([("Foreign", 3)], queue="mail")
    assert resque.peek("mail")["args"] == [1]
    assert (resque.size("mail"), resque.queues(), resque.workers(), resque.working()) == (3, ["mail"], [], {})
    assert resque.destroy("mail", "Foreign", 3) == 1
    assert resque.dequeue("Foreign") == 0
    assert resque.pop("mail")["args"] == [1]
    assert (resque.failed().count(), resque.stat("processed"), resque.info()["pending"]) == (0, 0, 1)
    assert resque.remove_queue("mail") == 1
    assert resque.configure(redis_url, namespace="x", inline=True).inline
    assert resque.client().store.keys.namespace == "x"


# inline


def performing(done: list[Any]) -> type:
    """A job that notes its arguments."""
    return type("Noting", (Mail,), {"perform": staticmethod(lambda *args: done.append(args))})


def test_inline_needs_no_redis() -> None:
    """By the constructor, the attribute, or a block; nested blocks end where they end."""
    done: list[Any] = []
    job = performing(done)
    nowhere = Resque("redis://127.0.0.1:1/0", registry=Registry(), inline=True)
    assert nowhere.enqueue(job, 1)
    assert nowhere.enqueue_many([(job, 2), (job, 3)])
    nowhere.inline = False
    with nowhere.performing_inline():
        with nowhere.performing_inline():
            nowhere.enqueue(job, 4)
        nowhere.enqueue(job, 5)
    assert done == [(1,), (2,), (3,), (4,), (5,)]
    with pytest.raises(redis_py.ConnectionError):
        nowhere.enqueue(job, 6)


def test_inline_is_this_contexts_alone(client: Resque, redis: Redis) -> None:
    """A thread or a task beside it pushes."""
    done: list[Any] = []
    job = performing(done)

    async def beside(inside: asyncio.Event, pushed: asyncio.Event) -> None:
        await inside.wait()
        client.enqueue(job, "task")
        pushed.set()

    async def main() -> None:
        inside, pushed = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(beside(inside, pushed))
        with client.performing_inline():
            inside.set()
            await pushed.wait()
            client.enqueue(job, "here")
        await task

    asyncio.run(main())
    with client.performing_inline():
        thread = threading.Thread(target=client.enqueue, args=(job, "thread"))
        thread.start()
        thread.join()
    assert done == [("here",)]
    assert numbers(redis) == ["task", "thread"]


def test_inline_jobs_inside_inline_jobs(client: Resque) -> None:
    """Each has its own metadata, and the outer one's is back afterwards."""
    seen: list[Any] = []

    def inner() -> None:
        seen.append(dict(clues.clues_metadata).get("outer"))
        clues.clues_metadata["inner"] = 1

    def outer() -> None:
        clues.clues_metadata["outer"] = 1
        client.enqueue(inner)
        seen.append(sorted(key for key in clues.clues_metadata if not key.startswith("_")))

    for job in (inner, outer):
        client.registry.job(queue="mail")(job)
    with capture_events() as recorder, client.performing_inline():
        client.enqueue(outer)
    assert seen == [None, ["outer"]]
    assert recorder.types == [
        "enqueued", "dequeued", "perform_started",
        "enqueued", "dequeued", "perform_started", "perform_finished",
        "perform_finished",
    ]  # fmt: skip


def test_a_batch_that_can_not_be_encoded_performs_nothing_inline(client: Resque) -> None:
    """As it pushes nothing."""
    done: list[Any] = []
    with client.performing_inline(), pytest.raises(EncodeError):
        client.enqueue_many([(performing(done), 1), (performing(done), {1})])
    assert done == []


def test_inline_failures_are_published_and_raised(client: Resque) -> None:
    """Also SystemExit and the like."""

    def leave() -> None:
        raise SystemExit(3)

    client.registry.job(queue="mail")(leave)
    with capture_events() as recorder, client.performing_inline(), pytest.raises(SystemExit):
        client.enqueue(leave)
    assert recorder.types[-1] == "failed"
    assert recorder.events[-1].metadata["_exception"] == "SystemExit"


# removing

STAMPED = '{"class":"Mail","args":[1],"clues_metadata":{"_event_hash":"0123456789abcdef0123456789abcdef"}}'


def test_dequeue_finds_jobs_with_metadata(client: Resque, redis: Redis) -> None:
    """Ruby's and ours, one destroyed event for each of them that has a story."""
    redis.rpush("resque:queue:mail", STAMPED, STAMPED, '{"class":"Mail","args":[1]}', '{"class":"Mail","args":[2]}')
    with capture_events() as recorder:
        receipt = client.enqueue(Mail, 1)
        assert receipt is not None
        assert client.dequeue(Mail, 1) == 4
    assert numbers(redis) == [2]
    assert recorder.types == ["enqueued", "destroyed", "destroyed", "destroyed"]
    hashes = [event.metadata["_event_hash"] for event in recorder.events[1:]]
    assert sorted(hashes) == sorted(["0123456789abcdef0123456789abcdef"] * 2 + [str(receipt.event_hash)])
    assert {event.metadata["_event_id"].split(":")[-1] for event in recorder.events[1:]} == {"end"}


@pytest.mark.parametrize("odd", ["not json", '"Mail"', '{"class":"Mail","args":[1e400]}', '{"class":["Mail"]}', "\xff"])
def test_destroy_passes_over_odd_items(client: Resque, redis: Redis, odd: str) -> None:
    """They stay where they are, and keep nothing from being removed."""
    redis.rpush("resque:queue:mail", odd.encode("latin-1"), '{"class":"Mail","args":[1]}')
    assert client.destroy("mail", Mail, 1) == 1
    assert redis.lrange("resque:queue:mail", 0, -1) == [odd.encode("latin-1")]


def test_destroy_of_many(counted: Resque, redis: Redis) -> None:
    """Thousands, each with its own bytes, among others: in a few round trips."""
    with capture_events() as recorder:
        counted.enqueue_many([(Mail, number) for number in range(5000)])
        counted.enqueue_many([("Other", number) for number in range(100)], queue="mail")
        recorder.clear()
        Counting.sent = 0
        assert counted.destroy("mail", Mail) == 5000
    assert Counting.sent < 20
    assert numbers(redis) == list(range(100))
    assert len({event.metadata["_event_hash"] for event in recorder.events}) == len(recorder.events) == 5000


def test_destroy_while_others_push_and_pop(client: Resque, redis: Redis) -> None:
    """Nothing is removed twice, or told twice; what matches and was there goes."""
    redis.rpush("resque:queue:mail", *(f'{{"class":"Mail","args":[{number}]}}' for number in range(3000)))
    read = client.store.items_from_the_tail

    def busy(queue: str) -> Iterator[list[bytes]]:
        for chunk in read(queue):
            redis.lpop("resque:queue:mail", 10)
            redis.rpush("resque:queue:mail", '{"class":"Other","args":[]}')
            yield chunk

    client.store.items_from_the_tail = busy  # type: ignore[method-assign]
    with capture_events(adopt_unstamped=True) as recorder:
        removed = client.destroy("mail", Mail)
    assert removed == len(recorder.events)
    assert {item["class"] for item in items(redis)} == {"Other"}


@pytest.mark.parametrize("configured", [True, False])
def test_remove_queue(client: Resque, redis: Redis, configured: bool) -> None:
    """All items, told one by one where clues is configured; the number is the answer."""
    for number in range(2500):
        redis.rpush("resque:queue:mail", STAMPED.replace("[1]", f"[{number}]"))
    redis.rpush("resque:queue:mail", "not json")
    redis.sadd("resque:queues", "mail", "other")
    if configured:
        with capture_events() as recorder:
            assert client.remove_queue("mail") == 2501
        assert recorder.types == ["destroyed"] * 2500
    else:
        assert client.remove_queue("mail") == 2501
    assert redis.keys() == [b"resque:queues"]
    assert client.queues() == ["other"]
    assert client.remove_queue("none") == 0


def test_dequeue_hooks(client: Resque, redis: Redis) -> None:
    """A veto answers None, and removes nothing; destroy asks nobody."""
    picky = type("Picky", (Mail,), {"before_dequeue": staticmethod(lambda *_: False)})
    client.enqueue(picky, 1)
    assert client.dequeue(picky, 1) is None
    assert client.destroy("mail", picky, 1) == 1


# looking


@pytest.mark.parametrize("raw", [b"not json", b"\xff\xfe", b'{"a":' * 101 + b"1" + b"}" * 101, b'["\\ud800"]'])
def test_pop_of_bad_json_holds_it(client: Resque, redis: Redis, raw: bytes) -> None:
    """To look at, or push back."""
    redis.rpush("resque:queue:mail", raw)
    with pytest.raises(DecodeError) as caught:
        client.pop("mail")
    assert caught.value.raw == raw


def test_push_leaves_odd_items_alone(client: Resque, redis: Redis) -> None:
    """Args that are no list are no job's; nothing is made of them."""
    for odd in (
        {"class": "A", "args": "abc"},
        {"class": "A", "args": {"a": 1}},
        {"class": 5, "args": []},
        [1],
        None,
        7,
    ):
        client.push("mail", odd)
        assert client.pop("mail") == odd
    client.push("mail", {"class": "A"})
    assert redis.lrange("resque:queue:mail", 0, -1) == [b'{"class":"A"}']


def test_push_leaves_its_argument_alone(client: Resque) -> None:
    """The metadata go into the item that is pushed, not into the caller's."""
    item: dict[str, Any] = {"class": "A", "args": (1,), "extra": [1]}
    with capture_events():
        client.push("mail", item)
    assert item == {"class": "A", "args": (1,), "extra": [1]}
    assert client.pop("mail")["extra"] == [1]


def test_working_shows_what_workers_hold(client: Resque, redis: Redis) -> None:
    """Ruby's workers and ours, with items good and bad."""
    redis.sadd("resque:workers", "h:1:a", "h:2:a", "h:3:a", "h:4:a")
    redis.set("resque:worker:h:1:a", '{"queue":"a","run_at":"2026-11-20T15:09:37Z","payload":{"class":"A","args":[]}}')
    redis.set("resque:worker:h:2:a", '{"queue":"a","run_at":"2026-11-20T15:09:37Z","payload":not json}')
    redis.set("resque:worker:h:3:a", "no lease")
    working = client.working()
    assert working["h:1:a"] == {
        "queue": "a",
        "run_at": "2026-11-20T15:09:37Z",
        "payload": {"class": "A", "args": []},
    }
    assert working["h:2:a"]["payload"] == "not json"
    assert working["h:3:a"]["payload"] == "no lease"
    assert client.info()["working"] == 3
    assert client.workers() == ["h:1:a", "h:2:a", "h:3:a", "h:4:a"]


# failure backends


@dataclass
class Keeping:
    """A backend; it can't be hashed, as it is a mutable dataclass."""

    entries: list[FailureEntry]

    def save(self, entry: FailureEntry) -> None:
        self.entries.append(entry)


class Raising:
    """A backend that is down."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def save(self, entry: FailureEntry) -> None:
        raise self.error


@pytest.mark.parametrize("error", [RuntimeError("down"), SystemExit(1)], ids=["error", "exit"])
def test_several_failure_backends(redis_url: str, redis: Redis, error: BaseException) -> None:
    """Each is told, one that raises keeps nobody from hearing, and the event is published."""
    keeping = Keeping([])
    client = Resque(redis_url, registry=Registry(), failure_backends=["redis", Raising(error), keeping])
    broken = type("Broken", (Mail,), {"perform": staticmethod(lambda: 1 / 0)})
    with capture_events() as recorder:
        client.enqueue(broken)
        Worker(client, "mail", interval=0).work()
    assert client.failed.count() == 1
    assert [entry.failure.exception for entry in keeping.entries] == ["ZeroDivisionError"]
    assert json.loads(keeping.entries[0].payload)["class"] == "Broken"
    assert recorder.types[-1] == "failed"


def test_a_backend_alone(redis_url: str, redis: Redis) -> None:
    """Then Redis keeps no failure, and counts it all the same."""
    keeping = Keeping([])
    client = Resque(redis_url, registry=Registry(), failure_backends=[keeping])
    client.enqueue(type("Broken", (Mail,), {"perform": staticmethod(lambda: 1 / 0)}))
    Worker(client, "mail", interval=0).work()
    assert len(keeping.entries) == client.stat("failed") == 1
    assert not redis.exists("resque:failed")


def test_failures_by_queue(redis_url: str, redis: Redis) -> None:
    """Their number is in info, their list at failed_of, from where they are retried."""
    client = Resque(redis_url, registry=Registry(), failure_backends=["redis_multi_queue"])
    client.enqueue(type("Broken", (Mail,), {"perform": staticmethod(lambda: 1 / 0)}))
    Worker(client, "mail", interval=0).work()
    assert client.info()["failed"] == 1
    assert client.failed_of("mail").retry(0)
    assert client.size("mail") == 1


@pytest.mark.parametrize("given", ["redis", ["nonsense"], [None], ["redis", "redis_multi_queue"]])
def test_mistaken_backends(given: Any) -> None:
    """A clear error at once."""
    with pytest.raises(ConfigError, match="failure_backends"):
        Resque(failure_backends=given)


@pytest.mark.parametrize("call", ["Noted", b"x", (), 7, None])
def test_what_is_no_call_is_refused(redis_url: str, redis: Any, call: Any) -> None:
    """A string is not taken apart; nothing of the batch is pushed."""
    with pytest.raises(ConfigError, match=r"\(job, \*args\) tuples"):
        Resque(redis_url).enqueue_many([("Fine", 1), call], queue="q")
    assert redis.keys("*") == []


def test_the_failure_backend_of_the_environment(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """FAILURE_BACKEND counts where the program says nothing, as in Resque."""
    monkeypatch.setenv("FAILURE_BACKEND", "redis_multi_queue")
    assert Resque(redis_url).failure_backends == ("redis_multi_queue",)
    assert Resque(redis_url, failure_backends=["redis"]).failure_backends == ("redis",)
    monkeypatch.setenv("FAILURE_BACKEND", "")
    assert Resque(redis_url).failure_backends == ("redis",)
    monkeypatch.setenv("FAILURE_BACKEND", "Redis")
    with pytest.raises(ConfigError, match="FAILURE_BACKEND must be redis or redis_multi_queue, not 'Redis'"):
        Resque(redis_url)
