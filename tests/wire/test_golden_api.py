"""Every row of the captured API calls (api-semantics), of the oddities with clues, and of the odd exits.

A test names the rows that it holds clues to, and the deviations of docs/compatibility.md that it allows.
"""

from __future__ import annotations

import ast
import datetime as dt
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import pytest

import clues
from clues.errors import DecodeError, EncodeError, NoClassError, NoQueueError
from clues.resque import DontPerform, Receipt, Resque
from clues.resque.registry import Registry
from clues.resque.wire import decode, encode
from clues.resque.worker import Worker
from clues.testing import RecordingPublisher, capture_events
from tests.cli.running import clues as run_clues

Test = TypeVar("Test", bound=Callable[..., Any])

Redis: TypeAlias = Any  # redis-py's types allow for clients that decode, at every answer
GOLDEN = Path(__file__).parent / "golden"
COMPATIBILITY = Path(__file__).parents[2] / "docs" / "compatibility.md"
Q = "resque:queue:q"


def read(name: str, label: str) -> dict[str, dict[str, Any]]:
    """A capture's rows by what they are called."""
    rows = json.loads((GOLDEN / f"{name}.json").read_text())["rows"]
    return {row[label]: row for row in rows if label in row}


API = read("api-semantics", "call")
ODDITIES = read("clues-oddities", "what")

_covered: set[str] = set()
_deviations: set[str] = set()


def covers(*rows: str, deviations: str = "") -> Callable[[Test], Test]:
    """Say which rows a test is about, and where it lets clues differ."""
    _covered.update(rows)
    _deviations.update(deviations.split())
    return lambda test: test


def ruby(text: str) -> Any:
    """A value from its Ruby inspect text."""
    for pattern, plain in (
        (r"=>", ":"),
        (r"\bnil\b", "None"),
        (r"\btrue\b", "True"),
        (r"(?<![\w\"]):([a-z]\w*)", r'"\1"'),
    ):
        text = re.sub(pattern, plain, text)
    return ast.literal_eval(text)


def stored(redis: Redis, key: str = Q) -> list[str]:
    """A list's texts."""
    return [raw.decode() for raw in redis.lrange(key, 0, -1)]


def fill(redis: Redis, *items: str) -> None:
    """Put just these items into the queue q."""
    redis.delete(Q)
    if items:
        redis.sadd("resque:queues", "q")
        redis.rpush(Q, *items)


class J:
    """The job of the rows."""

    queue = "q"

    @staticmethod
    def perform(*args: Any) -> None:
        """Do nothing."""


class NoQ:
    """A job without a queue."""

    @staticmethod
    def perform(*args: Any) -> None:
        """Do nothing."""


@pytest.fixture
def client(redis_url: str) -> Resque:
    """A client whose registry knows J and NoQ."""
    registry = Registry()
    registry.register(J)
    registry.register(NoQ)
    return Resque(redis_url, registry=registry)


def work_off(client: Resque, *queues: str) -> Worker:
    """Work until the queues are empty."""
    worker = Worker(client, queues or ("q",), interval=0)
    worker.work()
    return worker


# push, pop, peek, size

A1, A2, TEXT = API["Resque.push('q', 'just a string')"]["redis"]


@covers(
    "Resque.push('q', 'class' => 'A', 'args' => [1])",
    "Resque.push(:q, {class: 'A', args: [:sym, nil, 1.5, {k: :v}]})",
    "Resque.push('q', 'just a string')",
    "Resque.size('q')",
    "Resque.size('none')",
    deviations="plain-answers",
)
def test_push_and_size(client: Resque, redis: Redis) -> None:
    """Any JSON value goes in, with Ruby's bytes; the answer is the length (plain-answers)."""
    pushed = [
        ("Resque.push('q', 'class' => 'A', 'args' => [1])", {"class": "A", "args": [1]}),
        (
            "Resque.push(:q, {class: 'A', args: [:sym, nil, 1.5, {k: :v}]})",
            {"class": "A", "args": ["sym", None, 1.5, {"k": "v"}]},
        ),
        ("Resque.push('q', 'just a string')", "just a string"),
    ]
    for call, item in pushed:
        assert client.push("q", item) == ruby(API[call]["returns"])[1]
        assert stored(redis) == API[call]["redis"]
    assert client.size("q") == int(API["Resque.size('q')"]["returns"])
    assert client.size("none") == int(API["Resque.size('none')"]["returns"])


@covers(*(call for call in API if call.startswith("Resque.peek(")))
@pytest.mark.parametrize("call", [call for call in API if call.startswith("Resque.peek(")])
def test_peek(client: Resque, redis: Redis, call: str) -> None:
    """One item for a count of 1, else a list; 0 from 0 gives all."""
    fill(redis, A1, A2, TEXT)
    args = ast.literal_eval(call.removeprefix("Resque.peek(").removesuffix(")") + ",")
    assert client.peek(*args) == ruby(API[call]["returns"])


