"""All Redis commands of the job system, grouped as queues, workers, failures, stats (as in Resque's DataStore).

Keys come from `Keys`, bytes go in and out as they are; decoding is others' work.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import redis

from clues.resque.connect import LOST, check_server, describe
from clues.resque.keys import Keys
from clues.resque.wire import encode

UNAVAILABLE = (*LOST, redis.exceptions.ReadOnlyError, redis.exceptions.TryAgainError)
"""What Redis raises when it can't serve just now; a later try may go through."""

_SCAN = 1000


@dataclass(frozen=True, slots=True)
class Taken:
    """What an attempt to take a job gave.

    Attributes:
        queue: the queue that an item came from, or None.
        raw: the item's bytes.
        lease: a lease that the worker holds already, or None.
        paused: whether all workers are paused.
    """

    queue: str | None = None
    raw: bytes = b""
    lease: bytes | None = None
    paused: bool = False


class Store:
    """The job system's data in one Redis, under one namespace.

    Attributes:
        client: the Redis client; its replies are bytes.
        keys: the keys' names.
    """

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        """Work on this client; it is connected and checked at the first command."""
        self._client = client
        self._checked = False
        self.keys = keys
        self._take = client.register_script(_script("take"))
        self._finish = client.register_script(_script("finish"))
        self._retry = client.register_script(_script("retry"))

    @property
    def client(self) -> Any:
        """The client, checked once: clusters and servers that are too old are refused."""
        if not self._checked:
            check_server(self._client)
            self._checked = True
        return self._client

    def describe(self) -> str:
        """Where this is, without secrets."""
        return describe(self._client)

    # queues

    def push(self, queue: str, *items: bytes) -> int:
        """Append items to a queue and make the queue known, in one round trip; gives the queue's length."""
        pipe = self.client.pipeline(transaction=False)
        pipe.sadd(self.keys.queues, queue)
        pipe.rpush(self.keys.queue(queue), *items)
        return int(pipe.execute()[1])

    def push_many(self, items: Mapping[str, Sequence[bytes]]) -> None:
        """Append items to several queues in one round trip."""
        pipe = self.client.pipeline(transaction=False)
        pipe.sadd(self.keys.queues, *items)
        for queue, raws in items.items():
            pipe.rpush(self.keys.queue(queue), *raws)
        pipe.execute()

    def pop(self, queue: str) -> bytes | None:
        """Take an item without a lease."""
        return _one(self.client.lpop(self.keys.queue(queue)))

    def peek(self, queue: str, start: int, count: int) -> list[bytes]:
        """Some items, as Resque's peek: count 0 from 0 gives all."""
        return list(self.client.lrange(self.keys.queue(queue), start, start + count - 1))

    def size(self, queue: str) -> int:
        """How many items wait in a queue."""
        return int(self.client.llen(self.keys.queue(queue)))

    def sizes(self, queues: Sequence[str]) -> list[int]:
        """How many items wait in each of these queues, in one round trip."""
        pipe = self.client.pipeline(transaction=False)
        for queue in queues:
            pipe.llen(self.keys.queue(queue))
        return [int(size) for size in pipe.execute()]

    def queues(self) -> list[str]:
        """The known queues, sorted by bytes."""
        return [_text(name) for name in sorted(self.client.smembers(self.keys.queues))]

    def items_from_the_tail(self, queue: str) -> Iterable[list[bytes]]:
        """All items of a queue in chunks, last chunk first: workers that pop meanwhile then make us skip none."""
        key, end = self.keys.queue(queue), -1
        while chunk := self.client.lrange(key, end - _SCAN + 1, end):
            yield chunk
            end -= _SCAN

    def remove_item(self, queue: str, raw: bytes) -> int:
        """Remove every item with exactly these bytes; gives their number."""
        return int(self.client.lrem(self.keys.queue(queue), 0, raw))

    def pop_many(self, queue: str, count: int) -> list[bytes]:
        """Take up to this many items without leases."""
        return self.client.lpop(self.keys.queue(queue), count) or []

    def remove_queue(self, queue: str) -> list[bytes]:
        """Remove a queue; gives what was still in it."""
        pipe = self.client.pipeline(transaction=True)
        pipe.lrange(self.keys.queue(queue), 0, -1)
        pipe.srem(self.keys.queues, queue)
        pipe.delete(self.keys.queue(queue))
        return list(pipe.execute()[0])

    # taking and ending a job

    def take(self, worker_id: str, queues: Sequence[str], run_at: str) -> Taken:
        """Pop the first item of the first queue that has one and write the lease, in one step."""
        keys = [self.keys.worker(worker_id), self.keys.pause_all, *map(self.keys.queue, queues)]
        reply = self._take(keys=keys, args=[run_at, *map(encode, queues)], client=self.client)
        if not reply:
            return Taken()
        if reply[0] == b"taken":
            return Taken(queue=queues[reply[1]], raw=reply[2])
        return Taken(paused=True) if reply[0] == b"paused" else Taken(lease=reply[1])

    def finish(
        self, worker_id: str, entry: bytes | None, *, failed_list: str = "", failed_queue: str = "", count: bool = True
    ) -> bool:
        """End the job that a worker holds: remove the lease, count, store the failure, in one step.

        Args:
            worker_id: who holds the lease.
            entry: the failure, or None for a job that went well.
            failed_list: the key of the list that failures go to; empty for none.
            failed_queue: the name to put into the set of failure lists; empty for none.
            count: whether stats go up; not for jobs of dead workers (resque ``worker.rb``).

        Returns:
            Whether the lease was still there: if not, somebody else has decided the outcome.
        """
        keys = [
            self.keys.worker(worker_id),
            self.keys.stat("processed"),
            self.keys.stat_of("processed", worker_id),
            self.keys.stat("failed"),
            self.keys.stat_of("failed", worker_id),
            failed_list,
            self.keys.failed_queues,
        ]
        return bool(self._finish(keys=keys, args=[entry or b"", int(count), failed_queue], client=self.client))

    def lease(self, worker_id: str) -> bytes | None:
        """The lease that a worker holds."""
        return _one(self.client.get(self.keys.worker(worker_id)))

    def leases(self, worker_ids: Sequence[str]) -> dict[str, bytes]:
        """The leases of those workers that hold one."""
        if not worker_ids:
            return {}
        found = self.client.mget([self.keys.worker(worker_id) for worker_id in worker_ids])
        return {worker_id: raw for worker_id, raw in zip(worker_ids, found, strict=True) if raw}

    # workers

    def register(self, worker_id: str, started: str) -> None:
        """Make a worker known."""
        pipe = self.client.pipeline(transaction=False)
        pipe.sadd(self.keys.workers, worker_id)
        pipe.set(self.keys.worker_started(worker_id), started)
        pipe.execute()

    def unregister(self, worker_id: str) -> None:
        """Forget a worker and its own stats."""
        pipe = self.client.pipeline(transaction=False)
        pipe.srem(self.keys.workers, worker_id)
        pipe.delete(self.keys.worker(worker_id), self.keys.worker_started(worker_id))
        pipe.hdel(self.keys.heartbeats, worker_id)
        pipe.delete(self.keys.stat_of("processed", worker_id), self.keys.stat_of("failed", worker_id))
        pipe.execute()

    def workers(self) -> list[str]:
        """The ids of the known workers, sorted."""
        return sorted(_text(worker_id) for worker_id in self.client.smembers(self.keys.workers))

    def started(self, worker_id: str) -> str | None:
        """When a worker has started, as it wrote it."""
        found = _one(self.client.get(self.keys.worker_started(worker_id)))
        return None if found is None else _text(found)

    def beat(self, worker_id: str, at: str) -> None:
        """Write a worker's heartbeat."""
        self.client.hset(self.keys.heartbeats, worker_id, at)

    def forget_heartbeat(self, worker_id: str) -> None:
        """Remove a worker's heartbeat."""
        self.client.hdel(self.keys.heartbeats, worker_id)

    def heartbeats(self) -> dict[str, str]:
        """All workers' heartbeats, as they wrote them."""
        return {_text(key): _text(value) for key, value in self.client.hgetall(self.keys.heartbeats).items()}

    def lock_pruning(self, worker_id: str, seconds: int) -> bool:
        """Get the right to prune, for a while."""
        return bool(self.client.set(self.keys.prune_lock, worker_id, ex=seconds, nx=True))

    def time(self) -> float:
        """The server's clock, in epoch seconds: the one that heartbeats go by."""
        seconds, micro = self.client.time()
        return int(seconds) + int(micro) / 1_000_000

    # failures

    def add_failure(self, entry: bytes, failed_list: str, failed_queue: str = "") -> None:
        """Store a failure of a job that nobody holds."""
        pipe = self.client.pipeline(transaction=False)
        pipe.rpush(failed_list, entry)
        if failed_queue:
            pipe.sadd(self.keys.failed_queues, failed_queue)
        pipe.execute()

    def failure_count(self, key: str) -> int:
        """How many failures a list holds."""
        return int(self.client.llen(key))

    def failures(self, key: str, start: int, count: int) -> list[bytes]:
        """Some failures of a list."""
        return list(self.client.lrange(key, start, start + count - 1)) if count else []

    def failure_lists(self) -> list[str]:
        """The failure lists of the multi-queue backend."""
        return [_text(name) for name in sorted(self.client.smembers(self.keys.failed_queues))]

    def retry(self, key: str, index: int, entry: bytes, marked: bytes, queue: str, item: bytes) -> bool:
        """Mark a failure as retried and push its job, unless the list has moved meanwhile."""
        keys = [key, self.keys.queues, self.keys.queue(queue)]
        return bool(self._retry(keys=keys, args=[index, entry, marked, queue, item], client=self.client))

    def remove_failure(self, key: str, index: int) -> bool:
        """Remove the failure at an index; gives whether there was one."""
        pipe = self.client.pipeline(transaction=True)
        pipe.lset(key, index, b"")
        pipe.lrem(key, 1, b"")
        try:
            return bool(pipe.execute()[1])
        except redis.exceptions.ResponseError:  # index out of range, or no such key
            return False

    def remove_entry(self, key: str, entry: bytes) -> int:
        """Remove one failure with exactly these bytes."""
        return int(self.client.lrem(key, 1, entry))

    def clear_failures(self, key: str) -> None:
        """Remove a list of failures."""
        self.client.delete(key)

    # stats

    def stat(self, name: str) -> int:
        """A counter, such as ``processed``."""
        return int(self.client.get(self.keys.stat(name)) or 0)

    def stat_of(self, name: str, worker_id: str) -> int:
        """A worker's own counter."""
        return int(self.client.get(self.keys.stat_of(name, worker_id)) or 0)

    def count(self, name: str, by: int) -> int:
        """Change a counter; gives its new value."""
        return int(self.client.incrby(self.keys.stat(name), by))

    def clear_stat(self, name: str) -> None:
        """Remove a counter."""
        self.client.delete(self.keys.stat(name))


def _script(name: str) -> str:
    return (files("clues.resque") / "scripts" / f"{name}.lua").read_text()


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _one(found: Any) -> bytes | None:
    return None if found is None else bytes(found)
