"""The items and events of the captures: what is enqueued, and what becomes of Ruby's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from clues.resque import Resque
from clues.resque.registry import Registry
from clues.resque.worker import Worker
from clues.testing import capture_events

Capture = Callable[[str], dict[str, Any]]


def items(capture: dict[str, Any]) -> list[str]:
    """The items in the capture's queue, as stored."""
    (queue,) = (key for key in capture["keys"] if key["name"] == "resque:queue:golden")
    values: list[str] = queue["value"]
    return values


def work_off(client: Resque, *queues: str) -> None:
    """Work until the queues are empty."""
    Worker(client, queues, interval=0).work()


def jobs(**functions: Callable[..., Any]) -> Registry:
    """A registry of functions by their wire names."""
    registry = Registry()
    for name, function in functions.items():
        registry.job(queue="golden", name=name)(function)
    return registry


def test_plain_item(redis: Any, redis_url: str, golden: Capture) -> None:
    """a: without clues, an item has Ruby's bytes, and the queue is known."""
    Resque(redis_url).enqueue_to("golden", "SomeJob", 1, "two", {"three": 3})
    assert [raw.decode() for raw in redis.lrange("resque:queue:golden", 0, -1)] == items(golden("a-enqueue-plain"))
    assert redis.smembers("resque:queues") == {b"golden"}


def test_stamped_item(redis: Any, redis_url: str, golden: Capture) -> None:
    """b: class, args and clues_metadata in Ruby's order. Deviations: no-twin-keys, one-hash, attempt-and-id."""

    def add_customer(_queue: str, item: Any) -> None:
        item["clues_metadata"]["customer_id"] = 42

    with capture_events(item_preprocessor=add_customer) as recorder:
        Resque(redis_url).enqueue_to("golden", "SomeJob", 1, "two", {"three": 3})
    (rubys,) = map(json.loads, items(golden("b-enqueue-clues-preprocessor")))
    (ours,) = map(json.loads, redis.lrange("resque:queue:golden", 0, -1))
    assert list(ours) == list(rubys)
    assert (ours["class"], ours["args"]) == (rubys["class"], rubys["args"])
    twins = {"event_hash", "hostname", "process", "enqueued_time"}
    assert [key for key in ours["clues_metadata"] if key != "_attempt"] == [
        key for key in rubys["clues_metadata"] if key not in twins
    ]
    (event,) = recorder.events
    assert list(json.loads(event.line)) == list(golden("b-enqueue-clues-preprocessor")["events"][1]["parsed"])


@pytest.mark.parametrize("scenario", ["b-enqueue-clues-preprocessor", "b2-enqueue-clues-no-preprocessor"])
def test_rubys_item_keeps_its_story(redis: Any, redis_url: str, golden: Capture, scenario: str) -> None:
    """b, b2: an item that Ruby stamped keeps its hash and its user's metadata through our dequeued … finished."""
    (raw,) = items(golden(scenario))
    redis.rpush("resque:queue:golden", raw)
    ruby = json.loads(raw)["clues_metadata"]
    with capture_events() as recorder:
        work_off(Resque(redis_url, registry=jobs(SomeJob=lambda *_: None)), "golden")
    assert recorder.types == ["dequeued", "perform_started", "perform_finished"]
    for event in recorder.events:
        assert event.metadata["_event_hash"] == ruby["_event_hash"]
        assert event.metadata["_enqueued_time"] == ruby["_enqueued_time"]
        assert event.metadata.get("customer_id") == ruby.get("customer_id")
        for twin in ("event_hash", "hostname", "process", "enqueued_time"):
            assert event.metadata[twin] == ruby[twin]  # no-twin-keys: passed through, never written by us
        assert event.metadata["_hostname"] != ruby["_hostname"] or ruby["_hostname"] == "vm"
    assert "time_in_queue" not in recorder.events[0].metadata


@pytest.mark.parametrize("adopt", [False, True])
def test_unstamped_item(redis: Any, redis_url: str, golden: Capture, adopt: bool) -> None:
    """events-enqueued-without-clues: works, and has events from dequeued on only with adopt_unstamped."""
    assert golden("events-enqueued-without-clues")["events"][1:] == []
    done: list[Any] = []
    redis.rpush("resque:queue:golden", items(golden("a-enqueue-plain"))[0])
    with capture_events(adopt_unstamped=adopt) as recorder:
        work_off(Resque(redis_url, registry=jobs(SomeJob=lambda *args: done.append(args))), "golden")
    assert done == [(1, "two", {"three": 3})]
    assert recorder.types == (["dequeued", "perform_started", "perform_finished"] if adopt else [])
    assert len({event.metadata["_event_hash"] for event in recorder.events}) == int(adopt)