@covers("Resque.pop('q')", "Resque.pop('none')")
def test_pop(client: Resque, redis: Redis) -> None:
    """The first item, decoded; nothing from an empty queue."""
    fill(redis, A1, A2, TEXT)
    assert client.pop("q") == ruby(API["Resque.pop('q')"]["returns"])
    assert stored(redis) == API["Resque.pop('q')"]["redis"]
    assert client.pop("none") is None


@covers("Resque.queues", "Resque.remove_queue('q')", deviations="plain-answers")
def test_queues(client: Resque, redis: Redis) -> None:
    """Known queues, and their removal with all items; the answer is how many (plain-answers)."""
    fill(redis, A2, TEXT)
    assert client.queues() == ruby(API["Resque.queues"]["returns"])
    assert client.remove_queue("q") == 2
    assert stored(redis) == API["Resque.remove_queue('q')"]["redis"]
    assert not redis.exists("resque:queues")


@covers("pop of a list whose item is not JSON", deviations="decode-error-holds-raw")
def test_pop_of_what_is_not_json(client: Resque, redis: Redis) -> None:
    """It is gone from the queue, and held by the error (decode-error-holds-raw)."""
    fill(redis, "not json")
    with pytest.raises(DecodeError) as caught:
        client.pop("q")
    assert caught.value.raw == b"not json"
    assert not redis.exists(Q)


# enqueue


class QM:
    """A job whose queue is a method."""

    @classmethod
    def queue(cls) -> str:
        """Answer it."""
        return "q"

    @staticmethod
    def perform() -> None:
        """Do nothing."""


@covers(
    "Resque.enqueue(J, 1)",
    "Resque.enqueue(QM)",
    "Resque.enqueue_to('other', NoQ)",
    "Resque.enqueue_to('other', 'Some::Name', 1)",
    deviations="receipt",
)
def test_enqueue(client: Resque, redis: Redis) -> None:
    """Ruby's bytes, and a receipt where Ruby gives true (receipt)."""
    assert client.enqueue(J, 1) == Receipt("q")
    assert stored(redis) == API["Resque.enqueue(J, 1)"]["redis"]
    assert client.enqueue(QM)
    assert stored(redis)[1:] == API["Resque.enqueue(QM)"]["redis"]
    assert client.enqueue_to("other", NoQ)
    assert stored(redis, "resque:queue:other") == API["Resque.enqueue_to('other', NoQ)"]["redis"]
    assert client.enqueue_to("other", "Some::Name", 1)
    assert stored(redis, "resque:queue:other") == API["Resque.enqueue_to('other', 'Some::Name', 1)"]["redis"]


@covers("Resque.enqueue(NoQ)", "Resque.enqueue_to('other', '')")
def test_refused(client: Resque, redis: Redis) -> None:
    """No queue, no class: in Ruby's words, and nothing is pushed."""

    def words(call: str) -> Any:
        return re.escape(API[call]["raises"].split(": ", 1)[1].rstrip("."))

    with pytest.raises(NoQueueError, match=words("Resque.enqueue(NoQ)")):
        client.enqueue(NoQ)
    with pytest.raises(NoClassError, match=words("Resque.enqueue_to('other', '')")):
        client.enqueue_to("other", "")
    assert redis.keys() == []


def vetoing(answer: object, notes: list[Any]) -> type:
    """The class Veto, whose first hooks answer this."""

    def hook(name: str, answered: object = None) -> Any:
        def noted(_cls: type, *args: Any) -> object:
            notes.append([name, list(args)])
            return answered

        return classmethod(noted)

    return type("Veto", (J,), {
        "before_enqueue_a": hook("before_enqueue_a", answer),
        "before_enqueue_b": hook("before_enqueue_b"),
        "after_enqueue_x": hook("after_enqueue_x"),
        "before_dequeue_a": hook("before_dequeue_a", answer),
        "after_dequeue_a": hook("after_dequeue_a"),
    })  # fmt: skip


@covers(*(call for call in API if call.startswith(("before_enqueue_a returns", "before_dequeue_a returns"))))
@pytest.mark.parametrize("answer", ["false", "nil", "true", "0"])
def test_vetoes(redis_url: str, redis: Redis, answer: str) -> None:
    """Only exactly False vetoes; all before_enqueue hooks run, no after hook does."""
    notes: list[Any] = []
    veto = vetoing({"false": False, "nil": None, "true": True, "0": 0}[answer], notes)
    client = Resque(redis_url, registry=Registry())
    fill(redis, *API["Resque.enqueue(J, 1)"]["redis"])
    for call, done in (("before_enqueue_a returns {}: Resque.enqueue(Veto, 1)", client.enqueue),
                       ("before_dequeue_a returns {}: Resque.dequeue(Veto, 1)", client.dequeue)):  # fmt: skip
        row = API[call.format(answer)]
        notes.clear()
        answered = done(veto, 1)
        expected = ruby(row["returns"])
        assert bool(answered) is expected if expected is True else answered == expected
        assert notes == ruby(row["redis"]["hooks"])
        assert stored(redis) == row["redis"]["queue"]


