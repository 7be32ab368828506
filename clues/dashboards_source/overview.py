"""The dashboard of all jobs."""

from __future__ import annotations

from clues.dashboards_source.model import Dashboard, Events, Panel, Prom, Value
from clues.dashboards_source.panels import (
    AGE,
    DEPTH,
    EXCEPTIONS,
    FAILURES,
    LABEL,
    QUEUE_TIME,
    RETRIES,
    RUN_TIME,
    THROUGHPUT,
    UNENDED,
    UNTAKEN,
    WAITING,
    by_label,
    stat,
)
from clues.dashboards_source.shared import (
    CLASS,
    ENDED,
    ENDS,
    FAILED,
    JOB,
    QUEUE,
    QUEUES,
    RAN,
    RATIO_OF_FAILURES,
    SENT,
    count,
    failure_ratio,
    grown,
    quantile,
)

_FINISHED_LABEL = ', clues_job_outcome="finished"'
_FAILED_LABEL = ', clues_job_outcome="failed"'

_BY_CLASS = Panel(
    "Slowest classes",
    "Which classes are slowest?",
    "table",
    "seconds",
    prom=(Prom(f"topk(10, {quantile(0.95, RAN, 'clues_job_class', '$__range')})", "{{clues_job_class}}"),),
    events=Events(
        (Value("p95", "percentile", "clues.time_to_perform", ENDS, 95.0),), by=("clues.job_class",), only=ENDS
    ),
    drills_to=("clues-class", "class"),
)
_FAILING = Panel(
    "Most failing classes",
    "Which classes fail most?",
    "table",
    "count",
    prom=(Prom(f"topk(10, {grown(ENDED, 'clues_job_class', _FAILED_LABEL)} > 0)", "{{clues_job_class}}"),),
    events=Events((Value("failed", "count", only=FAILED),), by=("clues.job_class",), only=FAILED),
    drills_to=("clues-class", "class"),
)

OVERVIEW = Dashboard(
    "clues-overview",
    "clues: overview",
    "Are jobs done, in time, and without failures? If not: which?",
    (
        (
            "Now, and in this time",
            (
                stat(
                    "Enqueued",
                    "How many jobs were enqueued?",
                    count(SENT),
                    Value("jobs", "count", only="event.action:enqueued"),
                ),
                stat(
                    "Finished",
                    "How many jobs finished?",
                    count(ENDED, _FINISHED_LABEL),
                    Value("jobs", "count", only="event.action:perform_finished"),
                ),
                stat(
                    "Failed",
                    "How many jobs failed for good?",
                    count(ENDED, _FAILED_LABEL),
                    Value("jobs", "count", only=FAILED),
                    bad=1,
                ),
                Panel(
                    "Failure ratio now",
                    "What share of jobs failed for good?",
                    "stat",
                    "ratio",
                    prom=(Prom(failure_ratio(), "failed"),),
                    events=Events((RATIO_OF_FAILURES,)),
                    width=4,
                    height=4,
                    bad_above=0.05,
                ),
                stat(
                    "Waiting",
                    "How many jobs wait now?",
                    WAITING,
                ),
                Panel(
                    "Longest wait",
                    "How long has the job waited that waits longest?",
                    "stat",
                    "seconds",
                    prom=(Prom(f"max(clues_queue_oldest_age_seconds{{{QUEUES}}}) or vector(0)", "age"),),
                    width=4,
                    height=4,
                    bad_above=300,
                ),
            ),
        ),
        ("How it goes", (THROUGHPUT, FAILURES, RUN_TIME, QUEUE_TIME, DEPTH, AGE)),
        ("What to look at", (_BY_CLASS, _FAILING, EXCEPTIONS, RETRIES, UNTAKEN, UNENDED)),
        ("By metadata", (by_label("$label"),)),
    ),
    (JOB, QUEUE, CLASS, LABEL),
)
