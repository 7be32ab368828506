"""The failures that Redis keeps: look at them, retry them, remove them."""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

from clues.attempt import METADATA, Attempt
from clues.errors import DecodeError, QueueNameError
from clues.lifecycle import Lifecycle
from clues.metadata import read_attempt
from clues.plain import plain
from clues.resque import times
from clues.resque.queues import check_name
from clues.resque.store import Store, batched
from clues.resque.stored_failure import FailureFilter, StoredFailure
from clues.resque.wire import encode, join, members
from clues.system_keys import EVENT_KEYS

log = logging.getLogger("clues.resque")

_CHUNK = 500
_MOST_MOVES = 10


class Failed:
    """The list ``failed``, or one queue's list where failures are kept by queue.

    Retrying keeps the job's metadata and its hash, and counts its attempt; Ruby's forgets them.
    """

    def __init__(
        self, store: Store, lifecycle: Lifecycle, key: str | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        """Work on a list of failures.

        Args:
            store: the Redis that holds it.
            lifecycle: told of retried jobs.
            key: the list's key; ``failed`` if left out.
            clock: epoch seconds.
        """
        self._store = store
        self._lifecycle = lifecycle
        self._key = key or store.keys.failed
        self._clock = clock

    @property
    def name(self) -> str:
        """The list's name, without the namespace, ``failed`` or ``<queue>_failed``."""
        return self._key.removeprefix(self._store.keys.prefix)

    def count(self, queue: str | None = None, worker_class: str | None = None) -> int:
        """How many failures there are, of a queue or a class if given."""
        if queue is None and worker_class is None:
            return self._store.failure_count(self._key)
        return sum(1 for _ in self.each(queue=queue, worker_class=worker_class))

    def all(self, offset: int = 0, limit: int = 20) -> list[dict[str, Any]]:
        """Some failures, oldest first, decoded."""
        return [StoredFailure.read(0, raw).entry for raw in self._store.failures(self._key, offset, limit)]

    def each(
        self, *, queue: str | None = None, worker_class: str | None = None, newest_first: bool = True
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Every failure with its index, newest first as in Resque."""
        wanted = FailureFilter(_only(worker_class), _only(queue))
        for failure in self.found(wanted, newest_first=newest_first):
            yield failure.index, failure.entry

    def at(self, index: int) -> StoredFailure | None:
        """The failure that stands at an index now."""
        raws = self._store.failures(self._key, index, 1)
        return StoredFailure.read(index, raws[0]) if raws else None

    def found(self, wanted: FailureFilter | None = None, *, newest_first: bool = True) -> Generator[StoredFailure]:
        """The failures that a filter allows, to look at, and to give to `retry_found` and `remove_found`."""
        size = self._store.failure_count(self._key)
        starts = range(0, size, _CHUNK)
        for start in reversed(starts) if newest_first else starts:
            raws = self._store.failures(self._key, start, min(_CHUNK, size - start))
            chunk = [StoredFailure.read(index, raw) for index, raw in enumerate(raws, start)]
            for failure in reversed(chunk) if newest_first else chunk:
                if wanted is None or wanted.allows(failure):
                    yield failure

    def retry(self, index: int) -> bool:
        """Push a failure's job again; the entry stays, marked with ``retried_at``.

        Returns:
            Whether it was pushed: False where there is no such failure, or it has just been removed.

        Raises:
            DecodeError: the entry names no job.
            QueueNameError: its queue's name is one that Resque's keys can't hold.
        """
        failure = self.at(index)
        return failure is not None and self.retry_found(failure)

    def retry_found(self, failure: StoredFailure) -> bool:
        """Push the job of this very failure again, wherever it stands by now; as `retry` otherwise."""
        queue = failure.queue
        if not queue or "payload" not in failure.entry:
            index = failure.index
            msg = f"failure {index} names no queue or has no payload; it can only be removed"
            raise DecodeError(msg, failure.raw)
        check_name(queue)
        item, attempt = self._item_of(failure, queue)
        marked = mark_retried(failure.raw, times.retried_at(self._clock()))
        for index in self._places(failure):
            if self._store.retry(self._key, index, failure.raw, marked=marked, queue=queue, item=item):
                self._lifecycle.enqueued(attempt)
                return True
        return False

    def retry_all(self, queue: str | None = None) -> int:
        """Push the job of every failure, of a queue if given; gives how many were pushed.

        Entries that name no job are left as they are; the log names them.
        """
        wanted = FailureFilter(queues=_only(queue))
        return sum(map(self._try_retry, self.found(wanted, newest_first=False)))

    def remove(self, index: int) -> bool:
        """Remove a failure; gives whether there was one."""
        return self._store.remove_failure(self._key, index)

    def remove_found(self, failures: Iterable[StoredFailure]) -> int:
        """Remove these very failures, wherever they stand by now; gives how many were still there."""
        places = ((failure.index, failure.raw) for failure in failures)
        return sum(self._store.remove_failures(self._key, some) for some in batched(places, _CHUNK))

    def remove_queue(self, queue: str) -> int:
        """Remove the failures of a queue; gives their number."""
        return self.remove_found(self.found(FailureFilter(queues=_only(queue))))

    def clear_retried(self) -> int:
        """Remove the failures that were retried; gives their number."""
        return self.remove_found(self.found(FailureFilter(retried=True)))

    def clear(self) -> int:
        """Remove all failures; gives their number."""
        return self._store.drop_failures(self._key)

    def clear_up_to(self, newest: StoredFailure) -> int:
        """Remove this very failure and all that are older, so none that has come since; gives their number."""
        for index in self._places(newest):
            if self._store.trim_failures(self._key, index, newest.raw):
                return index + 1
        return 0

    def _places(self, failure: StoredFailure) -> Iterator[int]:
        """Where it may stand: where it was read, then where it is found again, as long as the list keeps moving."""
        yield failure.index
        for _ in range(_MOST_MOVES):
            index = self._store.find_failure(self._key, failure.raw)
            if index is None:
                return
            yield index

    def _try_retry(self, failure: StoredFailure) -> bool:
        try:
            return self.retry_found(failure)
        except (DecodeError, QueueNameError) as error:
            log.warning("%s", error)
            return False

    def _item_of(self, failure: StoredFailure, queue: str) -> tuple[bytes, Attempt | None]:
        """The item to push. One that was no object stands in the entry as a string, and goes back as it came."""
        raw, payload = failure.raw, failure.entry["payload"]
        if isinstance(payload, dict):
            return self._next_attempt(queue, dict(payload), members(raw)["payload"])
        if isinstance(payload, str):
            return _original(failure.entry.get("payload_base64")) or payload.encode(), None
        return members(raw)["payload"], None

    def _next_attempt(self, queue: str, payload: dict[str, Any], raw: bytes) -> tuple[bytes, Attempt | None]:
        """The old item's bytes, but for the metadata, which count the attempt."""
        known = payload.get(METADATA)
        if isinstance(known, dict):
            own = {"_attempt": read_attempt(known) + 1, "_enqueued_time": self._clock()}
            payload[METADATA] = {key: value for key, value in known.items() if key not in EVENT_KEYS} | own
        attempt = self._lifecycle.stamp(queue, payload, preprocess=False)
        kept = members(raw)
        if isinstance(payload.get(METADATA), dict):
            kept[METADATA] = encode(plain(payload[METADATA]))
        return join(kept), attempt


def mark_retried(raw: bytes, at: str) -> bytes:
    """An entry's bytes with ``retried_at`` last, as Ruby has it; nothing else of it changes."""
    kept = members(raw)
    kept.pop("retried_at", None)
    return join(kept | {"retried_at": encode(at)})


def _only(name: str | None) -> tuple[str, ...]:
    return () if name is None else (name,)


def _original(text: object) -> bytes | None:
    """The bytes of an item that was no UTF-8, if they stand in its entry."""
    try:
        return base64.b64decode(text, validate=True) if isinstance(text, str) else None
    except ValueError:
        return None