@covers("before_enqueue raises", "after_enqueue raises")
def test_hooks_that_raise(client: Resque, redis: Redis) -> None:
    """Their errors reach the caller; before the push it keeps the job out, after it the job stays."""

    def raising(name: str) -> type:
        def hook(_cls: type, *_args: Any) -> None:
            raise RuntimeError(f"from {name}")

        return type("Late", (J,), {"resque_name": "Late", name: classmethod(hook)})

    fill(redis, *API["before_enqueue raises"]["redis"])
    with pytest.raises(RuntimeError, match="from before_enqueue"):
        client.enqueue(raising("before_enqueue"), 1)
    assert stored(redis) == API["before_enqueue raises"]["redis"]
    fill(redis)
    with pytest.raises(RuntimeError, match="from after_enqueue"):
        client.enqueue(raising("after_enqueue"))
    assert stored(redis) == API["after_enqueue raises"]["redis"]


# destroy and dequeue

BEFORE: list[str] = next(
    row["before"] for row in json.loads((GOLDEN / "api-semantics.json").read_text())["rows"] if "before" in row
)
MATCHING: dict[str, tuple[str, list[Any], int]] = {
    'Resque::Job.destroy("q", "J")': ("destroy", ["q", "J"], 12),
    'Resque::Job.destroy("q", J, 1)': ("destroy", ["q", J, 1], 5),
    'Resque::Job.destroy("q", J, 1.0)': ("destroy", ["q", J, 1.0], 1),
    'Resque::Job.destroy("q", J, {"a"=>1,"b"=>2})': ("destroy", ["q", J, {"a": 1, "b": 2}], 1),
    'Resque::Job.destroy("q", J, [])': ("destroy", ["q", J, []], 1),
    'Resque::Job.destroy("q", J, nil)': ("destroy", ["q", J, None], 1),
    "Resque.dequeue(J)": ("dequeue", [J], 12),
    "Resque.dequeue(J, 1)": ("dequeue", [J, 1], 5),
    'Resque::Job.destroy("none", J)': ("destroy", ["none", J], 0),
}
# The items that Ruby's bytes miss for the arguments 1: with metadata, in another order, with spaces.
BY_VALUE = {BEFORE[9], BEFORE[10], BEFORE[11]}


@covers(*MATCHING, deviations="destroy-by-value")
@pytest.mark.parametrize("call", MATCHING)
def test_matching(client: Resque, redis: Redis, call: str) -> None:
    """Which of the 13 items go: Ruby's, and those that are the same but for their bytes (destroy-by-value)."""
    method, args, count = MATCHING[call]
    fill(redis, *BEFORE)
    assert getattr(client, method)(*args) == count
    left = API[call]["redis"]
    if args[-1] == 1 and isinstance(args[-1], int):
        left = [item for item in left if item not in BY_VALUE]
    assert stored(redis) == left
    assert count - int(API[call]["returns"]) == len(API[call]["redis"]) - len(left)


@covers("Resque.dequeue(NoQ)")
def test_dequeue_without_a_queue(client: Resque, redis: Redis) -> None:
    """Nothing to remove."""
    assert client.dequeue(NoQ) == int(API["Resque.dequeue(NoQ)"]["returns"])


# the list of failures

FAILED: list[str] = API["three Failure.create(...)"]["redis"]["failed"]
AT = re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d [A-Z]{3}")


@pytest.fixture
def failures(client: Resque, redis: Redis) -> Resque:
    """The three failures of the rows."""
    redis.rpush("resque:failed", *FAILED)
    return client


def same(texts: list[str]) -> list[str]:
    """Without the times."""
    return [AT.sub("<at>", text) for text in texts]


def assert_left(redis: Redis, call: str) -> None:
    """The failures are as Ruby left them, and so are the pushed jobs but for their metadata."""
    left = API[call]["redis"]
    assert same(stored(redis, "resque:failed")) == same(left["failed"])
    pushed = [json.loads(raw) for raw in stored(redis)]
    for item in pushed:
        metadata = item.pop("clues_metadata")  # retry-keeps-metadata
        assert metadata["customer_id"] == 4
        assert metadata["_attempt"] == 2
    assert pushed == [json.loads(raw) for raw in left["queue:q"]]
    assert redis.get("resque:stat:failed") is None


