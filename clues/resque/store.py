"""All Redis commands of the job system, grouped as queues, workers, failures, stats (as in Resque's DataStore).

Keys come from `Keys`, bytes go in and out as they are; decoding is others' work.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from itertools import islice
from typing import Any, TypeVar

import redis

from clues.resque.connect import check_server, describe
from clues.resque.direct import Direct, Lent, Script
from clues.resque.keys import Keys
from clues.resque.lease import Lease
from clues.resque.records import Ending, Registration, Roster, Standing, Taken, Wanted
from clues.resque.wire import encode

_SCAN = 1000
_REMEMBERED = 1000  # names of keys; with patterns the queues may be others at each look

_T = TypeVar("_T")


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
        self._direct = Direct(client)
        self._names: dict[tuple[str, str, tuple[str, ...]], tuple[Sequence[bytes], Sequence[bytes]]] = {}
        self._take = Script(_script("take"))
        self._finish = Script(_script("finish"))
        self._finish_and_take = Script(
            b"local function finish(KEYS, ARGV)\n%s\nend\nlocal function take(KEYS, ARGV)\n%s\nend\n%s"
            % (_script("finish"), _script("take"), _script("finish_and_take"))
        )
        self._retry = Script(_script("retry"))
        self._remove_failures = Script(_script("remove_failures"))
        self._trim_failures = Script(_script("trim_failures"))
        self._give_back = Script(_script("give_back"))
        self._keep_begun = Script(_script("keep_begun"))
        self._register = Script(_script("register"))
        self._unregister = Script(_script("unregister"))

    @property
    def client(self) -> Any:
        """The client, checked once: clusters and servers that are too old are refused."""
        if not self._checked:
            check_server(self._client)
            self._checked = True
        return self._client

    @property
    def direct(self) -> Direct:
        """The way for what every job needs; checked as the client is."""
        if not self._checked:
            self.client  # noqa: B018 - checks
        return self._direct

    def adopt(self, connection: Any) -> None:
        """Use a connection that the parent process has made.

        Raises:
            RedisError: it is lost.
        """
        self._direct.adopt(connection)

    def lent(self) -> Lent:
        """What makes connections for forked processes."""
        return Lent(self._client)

    def ping(self) -> None:
        """See that Redis serves, and is one that can serve us.

        Raises:
            CluesError: it can't, whatever comes.
            RedisError: it can't be reached, or refuses.
        """
        self.client.ping()

    def get_ready(self) -> None:
        """Connect, unless that was done.

        Raises:
            RedisError: Redis can't be reached, or refuses.
        """
        if not self._direct.connected:
            self.direct.run(("PING",))

    def hang_up(self) -> None:
        """Close what `direct` has connected, but for what is in use; the next command connects again."""
        self._direct.close()

    def describe(self) -> str:
        """Where this is, without secrets."""
        return describe(self._client)

    # queues

    def push(self, queue: str, *items: bytes) -> int:
        """Append items to a queue and make the queue known, in one round trip; gives the queue's length."""
        key = _bytes(self.keys.queue(queue))
        return int(self.direct.run(("SADD", self.keys.queues, _bytes(queue)), ("RPUSH", key, *items))[1])

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
        return [_text(name) for name in sorted(self.direct.run(("SMEMBERS", self.keys.queues))[0])]

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

    def take(self, worker_id: str, wanted: Wanted) -> Taken:
        """Pop the first items of the first queue that has some and write the lease, in one step."""
        keys, args = self._take_args(worker_id, wanted)
        return _taken(self._take.run(self.direct, keys, args), wanted)

    def finish(self, worker_id: str, ending: Ending) -> bool:
        """End jobs that a worker holds: remove the lease, count, store the failures, in one step.

        Returns:
            Whether the lease was still there: if not, somebody else has decided the outcome.
        """
        keys, args = self._finish_args(worker_id, ending)
        return bool(self._finish.run(self.direct, keys, args))

    def finish_and_take(self, worker_id: str, ending: Ending, wanted: Wanted) -> Taken | None:
        """End all the jobs that a worker holds, and take the next ones, in one step.

        Returns:
            What was taken; None if the lease was not there any more: then nothing was done.
        """
        finish_keys, finish_args = self._finish_args(worker_id, ending)
        take_keys, take_args = self._take_args(worker_id, wanted)
        args = [len(finish_keys), len(finish_args), *finish_args, *take_args]
        reply = self._finish_and_take.run(self.direct, [*finish_keys, *take_keys], args)
        return _taken(reply, wanted) if isinstance(reply, list) else None

    def know(self, worker_id: str, queues: Sequence[str]) -> None:
        """Make the names ahead of need that a worker's steps take."""
        self._named("take", worker_id, tuple(queues))
        self._named("finish", worker_id, (self.keys.failed,))

    def _take_args(self, worker_id: str, wanted: Wanted) -> tuple[Sequence[bytes], list[Any]]:
        keys, names = self._named("take", worker_id, tuple(wanted.queues))
        return keys, [wanted.run_at, wanted.most, len(_bytes(self.keys.queue_prefix)), *names]

    def _finish_args(self, worker_id: str, ending: Ending) -> tuple[Sequence[bytes], list[Any]]:
        keys, _ = self._named("finish", worker_id, (ending.failed_list or self.keys.failed,))
        args: list[Any] = [ending.ended, ending.lease or b"", int(ending.lease is not None)]
        args += [ending.processed, ending.failed, _bytes(ending.failed_queue), ending.outcomes, *ending.entries]
        return keys, args

    def _named(self, step: str, worker_id: str, names: tuple[str, ...]) -> tuple[Sequence[bytes], Sequence[bytes]]:
        """The keys of a step that a worker takes for every job, and its queues' names as JSON; made once."""
        found = self._names.get((step, worker_id, names))
        if found is None:
            if len(self._names) >= _REMEMBERED:
                self._names.clear()
            make = self._take_keys if step == "take" else self._finish_keys
            found = _all_bytes(make(worker_id, names)), [encode(shown(name)) for name in names]
            self._names[step, worker_id, names] = found
        return found

    def _take_keys(self, worker_id: str, queues: Sequence[str]) -> list[str]:
        return [
            self.keys.worker(worker_id),
            self.keys.worker_batch(worker_id),
            self.keys.worker_ended(worker_id),
            self.keys.pause_all,
            self.keys.paused_queues,
            *map(self.keys.queue, queues),
        ]

    def _finish_keys(self, worker_id: str, failed_lists: Sequence[str]) -> list[str]:
        return [
            self.keys.worker(worker_id),
            self.keys.worker_batch(worker_id),
            self.keys.worker_ended(worker_id),
            self.keys.stat("processed"),
            self.keys.stat_of("processed", worker_id),
            self.keys.stat("failed"),
            self.keys.stat_of("failed", worker_id),
            *failed_lists,  # an ACL looks at all keys, used or not
            self.keys.failed_queues,
        ]

    def next_of_batch(self, worker_id: str) -> bool:
        """Where somebody has removed a lease alone, have the next job of the batch in its place; gives if there was."""
        return self.finish(worker_id, Ending(0, None))

    def give_back(self, worker_id: str, lease: bytes, queue: str, item: bytes) -> int:
        """Put what was taken and never begun back to the head of its queue; gives how many items that were."""
        keys = [
            self.keys.worker(worker_id),
            self.keys.worker_batch(worker_id),
            self.keys.queue(queue),
            self.keys.queues,
        ]
        return int(self._give_back.run(self.direct, _all_bytes(keys), [lease, item, _bytes(queue)]))

    def keep_begun(self, worker_id: str, begun: int, queue: str) -> int:
        """Give back the rest of a batch, but for what was begun; gives how many items that were."""
        keys = [self.keys.worker_batch(worker_id), self.keys.queue(queue), self.keys.queues]
        return int(self._keep_begun.run(self.direct, _all_bytes(keys), [begun, _bytes(queue)]))

    def batch(self, worker_id: str) -> list[bytes]:
        """The leases of the jobs that a worker has taken beside the one under its key."""
        return list(self.client.lrange(_bytes(self.keys.worker_batch(worker_id)), 0, -1))

    def outcomes(self, worker_id: str) -> bytes:
        """What a worker's latest commit has kept in Redis."""
        return _one(self.client.get(_bytes(self.keys.worker_ended(worker_id)))) or b""

    def lease(self, worker_id: str) -> bytes | None:
        """The lease that a worker holds."""
        return _one(self.client.get(_bytes(self.keys.worker(worker_id))))

    def leaves_work(self, worker_id: str) -> bool:
        """Whether a worker that is dead has left a job, or outcomes that may be untold."""
        names = (self.keys.worker, self.keys.worker_batch, self.keys.worker_ended)
        return bool(self.client.exists(*(_bytes(name(worker_id)) for name in names)))

    def leases(self, worker_ids: Sequence[str]) -> dict[str, bytes]:
        """The leases of those workers that hold one."""
        if not worker_ids:
            return {}
        found = self.client.mget([_bytes(self.keys.worker(worker_id)) for worker_id in worker_ids])
        return {worker_id: raw for worker_id, raw in zip(worker_ids, found, strict=True) if raw}

    # workers

    def register(self, known: Registration, heartbeat: str) -> bool:
        """Make a worker known, with its first heartbeat; its own stats begin at 0.

        Returns:
            Whether it could be: not while another process that lives has its id.
        """
        keys = [
            self.keys.worker_heartbeat(known.worker_id),
            self.keys.workers,
            self.keys.worker_started(known.worker_id),
            self.keys.heartbeats,
            self.keys.trees,
            self.keys.stat_of("processed", known.worker_id),
            self.keys.stat_of("failed", known.worker_id),
        ]
        args: list[Any] = [known.worker_id, known.token, known.dead_after, known.started, heartbeat, known.tree]
        return bool(self._register.run(self.direct, _all_bytes(keys), [_as_bytes(arg) for arg in args]))

    def unregister(self, worker_id: str, heartbeat: str = "", token: str = "") -> bool:
        """Forget a worker and its own stats.

        Args:
            worker_id: the worker.
            heartbeat: its heartbeat as it was read, where it may have come back to life meanwhile.
            token: its process' own; without one it must be dead.

        Returns:
            Whether it was forgotten; not while it holds jobs, which would be lost with it.
        """
        keys = [
            self.keys.worker(worker_id),
            self.keys.worker_batch(worker_id),
            self.keys.worker_ended(worker_id),
            self.keys.worker_started(worker_id),
            self.keys.workers,
            self.keys.heartbeats,
            self.keys.trees,
            self.keys.worker_heartbeat(worker_id),
            self.keys.stat_of("processed", worker_id),
            self.keys.stat_of("failed", worker_id),
        ]
        args = _all_bytes([worker_id, heartbeat, token])
        return bool(self._unregister.run(self.direct, _all_bytes(keys), args))

    def beat(self, known: Sequence[Registration], at: str) -> set[str]:
        """Write workers' heartbeats, and make them known again if they were taken for dead, or Redis lost its data.

        Returns:
            The tokens of others that were found in their places.
        """
        if not known:
            return set()
        ids = [_bytes(one.worker_id) for one in known]
        pipe = self.client.pipeline(transaction=False)
        pipe.hset(self.keys.heartbeats, mapping=dict.fromkeys(ids, at))
        pipe.sadd(self.keys.workers, *ids)
        pipe.hset(self.keys.trees, mapping={_bytes(one.worker_id): one.tree for one in known})
        for one in known:
            pipe.set(_bytes(self.keys.worker_started(one.worker_id)), one.started, nx=True)
        for one in known:
            pipe.set(_bytes(self.keys.worker_heartbeat(one.worker_id)), one.token, ex=one.dead_after, get=True)
        mine = {one.token for one in known}
        found = pipe.execute()[-len(known) :]
        return {_text(token) for token in found if token is not None and _text(token) not in mine}

    def trees(self) -> dict[str, str]:
        """What the workers of trees tell of themselves, as JSON, by id."""
        return {_text(key): _text(value) for key, value in self.client.hgetall(self.keys.trees).items()}

    def living(self, worker_ids: Sequence[str]) -> dict[str, bytes]:
        """The tokens of those workers whose key has not run out, by id; resque_worker_heartbeat's are empty."""
        if not worker_ids:
            return {}
        found = self.client.mget([_bytes(self.keys.worker_heartbeat(worker_id)) for worker_id in worker_ids])
        return {worker_id: raw for worker_id, raw in zip(worker_ids, found, strict=True) if raw is not None}

    def workers(self) -> list[str]:
        """The ids of the known workers, sorted."""
        return sorted(_text(worker_id) for worker_id in self.client.smembers(self.keys.workers))

    def started(self, worker_id: str) -> str | None:
        """When a worker has started, as it wrote it."""
        found = _one(self.client.get(_bytes(self.keys.worker_started(worker_id))))
        return None if found is None else _text(found)

    def life_left(self, worker_id: str) -> int:
        """Milliseconds until a worker is dead, unless it beats; 0 or less if it is."""
        return int(self.client.pttl(_bytes(self.keys.worker_heartbeat(worker_id))))

    def heartbeats(self) -> dict[str, str]:
        """All workers' heartbeats, as they wrote them."""
        return {_text(key): _text(value) for key, value in self.client.hgetall(self.keys.heartbeats).items()}

    def lock_pruning(self, worker_id: str, seconds: int) -> bool:
        """Get the right to prune, for a while."""
        return bool(self.client.set(self.keys.prune_lock, _bytes(worker_id), ex=seconds, nx=True))

    def lock_sampling(self, name: str, seconds: int) -> bool:
        """Get the right to tell states, or keep it, for a while."""
        key = self.keys.sampling_lock
        if self.client.set(key, _bytes(name), ex=seconds, nx=True):
            return True
        if _one(self.client.get(key)) != _bytes(name):
            return False
        self.client.expire(key, seconds)
        return True

    def pruner(self) -> str | None:
        """Who has that right."""
        found = _one(self.client.get(self.keys.prune_lock))
        return None if found is None else _text(found)

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
            Standing(lease, more, token, None if started is None else _text(started), _count(done), _count(bad))
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
        return bool(self._retry.run(self.direct, keys, [index, entry, marked, _bytes(queue), item]))

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

    def remove_failures(self, key: str, entries: Iterable[tuple[int, bytes]]) -> int:
        """Remove these very failures, by the places where they were read and their bytes; gives how many there were."""
        args = [part for entry in entries for part in entry]
        return int(self._remove_failures.run(self.direct, [_bytes(key)], args))

    def find_failure(self, key: str, entry: bytes) -> int | None:
        """Where a failure with exactly these bytes stands, if it does."""
        found = self.client.lpos(_bytes(key), entry)
        return None if found is None else int(found)

    def trim_failures(self, key: str, index: int, entry: bytes) -> bool:
        """Remove a failure and all that are older, unless the list has moved meanwhile."""
        return bool(self._trim_failures.run(self.direct, [_bytes(key)], [index, entry]))

    def drop_failures(self, key: str) -> int:
        """Remove a list of failures; gives how many it held."""
        pipe = self.client.pipeline(transaction=True)
        pipe.llen(_bytes(key))
        pipe.unlink(_bytes(key))
        return int(pipe.execute()[0])

    # stats

    def stat(self, name: str) -> int:
        """A counter, such as ``processed``."""
        return _count(self.client.get(self.keys.stat(name)))

    def stat_of(self, name: str, worker_id: str) -> int:
        """A worker's own counter."""
        return _count(self.client.get(_bytes(self.keys.stat_of(name, worker_id))))


