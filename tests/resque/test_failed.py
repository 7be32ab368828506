"""The list of failures: Ruby's entries, ours, and what else may stand there."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
import redis as redis_py

from clues.errors import DecodeError, QueueNameError
from clues.resque import Resque
from clues.resque.failed import mark_retried
from clues.resque.failure import FailureEntry
from clues.resque.registry import Registry
from clues.resque.wire import members
from clues.resque.worker import Worker
from clues.testing import capture_events

Redis: TypeAlias = Any  # redis-py's types allow for clients that decode, at every answer

FAILED = "resque:failed"
HASH = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def client(redis_url: str) -> Resque:
    """A client with a registry of its own."""
    return Resque(redis_url, registry=Registry())


def entry(payload: str, queue: str = "q", more: str = "") -> str:
    """An entry's text around an item's, as Ruby writes it."""
    return (
        f'{{"failed_at":"2026/11/20 15:17:15 UTC","payload":{payload},"exception":"RuntimeError","error":"e",'
        f'"backtrace":[],"worker":"host:1:q","queue":"{queue}"{more}}}'
    )


def pushed(redis: Redis, queue: str = "q") -> list[str]:
    """A queue's items' texts."""
    return [raw.decode() for raw in redis.lrange(f"resque:queue:{queue}", 0, -1)]


def fail(client: Resque, raw: bytes, queue: str = "q") -> None:
    """Have a worker fail an item."""
    client.store.push(queue, raw)
    Worker(client, queue, interval=0).work()


# retrying


@pytest.mark.parametrize("configured", [True, False])
def test_metadata_are_kept_and_the_attempt_counted(client: Resque, redis: Redis, configured: bool) -> None:
    """The hash and the user's fields stay, what told of one event goes; with clues unconfigured too."""
    metadata = {
        "_event_hash": HASH, "_attempt": 3, "_hostname": "old", "_process": 1, "_enqueued_time": 5.0, "customer_id": 4,
        "_time_in_queue": 1.0, "_time_to_perform": 2.0, "_exception": "E", "_message": "m", "_backtrace": [],
        "_reason": "lost", "_reporter": "pruner", "_event_id": "x", "_truncated": ["args"], "_clock_skew": 1.0,
    }  # fmt: skip
    redis.rpush(FAILED, entry(json.dumps({"class": "A", "args": [1], "clues_metadata": metadata})))
    with capture_events() as recorder:
        if configured:
            assert client.failed.retry(0)
    if not configured:
        assert client.failed.retry(0)
    (item,) = map(json.loads, pushed(redis))
    kept = item["clues_metadata"]
    assert {key: kept[key] for key in ("_event_hash", "_attempt", "customer_id")} == {
        "_event_hash": HASH,
        "_attempt": 4,
        "customer_id": 4,
    }
    assert set(kept) == {"_event_hash", "_attempt", "_hostname", "_process", "_enqueued_time", "customer_id"}
    assert kept["_enqueued_time"] > 5.0
    assert [event.metadata["_event_id"] for event in recorder.events] == [f"{HASH}:4:enqueued"] * configured


ODD_ARGS = [
    "[1e400,1.0,1.50,-0.0,1E3]",
    f"[{10**400}]",
    '[{"a":1,"a":2,"b":{}}]',
    '[ 1 ,\t[ ]\n, {"k" : null} ]',
    '["\\u00e9\\/é\\ud83d\\ude00"]',
    "[]",
]