@covers(
    "three Failure.create(...)",
    "Resque::Failure.requeue(1)",
    "Resque::Failure.requeue(1) again",
    "Resque::Failure.clear_retried",
    "Resque::Failure.remove(0)",
    "Resque::Failure.requeue(7)",
    deviations="retry-keeps-metadata retry-of-nothing plain-answers",
)
def test_retry_and_remove(failures: Resque, redis: Redis) -> None:
    """The same failure twice, then clear_retried, then remove; True and counts are the answers (plain-answers)."""
    failed = failures.failed
    assert failed.count() == int(API["three Failure.create(...)"]["returns"])
    assert failed.retry(1) is True
    assert_left(redis, "Resque::Failure.requeue(1)")
    assert failed.retry(1) is True
    assert_left(redis, "Resque::Failure.requeue(1) again")
    assert failed.clear_retried() == 1
    assert_left(redis, "Resque::Failure.clear_retried")
    assert failed.remove(0) is True
    assert_left(redis, "Resque::Failure.remove(0)")
    assert failed.retry(7) is False  # retry-of-nothing


@covers("Resque::Failure.requeue_queue('q')", "Resque::Failure.requeue_all", deviations="retry-keeps-metadata")
@pytest.mark.parametrize("queue", ["q", None])
def test_retry_all(failures: Resque, redis: Redis, queue: str | None) -> None:
    """Each once, in order, and all stay in the list."""
    assert failures.failed.retry_all(queue) == 3
    assert_left(redis, "Resque::Failure.requeue_all" if queue is None else "Resque::Failure.requeue_queue('q')")


@covers(
    "Resque::Failure.all(0, 1).class / all(0, 2).class",
    "Resque::Failure.each ids in order",
    "Resque::Failure.each with order asc",
    deviations="lists-are-lists",
)
def test_looking_at_failures(failures: Resque) -> None:
    """Always a list (lists-are-lists); each goes newest first unless told otherwise."""
    failed = failures.failed
    assert failed.all(0, 1) == [json.loads(FAILED[0])]
    assert failed.all(0, 2) == [json.loads(raw) for raw in FAILED[:2]]
    for call, newest_first in (
        ("Resque::Failure.each ids in order", True),
        ("Resque::Failure.each with order asc", False),
    ):
        found = [[index, entry["error"]] for index, entry in failed.each(newest_first=newest_first)]
        assert found == ruby(API[call]["returns"])


@covers(
    "Resque::Failure.remove_queue('q')",
    "Resque::Failure.clear",
    'Resque::Failure.count("other")',
    deviations="count-by-queue plain-answers",
)
def test_removing_failures(failures: Resque, redis: Redis) -> None:
    """A queue's, or all; count takes a queue (count-by-queue)."""
    assert failures.failed.count("q") == 3
    assert failures.failed.count("other") == 0
    assert failures.failed.remove_queue("other") == 0
    assert failures.failed.remove_queue("q") == 3
    assert stored(redis, "resque:failed") == API["Resque::Failure.remove_queue('q')"]["redis"]["failed"]
    redis.rpush("resque:failed", *FAILED)
    failures.failed.clear()
    assert stored(redis, "resque:failed") == API["Resque::Failure.clear"]["redis"]


# workers

POLLED = {
    'Worker.new with QUEUES="a, b" and QUEUE="c"': {"QUEUES": "a, b", "QUEUE": "c"},
    'Worker.new with QUEUE="c" only': {"QUEUE": "c"},
}


@covers(*(call for call in API if re.fullmatch(r"Worker\.new\(.*\)", call)))
def test_queue_patterns_are_tested_elsewhere() -> None:
    """By tests/resque/test_queues.py, row for row."""
    from tests.resque import test_queues

    assert {row["call"] for row in test_queues._rows()} == {
        call for call in API if re.fullmatch(r"Worker\.new\(.*\)", call)
    }


@covers(*POLLED, "Worker.new with neither")
def test_queues_from_the_environment(redis_url: str, redis: Redis, tmp_path: Path) -> None:
    """QUEUES beats QUEUE, and one of them must be there."""
    (tmp_path / "jobs.py").write_text("class J:\n    queue = 'a'\n    def perform(self): pass\n")
    always = {"REDIS_URL": redis_url, "INTERVAL": "0", "VVERBOSE": "1"}
    for call, environ in POLLED.items():
        done = run_clues("work", "--app", "jobs", environ=always | environ, cwd=tmp_path)
        assert done.returncode == 0
        queues = ruby(API[call]["returns"])[0].split(":")[-1]
        assert f":{queues} works {queues} on" in done.stdout + done.stderr
    neither = run_clues("work", "--app", "jobs", environ=always, cwd=tmp_path)
    assert neither.returncode != 0
    assert "queues" in neither.stderr