def _taken(reply: list[Any], wanted: Wanted) -> Taken:
    if not reply:
        return Taken()
    if reply[0] == b"taken":
        queue, leases = wanted.queues[reply[1]], reply[2:]
        head = len(b'{"queue":,"run_at":"","payload":') + len(encode(shown(queue))) + len(wanted.run_at)
        return Taken(leases, [lease[head:-1] for lease in leases], queue)  # as take.lua writes them
    if reply[0] == b"paused":
        return Taken(paused=True)
    return Taken(reply[1:], Lease.payloads(reply[1:]))


def _script(name: str) -> bytes:
    """A script's bytes: a client's own encoding, which may be any, must not change them."""
    return (files("clues.resque") / "scripts" / f"{name}.lua").read_bytes()


def batched(things: Iterable[_T], size: int = 1000) -> Iterator[list[_T]]:
    """Some at a time, so that a round trip serves many, and its answer is not too long."""
    rest = iter(things)
    while some := list(islice(rest, size)):
        yield some


def shown(name: str) -> str:
    """A name from Redis as text that JSON and terminals can hold: bytes that are not UTF-8 are spelled out."""
    try:
        return _bytes(name).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half a character, which JSON may hold
        return name.encode("utf-8", "backslashreplace").decode()


def _count(raw: bytes | None) -> int:
    """A statistic; 0 for what is none: it is shown, and nothing hangs on it."""
    try:
        return int(raw or 0)
    except ValueError:
        return 0


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    """A key or a name as its bytes, also one that `_text` has read: names of other programs may be no UTF-8."""
    return text.encode("utf-8", "surrogateescape")


def _all_bytes(texts: Iterable[str]) -> list[bytes]:
    return [_bytes(text) for text in texts]


def _as_bytes(value: Any) -> Any:
    return _bytes(value) if isinstance(value, str) else value


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
