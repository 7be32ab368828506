"""The event, its standard line, and what is asked of whoever receives it.

An event is one JSON object on a line, keys in the order of resque-clues (``lib/resque-clues.rb``)::

    {"event_type":…,"timestamp":…,"queue":…,"metadata":{…},"worker_class":…,"args":[…]}
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, Self, runtime_checkable


class EventType(StrEnum):
    """What happened to a job; the values are those of resque-clues."""

    ENQUEUED = "enqueued"
    DEQUEUED = "dequeued"
    PERFORM_STARTED = "perform_started"
    PERFORM_FINISHED = "perform_finished"
    FAILED = "failed"
    DESTROYED = "destroyed"

    __hash__ = str.__hash__  # an enum's own takes a call of Python, at each look into a table

    @property
    def terminal(self) -> bool:
        """Whether an attempt of a job ends with this event."""
        return self in TERMINAL


TERMINAL = frozenset({EventType.PERFORM_FINISHED, EventType.FAILED, EventType.DESTROYED})

Marshaller = Callable[[str, str, str | None, Mapping[str, Any], str | None, Sequence[Any]], str]
"""``(event_type, timestamp, queue, metadata, worker_class, args) -> str``, as in resque-clues."""

_Values = tuple[str, str, str | None, Mapping[str, Any], str | None, Sequence[Any]]


@functools.cache
def json_encoder() -> Callable[[Any], bytes]:
    """The quickest JSON encoder that is installed: orjson's (``clues[fast]``), else the standard library's.

    Returns:
        A function from plain JSON values to compact UTF-8 bytes.
    """
    try:
        import orjson  # noqa: PLC0415 - an extra, and `import clues` imports no third-party package
    except ImportError:
        encode = _standard_encoder(ensure_ascii=False).encode
        return lambda value: encode(value).encode()
    return functools.partial(orjson.dumps, default=_last_resort)


def marshal(  # noqa: PLR0913, PLR0917 - the original's signature
    event_type: str,
    timestamp: str,
    queue: str | None,
    metadata: Mapping[str, Any],
    worker_class: str | None,
    args: Sequence[Any],
) -> str:
    """The default marshaller: the standard line, without its newline.

    Args:
        event_type: one of `EventType`.
        timestamp: ISO 8601, UTC, microseconds.
        queue: the queue's name.
        metadata: what is known of the job; system keys begin with ``_``.
        worker_class: the job's class, as its item names it.
        args: the job's arguments.
    """
    return _encode(event_type, timestamp, queue, metadata, worker_class, args).decode()


def _encode(  # noqa: PLR0913, PLR0917 - an event's fields
    event_type: str,
    timestamp: str,
    queue: str | None,
    metadata: Mapping[str, Any],
    worker_class: str | None,
    args: Sequence[Any],
) -> bytes:
    shape: dict[str, Any] = {
        "event_type": str(event_type),
        "timestamp": timestamp,
        "queue": queue,
        "metadata": metadata,
        "worker_class": worker_class,
        "args": args,
    }
    try:
        return json_encoder()(shape)
    except (TypeError, ValueError, RecursionError):
        # Events from Lifecycle are sanitised and never come here; one that was built by hand may.
        known = {key: str(metadata[key]) for key in ("_event_hash", "_event_id") if key in metadata}
        shape |= {"metadata": {**known, "_truncated": ["metadata", "args"]}, "args": []}
        return _standard_encoder(ensure_ascii=True).encode(shape).encode()


def _standard_encoder(*, ensure_ascii: bool) -> json.JSONEncoder:
    return json.JSONEncoder(ensure_ascii=ensure_ascii, allow_nan=False, separators=(",", ":"), default=_last_resort)


def _last_resort(value: object) -> str:
    return f"<{type(value).__name__}>"


@dataclass(frozen=True, slots=True, init=False)
class Event:
    """One thing that happened to one job.

    Attributes:
        event_type: what happened.
        timestamp: when; ISO 8601, UTC, microseconds (``2026-11-20T20:59:58.123456Z``).
        queue: the queue's name.
        metadata: system keys, which begin with ``_``, and the user's.
        worker_class: the job's class, as its item names it.
        args: the job's arguments, redacted and capped.
        marshaller: the user's own spelling of a line, for direct publishers.
    """

    event_type: EventType
    timestamp: str
    queue: str | None
    metadata: Mapping[str, Any]
    worker_class: str | None
    args: Sequence[Any]
    marshaller: Marshaller | None = field(default=None, repr=False, compare=False)
    _line: bytes | None = field(default=None, init=False, repr=False, compare=False)
    _marshalled: bytes | None = field(default=None, init=False, repr=False, compare=False)

    def __init__(  # noqa: PLR0913, PLR0917 - the fields
        self,
        event_type: EventType,
        timestamp: str,
        queue: str | None,
        metadata: Mapping[str, Any],
        worker_class: str | None,
        args: Sequence[Any],
        marshaller: Marshaller | None = None,
    ) -> None:
        """Say what happened; the values must be plain JSON."""
        # By hand, as what dataclasses write for a frozen class takes twice the time, at every event.
        _set_event_type(self, event_type)
        _set_timestamp(self, timestamp)
        _set_queue(self, queue)
        _set_metadata(self, metadata)
        _set_worker_class(self, worker_class)
        _set_args(self, args)
        _set_marshaller(self, marshaller)
        _set_line(self, None)
        _set_marshalled(self, None)

    @property
    def line(self) -> bytes:
        """The standard line in UTF-8, without its newline; encoded once, however many publishers ask."""
        line = self._line
        if line is None:
            _set_line(self, line := _encode(*self._fields()))
        return line

    @property
    def marshalled(self) -> bytes:
        """What direct publishers write, which is the user's marshaller's text in UTF-8, else the standard line."""
        if self.marshaller is None:
            line = self._line
            if line is None:  # as in `line`, without a call
                line = _encode(self.event_type, self.timestamp, self.queue, self.metadata, self.worker_class, self.args)
                _set_line(self, line)
            return line
        if self._marshalled is None:
            event_type, timestamp, queue, metadata, worker_class, args = self._fields()
            # Copies: a marshaller that edits what it is given must not edit the event of the other publishers.
            text = self.marshaller(event_type, timestamp, queue, dict(metadata), worker_class, list(args))
            _set_marshalled(self, text.encode("utf-8", "backslashreplace").rstrip(b"\n"))
        return self._marshalled  # type: ignore[return-value]

    def __reduce__(self) -> tuple[type[Event], tuple[Any, ...]]:
        """Pickle without the marshaller, which is seldom picklable: events travel in log records."""
        return type(self), self._fields()

    def _fields(self) -> _Values:
        return self.event_type, self.timestamp, self.queue, self.metadata, self.worker_class, self.args

    @classmethod
    def from_line(cls, line: bytes | str) -> Self:
        """Read a standard line back, ours or resque-clues'.

        Raises:
            ValueError: the line is no event.
        """
        try:
            found = json.loads(line)
            at, metadata, args = found["timestamp"], found["metadata"], found["args"]
            event = cls(EventType(found["event_type"]), at, found["queue"], metadata, found["worker_class"], args)
        except (KeyError, TypeError, RecursionError) as error:
            msg = f"not an event: {error!r}"
            raise ValueError(msg) from error
        if not (isinstance(at, str) and isinstance(metadata, dict) and isinstance(args, list)):
            msg = "not an event: timestamp, metadata and args must be a string, an object and an array"
            raise ValueError(msg)  # noqa: TRY004 - the line's fault, not the caller's
        return event


(
    _set_event_type, _set_timestamp, _set_queue, _set_metadata, _set_worker_class, _set_args, _set_marshaller,
    _set_line, _set_marshalled,
) = (vars(Event)[name].__set__ for name in Event.__slots__)  # fmt: skip


class _Blank:
    """An event that is being filled in."""

    __slots__ = Event.__slots__


def new_event(  # noqa: PLR0913, PLR0917 - the fields
    event_type: EventType,
    timestamp: str,
    queue: str | None,
    metadata: Mapping[str, Any],
    worker_class: str | None,
    args: Sequence[Any],
    marshaller: Marshaller | None,
) -> Event:
    """As `Event`, in half the time: every job has several."""
    event: Any = _Blank()
    event.event_type = event_type
    event.timestamp = timestamp
    event.queue = queue
    event.metadata = metadata
    event.worker_class = worker_class
    event.args = args
    event.marshaller = marshaller
    event._line = event._marshalled = None  # noqa: SLF001 - its own
    event.__class__ = Event  # of the same slots
    return event  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Sample:
    """A state at one moment, such as a queue's depth.

    Attributes:
        name: the metric's name, such as ``clues.queue.depth``.
        value: the number.
        unit: its unit in UCUM, such as ``s`` or ``{job}``.
        attributes: bounded labels, such as ``{"queue": "mailers"}``.
    """

    name: str
    value: float
    unit: str = "1"
    attributes: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class Publisher(Protocol):
    """Whoever wants events.

    It may also have ``publish_many(events)`` (several at once, in order), ``publish_samples(samples)``, ``companion()``
    (a `Companion`, or None), ``flush(timeout) -> bool`` and ``close()``. A plain callable that takes an `Event` is a
    publisher too.
    """

    def publish(self, event: Event, /) -> None:
        """Take one event; raising harms nobody, the seam counts and reports it."""


class Companion(Protocol):
    """What a publisher wants to have done in a process of its own, which whoever asked for it keeps alive.

    It may also have ``ships``: False where it does nothing but pass on what samplers know, and need not be there
    where nobody knows any.
    """

    def run(self, lifeline: int, samplers: Iterable[Sampler] = ()) -> None:
        """Do it until SIGQUIT, or until the descriptor `lifeline` is at its end; then finish within a few seconds."""


class Sampler(Protocol):
    """Whoever knows states: queue depth, oldest waiting age, workers alive and busy."""

    def sample(self) -> Iterable[Sample]:
        """The states as they are now."""
