"""The failures that Redis keeps: pages of them, found by what they say; retried and removed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from clues.errors import DecodeError, QueueNameError
from clues.resque.client import Resque
from clues.resque.failed import Failed
from clues.resque.store import shown
from clues.resque.stored_failure import FailureFilter, StoredFailure
from clues.web.job import as_json

PAGE = 50
"""Failures of a page."""

_PATIENCE = 0.4  # seconds of looking before a page that is not full is shown
_CHUNK = 200
_NEIGHBOURS = 500  # places in which a failure that moved is looked for
_SHORT = 300
_MOST_AT_ONCE = 2000
_SCAN_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Sought:
    """Which failures are looked for.

    Attributes:
        allowed: by class, queue, exception and whether they were retried.
        text: what they hold, anywhere; in capitals or not.
    """

    allowed: FailureFilter = field(default_factory=FailureFilter)
    text: str = ""

    def __bool__(self) -> bool:
        """Whether it leaves anything out."""
        return bool(self.allowed or self.text)

    def may_hold(self, raw: bytes) -> bool:
        """Whether an entry's bytes can be of a failure that is wanted; a look that needs no decoding."""
        names = [next(iter(some)) for some in (self.allowed.classes, self.allowed.exceptions) if len(some) == 1]
        if any(_is_plain(name) and name.encode() not in raw for name in names):
            return False
        return not self.text or not _is_plain(self.text) or self.text.lower().encode() in raw.lower()

    def allows(self, failure: StoredFailure) -> bool:
        """Whether a failure is wanted."""
        if not self.allowed.allows(failure):
            return False
        return not self.text or _is_plain(self.text) or self.text.lower() in as_json(failure.entry).lower()


class Failures:
    """Looks at the lists of failures of one Redis."""

    def __init__(self, client: Resque, clock: Callable[[], float] = time.monotonic) -> None:
        """Look with this client."""
        self._client = client
        self._clock = clock
        self._groups: dict[str, _Groups] = {}
        self._lock = Lock()

    def lists(self) -> list[dict[str, Any]]:
        """The lists there are, and how long they are."""
        return [{"name": shown(failed.name), "count": failed.count()} for failed in self._client.failed_lists()]

    def page(self, name: str, sought: Sought, before: int | None = None) -> dict[str, Any]:
        """Failures, newest first, from a place on; fewer than a page where looking took too long.

        Args:
            name: the list.
            sought: which of them.
            before: the index that the page before ended at, as its ``next`` says.
        """
        failed = self._list(name)
        count = failed.count()
        end = count if before is None else min(before, count)
        deadline = self._clock() + _PATIENCE
        rows: list[dict[str, Any]] = []
        chunk = PAGE
        while end > 0 and len(rows) < PAGE and self._clock() < deadline:
            size = min(chunk if sought else PAGE - len(rows), end)
            raws = self._raws(name, end - size, size)
            chunk = _next_chunk(raws, _CHUNK)
            for index, raw in reversed(list(enumerate(raws, end - size))):
                end = index
                if sought.may_hold(raw) and sought.allows(found := StoredFailure.read(index, raw)):
                    rows.append(row_of(found))
                    if len(rows) == PAGE:
                        break
        return {"list": name, "count": count, "failures": rows, "next": end or None, "looked_at": count - end}

    def one(self, name: str, index: int, failure_id: str) -> dict[str, Any] | None:
        """All of one failure."""
        found = self._find(self._list(name), index, failure_id)
        if found is None:
            return None
        backtrace = found.entry.get("backtrace")
        lines = backtrace if isinstance(backtrace, list) else str(backtrace or "").splitlines()
        payload = found.entry.get("payload")
        return {
            **row_of(found),
            "error": found.error,
            "backtrace": [str(line) for line in lines],
            "worker": str(found.entry.get("worker") or ""),
            "payload": as_json(payload),
        }

    def groups(self, name: str) -> dict[str, Any]:
        """How many failures there are of each class and exception; counted on from the last time where that will do."""
        with self._lock:
            known = self._groups.setdefault(name, _Groups(self._client, self._list(name)))
            return known.counted()

    def retry(self, name: str, index: int, failure_id: str) -> bool:
        """Retry a failure; gives whether it was still there.

        Raises:
            DecodeError: it names no job.
            QueueNameError: it names a queue that there can't be.
        """
        failed = self._list(name)
        found = self._find(failed, index, failure_id)
        return found is not None and failed.retry_found(found)

    def remove(self, name: str, index: int, failure_id: str) -> bool:
        """Remove a failure; gives whether it was still there."""
        failed = self._list(name)
        found = self._find(failed, index, failure_id)
        return found is not None and failed.remove_found([found]) > 0

    def each_retried(self, name: str, sought: Sought) -> Iterator[str]:
        """Retry all that are wanted, oldest first; gives what became of each: retried, gone or refused."""
        failed = self._list(name)
        for found in self._all(failed, sought, newest_first=False):
            try:
                yield "retried" if failed.retry_found(found) else "gone"
            except (DecodeError, QueueNameError):
                yield "refused"

    def each_removed(self, name: str, sought: Sought) -> Iterator[str]:
        """Remove all that are wanted; gives what became of each: removed or gone."""
        failed = self._list(name)
        chunk: list[StoredFailure] = []
        for found in self._all(failed, sought, newest_first=True):
            chunk.append(found)
            if len(chunk) == _CHUNK:
                yield from _removed(failed, chunk)
                chunk = []
        yield from _removed(failed, chunk)

    def _all(self, failed: Failed, sought: Sought, *, newest_first: bool) -> Iterator[StoredFailure]:
        return (
            found
            for found in failed.found(sought.allowed, newest_first=newest_first)
            if sought.may_hold(found.raw) and sought.allows(found)
        )

    def _list(self, name: str) -> Failed:
        """A list by its name.

        Raises:
            LookupError: there is none.
        """
        for failed in self._client.failed_lists():
            if shown(failed.name) == name:
                return failed
        msg = f"there is no list of failures {name!r}"
        raise LookupError(msg)

    def _raws(self, name: str, start: int, count: int) -> list[bytes]:
        store = self._client.store
        return store.failures(f"{store.keys.prefix}{name}", start, count)

    def _find(self, failed: Failed, index: int, failure_id: str) -> StoredFailure | None:
        """The failure where it stood, or a little before: others may have been removed meanwhile."""
        found = failed.at(index)
        if found is not None and found.id == failure_id:
            return found
        start = max(index - _NEIGHBOURS, 0)
        raws = self._raws(failed.name, start, index - start)
        near = (StoredFailure.read(place, raw) for place, raw in reversed(list(enumerate(raws, start))))
        return next((one for one in near if one.id == failure_id), None)


