"""The Resque client: what an application calls to enqueue jobs and to look at its queues."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from clues.config import configure_from_environment
from clues.errors import ConfigError, DecodeError, EncodeError
from clues.lifecycle import Lifecycle
from clues.resque import pausing
from clues.resque import registry as jobs
from clues.resque.connect import RedisLike, connect, default_url
from clues.resque.enqueueing import Call, JobLike, Receipt, call_again, call_of, checked_call, definition_of, stamped
from clues.resque.failed import Failed
from clues.resque.failure import FailureBackend, RedisBackend, checked_backends, default_backends
from clues.resque.inlining import perform_inline
from clues.resque.keys import Keys
from clues.resque.lease import Lease
from clues.resque.queues import check_name
from clues.resque.registry import Registry
from clues.resque.store import Store, batched
from clues.resque.wire import decode, encode


class Resque:
    """A client of one Redis and namespace.

    Attributes:
        store: the Redis commands.
        registry: the jobs that may run.
        lifecycle: who is told what happens.
        failure_backends: where failures go.
    """

    def __init__(  # noqa: PLR0913 - one parameter for each option
        self,
        redis: RedisLike = None,
        *,
        namespace: str = "resque",
        registry: Registry | None = None,
        lifecycle: Lifecycle | None = None,
        failure_backends: Iterable[RedisBackend | FailureBackend] | None = None,
        inline: bool = False,
    ) -> None:
        """Connect lazily, at the first command.

        Args:
            redis: a URL (``redis:// rediss:// unix:// sentinel://``), a ``redis.Redis`` client, or None for
                ``REDIS_URL`` and at last ``redis://localhost:6379/0``.
            namespace: what stands before every key.
            registry: the jobs that may run; the process-wide one if left out.
            lifecycle: who is told what happens; the process-wide configuration's if left out.
            failure_backends: ``"redis"`` (the list ``failed``) or ``"redis_multi_queue"`` (a list for each queue), and
                any objects with ``save(entry)``, all at once; None for ``FAILURE_BACKEND`` and at last ``"redis"``.
            inline: perform jobs at once in place of pushing them, for tests; no key is touched.

        Raises:
            ConfigError: a failure backend is none, or an environment variable's value is mistaken.
            ClusterError: a client of a Redis Cluster was given.
        """
        configure_from_environment()
        self.store: Store = Store(connect(default_url(os.environ) if redis is None else redis), Keys(namespace))
        self.registry: Registry = registry or jobs.default
        self.lifecycle: Lifecycle = lifecycle or Lifecycle()
        self.failure_backends: tuple[RedisBackend | FailureBackend, ...] = checked_backends(
            default_backends(os.environ) if failure_backends is None else failure_backends
        )
        self._inline_always = inline
        self._inline_here: ContextVar[bool | None] = ContextVar("clues_resque_inline", default=None)

    # enqueueing

    def enqueue(self, job: JobLike, /, *args: Any) -> Receipt | None:
        """Put a job into its queue.

        Args:
            job: the class, function or wire name.
            args: the job's arguments; JSON values.

        Returns:
            A receipt, which is true; None if a before_enqueue hook vetoed.

        Raises:
            NoQueueError: the job has no queue; use `enqueue_to`.
            NoClassError: its name is empty.
            EncodeError: JSON can't hold the arguments.
            RedisError: Redis can't be reached, or refuses. Where only its reply was lost, the job is in its queue.
        """
        return self._enqueue(None, job, args)

    def enqueue_to(self, queue: str, job: JobLike, /, *args: Any) -> Receipt | None:
        """Put a job into a queue other than its own; as `enqueue` otherwise."""
        return self._enqueue(queue, job, args)

    def enqueue_many(
        self, calls: Iterable[tuple[Any, ...]], *, queue: str | None = None, batch_size: int = 1000
    ) -> list[Receipt]:
        """Put many jobs into their queues, one round trip for each batch; hooks and preprocessors run for each job.

        Args:
            calls: ``(job, *args)`` tuples; any iterable, read batch by batch.
            queue: put them all there, rather than into their own queues.
            batch_size: jobs in a batch.

        Returns:
            A receipt for each job that no hook vetoed, in order.

        Raises:
            NoQueueError, NoClassError, EncodeError: as `enqueue`; a batch is checked whole before it is pushed, and
                the batches before it are in their queues.
        """
        if batch_size < 1:
            msg = "batch_size must be at least 1"
            raise ConfigError(msg)
        receipts: list[Receipt] = []
        for batch in batched(calls, batch_size):
            receipts.extend(self._enqueue_batch(queue, batch))
        return receipts

    def reenqueue(self, *args: Any) -> Receipt | None:
        """Put the running job into its queue again, with other arguments: the rest of its work, for a later run.

        The new job has a hash of its own, and names this one's as its ``_parent_event_hash``. It keeps the metadata
        that the application gave the first one; hooks and preprocessors run as with `enqueue`.

        Returns:
            A receipt, which is true; None if a before_enqueue hook vetoed.

        Raises:
            NoRunningJobError: no job runs here.
            EncodeError: JSON can't hold the arguments.
            RedisError: Redis can't be reached, or refuses.
        """
        return self._enqueue_call(call_again(self.registry, args))

    @property
    def inline(self) -> bool:
        """Whether jobs are performed at once in place of being pushed."""
        here = self._inline_here.get()
        return self._inline_always if here is None else here

    @inline.setter
    def inline(self, on: bool) -> None:
        self._inline_always = on

    @contextmanager
    def performing_inline(self) -> Iterator[None]:
        """Perform jobs at once within this block, and in this context only."""
        token = self._inline_here.set(True)
        try:
            yield
        finally:
            self._inline_here.reset(token)

    def _enqueue(self, queue: str | None, job: JobLike, args: tuple[Any, ...]) -> Receipt | None:
        return self._enqueue_call(call_of(self.registry, queue, job, args))

    def _enqueue_call(self, call: Call) -> Receipt | None:
        if not call.vetoed():
            self._send([call])
            call.after()
            return call.receipt
        return None

    def _enqueue_batch(self, queue: str | None, batch: list[tuple[Any, ...]]) -> list[Receipt]:
        calls = [call_of(self.registry, queue, *checked_call(given)) for given in batch]
        calls = [call for call in calls if not call.vetoed()]
        if calls:
            self._send(calls)
        for call in calls:
            call.after()
        return [call.receipt for call in calls]

    def _send(self, calls: list[Call]) -> None:
        if self.inline:
            for call in calls:
                call.prepare(self.lifecycle)
            for call in calls:
                perform_inline(self.lifecycle, call)
            return
        items: dict[str, list[bytes]] = {}
        for call in calls:
            items.setdefault(call.queue, []).append(call.prepare(self.lifecycle))
        if len(items) == 1:
            for queue, raws in items.items():
                self.store.push(queue, *raws)
        else:
            self.store.push_many(items)
        self.lifecycle.enqueued(*[call.attempt for call in calls])

    # dequeueing

    def dequeue(self, job: JobLike, /, *args: Any) -> int | None:
        """Remove a job's items from its queue; with arguments, those with just these.

        Items match by class and arguments, whatever else they carry (``clues_metadata``) and however they are spaced;
        within the arguments, bytes matter as in Ruby: 1 is not 1.0, and an object's keys have an order.

        Returns:
            How many were removed; None if a before_dequeue hook vetoed.
        """
        definition = definition_of(self.registry, job)
        if not definition.hooks.run_before_dequeue(list(args)):
            return None
        queue = definition.queue
        removed = 0 if not queue else self.destroy(queue, definition.name, *args)
        definition.hooks.run_after_dequeue(list(args))
        return removed

    def destroy(self, queue: str, job: JobLike, /, *args: Any) -> int:
        """Remove a job's items from a queue, without hooks; with arguments, those with just these.

        Returns:
            How many were removed.
        """
        name = definition_of(self.registry, job).name
        wanted = encode(list(args)) if args else None
        matching: Counter[bytes] = Counter()
        for chunk in self.store.items_from_the_tail(queue):
            matching.update(raw for raw in reversed(chunk) if _matches(_read(raw), name, wanted))
        return sum(self._remove(queue, dict(some)) for some in batched(matching.items()))

    def _remove(self, queue: str, counts: dict[bytes, int]) -> int:
        removed = self.store.remove_items(queue, counts)
        for raw, count in zip(counts, removed, strict=True):
            self._destroyed(queue, [raw] * count)
        return sum(removed)

    # queues

    def push(self, queue: str, item: Any) -> int:
        """Append an item, any JSON value; one with a class and a list of args is stamped and published like a job.

        Returns:
            The queue's length.
        """
        queue = check_name(queue)
        raw, attempt = stamped(self.lifecycle, queue, dict(item)) if _is_job(item) else (encode(item), None)
        length = self.store.push(queue, raw)
        self.lifecycle.enqueued(attempt)
        return length

    def pop(self, queue: str) -> Any:
        """Take the first item, decoded, without working it; None if there is none.

        Raises:
            DecodeError: it is not JSON; ``error.raw`` holds it, for it is no longer in the queue.
        """
        raw = self.store.pop(queue)
        if raw is None:
            return None
        item = decode(raw)
        if isinstance(item, dict):
            self.lifecycle.dequeued(queue, item)
        return item

    def peek(self, queue: str, start: int = 0, count: int = 1) -> Any:
        """Look at items: one (or None) for a count of 1, else a list; a count of 0 from 0 gives all, as in Resque."""
        found = [decode(raw) for raw in self.store.peek(queue, start, count)]
        if count == 1:
            return found[0] if found else None
        return found

    def size(self, queue: str) -> int:
        """How many items wait in a queue."""
        return self.store.size(queue)

    def queues(self) -> list[str]:
        """The known queues, sorted."""
        return self.store.queues()

    def remove_queue(self, queue: str) -> int:
        """Remove a queue with all its items; gives how many there were."""
        removed = 0
        left = self.store.size(queue)
        while left > 0 and (chunk := self.store.pop_many(queue, min(left, 1000))):
            left -= len(chunk)
            removed += self._destroyed(queue, chunk)
        return removed + self._destroyed(queue, self.store.remove_queue(queue))

    def pause(self, *queues: str) -> pausing.Paused:
        """Let workers take no more jobs from these queues; without any, all workers no more jobs at all.

        Running jobs go on. Ruby's workers obey the pause of all, not that of single queues.

        Returns:
            What is paused now.

        Raises:
            QueueNameError: a name that Resque's keys can't hold.
        """
        return pausing.pause(self.store, *queues)

    def resume(self, *queues: str) -> pausing.Paused:
        """End the pause of these queues; without any, that of all workers, while single queues stay paused.

        Returns:
            What is still paused.
        """
        return pausing.resume(self.store, *queues)

    def paused(self) -> pausing.Paused:
        """What is paused: true if anything is."""
        return pausing.paused(self.store)

    def _destroyed(self, queue: str, raws: list[bytes]) -> int:
        for raw in raws:
            self.lifecycle.destroyed(queue, _read(raw))
        return len(raws)

    # workers, failures, stats

    def workers(self) -> list[str]:
        """The ids of the registered workers."""
        return self.store.workers()

    def working(self) -> dict[str, dict[str, Any]]:
        """What each busy worker holds: ``{"queue": …, "run_at": …, "payload": …}`` by worker id."""
        leases = self.store.leases(self.store.workers())
        return {worker_id: Lease.read(raw).shown() for worker_id, raw in leases.items()}

    @property
    def failed(self) -> Failed:
        """The failures that Redis keeps."""
        return Failed(self.store, self.lifecycle)

    def failed_of(self, queue: str) -> Failed:
        """One queue's failures, where they are kept by queue (``redis_multi_queue``)."""
        return Failed(self.store, self.lifecycle, self.store.keys.failed_of(queue))

    def failed_lists(self) -> list[Failed]:
        """Every list of failures: Resque's one, then those by queue that its multi-queue backend has made."""
        names = [name for name in self.store.failure_lists() if name != self.failed.name]
        return [self.failed, *(Failed(self.store, self.lifecycle, f"{self.store.keys.prefix}{name}") for name in names)]

    def stat(self, name: str) -> int:
        """A counter: ``processed`` (failures included) or ``failed``."""
        return self.store.stat(name)

    def info(self) -> dict[str, Any]:
        """Figures at a glance, with Resque's names: pending, processed, queues, workers, working, failed, servers."""
        queues, workers = self.queues(), self.workers()
        return {
            "pending": sum(self.store.sizes(queues)),
            "processed": self.stat("processed"),
            "queues": len(queues),
            "workers": len(workers),
            "working": len(self.store.leases(workers)),
            "failed": self._failed_count(),
            "servers": [self.store.describe()],
        }

    def _failed_count(self) -> int:
        if "redis_multi_queue" not in self.failure_backends:
            return self.failed.count()
        prefix = self.store.keys.prefix
        return sum(self.store.failure_count(f"{prefix}{name}") for name in self.store.failure_lists())


def _matches(item: dict[str, Any], name: str, wanted: bytes | None) -> bool:
    if item.get("class") != name or wanted is None:
        return item.get("class") == name
    try:
        return encode(item.get("args") or []) == wanted
    except EncodeError:  # such as 1e400, which can be read and not be written
        return False


def _read(raw: bytes) -> dict[str, Any]:
    """An item as an object; empty where it is none."""
    try:
        found = decode(raw)
    except DecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _is_job(item: Any) -> bool:
    return (
        isinstance(item, dict)
        and isinstance(item.get("class"), str)
        and isinstance(item.get("args"), list | tuple | None)
    )