@pytest.mark.parametrize("args", ODD_ARGS)
@pytest.mark.parametrize("metadata", ["", f',"clues_metadata":{{"_event_hash":"{HASH}"}}', ',"clues_metadata":[1]'])
@pytest.mark.parametrize("ours", [False, True])
def test_bytes_are_kept(client: Resque, redis: Redis, args: str, metadata: str, ours: bool) -> None:
    """Of the args, and of keys beside class and args; only the metadata are written anew."""
    item = f'{{ "class":"A", "args":{args},"traceparent":"00-abc","n":1.0{metadata}}}'
    if ours:
        fail(client, item.encode())
    else:
        redis.rpush(FAILED, entry(item))
    assert client.failed.retry(0)
    (raw,) = pushed(redis)
    kept = members(raw.encode())
    assert kept["args"].decode() == args
    assert kept["traceparent"] == b'"00-abc"'
    assert kept["n"] == b"1.0"
    if "_event_hash" in metadata:
        assert json.loads(kept["clues_metadata"])["_attempt"] == 2
    elif metadata:
        assert kept["clues_metadata"] == b"[1]"
    else:
        assert "clues_metadata" not in kept
    assert args.encode() in redis.lindex(FAILED, 0)


def test_metadata_that_can_not_be_written_again_keep_no_job_back(client: Resque, redis: Redis) -> None:
    """Such as 1e400, which is read as infinity."""
    redis.rpush(FAILED, entry(f'{{"class":"A","args":[],"clues_metadata":{{"_event_hash":"{HASH}","x":1e400}}}}'))
    assert client.failed.retry(0)
    assert json.loads(pushed(redis)[0])["clues_metadata"]["_attempt"] == 2


@pytest.mark.parametrize(
    "attempt", ["-5", "0", "1e9", '"7"', "1.5", "null", "true", "[]", "99999999999999999999", "NaN"]
)
def test_forged_attempts(client: Resque, redis: Redis, attempt: str) -> None:
    """What is no attempt's number counts as the first; what is no JSON is told."""
    payload = f'{{"class":"A","args":[],"clues_metadata":{{"_event_hash":"{HASH}","_attempt":{attempt}}}}}'
    redis.rpush(FAILED, entry(payload))
    if attempt == "NaN":
        with pytest.raises(DecodeError):
            client.failed.retry(0)
        return
    assert client.failed.retry(0)
    assert json.loads(pushed(redis)[0])["clues_metadata"]["_attempt"] == 2


def test_unstamped_jobs_get_a_hash_when_clues_is_configured(client: Resque, redis: Redis) -> None:
    """Ruby's plain ones: their story begins here."""
    redis.rpush(FAILED, entry('{"class":"A","args":[1]}'))
    with capture_events() as recorder:
        client.failed.retry(0)
    assert json.loads(pushed(redis)[0])["clues_metadata"]["_event_hash"] == recorder.events[0].metadata["_event_hash"]


def test_preprocessors_do_not_run_again(client: Resque, redis: Redis) -> None:
    """They have had their say when the job was enqueued."""
    redis.rpush(FAILED, entry('{"class":"A","args":[1]}'))
    called: list[Any] = []
    with capture_events(item_preprocessor=lambda *call: called.append(call)):
        client.failed.retry(0)
    assert called == []


@pytest.mark.parametrize(
    ("raw", "last"),
    [
        (entry("{}"), None),
        (entry("{}", more=',"retried_at":"old"'), "old"),
        (entry("{}", more=',"retried_at" : "old" ') + "  ", "old"),
        ('{"retried_at":"old","payload":{"retried_at":"mine"},"queue":"q"}', "old"),
        (entry("{}", more=',"retried_at":null'), None),
    ],
)
def test_retried_at_is_last_and_there_once(raw: str, last: str | None) -> None:
    """Wherever it stood; the payload's own is the payload's."""
    marked = mark_retried(raw.encode(), "now")
    assert list(json.loads(marked))[-1] == "retried_at"
    assert marked.count(b'"retried_at":"now"') == 1
    assert b"old" not in marked
    assert json.loads(marked)["payload"] == json.loads(raw)["payload"]
    assert json.loads(mark_retried(marked, "later"))["retried_at"] == "later"
    assert mark_retried(marked, "now") == marked