@covers("Worker.find('h:12:a,b', skip_exists: true)", "Worker.find('nope:1:a')", deviations="no-worker-objects")
def test_workers_are_their_ids(client: Resque, redis: Redis) -> None:
    """There are no objects for other processes' workers; their ids and what they hold tell all (no-worker-objects)."""
    redis.sadd("resque:workers", "h:12:a,b")
    assert client.workers() == ["h:12:a,b"]
    assert client.working() == {}


# inline


@covers("Resque.inline = true; Resque.enqueue(J, :sym, {a: 1})", "Resque::Job.create return value inline")
def test_inline(redis_url: str, redis: Redis) -> None:
    """Performed at once with arguments that went through JSON; no key is touched."""
    performed: list[Any] = []
    job = type("Inline", (J,), {"perform": staticmethod(lambda *args: performed.append(list(args)))})
    client = Resque(redis_url, registry=Registry(), inline=True)
    assert client.enqueue(job, "sym", {"a": (1,)})
    assert client.enqueue_to("q", job)
    assert performed == [["sym", {"a": [1]}], []]
    assert redis.keys() == []


@covers("inline job raising", "inline job with hooks")
def test_inline_hooks(redis_url: str, redis: Redis) -> None:
    """All hooks in Ruby's order; an error runs on_failure and reaches the caller."""
    notes: list[list[Any]] = []

    def hook(name: str) -> Any:
        return classmethod(lambda _, *args: notes.append([name, list(args)]))

    kinds = ("before_enqueue", "before_perform", "perform", "after_perform", "after_enqueue")
    job = type("Hooked", (J,), {name: hook(name) for name in kinds})
    client = Resque(redis_url, registry=Registry(), inline=True)
    client.enqueue(job, 1)
    assert notes == ruby(API["inline job with hooks"]["redis"])

    def failing(_cls: type) -> None:
        raise RuntimeError("inline failure")

    notes.clear()
    on_failure = classmethod(lambda _, error: notes.append(["on_failure", str(error)]))
    broken = type("Broken", (J,), {"perform": classmethod(failing), "on_failure": on_failure})
    with pytest.raises(RuntimeError, match="inline failure"):
        client.enqueue(broken)
    assert notes == ruby(API["inline job raising"]["redis"]["hooks"])
    assert redis.keys() == []


# perform hooks


@covers(*(call for call in API if call.startswith("Job#perform, ")))
def test_perform_hooks_are_tested_elsewhere() -> None:
    """By tests/resque/test_hooks.py, row for row."""
    from tests.resque import test_hooks

    assert {row["call"] for row in test_hooks._rows()} == {call for call in API if call.startswith("Job#perform, ")}


@covers("Job with args missing")
def test_an_item_without_args(client: Resque, redis: Redis) -> None:
    """Performed with none."""
    fill(redis, '{"class":"J"}')
    assert work_off(client).failed == 0


@covers("on_failure hook raises: Worker#perform of the job")
def test_on_failure_that_raises(client: Resque, redis: Redis) -> None:
    """One failure that tells of both errors, in Ruby's words; counted once."""

    def failing(_cls: type) -> None:
        raise RuntimeError("perform failed")

    def hook(_cls: type, *_args: Any) -> None:
        raise RuntimeError("hook failed")

    broken = type("FH", (J,), {"perform": classmethod(failing), "on_failure": classmethod(hook)})
    client.enqueue(broken)
    work_off(client)
    row = API["on_failure hook raises: Worker#perform of the job"]
    (entry,) = client.failed.all()
    assert {key: entry[key] for key in ("exception", "error")} == row["redis"][0]
    assert {name: str(client.stat(name)) for name in ("failed", "processed")} == ruby(
        re.sub(r":(\w+)=>", r'"\1"=>', row["returns"])
    )


# stats and info


@covers("Resque.info", deviations="info-environment")
def test_info(client: Resque, redis: Redis) -> None:
    """Ruby's names and figures; there is no environment (info-environment)."""
    client.enqueue(J, 1)
    text = re.sub(r'"<Redis.*?>"', '"server"', API["Resque.info"]["returns"])
    expected = ruby(re.sub(r":(\w+)=>", r'"\1"=>', text))
    del expected["environment"]
    info = client.info()
    assert list(info) == list(expected)
    assert {**info, "servers": ["server"]} == expected
    assert info["servers"][0].startswith("redis://127.0.0.1:")


@covers('Resque::Stat.incr("x", 3), Stat["x"], Stat.decr', "Resque.keys", deviations="decr-works no-keys")
def test_stats(client: Resque, redis: Redis) -> None:
    """Counters are read under Ruby's keys; they are the workers' to count (decr-works, no-keys)."""
    redis.set("resque:stat:x", 3)
    assert client.stat("x") == 3
    assert client.stat("none") == 0
    assert not hasattr(client, "keys")


# JSON

