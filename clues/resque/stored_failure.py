"""A failure as it stands in a list of Redis, and which of them somebody means."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from clues.attempt import METADATA
from clues.errors import DecodeError
from clues.metadata import read_hash
from clues.resque import times
from clues.resque.wire import decode, join, members

ID_LENGTH = 8
_LONG = 2048  # bits; and an entry that is no longer, in bytes, has no such integer

# Letters only, so that an id is never taken for an index; no vowels, so that it is no word.
_LETTERS = "bcdfghjklmnpqrstvwxz"


@dataclass(frozen=True, slots=True)
class StoredFailure:
    """An entry of a list of failures, Ruby's or ours, or whatever else stands there.

    Attributes:
        index: where it stood when it was read; it moves when others before it are removed.
        raw: its bytes, by which it is found again.
        entry: what they say; where they are no JSON object, their text as ``error``.
    """

    index: int
    raw: bytes
    entry: dict[str, Any]

    @classmethod
    def read(cls, index: int, raw: bytes) -> StoredFailure:
        """Read an entry; one that is no JSON object is shown as its text rather than hidden."""
        try:
            found = decode(raw)
        except DecodeError:
            found = None
        if not isinstance(found, dict):
            return cls(index, raw, {"error": raw.decode("utf-8", "backslashreplace")})
        return cls(index, raw, _writable(found) if len(raw) > _LONG else found)

    @property
    def id(self) -> str:
        """Names this very entry, wherever it stands; retrying it does not change it."""
        try:
            kept = members(self.raw)
        except DecodeError:
            return _letters(self.raw)
        kept.pop("retried_at", None)
        return _letters(join(kept))

    @property
    def queue(self) -> str | None:
        """The job's queue."""
        return _text(self.entry.get("queue"))

    @property
    def worker_class(self) -> str | None:
        """The job's class."""
        payload = self.entry.get("payload")
        return _text(payload.get("class")) if isinstance(payload, dict) else None

    @property
    def exception(self) -> str | None:
        """What was raised: the name of its class."""
        return _text(self.entry.get("exception"))

    @property
    def error(self) -> str:
        """The message of what was raised."""
        found = self.entry.get("error")
        return found if isinstance(found, str) else ""

    @property
    def failed_at(self) -> float | None:
        """When it failed, in epoch seconds."""
        found = _text(self.entry.get("failed_at"))
        return None if found is None else times.parse_failed_at(found)

    @property
    def retried(self) -> bool:
        """Whether its job was pushed again."""
        return bool(self.entry.get("retried_at"))

    @property
    def event_hash(self) -> str | None:
        """The hash of the job's events."""
        payload = self.entry.get("payload")
        metadata = payload.get(METADATA) if isinstance(payload, dict) else None
        return read_hash(metadata) if isinstance(metadata, dict) else None


@dataclass(frozen=True, slots=True)
class FailureFilter:
    """Which failures are meant: those that every field allows; an empty one allows all.

    Attributes:
        classes: the jobs' classes.
        queues: their queues.
        exceptions: the names of what was raised, as stored.
        since: not before this time, in epoch seconds.
        until: not after this time.
        retried: only those that were retried, or were not; None for either.
    """

    classes: Collection[str] = ()
    queues: Collection[str] = ()
    exceptions: Collection[str] = ()
    since: float | None = None
    until: float | None = None
    retried: bool | None = None

    def __bool__(self) -> bool:
        """Whether it leaves anything out."""
        named = self.classes or self.queues or self.exceptions
        return bool(named) or not (self.since is self.until is self.retried is None)

    def allows(self, failure: StoredFailure) -> bool:
        """Whether a failure is meant."""
        return (
            (not self.classes or failure.worker_class in self.classes)
            and (not self.queues or failure.queue in self.queues)
            and (not self.exceptions or failure.exception in self.exceptions)
            and self.retried in {None, failure.retried}
            and self._has_time_of(failure)
        )

    def _has_time_of(self, failure: StoredFailure) -> bool:
        if self.since is None and self.until is None:
            return True
        at = failure.failed_at
        if at is None:
            return False
        return (
            (-math.inf if self.since is None else self.since) <= at <= (math.inf if self.until is None else self.until)
        )


def _writable(value: Any) -> Any:
    """What can be shown: Python refuses to write integers of so many digits, which Ruby's JSON may hold."""
    if isinstance(value, dict):
        return {key: _writable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_writable(item) for item in value]
    if isinstance(value, int) and value.bit_length() > _LONG:
        return f"<integer of {value.bit_length()} bits>"
    return value


def _letters(raw: bytes) -> str:
    number = int.from_bytes(blake2b(raw, digest_size=8).digest())
    letters = ""
    for _ in range(ID_LENGTH):
        number, which = divmod(number, len(_LETTERS))
        letters += _LETTERS[which]
    return letters


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
