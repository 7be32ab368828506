"""Every key that a worker's life leaves in Redis, beside what Ruby's left (the captures c to j)."""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from clues.resque import Resque
from clues.resque.registry import Registry
from clues.resque.worker import Worker
from tests.waiting import wait_for

Capture = Callable[[str], dict[str, Any]]

ID = re.compile(r"vm:\d+:golden")
HEARTBEAT_KEY = re.compile(r"vm:\d+:heartbeat")
FORMATS = {
    "<started>": re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}"),
    "<heartbeat>": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d"),
    "<run_at>": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
    "<failed_at>": re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d [A-Z]{3}"),
}


def same_everywhere(text: str) -> str:
    """A key or value without what differs from run to run: ids and times become their format's name."""
    text = HEARTBEAT_KEY.sub("vm:<pid>:heartbeat", ID.sub("<id>", text))
    for name, pattern in FORMATS.items():
        text = pattern.sub(name, text)
    return text


def captured(capture: dict[str, Any]) -> dict[str, tuple[str, Any]]:
    """The keys of a capture by name: type and value."""
    return {
        same_everywhere(key["name"]): (key["type"], json.loads(same_everywhere(json.dumps(key["value"]))))
        for key in capture["keys"]
    }


def found(redis: Any) -> dict[str, tuple[str, Any]]:
    """The keys of the database in the same shape."""
    read: dict[str, Callable[[Any], Any]] = {
        "string": lambda key: redis.get(key).decode(),
        "list": lambda key: [raw.decode() for raw in redis.lrange(key, 0, -1)],
        "set": lambda key: sorted(raw.decode() for raw in redis.smembers(key)),
        "hash": lambda key: {name.decode(): value.decode() for name, value in redis.hgetall(key).items()},
    }
    keys = {}
    for key in redis.keys("*"):
        kind = redis.type(key).decode()
        if kind == "none":  # gone since the keys were listed, as a worker's job is at its end
            continue
        value = read[kind](key)
        keys[same_everywhere(key.decode())] = (kind, json.loads(same_everywhere(json.dumps(value))))
    return keys


def but_for_tree_keys(ours: dict[str, tuple[str, Any]]) -> dict[str, tuple[str, Any]]:
    """The keys that Ruby's worker leaves too. Deviation: tree-keys."""
    rest = dict(ours)
    kind, trees = rest.pop("resque:workers:tree")
    (told,) = (json.loads(text) for text in trees.values())
    assert (kind, list(trees)) == ("hash", ["<id>"])
    assert rest.pop("resque:worker:vm:<pid>:heartbeat") == ("string", told["token"])
    return rest


def wait_until_idle(redis: Any, processed: int) -> None:
    """Until so many jobs have ended, and the worker has looked for another: it then forgets how the last one ended."""
    wait_for(lambda: redis.get("resque:stat:processed") == b"%d" % processed)
    wait_for(lambda: not redis.keys("resque:worker:*:ended"))


def entries(keys: dict[str, tuple[str, Any]]) -> list[dict[str, Any]]:
    """The failures among the keys, decoded."""
    return [json.loads(raw) for raw in keys["resque:failed"][1]]


class Jobs:
    """The jobs of the captures, with a latch that keeps SleepJob busy."""

    def __init__(self) -> None:
        self.registry = Registry()
        self.busy = threading.Event()
        self.go_on = threading.Event()

        def sleep_job(*args: Any) -> None:
            self.busy.set()
            assert self.go_on.wait(30)

        def fail_job(message: str, *args: Any) -> None:
            raise ValueError(message)

        self.registry.job(queue="golden", name="SleepJob")(sleep_job)
        self.registry.job(queue="golden", name="FailJob")(fail_job)


class Life:
    """One worker from its start to its end, as in the captures."""

    def __init__(self, url: str) -> None:
        self.jobs = Jobs()
        self.client = Resque(url, registry=self.jobs.registry)
        self.worker = Worker(self.client, "golden", interval=0.5, hostname="vm")
        self.thread = threading.Thread(target=self.worker.work)

    def quit(self) -> None:
        self.jobs.go_on.set()
        self.worker.stop()
        self.thread.join(30)
        assert not self.thread.is_alive()


@pytest.fixture
def life(redis_url: str) -> Iterator[Life]:
    started = Life(redis_url)
    started.thread.start()
    try:
        yield started
    finally:
        started.quit()


@contextmanager
def zone(name: str) -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = name
    time.tzset()
    try:
        yield
    finally:
        os.environ.pop("TZ") if before is None else os.environ.__setitem__("TZ", before)
        time.tzset()


def test_idle_worker(life: Life, redis: Any, golden: Capture) -> None:
    """c: a worker that has started and found nothing; the heartbeat stays, the prune lock is its.

    Deviation: tree-keys.
    """
    wait_for(lambda: redis.scard("resque:workers") == 1)
    assert but_for_tree_keys(found(redis)) == captured(golden("c-worker-idle"))
    assert 0 < redis.ttl(life.client.store.keys.worker_heartbeat(life.worker.id)) <= 50
    assert 0 < redis.ttl("resque:pruning_dead_workers_in_progress") <= 60


def test_busy_worker(life: Life, redis: Any, golden: Capture) -> None:
    """d: the lease of a worker in the middle of a job, to the byte. Deviation: tree-keys."""
    life.client.enqueue_to("golden", "SleepJob", 3, "busy")
    assert life.jobs.busy.wait(30)
    assert but_for_tree_keys(found(redis)) == captured(golden("d-worker-busy"))


