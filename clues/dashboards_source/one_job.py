"""The dashboard of one job."""

from __future__ import annotations

from clues.dashboards_source.model import Dashboard, Events, Panel, Value, Variable
from clues.dashboards_source.panels import WIDE
from clues.dashboards_source.shared import LAST

_DOCUMENT = ("@timestamp", "event.action", "clues.queue", "clues.job_class", "clues.attempt")
_HASH = 'clues.event_hash:"$event_hash"'  # in quotes it may be empty still
ONE_JOB = Dashboard(
    "clues-job",
    "clues: one job",
    "What happened to one job: its attempts, when, where, how long, why it failed, and what it enqueued.",
    (
        (
            "What happened",
            (
                Panel(
                    "Its life",
                    "What happened to this job, in order?",
                    "documents",
                    events=Events(
                        only=_HASH,
                        fields=(
                            *_DOCUMENT,
                            "clues.time_in_queue",
                            "clues.time_to_perform",
                            "error.type",
                            "error.message",
                            "event.reason",
                            "host.name",
                            "process.pid",
                            "message",
                        ),
                        newest_first=False,
                    ),
                    width=WIDE,
                    height=10,
                ),
                Panel(
                    "Attempts",
                    "How often was it tried?",
                    "stat",
                    events=Events((Value("attempts", "max", "clues.attempt", _HASH),), only=_HASH),
                    width=6,
                    height=4,
                ),
                Panel(
                    "Waited",
                    "How long did it wait, all attempts together?",
                    "stat",
                    "seconds",
                    events=Events(
                        (Value("waited", "sum", "clues.time_in_queue", "event.action:dequeued"),), only=_HASH
                    ),
                    width=6,
                    height=4,
                ),
                Panel(
                    "Worked",
                    "How long was it worked on?",
                    "stat",
                    "seconds",
                    events=Events((Value("worked", "sum", "clues.time_to_perform"),), only=_HASH),
                    width=6,
                    height=4,
                ),
                Panel(
                    "Ended",
                    "Has it ended?",
                    "stat",
                    events=Events((Value("ends", "count", only=LAST),), only=_HASH),
                    width=6,
                    height=4,
                ),
            ),
        ),
        (
            "What it enqueued",
            (
                Panel(
                    "Jobs that it enqueued",
                    "Which jobs did it enqueue, and how did they fare?",
                    "documents",
                    events=Events(
                        only='clues.parent_event_hash:"$event_hash"',
                        fields=(*_DOCUMENT, "clues.time_to_perform", "error.type", "clues.event_hash"),
                        newest_first=False,
                    ),
                    width=WIDE,
                    height=10,
                    drills_to=("clues-job", "event_hash"),
                ),
            ),
        ),
    ),
    (Variable("event_hash", "event_hash", text=True, many=False),),
    span="now-7d",
)
