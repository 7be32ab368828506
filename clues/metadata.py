"""What clues adds to a job: its hash, event ids, times, and the story of an error. No input or output here."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from traceback import walk_tb
from types import CodeType, TracebackType
from typing import Any

from clues.event import TERMINAL, EventType
from clues.system_keys import EVENT_KEYS, JOB_KEYS

SYSTEM_KEYS = EVENT_KEYS | JOB_KEYS

END_OF_TIME = 253_402_300_800  # the year 10000; NaN, infinity and integers that no float holds are beyond it too
_TOO_MANY_ATTEMPTS = 1_000_000_000
_MAX_LINKED_ERRORS = 8
_MAX_FRAMES = 200


def new_hash() -> str:
    """32 random hex digits. From the kernel, so that forked children never repeat each other's."""
    return os.urandom(16).hex()


def event_id(event_hash: str, attempt: int, event_type: EventType) -> str:
    """``<hash>:<attempt>:<type>``; all terminal types share ``end``, so that readers can count distinct ids."""
    return f"{event_hash}:{attempt}:{ID_ENDS[event_type]}"


ID_ENDS = {kind: "end" if kind in TERMINAL else kind.value for kind in EventType}
"""What the ids of events of each type end with."""


def timestamp(seconds: float) -> str:
    """Epoch seconds as ISO 8601 in UTC with microseconds: ``2026-11-20T20:59:58.123456Z``."""
    global _last_second  # noqa: PLW0603 - a cache of one; the tuple is swapped whole, so threads can't tear it
    # Rounded, for a float is seldom exactly the microsecond that it stands for.
    digits = str(round(seconds * 1_000_000))
    second, text = _last_second
    if digits[:-6] != second:
        # Formatting a date costs more than the rest of an event, and a busy worker has thousands in a second.
        whole, micro = divmod(int(digits), 1_000_000)
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
        if whole <= 0:  # its digits are fewer, or count backwards
            return f"{text}.{micro:06d}Z"
        _last_second = (digits[:-6], text)
    return f"{text}.{digits[-6:]}Z"


_last_second = ("none", "")


def read_hash(metadata: Mapping[str, Any]) -> str | None:
    """The job's hash from an item's metadata, if it has a usable one; the ``_`` key is the one that counts."""
    found = metadata.get("_event_hash")
    # Room for a foreign system's ids, none for lone surrogates and newlines.
    if not (isinstance(found, str) and 0 < len(found) <= 128 and found.isprintable()):  # noqa: PLR2004
        found = metadata.get("event_hash")
        if not (isinstance(found, str) and 0 < len(found) <= 128 and found.isprintable()):  # noqa: PLR2004
            return None
    return found if type(found) is str else str.__str__(found)  # a subclass may have its own ideas


def read_attempt(metadata: Mapping[str, Any]) -> int:
    """Which attempt an item is, from 1 up; items without a number (Ruby's) are at their first."""
    found = metadata.get("_attempt")
    return found if type(found) is int and 0 < found < _TOO_MANY_ATTEMPTS else 1


def hash_of(system: str, job_id: str) -> str:
    """The hash of a job that was enqueued without one: always the same for the id that its own system gives it."""
    import hashlib  # noqa: PLC0415 - for the few who adopt

    return hashlib.md5(f"{system}:{job_id}".encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()


def read_enqueued_time(metadata: Mapping[str, Any]) -> float | None:
    """When the item was enqueued, in epoch seconds, or None where nobody knows."""
    return _read_time(metadata, "_enqueued_time") or _read_time(metadata, "enqueued_time")


def read_scheduled_time(metadata: Mapping[str, Any]) -> float | None:
    """When the job is due, in epoch seconds; None for one that is due at once."""
    return _read_time(metadata, "_scheduled_time")


def _read_time(metadata: Mapping[str, Any], key: str) -> float | None:
    found = metadata.get(key)
    if found is None:
        return None
    # A tuple: a union of types is made anew each time, at every event.
    if isinstance(found, (int, float)) and not isinstance(found, bool) and 0 < found < END_OF_TIME:
        return float(found)
    return None


def users_own(metadata: Mapping[Any, Any]) -> dict[Any, Any]:
    """The metadata without the keys that clues writes itself."""
    if type(metadata) is dict and metadata.keys() <= SYSTEM_KEYS:  # nothing, mostly
        return {}
    return {key: value for key, value in metadata.items() if key not in SYSTEM_KEYS}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job failed.

    Attributes:
        exception: the error's class, with its module unless it is built in.
        message: what it said.
        backtrace: ``file:line:in `function'`` lines as Ruby writes them, innermost first; causes follow.
    """

    exception: str
    message: str
    backtrace: tuple[str, ...] = ()


def failure_of(error: BaseException, *, callers: tuple[str, ...] = ()) -> Failure:
    """Describe an error, whatever its ``__str__`` does.

    Args:
        error: what the job raised.
        callers: folders of the code that calls jobs; frames that lie there are left out down to the job's innermost,
            so that the backtrace is the job's code and what that called (Resque cuts at ``lib/resque/job.rb``).
    """
    lines = _frames(error.__traceback__, callers)
    for cause in _causes(error):
        lines.append(f"caused by {error_name(cause)}: {error_message(cause)}")
        lines.extend(_frames(cause.__traceback__, callers))
    return Failure(error_name(error), error_message(error), tuple(lines))


def error_name(error: BaseException) -> str:
    """The class of an error: ``ValueError``, ``shop.errors.CardDeclined``."""
    kind = type(error)
    module, name = kind.__module__, kind.__qualname__
    return name if module in {"builtins", "__main__"} else f"{module}.{name}"


def error_message(error: BaseException) -> str:
    """What an error says; a broken ``__str__`` doesn't raise."""
    try:
        return str.__str__(str(error))  # a __str__ may return a subclass that has its own ideas
    except Exception:  # noqa: BLE001 - users write __str__
        return "<message can't be read>"


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen = {id(error)}
    cause = _cause(error)
    while cause is not None and id(cause) not in seen and len(seen) <= _MAX_LINKED_ERRORS:
        seen.add(id(cause))
        yield cause
        cause = _cause(cause)


def _cause(error: BaseException) -> BaseException | None:
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _without_callers(frames: list[tuple[CodeType, int]], callers: tuple[str, ...]) -> list[tuple[CodeType, int]]:
    """The frames without those through which the job, its hooks and what they call were reached."""
    foreign = [not code.co_filename.startswith(callers) for code, _ in frames]
    if True not in foreign:
        return []
    innermost = len(foreign) - 1 - foreign[::-1].index(True)
    # What lies below the job's innermost frame is what it called, and raised: that stays, whoever wrote it.
    return [frame for index, frame in enumerate(frames) if foreign[index] or index > innermost]


def _frames(trace: TracebackType | None, callers: tuple[str, ...]) -> list[str]:
    frames = [(frame.f_code, line) for frame, line in walk_tb(trace)]
    own = _without_callers(frames, callers)
    lines = [f"{code.co_filename}:{line}:in `{code.co_name}'" for code, line in own]
    lines.reverse()
    if len(lines) > _MAX_FRAMES:  # a RecursionError has a thousand, all alike
        half = _MAX_FRAMES // 2
        lines[half:-half] = [f"… {len(lines) - 2 * half} frames left out …"]
    return lines
