"""A worker and a failover by Sentinel."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import redis as redis_py

from clues.resque import Resque
from clues.resque.registry import Registry
from tests.resque.working import Latch, Running
from tests.waiting import wait_for

CONFIG = """port {{port}}
sentinel monitor my 127.0.0.1 {master} 1
sentinel down-after-milliseconds my 500
sentinel failover-timeout my 2000
"""


def test_a_worker_goes_on_at_the_new_master(start_redis: Callable[..., Any]) -> None:
    """The job that ran through the failover is ended there, once; the next ones are taken there."""
    master = start_redis()
    replica = start_redis("--replicaof", "127.0.0.1", str(master.port))
    sentinel = start_redis("--sentinel", config=CONFIG.format(master=master.port))
    asked: Any = redis_py.Redis(port=sentinel.port, decode_responses=True)
    wait_for(lambda: asked.sentinel_slaves("my"), "the sentinel's knowledge of the replica", timeout=60)
    client = Resque(f"sentinel://127.0.0.1:{sentinel.port}/my", registry=Registry())
    latch = Latch()
    client.registry.job(queue="q", name="job")(latch)
    with redis_py.Redis(port=master.port) as direct, Running(client) as running:
        client.enqueue("job")
        assert latch.begun.wait(30)
        wait_for(lambda: direct.wait(1, 1000), "the replica to have it all")
        master.signal(signal.SIGKILL)
        latch.go_on.set()
        wait_for(lambda: client_sees(client, replica.port), "the failover", timeout=60)
        wait_for(lambda: client.stat("processed") == 1, timeout=60)
        client.enqueue("job")
        wait_for(lambda: client.stat("processed") == 2, timeout=60)
    assert latch.count == running.worker.processed == 2
    assert client.failed.count() == 0


def client_sees(client: Resque, port: int) -> bool:
    """Whether a client has found the new master, and can write to it."""
    try:
        client.store.client.set("found", 1)
    except redis_py.RedisError:
        return False
    with redis_py.Redis(port=port) as direct:
        return bool(direct.exists("found"))