WRITTEN: dict[str, Any] = {
    "encode(1.0)": 1.0,
    "encode(1e15)": 1e15,
    "encode(1e16)": 1e16,
    "encode(1e20)": 1e20,
    "encode(1e-4)": 1e-4,
    "encode(1e-5)": 1e-5,
    "encode(1.5e-7)": 1.5e-7,
    "encode(123456789012345680.0)": 123456789012345680.0,
    "encode(0.1+0.2)": 0.1 + 0.2,
    "encode(-0.0)": -0.0,
    "encode(2**70)": 2**70,
    "encode(nil)": None,
    "encode(slash)": "a/b",
    "encode(non-ascii)": "é世😀",
    "encode(control)": "\x01\b\f\n\r\t\x1b\x7f",
    "encode(u2028)": "\u2028",
    "encode(quote backslash)": '"\\',
    "encode(html)": "<&>",
    "encode(symbol)": "sym",  # Python has no symbols: text in either case
    "encode(int key)": {1: 2},
    "encode(nil key)": {None: 1},
    "encode(empty)": [{}, [], ""],
}
REFUSED: dict[str, Any] = {
    "encode(Time)": dt.datetime(1970, 1, 1),
    "encode(NaN)": float("nan"),
    "encode(Infinity)": float("inf"),
    "encode(invalid UTF-8)": "\udcff",
    "encode(binary string, ASCII-8BIT é)": "é".encode(),
}


@covers(*WRITTEN)
@pytest.mark.parametrize("call", WRITTEN)
def test_written(call: str) -> None:
    """Byte for byte."""
    assert encode([WRITTEN[call]]).decode() == ast.literal_eval(API[call]["returns"])


@covers(*REFUSED, deviations="strict-args")
@pytest.mark.parametrize("call", REFUSED)
def test_not_written(call: str) -> None:
    """What Ruby refuses, and what it would turn into something else: times, bytes (strict-args)."""
    with pytest.raises(EncodeError, match=r"\[0\]"):
        encode([REFUSED[call]])


@covers('decode("[NaN]")', 'decode("1")', 'decode("")', "decode(duplicate keys)", "decode(1e400)")
def test_read() -> None:
    """As Ruby reads it."""
    for raw in (b"[NaN]", b""):
        with pytest.raises(DecodeError):
            decode(raw)
    assert decode(b"1") == 1
    assert decode(b'{"a":1,"a":2}') == ruby(API["decode(duplicate keys)"]["returns"])
    assert decode(b"[1e400]") == [float("inf")]


# oddities with clues


class Broken(RecordingPublisher):
    """Records nothing, and raises on events of one type, or on all."""

    def __init__(self, event_type: str | None = None) -> None:
        super().__init__()
        self.event_type = event_type

    def publish(self, event: Any, /) -> None:
        if self.event_type in {None, event.event_type.value}:
            raise RuntimeError("publisher broke")
        super().publish(event)


def events(what: str) -> list[dict[str, Any]]:
    """The events that Ruby published in a row."""
    return [event["parsed"] for event in ODDITIES[what]["events"] if "parsed" in event]


def types(what: str) -> list[str]:
    """Their types."""
    return [event["event_type"] for event in events(what)]


def job(perform: Callable[..., Any], **extra: Any) -> type:
    """The class A of the rows."""
    return type("A", (), {"queue": "q", "perform": staticmethod(perform), **extra})


@pytest.fixture
def bare(redis_url: str) -> Resque:
    """A client whose registry is empty."""
    return Resque(redis_url, registry=Registry())


@covers("push of an item with string keys", "push of an item with no args, then pop")
@pytest.mark.parametrize("item", [{"class": "A", "args": [1]}, {"class": "A"}])
def test_push_is_published(bare: Resque, redis: Redis, item: dict[str, Any]) -> None:
    """Enqueued, and dequeued by the pop, with class and args (which Ruby finds under symbols only)."""
    with capture_events() as recorder:
        bare.push("q", item)
        assert bare.pop("q")["class"] == "A"
    assert recorder.types == types("push of an item with string keys")
    assert [(event.worker_class, event.args) for event in recorder.events] == [("A", item.get("args", []))] * 2


@covers("push of a string", deviations="pushes-anything")
def test_push_of_a_string(bare: Resque, redis: Redis) -> None:
    """Any JSON value can be pushed with clues too (pushes-anything); no event tells of what is no job."""
    with capture_events() as recorder:
        assert bare.push("q", "text") == 1
    assert stored(redis) == ['"text"']
    assert recorder.events == []


@covers("README's preprocessor item[:metadata][:customer_id] = 1", deviations="preprocessor-errors")
def test_preprocessor_that_raises(bare: Resque, redis: Redis) -> None:
    """It keeps no job out (preprocessor-errors)."""
    with capture_events(item_preprocessor=lambda _, item: item["metadata"]["customer_id"]) as recorder:
        assert bare.enqueue_to("q", "A", 1)
    assert bare.size("q") == 1
    assert recorder.types == ["enqueued"]