class _Groups:
    """Counts failures by class and exception. What was appended is counted on; else all is counted anew."""

    def __init__(self, client: Resque, failed: Failed) -> None:
        self._store = client.store
        self._failed = failed
        self._key = f"{client.store.keys.prefix}{failed.name}"
        self._forget()

    def _forget(self) -> None:
        self._by_kind: dict[tuple[str | None, str | None], list[Any]] = {}
        self._ends: tuple[bytes, bytes] = (b"", b"")
        self._count = 0
        self._counted_at = time.monotonic()

    def counted(self) -> dict[str, Any]:
        if not self._still_holds() or time.monotonic() - self._counted_at > 60:  # noqa: PLR2004 - retries go unseen
            self._forget()
        chunk = _CHUNK
        while raws := self._store.failures(self._key, self._count, chunk):
            for place, raw in enumerate(raws, self._count):
                self._add(StoredFailure.read(place, raw))
            first = self._ends[0] if self._count else raws[0]
            self._ends = first, raws[-1]
            self._count += len(raws)
            chunk = _next_chunk(raws, _MOST_AT_ONCE)
        rows = [
            {"class": kind[0], "exception": kind[1], "count": count, "retried": retried, "last": last}
            for kind, (count, retried, last) in self._by_kind.items()
        ]
        rows.sort(key=lambda row: -row["count"])
        return {"list": shown(self._failed.name), "count": self._count, "groups": rows[:1000]}

    def _still_holds(self) -> bool:
        """Whether what was counted stands where it stood."""
        if not self._count:
            return True
        first = self._store.failures(self._key, 0, 1)
        last = self._store.failures(self._key, self._count - 1, 1)
        return [*first, *last] == list(self._ends)

    def _add(self, failure: StoredFailure) -> None:
        kind = failure.worker_class, failure.exception
        known = self._by_kind.setdefault(kind, [0, 0, None])
        known[0] += 1
        known[1] += failure.retried
        at = failure.failed_at
        known[2] = at if known[2] is None else max(known[2], at or known[2])


def row_of(failure: StoredFailure) -> dict[str, Any]:
    """A failure as a row of a page."""
    retried = failure.entry.get("retried_at")
    return {
        "index": failure.index,
        "id": failure.id,
        "class": failure.worker_class,
        "queue": failure.queue,
        "exception": failure.exception,
        "error": failure.error[:_SHORT],
        "failed_at": failure.failed_at,
        "retried_at": str(retried) if retried else None,
        "hash": failure.event_hash,
    }


def _removed(failed: Failed, chunk: list[StoredFailure]) -> Iterator[str]:
    count = failed.remove_found(chunk)
    yield from ["removed"] * count + ["gone"] * (len(chunk) - count)


def _next_chunk(raws: Sequence[bytes], most: int) -> int:
    """How many entries to read next: no more than a few megabytes at a time, as backtraces may be long."""
    return max(1, min(most, _SCAN_BYTES * len(raws) // (sum(map(len, raws)) or 1)))


def _is_plain(text: str) -> bool:
    """Whether JSON has but one way to write a text."""
    return text.isascii() and all(mark.isalnum() or mark in "_.: -" for mark in text)
