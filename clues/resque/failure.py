"""What is kept of a job that failed, and where: Redis' list as Resque keeps it, and other backends beside it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

from clues.errors import ConfigError, TermException
from clues.metadata import Failure, failure_of
from clues.plain import plain
from clues.resque import times
from clues.resque.store import shown
from clues.resque.wire import encode, members

TERM_EXCEPTION = "Resque::TermException"
"""How Ruby names the failure of a job that its worker's end has cut off."""

RedisBackend = Literal["redis", "redis_multi_queue"]

_MAX_ERROR = 100_000
_CALLERS = (
    *(str(Path(module.__file__ or "?").parent) for module in (asyncio, threading)),
    contextlib.__file__,
    str(Path(__file__).parent),
)


@dataclass(frozen=True, slots=True)
class FailureEntry:
    """A failed job, as Resque stores it (resque ``failure/redis.rb``).

    An item that is no UTF-8 is shown with its odd bytes spelled out; ``payload_base64`` then holds it as it came.

    Attributes:
        failed_at: when, in epoch seconds.
        payload: the item's bytes, as they were taken.
        failure: what was raised.
        worker: the id of the worker that held the job.
        queue: the job's queue.
    """

    failed_at: float
    payload: bytes
    failure: Failure
    worker: str
    queue: str

    def encode(self) -> bytes:
        """The entry's bytes; the payload stands in them as it came, or as a string where it is no JSON object."""
        head = encode(times.failed_at(self.failed_at))
        rest = {
            "exception": plain(self.failure.exception),
            "error": plain(self.failure.message[:_MAX_ERROR]),
            "backtrace": plain(list(self.failure.backtrace)),
            "worker": plain(shown(self.worker)),
            "queue": plain(shown(self.queue)),
        }
        if not _is_text(self.payload):
            rest["payload_base64"] = base64.b64encode(self.payload).decode()
        return b'{"failed_at":' + head + b',"payload":' + as_payload(self.payload) + b"," + encode(rest)[1:]


class FailureBackend(Protocol):
    """Whoever else wants to know of failures; called after the outcome is committed, its own errors are counted."""

    def save(self, entry: FailureEntry) -> None:
        """Keep a failure."""


def as_payload(raw: bytes) -> bytes:
    """An item's bytes if it is a JSON object, else the bytes as a JSON string: resque-web reads payloads as objects.

    An object that is nested so deep that an entry around it could not be read counts as none.
    """
    try:
        members(raw)
        members(b'{"payload":' + raw + b"}")
    except ValueError:
        return encode(raw.decode("utf-8", "backslashreplace"))
    return raw


def _is_text(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def describe(error: BaseException) -> Failure:
    """What a job raised, its backtrace cut where the job's own code begins; whatever the error's own methods do."""
    try:
        found = failure_of(error, callers=_CALLERS)
        return replace(found, exception=TERM_EXCEPTION) if type(error) is TermException else found
    except BaseException:  # noqa: BLE001 - users write __str__, and even one that exits must not take the worker along
        return Failure(type(error).__qualname__, "<the error can't be read>")


def additional(hook_error: BaseException, original: BaseException, job: str) -> Failure:
    """The failure to store where an on_failure hook raised too, in Resque's words (``job.rb``)."""
    hook, first = describe(hook_error), describe(original)
    message = (
        f"Additional error ({hook.exception}: {hook.message}) occurred in running failure hooks for job {job}\n"
        f"Original error that caused job failure was {hook.exception}: {first.exception}: {first.message}"
    )
    return Failure("RuntimeError", message, first.backtrace)


def default_backends(environ: Mapping[str, str]) -> tuple[RedisBackend, ...]:
    """What FAILURE_BACKEND says, as in Resque.

    Raises:
        ConfigError: it says something else.
    """
    match environ.get("FAILURE_BACKEND") or "redis":
        case "redis":
            return ("redis",)
        case "redis_multi_queue":
            return ("redis_multi_queue",)
        case other:
            msg = f"FAILURE_BACKEND must be redis or redis_multi_queue, not {other!r}"
            raise ConfigError(msg)


def checked_backends(
    given: Iterable[RedisBackend | FailureBackend],
) -> tuple[RedisBackend | FailureBackend, ...]:
    """The failure backends of a client.

    Raises:
        ConfigError: one of them is none, or they name two places in Redis.
    """
    found = tuple(given)
    for backend in found:
        known = isinstance(backend, str) and backend in {"redis", "redis_multi_queue"}
        if not known and not hasattr(backend, "save"):
            msg = f"failure_backends takes 'redis', 'redis_multi_queue' and objects with save(entry), not {backend!r}"
            raise ConfigError(msg)
    if {"redis", "redis_multi_queue"} <= {backend for backend in found if isinstance(backend, str)}:
        msg = "failure_backends takes 'redis' or 'redis_multi_queue', not both: a failure has one place in Redis"
        raise ConfigError(msg)
    return found