@covers("preprocessor with a symbol key and a value it replaces", deviations="preprocessor-underscore")
def test_preprocessor_that_replaces(bare: Resque, redis: Redis) -> None:
    """It may change the args; what the system wrote it can't (preprocessor-underscore)."""

    def preprocess(_queue: str, item: Any) -> None:
        item["clues_metadata"]["customer_id"] = 1
        item["clues_metadata"]["_process"] = "mine"
        item["args"].append("added")

    with capture_events(item_preprocessor=preprocess) as recorder:
        bare.enqueue_to("q", "A", 1)
    (event,) = recorder.events
    (item,) = map(json.loads, stored(redis))
    (ruby_event,) = events("preprocessor with a symbol key and a value it replaces")
    assert event.args == item["args"] == ruby_event["args"]
    assert item["clues_metadata"]["customer_id"] == ruby_event["metadata"]["customer_id"]
    assert isinstance(item["clues_metadata"]["_process"], int)


@covers("dequeue by class and args of a clues job", deviations="destroy-by-value destroyed-events")
def test_dequeue_of_a_clues_job(bare: Resque, redis: Redis) -> None:
    """Found in spite of its metadata (destroy-by-value), and told (destroyed-events)."""
    with capture_events() as recorder:
        bare.enqueue(job(print), 1)
        assert bare.dequeue("A", 1) == 1
        assert bare.size("q") == 0
    assert recorder.types == ["enqueued", "destroyed"]


@covers("Resque.inline", deviations="inline-events")
def test_inline_with_clues(bare: Resque, redis: Redis) -> None:
    """The whole story (inline-events)."""
    with capture_events() as recorder, bare.performing_inline():
        assert bare.enqueue(job(lambda *_: None), 1)
    assert recorder.types == ["enqueued", "dequeued", "perform_started", "perform_finished"]
    assert redis.keys() == []


@covers(
    "publisher that raises, on enqueue",
    "publisher that raises, on dequeue (worker)",
    "publisher that raises on perform_finished only",
    deviations="publisher-errors",
)
@pytest.mark.parametrize("event_type", [None, "enqueued", "dequeued", "perform_finished"])
def test_publisher_that_raises(bare: Resque, redis: Redis, event_type: str | None) -> None:
    """It costs its own events and nothing else (publisher-errors)."""
    performed: list[int] = []
    publisher = Broken(event_type)
    clues.configure(publisher)
    assert bare.enqueue(job(performed.append), 1)
    worker = work_off(bare)
    assert (performed, worker.processed, worker.failed) == ([1], 1, 0)
    assert bare.failed.count() == 0
    every = ["enqueued", "dequeued", "perform_started", "perform_finished"]
    assert publisher.types == ([kind for kind in every if kind != event_type] if event_type else [])


@covers("CompositePublisher with one child raising", "no publisher configured")
def test_composite_and_no_publisher(bare: Resque, redis: Redis) -> None:
    """The other publisher hears all; without any the item is Ruby's plain one."""
    from clues.publishers import CompositePublisher

    bare.enqueue_to("q", "A", 1)
    assert stored(redis) == ODDITIES["no publisher configured"]["keys"][0]["value"]
    recorder = RecordingPublisher()
    clues.configure(CompositePublisher(Broken(), recorder))
    bare.enqueue_to("q", "A", 1)
    assert recorder.types == types("CompositePublisher with one child raising")


@covers("before_perform raises DontPerform", "before_enqueue vetoes")
def test_quiet_ends(bare: Resque, redis: Redis) -> None:
    """A job that a hook stops quietly has finished; one that was never pushed has no events."""

    def stop(*_args: Any) -> None:
        raise DontPerform

    with capture_events() as recorder:
        bare.enqueue(job(print, before_perform_x=staticmethod(stop)), 1)
        assert work_off(bare).failed == 0
    assert recorder.types == types("before_perform raises DontPerform")
    assert bare.stat("processed") == 1
    with capture_events() as recorder:
        vetoed = type("Vetoed", (J,), {"before_enqueue_x": staticmethod(lambda *_: False)})
        assert bare.enqueue(vetoed, 1) is None
    assert recorder.types == types("before_enqueue vetoes")


@covers("metadata changed in place", deviations="read-once")
def test_metadata_changed_in_place(bare: Resque, redis: Redis) -> None:
    """What came with the item stays as it came in all events (read-once)."""

    def preprocess(_queue: str, item: Any) -> None:
        item["clues_metadata"]["tags"] = ["first"]

    with capture_events(item_preprocessor=preprocess) as recorder:
        bare.enqueue(job(lambda *_: clues.clues_metadata["tags"].append("added")), 1)
        work_off(bare)
    assert recorder.types == types("metadata changed in place")
    assert [event.metadata["tags"] for event in recorder.events] == [["first"]] * 4


