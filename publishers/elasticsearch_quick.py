"""Documents of lines as our own workers spell them: taken apart at their keys, what a job's events share read once.

A line's head and times are matched whole, what is between and behind them is read as JSON by itself; where each part is
what it should be, so is the line. All others are for `bulk_lines`, which gives the same bytes.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple

from clues.event import Event, EventType
from clues.metadata import read_attempt
from clues.publishers import elasticsearch_documents as documents
from clues.publishers import elasticsearch_times as times
from clues.publishers.elasticsearch_documents import LONGEST_TIME, Target, bulk_lines
from clues.publishers.elasticsearch_times import Moment
from clues.publishers.lines import object_reader

# A head holds nothing that JSON spells but as it is.
_HEAD = re.compile(
    rb'\{"event_type":"(enqueued|dequeued|perform_started|perform_finished)"'
    rb',"timestamp":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)"'
    rb',"queue":"([ !#-\[\]-~]*)"'
    rb',"metadata":\{"_event_hash":"([\w.-]{1,128})","_event_id":"([\w.:-]{1,512})"'
)
_SECOND = len("2026-11-20T20:59:58.")
_NUMBER = rb"((?:0|[1-9]\d{0,15})(?:\.\d+)?(?:[eE][-+]?\d+)?)"
_TIMES = re.compile(_NUMBER + rb'(?:,"_time_to_perform":' + _NUMBER + rb")?")

# Keys that stand elsewhere in such lines, or that change more of a document.
_ELSEWHERE = frozenset({
    "_event_hash", "_event_id", "_time_in_queue", "_time_to_perform", "_exception", "_message", "_backtrace", "_reason",
})  # fmt: skip
_LONGEST = 4096  # bytes of a line; of more, little is won, and much is kept
_KEPT = 1024  # attempts, which is more than a worker has under way

_Who = tuple[str | None, str | None, int | None, str | None]
"""Job class, host, process and service."""


def writer(target: Target, chart: Iterable[str] = ()) -> Callable[[bytes], bytes]:
    """What makes two lines of a bulk request of an event's line, just as `bulk_lines` does."""
    chart = tuple(chart)
    quick = Quick(target, chart).lines
    return lambda line: quick(line) or bulk_lines(line, target, chart)


class _Second(NamedTuple):
    """A second, and what begins the lines of its events."""

    at: datetime
    action: bytes


class _Shared(NamedTuple):
    """What the events of an attempt have in common: their documents' parts, and by whom."""

    attempt: int
    who: _Who
    seldom: bytes
    own: bytes


class _Opening(NamedTuple):
    """Of an event's type, queue and worker: its message, but for its end, and what its frames are."""

    stage: int
    message: bytes
    frame: bytes
    own: bytes


class _Times(NamedTuple):
    """What the times at a line's end make of its document."""

    said: bytes = b""
    course: bytes = b""
    own: bytes = b""


_NO_TIMES = _Times()


class Quick:
    """Writes documents for a target; holds what is the same in many."""

    def __init__(self, target: Target, chart: tuple[str, ...] = ()) -> None:
        self._target = target
        self._chart = chart
        self._second = functools.lru_cache(64)(self._read_second)
        self._shared = functools.lru_cache(_KEPT)(self._read_shared)
        self._opening = functools.lru_cache(_KEPT)(self._write_opening)

    def lines(self, line: bytes) -> bytes | None:
        """Two lines of a bulk request, or None where the line is none of those that this is for."""
        head, _, rest = line.partition(b',"_attempt":')
        found = _HEAD.fullmatch(head)
        if found is None or len(line) > _LONGEST:
            return None
        kind, at, queue, event_hash, name = found.groups()
        middle, _, end = rest.partition(b'},"worker_class":')
        middle, timed, told = middle.partition(b',"_time_in_queue":')
        shared, second = self._shared(middle, end), self._second(at[:_SECOND])
        if shared is None or second is None:
            return None
        times = _times(kind, told, second.at, at) if timed else _NO_TIMES
        if times is None:
            return None
        opening = self._opening(kind, queue, shared.who)
        sequence = b'","sequence":%d' % (4 * shared.attempt + opening.stage)
        return b"".join((
            second.action, name, b'"}}\n{"@timestamp":"', at, b'","message":', opening.message, times.said, b'"',
            shared.seldom, opening.frame, b',"id":"', name, sequence, times.course, opening.own,
            b'"event_hash":"', event_hash, b'",', times.own, shared.own, b"\n",
        ))  # fmt: skip

    def forget(self) -> None:
        """Hold nothing any more."""
        for kept in (self._second, self._shared, self._opening):
            kept.cache_clear()

    def _read_second(self, begin: bytes) -> _Second | None:
        try:
            spelled, at = times.second(begin.decode())
        except ValueError:
            return None
        return _Second(at, documents.action(self._target.index(at)) + b'"') if spelled.encode() == begin else None

    def _read_shared(self, middle: bytes, end: bytes) -> _Shared | None:
        read = object_reader()
        known, rest = read(b'{"_attempt":' + middle + b"}"), read(b'{"worker_class":' + end)
        if known is None or rest is None or known.keys() & _ELSEWHERE or rest.keys() != {"worker_class", "args"}:
            return None
        args, job_class = rest["args"], rest["worker_class"]
        if type(args) is not list:
            return None
        seldom, own = documents.shared_fields(known, args, self._chart)
        return _Shared(
            read_attempt(known),
            (job_class if type(job_class) is str else None, *documents.whose(known)),
            b"," + documents.encode(seldom)[1:-1] if seldom else b"",
            documents.encode(own)[1:] + b"}",
        )

    def _write_opening(self, kind: bytes, queue: bytes, who: _Who) -> _Opening:
        event_type, name = EventType(kind.decode()), queue.decode()
        frame, own = documents.frame(event_type, name, *who, self._target.namespace)
        message = documents.encode(documents.sentence(Event(event_type, "", name, {}, who[0], [])))
        return _Opening(documents.STAGES.get(event_type, documents.END), message[:-1], frame, own)


def _times(kind: bytes, told: bytes, second: datetime, at: bytes) -> _Times | None:
    """Of the time in the queue and, of what has ended, the time to perform."""
    found = _TIMES.fullmatch(told)
    if found is None:
        return None
    waited, took = float(found[1]), float(found[2] or 0)
    if waited >= LONGEST_TIME or took >= LONGEST_TIME:  # is no time, and `bulk_lines` knows what to do
        return None
    own = b'"time_in_queue":%b,' % documents.encode(waited)
    said = b" after %.3g s" % waited if kind == b"dequeued" else b""
    if found[2] is None:
        return _Times(said, b"", own)
    if kind == b"perform_finished":
        said = b" in %.3g s" % took
    course = documents.lasted(Moment("", second, int(at[_SECOND:-1])), took)
    return _Times(said, course, b'%b"time_to_perform":%b,' % (own, documents.encode(took)))