def test_retried_twice(client: Resque, redis: Redis) -> None:
    """Two jobs, one entry, one mark."""
    redis.rpush(FAILED, entry('{"class":"A","args":[1]}'))
    assert client.failed.retry(0)
    assert client.failed.retry(0)
    assert pushed(redis) == ['{"class":"A","args":[1]}'] * 2
    assert redis.lindex(FAILED, 0).count(b"retried_at") == 1


BAD_ITEMS = [
    b"not json",
    b'"a string"',
    b"[1,2]",
    b"7",
    b"",
    b'{"class":"A","args":["caf\xe9"]}',
    b"\xff\xfe\x00",
    b'{"class":"A","args":["\\ud800"]}',
    b'{"class":"A","args":' + b"[" * 120 + b"]" * 120 + b"}",
    b'{"class":"A","args":' + b"[" * 99 + b"]" * 99 + b"}",
    b'{"class":"A","args":[NaN]}',
]


@pytest.mark.parametrize("raw", BAD_ITEMS)
def test_bad_items_go_back_as_they_came(client: Resque, redis: Redis, raw: bytes) -> None:
    """To the byte; whoever retries them has made them work, or finds them in the list again."""
    fail(client, raw)
    (stored,) = client.failed.all()
    assert "payload" in stored
    assert client.failed.retry(0)
    assert redis.lrange("resque:queue:q", 0, -1) == [raw]
    Worker(client, "q", interval=0).work()
    assert client.failed.count() == 2


@pytest.mark.parametrize(("payload", "item"), [("[1]", "[1]"), ("7", "7"), ("null", "null"), ('"x"', "x")])
def test_rubys_entries_of_what_is_no_object(client: Resque, redis: Redis, payload: str, item: str) -> None:
    """Go back too."""
    redis.rpush(FAILED, entry(payload))
    assert client.failed.retry(0)
    assert pushed(redis) == [item]


def test_a_list_that_moves_is_left_alone(client: Resque, redis: Redis) -> None:
    """Between reading an entry and retrying it: the script finds another one there, and refuses."""
    redis.rpush(FAILED, *(entry(f'{{"class":"A","args":[{number}]}}') for number in range(3)))
    retry = client.store.retry

    def moved(*args: Any, **kwargs: Any) -> bool:
        redis.lpop(FAILED)
        return retry(*args, **kwargs)

    client.store.retry = moved  # type: ignore[method-assign]
    with capture_events() as recorder:
        assert not client.failed.retry(0)
        assert not client.failed.retry(1)
    assert recorder.events == []
    assert pushed(redis) == []
    assert redis.llen(FAILED) == 1
    assert b"retried_at" not in redis.lindex(FAILED, 0)


NO_JOBS = [
    "not json",
    "[]",
    "{}",
    '{"queue":"q"}',
    entry("{}", queue=""),
    '{"payload":{},"queue":7}',
    '{"payload":{},"queue":["q"]}',
]


@pytest.mark.parametrize("raw", NO_JOBS)
def test_entries_that_name_no_job(client: Resque, redis: Redis, raw: str, caplog: pytest.LogCaptureFixture) -> None:
    """A clear error for one, a line in the log where there are others; nothing is lost, all can be looked at."""
    redis.rpush(FAILED, raw, entry('{"class":"A","args":[]}'))
    with pytest.raises(DecodeError, match="failure 0 names no queue or has no payload") as caught:
        client.failed.retry(0)
    assert caught.value.raw == raw.encode()
    with caplog.at_level(logging.WARNING, "clues.resque"):
        assert client.failed.retry_all() == 1
    assert "failure 0" in caplog.text
    assert redis.lindex(FAILED, 0) == raw.encode()
    assert len(client.failed.all()) == len(list(client.failed.each())) == 2
    assert client.failed.count("nowhere") == 0
    assert client.failed.count(worker_class="A") == 1
    assert client.failed.clear_retried() == 1
    assert client.failed.remove(0)
    assert redis.llen(FAILED) == 0