@covers("clues_metadata outside a job")
def test_metadata_outside_a_job() -> None:
    """Empty, and stays so."""
    clues.clues_metadata["x"] = 1
    assert dict(clues.clues_metadata) == {}


@covers("enqueue from inside a job")
def test_enqueue_inside_a_job(bare: Resque, redis: Redis) -> None:
    """The inner job's event stands among the outer one's."""
    with capture_events() as recorder:
        bare.enqueue(job(lambda *_: bare.enqueue_to("q2", "B", 2)), 1)
        work_off(bare)
    expected = events("enqueue from inside a job")
    assert [(event.event_type.value, event.worker_class, event.args) for event in recorder.events] == [
        tuple(event[key] for key in ("event_type", "worker_class", "args")) for event in expected
    ]


@covers("args of a keyword-like last hash and unicode")
def test_args_with_a_hash_and_unicode(bare: Resque, redis: Redis) -> None:
    """Ruby's bytes up to the metadata, and the same args in the event."""
    with capture_events() as recorder:
        bare.enqueue_to("q", "A", "é", {"k": 1})
    (rubys,) = ODDITIES["args of a keyword-like last hash and unicode"]["keys"][0]["value"]
    (ours,) = stored(redis)
    assert ours.split('"clues_metadata"')[0] == rubys.split('"clues_metadata"')[0]
    assert recorder.events[0].args == ["é", {"k": 1}]


@covers("exception whose message is binary", deviations="odd-messages")
def test_binary_message(bare: Resque, redis: Redis) -> None:
    """The failure is stored and its event published, whatever the message holds (odd-messages)."""

    def perform(_one: int) -> None:
        raise RuntimeError(b"caf\xe9".decode("utf-8", "surrogateescape"))

    with capture_events() as recorder:
        bare.enqueue(job(perform), 1)
        work_off(bare)
    (entry,) = bare.failed.all()
    assert entry["error"].startswith("caf")
    assert recorder.types == [*types("exception whose message is binary"), "failed"]
    assert recorder.events[-1].metadata["_message"].startswith("caf")


@covers("Resque::Job#recreate", deviations="retry-keeps-metadata")
def test_recreate() -> None:
    """There is none: retrying a failure is what keeps a job's story."""
    from clues.resque.job import Job

    assert not hasattr(Job, "recreate")


# odd exits


def test_odd_exits(bare: Resque, redis: Redis, golden: Callable[[str], dict[str, Any]]) -> None:
    """f6: SystemExit, MemoryError, an error that says nothing, the wrong arguments: failures; no args: none.

    ``exit!`` (os._exit) takes the worker's process along until jobs have processes of their own; ``throw`` is Ruby's.
    """

    def leave(_one: int) -> None:
        raise SystemExit(3)

    def no_memory(_one: int) -> None:
        raise MemoryError("fake")

    def nil_message(_one: int) -> None:
        raise ValueError

    names: dict[str, Callable[..., Any]] = {
        "ExitJob": leave,
        "NoMemJob": no_memory,
        "NilMsg": nil_message,
        "NoArgsMismatch": lambda _one, _two: None,
        "LongJob": lambda: None,
    }
    for name, function in names.items():
        bare.registry.job(queue="ex", name=name)(function)
    skipped = {"ExitBangJob", "ThrowJob"}
    wanted = [event["parsed"] for event in golden("f6-odd-exits")["events"] if "parsed" in event]
    wanted = [event for event in wanted if event["worker_class"] not in skipped]
    with capture_events() as recorder:
        for event in wanted:
            if event["event_type"] == "enqueued":
                bare.enqueue_to("ex", event["worker_class"], *event["args"])
        worker = work_off(bare, "ex")
    assert [(event.event_type.value, event.worker_class) for event in recorder.events] == [
        (event["event_type"], event["worker_class"]) for event in wanted
    ]
    assert (worker.processed, worker.failed) == (5, 4)
    errors = {entry["payload"]["class"]: (entry["exception"], entry["error"]) for entry in bare.failed.all()}
    assert errors["ExitJob"] == ("SystemExit", "3")
    assert errors["NoMemJob"] == ("MemoryError", "fake")
    assert errors["NilMsg"] == ("ValueError", "")
    assert errors["NoArgsMismatch"][0] == "TypeError"


# nothing left over


def test_no_row_is_left_uncovered() -> None:
    """Every row is held by a test, here or where a test here says."""
    assert {*API, *ODDITIES} == _covered


def test_deviations_are_documented() -> None:
    """Each has its row in docs/compatibility.md."""
    named = set(re.findall(r"^\| `([a-z0-9-]+)` \|", COMPATIBILITY.read_text(), re.MULTILINE))
    assert named >= _deviations
