"""All Redis commands of the job system, grouped as queues, workers, failures, stats (as in Resque's DataStore).

Keys come from `Keys`, bytes go in and out as they are; decoding is others' work.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import islice
from typing import Any, TypeVar

import redis

from clues.resque.connect import LOST, check_server, describe
from clues.resque.keys import Keys
from clues.resque.wire import encode

UNAVAILABLE = (*LOST, redis.exceptions.ReadOnlyError, redis.exceptions.TryAgainError)
"""What Redis raises when it can't serve just now; a later try may go through."""

NOT_YET = (
    redis.exceptions.BusyLoadingError,
    redis.exceptions.MasterDownError,
    redis.exceptions.OutOfMemoryError,
    redis.exceptions.ReadOnlyError,
    redis.exceptions.TryAgainError,
)
"""What a Redis raises that is reached, and set up as it should be, but can't serve yet."""

TROUBLE = (*UNAVAILABLE, redis.exceptions.RedisError)
"""All that a command can raise."""

_SCAN = 1000

_T = TypeVar("_T")


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


@dataclass(frozen=True, slots=True)
class Roster:
    """Who is known to work, as it was at one moment.

    Attributes:
        now: the server's clock, in epoch seconds.
        ids: the registered workers, sorted.
        heartbeats: when workers last beat, as they wrote it, by id.
        trees: what the workers of trees tell of themselves, as JSON, by id.
    """

    now: float
    ids: Sequence[str]
    heartbeats: Mapping[str, str]
    trees: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Standing:
    """What Redis holds of one worker.

    Attributes:
        lease: of the job that it works on, or None.
        further: items that it has taken beside that one.
        token: what its key that runs out holds, or None if that is not there.
        started: when it started, as it wrote it.
        processed: jobs that it has ended.
        failed: those of them that failed.
    """

    lease: bytes | None
    further: int
    token: bytes | None
    started: str | None
    processed: int
    failed: int


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
        self._give_back = client.register_script(_script("give_back"))
        self._unregister = client.register_script(_script("unregister"))

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
        pipe.sadd(self.keys.queues, _bytes(queue))
        pipe.rpush(_bytes(self.keys.queue(queue)), *items)
        return int(pipe.execute()[1])

    def push_many(self, items: Mapping[str, Sequence[bytes]]) -> None:
        """Append items to several queues in one round trip, to all or, when the connection is lost, to none."""
        pipe = self.client.pipeline(transaction=True)
        pipe.sadd(self.keys.queues, *map(_bytes, items))
        for queue, raws in items.items():
            pipe.rpush(_bytes(self.keys.queue(queue)), *raws)
        pipe.execute()

    def pop(self, queue: str) -> bytes | None:
        """Take an item without a lease."""
        return _one(self.client.lpop(_bytes(self.keys.queue(queue))))

    def peek(self, queue: str, start: int, count: int) -> list[bytes]:
        """Some items, as Resque's peek: count 0 from 0 gives all."""
        return list(self.client.lrange(_bytes(self.keys.queue(queue)), start, start + count - 1))

    def size(self, queue: str) -> int:
        """How many items wait in a queue."""
        return int(self.client.llen(_bytes(self.keys.queue(queue))))

    def sizes(self, queues: Sequence[str]) -> list[int]:
        """How many items wait in each of these queues, in one round trip."""
        pipe = self.client.pipeline(transaction=False)
        for queue in queues:
            pipe.llen(_bytes(self.keys.queue(queue)))
        return [int(size) for size in pipe.execute()]

    def queues(self) -> list[str]:
        """The known queues, sorted by bytes."""
        return [_text(name) for name in sorted(self.client.smembers(self.keys.queues))]

    def items_from_the_tail(self, queue: str) -> Iterable[list[bytes]]:
        """All items of a queue in chunks, last chunk first: workers that pop meanwhile then make us skip none."""
        key, end = _bytes(self.keys.queue(queue)), -1
        while chunk := self.client.lrange(key, end - _SCAN + 1, end):
            yield chunk
            end -= _SCAN

    def remove_items(self, queue: str, counts: Mapping[bytes, int]) -> list[int]:
        """Remove items of exactly these bytes, as many of each as said, in one round trip; gives how many of each went.

        The last ones go first: Redis looks for each from the tail, where they are read from.
        """
        key = _bytes(self.keys.queue(queue))
        pipe = self.client.pipeline(transaction=False)
        for raw, count in counts.items():
            pipe.lrem(key, -count, raw)
        return [int(removed) for removed in pipe.execute()]

    def pop_many(self, queue: str, count: int) -> list[bytes]:
        """Take up to this many items without leases."""
        return self.client.lpop(_bytes(self.keys.queue(queue)), count) or []

    def remove_queue(self, queue: str) -> list[bytes]:
        """Remove a queue; gives what was still in it."""
        pipe = self.client.pipeline(transaction=True)
        pipe.lrange(_bytes(self.keys.queue(queue)), 0, -1)
        pipe.srem(self.keys.queues, _bytes(queue))
        pipe.delete(_bytes(self.keys.queue(queue)))
        return list(pipe.execute()[0])

    def waiting(self, queues: Sequence[str]) -> list[tuple[int | None, bytes | None]]:
        """How many items wait in each of these queues, and the first one; None, None for a key that is no list."""
        pipe = self.client.pipeline(transaction=False)
        for queue in queues:
            pipe.llen(_bytes(self.keys.queue(queue)))
            pipe.lindex(_bytes(self.keys.queue(queue)), 0)
        found = [_unless_wrong_type(reply) for reply in pipe.execute(raise_on_error=False)]
        return list(zip(found[::2], found[1::2], strict=True))

    def pause_all(self) -> None:
        """Pause all workers."""
        self.client.set(self.keys.pause_all, b"true")

    def resume_all(self) -> bool:
        """End the pause of all workers; gives whether there was that key."""
        return bool(self.client.delete(self.keys.pause_all))

    def pause_queues(self, queues: Sequence[str]) -> int:
        """Pause these queues; gives how many of them were not paused before."""
        return int(self.client.sadd(self.keys.paused_queues, *_all_bytes(queues)))

    def resume_queues(self, queues: Sequence[str]) -> int:
        """End the pause of these queues; gives how many of them were paused."""
        return int(self.client.srem(self.keys.paused_queues, *_all_bytes(queues)))

    def pauses(self) -> tuple[bytes, list[str]]:
        """What the key that pauses all workers holds, empty where there is none, and the paused queues, sorted."""
        pipe = self.client.pipeline(transaction=False)
        pipe.get(self.keys.pause_all)
        pipe.smembers(self.keys.paused_queues)
        everything, queues = pipe.execute()
        return everything or b"", [_text(name) for name in sorted(queues)]

    # taking and ending a job

    def take(self, worker_id: str, queues: Sequence[str], run_at: str) -> Taken:
        """Pop the first item of the first queue that has one and write the lease, in one step."""
        keys = [self.keys.worker(worker_id), self.keys.pause_all, *map(self.keys.queue, queues)]
        names = [encode(shown(queue)) for queue in queues]
        reply = self._take(keys=_all_bytes(keys), args=[run_at, *names], client=self.client)
        if not reply:
            return Taken()
        if reply[0] == b"taken":
            return Taken(queue=queues[reply[1]], raw=reply[2])
        return Taken(paused=True) if reply[0] == b"paused" else Taken(lease=reply[1])

    def finish(  # noqa: PLR0913 - one parameter for each thing that the script is told
        self,
        worker_id: str,
        *,
        failed: bool = False,
        entry: bytes = b"",
        failed_list: str = "",
        failed_queue: str = "",
        count: bool = True,
        lease: bytes = b"",
    ) -> bool:
        """End the job that a worker holds: remove the lease, count, store the failure, in one step.

        Args:
            worker_id: who holds the lease.
            failed: whether the job failed.
            entry: the failure to store; empty for none.
            failed_list: the key of the list that it goes to.
            failed_queue: the name to put into the set of failure lists; empty for none.
            count: whether stats go up; not for jobs of dead workers (resque ``worker.rb``).
            lease: the lease as it was read, where it may have changed meanwhile.

        Returns:
            Whether the lease was still there: if not, somebody else has decided the outcome.
        """
        keys = [
            self.keys.worker(worker_id),
            self.keys.stat("processed"),
            self.keys.stat_of("processed", worker_id),
            self.keys.stat("failed"),
            self.keys.stat_of("failed", worker_id),
            failed_list or self.keys.failed,  # an ACL looks at all keys, used or not
            self.keys.failed_queues,
        ]
        args: list[bytes | int] = [int(failed), entry, int(count), _bytes(failed_queue), lease]
        return bool(self._finish(keys=_all_bytes(keys), args=args, client=self.client))

    def give_back(self, worker_id: str, lease: bytes, queue: str, item: bytes) -> bool:
        """Put a job that was taken and never begun back to the head of its queue; gives whether it was still held."""
        keys = _all_bytes([self.keys.worker(worker_id), self.keys.queue(queue)])
        return bool(self._give_back(keys=keys, args=[lease, item], client=self.client))

    def lease(self, worker_id: str) -> bytes | None:
        """The lease that a worker holds."""
        return _one(self.client.get(_bytes(self.keys.worker(worker_id))))

    def leases(self, worker_ids: Sequence[str]) -> dict[str, bytes]:
        """The leases of those workers that hold one."""
        if not worker_ids:
            return {}
        found = self.client.mget([_bytes(self.keys.worker(worker_id)) for worker_id in worker_ids])
        return {worker_id: raw for worker_id, raw in zip(worker_ids, found, strict=True) if raw}

    # workers

    def register(self, worker_id: str, started: str, heartbeat: str) -> None:
        """Make a worker known, with its first heartbeat; its own stats begin at 0."""
        pipe = self.client.pipeline(transaction=False)
        pipe.sadd(self.keys.workers, _bytes(worker_id))
        pipe.set(_bytes(self.keys.worker_started(worker_id)), started)
        pipe.hset(self.keys.heartbeats, _bytes(worker_id), heartbeat)
        pipe.delete(*(_bytes(self.keys.stat_of(name, worker_id)) for name in ("processed", "failed")))
        pipe.execute()

    def unregister(self, worker_id: str, heartbeat: str = "") -> bool:
        """Forget a worker and its own stats.

        Args:
            worker_id: the worker.
            heartbeat: its heartbeat as it was read, where it may have come back to life meanwhile.

        Returns:
            Whether it was forgotten; not while it holds a job, which would be lost with it.
        """
        keys = [
            self.keys.worker(worker_id),
            self.keys.worker_started(worker_id),
            self.keys.workers,
            self.keys.heartbeats,
            self.keys.stat_of("processed", worker_id),
            self.keys.stat_of("failed", worker_id),
        ]
        args = _all_bytes([worker_id, heartbeat])
        return bool(self._unregister(keys=_all_bytes(keys), args=args, client=self.client))

    def workers(self) -> list[str]:
        """The ids of the known workers, sorted."""
        return sorted(_text(worker_id) for worker_id in self.client.smembers(self.keys.workers))

    def started(self, worker_id: str) -> str | None:
        """When a worker has started, as it wrote it."""
        found = _one(self.client.get(_bytes(self.keys.worker_started(worker_id))))
        return None if found is None else _text(found)

    def beat(self, worker_id: str, at: str) -> None:
        """Write a worker's heartbeat, and make it known again if it was taken for dead, or Redis lost its data."""
        pipe = self.client.pipeline(transaction=False)
        pipe.hset(self.keys.heartbeats, _bytes(worker_id), at)
        pipe.sadd(self.keys.workers, _bytes(worker_id))
        pipe.execute()

    def forget_heartbeat(self, worker_id: str) -> None:
        """Remove a worker's heartbeat."""
        self.client.hdel(self.keys.heartbeats, _bytes(worker_id))

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

    def roster(self) -> Roster:
        """Who is known to work, in one round trip."""
        pipe = self.client.pipeline(transaction=False)
        pipe.time()
        pipe.smembers(self.keys.workers)
        pipe.hgetall(self.keys.heartbeats)
        pipe.hgetall(self.keys.trees)
        (seconds, micro), ids, *hashes = pipe.execute()
        heartbeats, trees = ({_text(key): _text(value) for key, value in found.items()} for found in hashes)
        return Roster(int(seconds) + int(micro) / 1_000_000, sorted(map(_text, ids)), heartbeats, trees)

    def standings(self, worker_ids: Sequence[str]) -> list[Standing]:
        """What Redis holds of each of these workers, in one round trip."""
        if not worker_ids:
            return []
        pipe = self.client.pipeline(transaction=False)
        for name in (self.keys.worker, self.keys.worker_heartbeat, self.keys.worker_started):
            pipe.mget(_all_bytes(map(name, worker_ids)))
        for stat in ("processed", "failed"):
            pipe.mget(_all_bytes(self.keys.stat_of(stat, worker_id) for worker_id in worker_ids))
        for worker_id in worker_ids:
            pipe.llen(_bytes(self.keys.worker_batch(worker_id)))
        leases, tokens, starts, processed, failed, *further = pipe.execute()
        return [
            Standing(lease, more, token, None if started is None else _text(started), int(done or 0), int(bad or 0))
            for lease, more, token, started, done, bad in zip(
                leases, further, tokens, starts, processed, failed, strict=True
            )
        ]

    # failures

    def failure_count(self, key: str) -> int:
        """How many failures a list holds."""
        return int(self.client.llen(_bytes(key)))

    def failures(self, key: str, start: int, count: int) -> list[bytes]:
        """Some failures of a list."""
        return list(self.client.lrange(_bytes(key), start, start + count - 1)) if count else []

    def failure_lists(self) -> list[str]:
        """The failure lists of the multi-queue backend."""
        return [_text(name) for name in sorted(self.client.smembers(self.keys.failed_queues))]

    def retry(self, key: str, index: int, entry: bytes, *, marked: bytes, queue: str, item: bytes) -> bool:  # noqa: PLR0913
        """Mark a failure as retried and push its job, unless the list has moved meanwhile."""
        keys = _all_bytes([key, self.keys.queues, self.keys.queue(queue)])
        return bool(self._retry(keys=keys, args=[index, entry, marked, _bytes(queue), item], client=self.client))

    def remove_failure(self, key: str, index: int) -> bool:
        """Remove the failure at an index; gives whether there was one."""
        pipe = self.client.pipeline(transaction=True)
        pipe.lset(_bytes(key), index, b"")
        pipe.lrem(_bytes(key), 1, b"")
        try:
            return bool(pipe.execute()[1])
        except redis.exceptions.ResponseError as error:
            if "out of range" in str(error) or "no such key" in str(error):
                return False
            raise

    def remove_entries(self, key: str, entries: Sequence[bytes]) -> int:
        """Remove one failure with exactly these bytes for each entry, in one round trip; gives how many there were."""
        pipe = self.client.pipeline(transaction=False)
        for entry in entries:
            pipe.lrem(_bytes(key), 1, entry)
        return sum(map(int, pipe.execute()))

    def clear_failures(self, key: str) -> None:
        """Remove a list of failures."""
        self.client.delete(_bytes(key))

    def find_failure(self, key: str, entry: bytes) -> int | None:
        """Where a failure with exactly these bytes stands, if it does."""
        found = self.client.lpos(_bytes(key), entry)
        return None if found is None else int(found)

    def drop_failures(self, key: str) -> int:
        """Remove a list of failures; gives how many it held."""
        pipe = self.client.pipeline(transaction=True)
        pipe.llen(_bytes(key))
        pipe.unlink(_bytes(key))
        return int(pipe.execute()[0])

    # stats

    def stat(self, name: str) -> int:
        """A counter, such as ``processed``."""
        return int(self.client.get(self.keys.stat(name)) or 0)

    def stat_of(self, name: str, worker_id: str) -> int:
        """A worker's own counter."""
        return int(self.client.get(_bytes(self.keys.stat_of(name, worker_id))) or 0)


def _script(name: str) -> str:
    return (files("clues.resque") / "scripts" / f"{name}.lua").read_text()


def batched(things: Iterable[_T], size: int = 1000) -> Iterator[list[_T]]:
    """Some at a time, so that a round trip serves many, and its answer is not too long."""
    rest = iter(things)
    while some := list(islice(rest, size)):
        yield some


def shown(name: str) -> str:
    """A name from Redis as text that JSON and terminals can hold: bytes that are not UTF-8 are spelled out."""
    return _bytes(name).decode("utf-8", "backslashreplace")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    """A key or a name as its bytes, also one that `_text` has read: names of other programs may be no UTF-8."""
    return text.encode("utf-8", "surrogateescape")


def _all_bytes(texts: Iterable[str]) -> list[bytes]:
    return [_bytes(text) for text in texts]


def _unless_wrong_type(reply: Any) -> Any:
    """A reply of a pipeline, None where another program keeps something else under the key.

    Raises:
        ResponseError: the reply is any other error.
    """
    if not isinstance(reply, Exception):
        return reply
    if str(reply).startswith("WRONGTYPE"):
        return None
    raise reply


def _one(found: Any) -> bytes | None:
    return None if found is None else bytes(found)