def test_a_queue_named_heartbeat_is_refused(client: Resque, redis: Redis) -> None:
    """Here too."""
    redis.rpush(FAILED, entry("{}", queue="heartbeat"))
    with pytest.raises(QueueNameError):
        client.failed.retry(0)
    assert client.failed.retry_all() == 0


def test_retrying_a_workers_own_failures(client: Resque, redis: Redis) -> None:
    """Enqueued, failed, retried, finished: one hash, two attempts."""
    fails = [True, False]

    @client.registry.job(queue="q")
    def flaky() -> None:
        if fails.pop(0):
            raise ValueError("the first time")

    with capture_events() as recorder:
        receipt = client.enqueue(flaky)
        Worker(client, "q", interval=0).work()
        assert client.failed.retry_all() == 1
        Worker(client, "q", interval=0).work()
    assert receipt is not None
    assert [event.metadata["_event_id"] for event in recorder.events] == [
        f"{receipt.event_hash}:{attempt}:{kind}"
        for attempt in (1, 2)
        for kind in ("enqueued", "dequeued", "perform_started", "end")
    ]
    assert [event.event_type.value for event in recorder.events][3::4] == ["failed", "perform_finished"]


# many


def test_ten_thousand(client: Resque, redis: Redis) -> None:
    """Looked at, retried and removed in chunks."""
    redis.rpush(FAILED, *(entry(f'{{"class":"A","args":[{n}]}}', queue=f"q{n % 2}") for n in range(10_000)))
    failed = client.failed
    assert failed.count() == 10_000
    assert [index for index, _ in failed.each()] == list(range(9_999, -1, -1))
    assert failed.retry_all("q0") == 5_000
    assert [json.loads(raw)["args"][0] for raw in pushed(redis, "q0")] == list(range(0, 10_000, 2))
    assert client.size("q1") == 0
    assert failed.clear_retried() == 5_000
    assert [stored["payload"]["args"][0] for stored in failed.all(0, 3)] == [1, 3, 5]
    assert failed.remove_queue("q1") == 5_000
    assert failed.count() == 0


def test_what_fails_again_is_not_retried_again(client: Resque, redis: Redis) -> None:
    """By the same call: it takes the failures that were there when it began."""
    redis.rpush(FAILED, *(entry(f'{{"class":"A","args":[{n}]}}') for n in range(3)))
    retry = client.store.retry

    def failing_at_once(*args: Any, **kwargs: Any) -> bool:
        redis.rpush(FAILED, entry('{"class":"A","args":["again"]}'))
        return retry(*args, **kwargs)

    client.store.retry = failing_at_once  # type: ignore[method-assign]
    assert client.failed.retry_all() == 3


# errors of Redis


def test_refusals_are_no_absent_failures(client: Resque, redis: Redis) -> None:
    """Another type of key under the list's name is an error, an index beyond it is not."""
    assert not client.failed.remove(0)
    redis.rpush(FAILED, "x")
    assert not client.failed.remove(1)
    redis.delete(FAILED)
    redis.set(FAILED, "x")
    attempts: list[Callable[[], object]] = [lambda: client.failed.remove(0), client.failed.count, client.failed.all]
    for attempt in attempts:
        with pytest.raises(redis_py.ResponseError, match="WRONGTYPE"):
            attempt()


# the entry itself


def test_an_entry_of_what_is_no_utf8() -> None:
    """Shows its odd bytes spelled out, and holds it whole."""
    from clues.metadata import Failure

    raw = FailureEntry(0.0, b"caf\xe9", Failure("E", "m\ud800", ("line",)), "host:1:q", "caf\udce9").encode()
    stored = json.loads(raw)
    assert list(stored) == [
        "failed_at", "payload", "exception", "error", "backtrace", "worker", "queue", "payload_base64",
    ]  # fmt: skip
    assert stored["payload"] == "caf\\xe9"
    raw.decode()
