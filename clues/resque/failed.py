"""The failures that Redis keeps: look at them, retry them, remove them."""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

from clues.attempt import METADATA, Attempt
from clues.errors import DecodeError, QueueNameError
from clues.lifecycle import Lifecycle
from clues.metadata import EVENT_KEYS, read_attempt
from clues.plain import plain
from clues.resque import times
from clues.resque.queues import check_name
from clues.resque.store import Store, batched
from clues.resque.wire import decode, encode, join, members

log = logging.getLogger("clues.resque")

_CHUNK = 500


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

    def count(self, queue: str | None = None, worker_class: str | None = None) -> int:
        """How many failures there are, of a queue or a class if given."""
        if queue is None and worker_class is None:
            return self._store.failure_count(self._key)
        return sum(1 for _ in self.each(queue=queue, worker_class=worker_class))

    def all(self, offset: int = 0, limit: int = 20) -> list[dict[str, Any]]:
        """Some failures, oldest first, decoded."""
        return [_entry(raw) for raw in self._store.failures(self._key, offset, limit)]

    def each(
        self, *, queue: str | None = None, worker_class: str | None = None, newest_first: bool = True
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Every failure with its index, newest first as in Resque."""
        for index, raw in self._raw(newest_first=newest_first):
            entry = _entry(raw)
            if queue in (None, _queue_of(entry)) and worker_class in (None, _class_of(entry)):
                yield index, entry

    def retry(self, index: int) -> bool:
        """Push a failure's job again; the entry stays, marked with ``retried_at``.

        Returns:
            Whether it was pushed: False where there is no such failure, or the list has just moved.
        """
        found = self._store.failures(self._key, index, 1)
        return bool(found) and self._retry(index, found[0])

    def retry_all(self, queue: str | None = None) -> int:
        """Push the job of every failure, of a queue if given; gives how many were pushed.

        Entries that name no job are left as they are; the log names them.
        """
        return sum(
            self._try_retry(index, raw)
            for index, raw in self._raw()
            if queue is None or _queue_of(_entry(raw)) == queue
        )

    def remove(self, index: int) -> bool:
        """Remove a failure; gives whether there was one."""
        return self._store.remove_failure(self._key, index)

    def remove_queue(self, queue: str) -> int:
        """Remove the failures of a queue; gives their number."""
        return self._remove(lambda entry: _queue_of(entry) == queue)

    def clear_retried(self) -> int:
        """Remove the failures that were retried; gives their number."""
        return self._remove(lambda entry: bool(entry.get("retried_at")))

    def clear(self) -> None:
        """Remove all failures."""
        self._store.clear_failures(self._key)

    def _remove(self, wanted: Callable[[dict[str, Any]], bool]) -> int:
        found = [raw for _, raw in self._raw() if wanted(_entry(raw))]
        return sum(self._store.remove_entries(self._key, some) for some in batched(found))

    def _raw(self, *, newest_first: bool = False) -> Iterator[tuple[int, bytes]]:
        size = self._store.failure_count(self._key)
        starts = range(0, size, _CHUNK)
        for start in reversed(starts) if newest_first else starts:
            chunk = list(enumerate(self._store.failures(self._key, start, min(_CHUNK, size - start)), start))
            yield from reversed(chunk) if newest_first else chunk

    def _try_retry(self, index: int, raw: bytes) -> bool:
        try:
            return self._retry(index, raw)
        except (DecodeError, QueueNameError) as error:
            log.warning("%s", error)
            return False

    def _retry(self, index: int, raw: bytes) -> bool:
        entry = _entry(raw)
        queue = _queue_of(entry)
        if not queue or "payload" not in entry:
            msg = f"failure {index} names no queue or has no payload; remove it with remove({index})"
            raise DecodeError(msg, raw)
        check_name(queue)
        item, attempt = self._item_of(entry, queue, raw)
        marked = mark_retried(raw, times.retried_at(self._clock()))
        if not self._store.retry(self._key, index, raw, marked=marked, queue=queue, item=item):
            return False
        self._lifecycle.enqueued(attempt)
        return True

    def _item_of(self, entry: dict[str, Any], queue: str, raw: bytes) -> tuple[bytes, Attempt | None]:
        """The item to push. One that was no object stands in the entry as a string, and goes back as it came."""
        payload = entry["payload"]
        if isinstance(payload, dict):
            return self._next_attempt(queue, payload, members(raw)["payload"])
        if isinstance(payload, str):
            return _original(entry.get("payload_base64")) or payload.encode(), None
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


def _entry(raw: bytes) -> dict[str, Any]:
    """A failure; one that is no JSON object is shown as its text rather than hidden."""
    try:
        found = decode(raw)
    except DecodeError:
        found = None
    return found if isinstance(found, dict) else {"error": raw.decode("utf-8", "backslashreplace")}


def _queue_of(entry: dict[str, Any]) -> str | None:
    queue = entry.get("queue")
    return queue if isinstance(queue, str) else None


def _original(text: object) -> bytes | None:
    """The bytes of an item that was no UTF-8, if they stand in its entry."""
    try:
        return base64.b64decode(text, validate=True) if isinstance(text, str) else None
    except ValueError:
        return None


def _class_of(entry: dict[str, Any]) -> str | None:
    payload = entry.get("payload")
    found = payload.get("class") if isinstance(payload, dict) else None
    return found if isinstance(found, str) else None
