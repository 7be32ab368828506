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
from clues.resque.stored_failure import ID_LENGTH, FailureFilter
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


class Meanwhile:
    """Does something to the list just before a command of the store, the first few times."""

    def __init__(self, client: Resque, command: str, act: Callable[[], object], times: int = 1) -> None:
        self._original = getattr(client.store, command)
        self._act = act
        self._left = times
        setattr(client.store, command, self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._left:
            self._left -= 1
            self._act()
        return self._original(*args, **kwargs)


def numbered(redis: Redis, count: int) -> None:
    """Fill the list with entries that differ in their argument."""
    redis.rpush(FAILED, *(entry(f'{{"class":"A","args":[{number}]}}') for number in range(count)))


def numbers(redis: Redis, retried: bool | None = None) -> list[int]:
    """The arguments of the list's entries, of those that were retried, or were not, if asked."""
    found = [json.loads(raw) for raw in redis.lrange(FAILED, 0, -1)]
    return [each["payload"]["args"][0] for each in found if retried in {None, "retried_at" in each}]


def test_a_failure_that_is_gone_is_not_retried_and_its_neighbour_neither(client: Resque, redis: Redis) -> None:
    """Removed by somebody else between our reading and our retrying."""
    numbered(redis, 2)
    Meanwhile(client, "retry", lambda: redis.lpop(FAILED))
    with capture_events() as recorder:
        assert not client.failed.retry(0)
    assert recorder.events == []
    assert pushed(redis) == []
    assert numbers(redis, retried=False) == [1]


def test_a_failure_that_has_moved_is_found_again(client: Resque, redis: Redis) -> None:
    numbered(redis, 5)
    Meanwhile(client, "retry", lambda: redis.lpop(FAILED), times=2)
    assert client.failed.retry(3)
    assert [json.loads(raw)["args"] for raw in pushed(redis)] == [[3]]
    assert numbers(redis, retried=True) == [3]
    assert numbers(redis) == [2, 3, 4]


def test_a_list_that_never_stands_still_is_given_up(client: Resque, redis: Redis) -> None:
    numbered(redis, 50)
    Meanwhile(client, "retry", lambda: redis.lpop(FAILED), times=50)
    assert not client.failed.retry(40)
    assert pushed(redis) == []
    assert numbers(redis, retried=True) == []


def test_very_these_are_removed_wherever_they_stand_by_now(client: Resque, redis: Redis) -> None:
    """Others come and go meanwhile."""
    numbered(redis, 10)
    meant = [failure for failure in client.failed.found() if failure.index % 2]
    redis.lpop(FAILED, 4)
    redis.rpush(FAILED, entry('{"class":"A","args":[99]}'))
    assert client.failed.remove_found(meant) == 3
    assert numbers(redis) == [4, 6, 8, 99]


def test_removal_in_many_chunks_skips_none_of_the_same_bytes(client: Resque, redis: Redis) -> None:
    same, other = entry('{"class":"A","args":[1]}'), entry('{"class":"B","args":[2]}')
    redis.rpush(FAILED, *[same, other] * 800)
    assert client.failed.remove_found(client.failed.found(FailureFilter(classes=["A"]))) == 800
    assert set(redis.lrange(FAILED, 0, -1)) == {other.encode()}


@pytest.mark.parametrize("newest_first", [True, False])
def test_removal_while_others_remove_and_push(client: Resque, redis: Redis, newest_first: bool) -> None:
    """In whichever order: only what is meant goes, all of it."""
    numbered(redis, 3000)
    meant = [failure for failure in client.failed.found(newest_first=newest_first) if failure.index % 3]

    def others() -> None:
        redis.lpop(FAILED, 5)
        redis.rpush(FAILED, entry('{"class":"A","args":[9000]}'))

    Meanwhile(client, "remove_failures", others, times=3)
    removed = client.failed.remove_found(meant)
    first = numbers(redis)[0]
    assert first <= 15 * 3
    assert numbers(redis) == [*range(first, 3000, 3), *[9000] * 3]
    assert 2000 - 15 <= removed <= 2000


def test_a_full_redis_can_be_relieved(client: Resque, redis: Redis) -> None:
    """Failures may be what fills it."""
    numbered(redis, 10)
    redis.config_set("maxmemory", 1)
    try:
        assert client.failed.remove_found(client.failed.found(FailureFilter(classes=["A"]))) == 10
    finally:
        redis.config_set("maxmemory", 0)
    assert client.failed.remove_found([]) == 0


# finding


def test_an_id_names_an_entry_wherever_it_stands(client: Resque, redis: Redis) -> None:
    """Also once it was retried; letters only, so that it is no index."""
    numbered(redis, 200)
    before = {failure.id: failure.entry["payload"]["args"][0] for failure in client.failed.found()}
    assert len(before) == 200
    assert all(name.isalpha() and name.isascii() and len(name) == ID_LENGTH for name in before)
    client.failed.retry(150)
    client.failed.retry(150)
    redis.lpop(FAILED, 100)
    after = {failure.id: failure.entry["payload"]["args"][0] for failure in client.failed.found()}
    assert after.items() <= before.items()
    assert len(after) == 100


def test_an_entry_that_is_no_json_has_an_id_too(client: Resque, redis: Redis) -> None:
    redis.rpush(FAILED, b"caf\xe9", b"[]", b"")
    assert len({failure.id for failure in client.failed.found()}) == 3


FAILURES = [
    ("A", "q", "ValueError", "2026/11/20 15:00:00 UTC", False),
    ("A", "r", "KeyError", "2026/11/20 16:00:00 UTC", True),
    ("B", "q", "ValueError", "2026/11/20 17:00:00 UTC", True),
    ("B", "r", "App::Error", "no time", False),
]
AT_15, AT_16, AT_17 = (1795186800.0 + hour * 3600 for hour in range(3))


@pytest.mark.parametrize(
    ("wanted", "indexes"),
    [
        (FailureFilter(), [3, 2, 1, 0]),
        (FailureFilter(classes=["A"]), [1, 0]),
        (FailureFilter(classes=["A", "B"], queues=["q"]), [2, 0]),
        (FailureFilter(exceptions=["App::Error", "KeyError"]), [3, 1]),
        (FailureFilter(retried=True), [2, 1]),
        (FailureFilter(retried=False), [3, 0]),
        (FailureFilter(since=AT_16), [2, 1]),
        (FailureFilter(until=AT_16), [1, 0]),
        (FailureFilter(since=AT_15, until=AT_17, classes=["B"]), [2]),
        (FailureFilter(since=AT_17 + 1), []),
    ],
)
def test_filters(client: Resque, redis: Redis, wanted: FailureFilter, indexes: list[int]) -> None:
    for worker_class, queue, exception, failed_at, retried in FAILURES:
        stored = {"failed_at": failed_at, "payload": {"class": worker_class, "args": []}, "exception": exception}
        redis.rpush(FAILED, json.dumps({**stored, "queue": queue, **({"retried_at": failed_at} if retried else {})}))
    assert [failure.index for failure in client.failed.found(wanted)] == indexes
    assert [failure.index for failure in client.failed.found(wanted, newest_first=False)] == indexes[::-1]
    assert bool(wanted) is (len(indexes) < 4)


@pytest.mark.parametrize("raw", ["7", "{}", '{"payload":7,"failed_at":7,"queue":[],"exception":{},"error":1}', "\xff"])
def test_what_else_may_stand_there_is_read(client: Resque, redis: Redis, raw: str) -> None:
    """Every property of it; what is not there is None."""
    redis.rpush(FAILED, raw)
    failure = client.failed.at(0)
    assert failure is not None
    texts = (failure.queue, failure.worker_class, failure.exception, failure.event_hash)
    assert texts == (None,) * 4
    assert failure.failed_at is None
    assert not failure.retried
    assert isinstance(failure.error, str)
    assert client.failed.at(1) is None


def test_rubys_old_metadata_have_the_hash_twice(client: Resque, redis: Redis) -> None:
    redis.rpush(FAILED, entry(f'{{"class":"A","clues_metadata":{{"event_hash":"old","_event_hash":"{HASH}"}}}}'))
    redis.rpush(FAILED, entry('{"class":"A","clues_metadata":{"event_hash":"old"}}'))
    assert [failure.event_hash for failure in client.failed.found()] == ["old", HASH]


def test_clearing_tells_how_many(client: Resque, redis: Redis) -> None:
    numbered(redis, 3)
    assert client.failed.clear() == 3
    assert client.failed.clear() == 0


def test_what_comes_while_somebody_is_asked_is_not_cleared(client: Resque, redis: Redis) -> None:
    """Nor what others have left of what was there."""
    numbered(redis, 5)
    newest = client.failed.at(4)
    assert newest is not None
    redis.lpop(FAILED, 2)
    redis.rpush(FAILED, entry('{"class":"A","args":[5]}'))
    assert client.failed.clear_up_to(newest) == 3
    assert numbers(redis) == [5]
    assert client.failed.clear_up_to(newest) == 0
    assert numbers(redis) == [5]


def test_every_list(client: Resque, redis: Redis) -> None:
    """Resque's one, and those of its multi-queue backend."""
    redis.sadd("resque:failed_queues", "b_failed", "a_failed", "failed")
    assert [failed.name for failed in client.failed_lists()] == ["failed", "a_failed", "b_failed"]


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
