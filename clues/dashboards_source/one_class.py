"""The dashboard of one class."""

from __future__ import annotations

from clues.dashboards_source.model import Dashboard, Events, Panel, Prom, Value
from clues.dashboards_source.panels import (
    EXCEPTIONS,
    FAILURES,
    LABEL,
    QUEUE_TIME,
    RETRIES,
    RUN_TIME,
    THROUGHPUT,
    UNENDED,
    UNTAKEN,
    WIDE,
    by_label,
)
from clues.dashboards_source.shared import A_CLASS, ENDED, ENDS, FAILED, JOB, QUEUE, RAN, grown, quantile

_SLOW = Panel(
    "Slow jobs",
    "Which were the slowest jobs, and which jobs failed?",
    "documents",
    events=Events(
        only=ENDS,
        fields=("@timestamp", "event.action", "clues.time_to_perform", "error.type", "host.name", "clues.event_hash"),
    ),
    width=WIDE,
    drills_to=("clues-job", "event_hash"),
)
_OTHER_TIMES = Panel(
    "Run time by outcome",
    "Do failing jobs take longer than others?",
    "lines",
    "seconds",
    prom=(Prom(quantile(0.95, RAN, "clues_job_outcome"), "p95 {{clues_job_outcome}}"),),
    events=Events(
        (Value("p95", "percentile", "clues.time_to_perform", ENDS, 95.0),),
        by=("event.outcome",),
        over_time=True,
        only=ENDS,
    ),
)
_MESSAGES = Panel(
    "Failures",
    "What do this class' failures say?",
    "documents",
    events=Events(
        only="event.action:failed",
        fields=("@timestamp", "error.type", "error.message", "event.reason", "host.name", "clues.event_hash"),
    ),
    width=WIDE,
    drills_to=("clues-job", "event_hash"),
)
_HOSTS = Panel(
    "By host",
    "Is it one host?",
    "table",
    events=Events(
        (Value("ended", "count", only=ENDS), Value("failed", "count", only=FAILED)), by=("host.name",), only=ENDS
    ),
)
_QUEUES = Panel(
    "By queue",
    "From which queues do its jobs come?",
    "table",
    prom=(Prom(grown(ENDED, "messaging_destination_name"), "{{messaging_destination_name}}"),),
    events=Events((Value("ended", "count", only=ENDS),), by=("clues.queue",), only=ENDS),
)

ONE_CLASS = Dashboard(
    "clues-class",
    "clues: one class",
    "How do the jobs of one class fare: since when are they slow, with what do they fail, which ones?",
    (
        (
            "How it goes",
            (THROUGHPUT, FAILURES, RUN_TIME, QUEUE_TIME, _OTHER_TIMES, EXCEPTIONS, RETRIES, _QUEUES, _HOSTS),
        ),
        ("Gaps", (UNTAKEN, UNENDED)),
        ("Which", (_MESSAGES, _SLOW)),
        ("By metadata", (by_label("$label"),)),
    ),
    (JOB, QUEUE, A_CLASS, LABEL),
)