def test_after_success(life: Life, redis: Any, golden: Capture) -> None:
    """e: the lease is gone, processed is one up, for all and for the worker. Deviation: tree-keys."""
    life.client.enqueue_to("golden", "SleepJob", 3, "busy")
    life.jobs.go_on.set()
    wait_until_idle(redis, 1)
    assert but_for_tree_keys(found(redis)) == captured(golden("e-after-success"))


def test_after_failure(life: Life, redis: Any, golden: Capture) -> None:
    """f: the failure's shape, key order and payload bytes; both stats. Deviations: python-errors, tree-keys."""
    life.client.enqueue_to("golden", "SleepJob", 3, "busy")
    life.jobs.go_on.set()
    life.client.enqueue_to("golden", "FailJob", "it broke: é世", {"k": [1, 2.5, None, True]})
    wait_until_idle(redis, 2)
    ours = but_for_tree_keys(found(redis))
    rubys = captured(golden("f-after-failure"))
    (our_entry,), (ruby_entry,) = entries(ours), entries(rubys)
    assert list(our_entry) == list(ruby_entry)
    (our_raw,), (ruby_raw,) = ours["resque:failed"][1], rubys["resque:failed"][1]
    up_to_the_error = ruby_raw.index(',"exception"')
    assert our_raw[:up_to_the_error] == ruby_raw[:up_to_the_error]
    assert our_entry["exception"] == "ValueError"
    assert our_entry["backtrace"][0].endswith("in `fail_job'")
    for same in ("failed_at", "payload", "error", "worker", "queue"):
        assert our_entry[same] == ruby_entry[same]
    del ours["resque:failed"], rubys["resque:failed"]
    assert ours == rubys


def test_unknown_class(life: Life, redis: Any, golden: Capture) -> None:
    """f2: a class that the worker doesn't have is a failure like any other. Deviation: python-errors."""
    life.client.enqueue_to("golden", "NoSuchJob", 1)
    wait_for(lambda: redis.llen("resque:failed") == 1)
    (entry,) = entries(found(redis))
    ruby_entry = entries(captured(golden("f2-after-unknown-class")))[-1]
    assert list(entry) == list(ruby_entry)
    assert (entry["payload"], entry["queue"]) == (ruby_entry["payload"], ruby_entry["queue"])
    assert entry["exception"] == "clues.errors.UnknownJobError"
    assert "NoSuchJob" in entry["error"]
    assert redis.get("resque:stat:failed") == b"1"


def test_time_zone(redis: Any, redis_url: str, golden: Capture) -> None:
    """f3: failed_at has the local zone's name, started and heartbeat the local offset, run_at is UTC."""
    with zone("America/New_York"):
        life = Life(redis_url)
        life.thread.start()
        life.client.enqueue_to("golden", "FailJob", "tz")
        life.client.enqueue_to("golden", "SleepJob", 5, "tz")
        try:
            assert life.jobs.busy.wait(30)
            raw = redis.lindex("resque:failed", 0).decode()
            started = redis.get(f"resque:worker:{life.worker.id}:started").decode()
            beat = redis.hget("resque:workers:heartbeat", life.worker.id).decode()
            lease = redis.get(f"resque:worker:{life.worker.id}").decode()
        finally:
            life.quit()
    zone_names = {key["name"]: key["value"] for key in golden("f3-failure-timezone")["keys"]}
    assert re.search(r'"failed_at":"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d E[SD]T"', raw)
    assert re.search(r'"failed_at":"[\d/]+ [\d:]+ EST"', zone_names["resque:failed"][0])
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d -0[45]00", started)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d-0[45]:00", beat)
    assert same_everywhere(lease) == same_everywhere(
        next(value for name, value in zone_names.items() if name.endswith(":golden") and "worker:" in name)
    )


def test_multi_queue_backend(redis: Any, redis_url: str, golden: Capture) -> None:
    """f5: failures kept by queue: the list `<queue>_failed` and the set of such lists. Deviation: python-errors."""
    life = Life(redis_url)
    life.client.failure_backends = ("redis_multi_queue",)
    life.client.enqueue_to("golden", "FailJob", "it broke")
    life.thread.start()
    wait_for(lambda: redis.get("resque:stat:failed") == b"1")
    life.quit()
    ours, rubys = found(redis), captured(golden("f5-failure-multi-queue-backend"))
    assert set(ours) == set(rubys) - {"resque:second_failed"}  # the capture's worker had a second queue
    assert ours["resque:failed_queues"] == ("set", ["golden_failed"])
    assert "golden_failed" in rubys["resque:failed_queues"][1]
    entry, ruby_entry = (json.loads(keys["resque:golden_failed"][1][0]) for keys in (ours, rubys))
    assert list(entry) == list(ruby_entry)


def test_after_quit(life: Life, redis: Any, golden: Capture) -> None:
    """j: a worker that has stopped leaves its totals, the queues and the failures, and nothing of its own."""
    life.client.enqueue_to("golden", "FailJob", "x")
    wait_for(lambda: redis.get("resque:stat:failed") == b"1")
    life.quit()
    ours, rubys = found(redis), captured(golden("j-after-quit-idle"))
    assert set(ours) == set(rubys)
    assert ours["resque:stat:processed"] == ("string", "1")