def test_requeue(redis: Any, redis_url: str, golden: Capture) -> None:
    """n: Ruby's failures are retried by ours: marked as Ruby marks them; deviation retry-keeps-metadata."""
    capture = golden("n-requeue")
    for entry in capture["failed_before"]:
        redis.rpush("resque:failed", json.dumps(entry, separators=(",", ":"), ensure_ascii=False))
    client = Resque(redis_url)
    with capture_events() as recorder:
        assert client.failed.retry(0)
        assert client.failed.retry(1)
        assert not client.failed.retry(7)  # retry-of-nothing
    before = [entry["payload"]["clues_metadata"] for entry in capture["failed_before"]]
    for raw, known in zip(redis.lrange("resque:queue:golden", 0, -1), before, strict=True):
        item = json.loads(raw)
        assert list(item) == ["class", "args", "clues_metadata"]
        assert item["clues_metadata"]["_event_hash"] == known["_event_hash"]
        assert item["clues_metadata"]["customer_id"] == known["customer_id"]
        assert item["clues_metadata"]["_attempt"] == 2
        assert "_time_in_queue" not in item["clues_metadata"]
    (failed,) = (key["value_parsed"] for key in capture["keys"] if key["name"] == "resque:failed")
    for entry, ruby_entry in zip(client.failed.all(), failed, strict=True):
        assert list(entry) == list(ruby_entry)  # retried_at last
        assert entry["payload"] == ruby_entry["payload"]
    assert [event.metadata["_event_id"].split(":")[1:] for event in recorder.events] == [["2", "enqueued"]] * 2


def test_remove(redis: Any, redis_url: str, golden: Capture) -> None:
    """n2: remove(0) removes the first failure, whatever comes after it."""
    for entry in golden("n-requeue")["failed_before"]:
        redis.rpush("resque:failed", json.dumps(entry, separators=(",", ":")))
    client = Resque(redis_url)
    assert client.failed.remove(0)
    assert [entry["error"] for entry in client.failed.all()] == ["r1"]
    assert not client.failed.remove(5)


def test_hooks_in_the_worker(redis: Any, redis_url: str, golden: Capture) -> None:
    """events-hooks: the order of all job hooks around a job that goes well and one that fails."""
    capture = golden("events-hooks")
    notes: list[tuple[str, list[Any]]] = []

    def noting(name: str) -> Callable[..., Any]:
        return classmethod(lambda cls, *args: notes.append((name, list(args))))  # type: ignore[return-value]

    def around(name: str) -> Any:
        def hook(cls: type, *args: Any) -> Any:
            notes.append((f"{name} in", list(args)))
            yield
            notes.append((f"{name} out", list(args)))

        return classmethod(hook)

    def perform(cls: type, kind: str) -> None:
        notes.append(("perform", [kind]))
        if kind == "fail":
            raise RuntimeError("hooked failure")

    hooks: dict[str, Any] = {
        name: noting(name)
        for name in ("before_perform", "before_perform_b", "before_perform_a", "after_perform_z", "after_perform_y")
    }
    hooks |= {name: around(name) for name in ("around_perform_two", "around_perform_one")}
    hooks["on_failure_note"] = classmethod(lambda cls, error, *args: notes.append(("on_failure_note", list(args))))
    hooked = type("HookedJob", (), {"queue": "golden", "perform": classmethod(perform), **hooks})
    registry = Registry()
    registry.register(hooked)
    for raw in capture["stored_items"]:
        redis.rpush("resque:queue:golden", raw)
    with capture_events() as recorder:
        work_off(Resque(redis_url, registry=registry), "golden")
    assert notes == [(note["hook"], note["args"]) for note in capture["job_notes"]]
    ruby_types = [event["parsed"]["event_type"] for event in capture["events"] if "parsed" in event]
    assert recorder.types == [kind for kind in ruby_types if kind != "enqueued"]


def test_metadata_written_by_the_job(redis: Any, redis_url: str, golden: Capture) -> None:
    """events-metadata: which of a job's writes show. Deviation: runtime-underscore."""
    import clues

    capture = golden("events-metadata")
    raw = capture["stored_items"][0]
    writes, symbols = json.loads(raw)["args"]
    redis.rpush("resque:queue:golden", raw)

    def meta_job(fields: dict[str, Any], _symbols: list[str]) -> None:
        for key, value in fields.items():
            clues.clues_metadata[key] = value

    with capture_events() as recorder:
        work_off(Resque(redis_url, registry=jobs(MetaJob=meta_job)), "golden")
    ours = recorder.events[-1].metadata
    ruby = capture["events"][-1]["parsed"]["metadata"]
    assert symbols
    for key in writes:
        if key.startswith("_"):
            assert ours.get(key) != writes[key]  # runtime-underscore
        elif key != "time_to_perform":  # a bare twin that Ruby writes and we don't
            assert ours[key] == ruby[key]
    assert ours["time_to_perform"] == "overwritten"


def test_unknown_class_events(redis: Any, redis_url: str, golden: Capture) -> None:
    """events-unknown-class: dequeued, perform_started, failed."""
    capture = golden("events-unknown-class")
    redis.rpush("resque:queue:golden", capture["stored_items"][0])
    with capture_events() as recorder:
        work_off(Resque(redis_url, registry=Registry()), "golden")
    ruby_types = [event["parsed"]["event_type"] for event in capture["events"] if "parsed" in event]
    assert recorder.types == ruby_types[1:]
    assert recorder.events[-1].metadata["_exception"] == "clues.errors.UnknownJobError"
