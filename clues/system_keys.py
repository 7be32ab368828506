"""The keys of metadata that clues writes itself, all with ``_`` before them, and what each means."""

from __future__ import annotations

from typing import NamedTuple


class Key(NamedTuple):
    """One of them.

    Attributes:
        type: its value's type in JSON, and its unit.
        on: which events have it.
        about: what it says.
    """

    type: str
    on: str
    about: str


_ALL = "all"
_TAKEN = "`dequeued`, and those after it"
_FAILED = "`failed`"
_REASONED = "`failed`, where the job did not fail by itself"

JOB = {
    "_event_hash": Key("string, 32 hex digits", _ALL, "the job, through all its attempts"),
    "_attempt": Key("integer, from 1", _ALL, "which attempt"),
    "_hostname": Key("string", _ALL, "the host that tells the event"),
    "_process": Key("integer", _ALL, "the process id of who tells the event"),
    "_system": Key("string", "all, but for those of `clues.resque`", "the job system: `celery`, `rq`, …"),
    "_job_id": Key("string", "where `_system` is", "that system's own id of the job"),
    "_enqueued_time": Key("number, epoch seconds", "all, where it is known", "when the job was enqueued"),
    "_scheduled_time": Key("number, epoch seconds", "all, of a job that was delayed", "when the job is due"),
}
"""What each event writes anew, from what is known of the job."""

EVENT = {
    "_event_id": Key(
        "string",
        _ALL,
        "`<hash>:<attempt>:<type>`, with `end` as the type of all that ends an attempt: told twice, it is the same",
    ),
    "_time_in_queue": Key(
        "number, seconds", _TAKEN, "from when the job was enqueued, or due, until it was taken; 0 where clocks disagree"
    ),
    "_time_to_perform": Key("number, seconds", "`perform_finished`, `failed`", "how long the job's code ran"),
    "_clock_skew": Key("number, seconds", _TAKEN, "by how much the taker's clock was behind the enqueuer's"),
    "_exception": Key("string", _FAILED, "the error's class, with its module unless it is built in"),
    "_message": Key("string", _FAILED, "what it said"),
    "_backtrace": Key("array of strings", _FAILED, "``file:line:in `function'``, innermost first; causes follow"),
    "_reason": Key(
        "string", _REASONED, "`killed:SIGKILL`, `exit:3`, `lost`, `timeout`, `shutdown`, `revoked`, `cancelled`, …"
    ),
    "_reporter": Key("string", _REASONED, "who found out: `worker`, `master`, `pruner`, `adapter`"),
    "_retrying": Key("`true`", _FAILED, "the job system will run the job again by itself"),
    "_redelivered": Key("`true`", _TAKEN, "a worker had the job before, and has not ended it"),
    "_traced_by": Key("string", "where it is so", "`opentelemetry`: its instrumentation makes the spans, clues none"),
    "_truncated": Key(
        "array of strings",
        "where something was cut",
        "what: `args`, `metadata`, `_message`, `_backtrace`",
    ),
}
"""What speaks of one event: where an item still carries such a key, it is dropped when the item is read."""

CARRIED = {
    "_parent_event_hash": Key("string", "all, of a job that a job has enqueued", "that job's `_event_hash`"),
    "_traceparent": Key("string", "all, of a job with a trace", "the trace's context, as W3C spells it"),
    "_tracestate": Key("string", "all, where there is one", "the tracing system's own part of it"),
    "_parent_span_id": Key("string", "all, of a job with a trace", "the span within which the job was enqueued"),
}
"""What an item carries beside them, from when it was enqueued."""

KEYS = JOB | EVENT | CARRIED
"""All of them."""

EVENT_KEYS, JOB_KEYS = frozenset(EVENT), frozenset(JOB)
