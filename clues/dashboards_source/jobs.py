"""The dashboards of jobs: the overview, one class, one job."""

from __future__ import annotations

from clues.dashboards_source.model import Combined, Dashboard, Events, Panel, Prom, Value, Variable
from clues.dashboards_source.shared import (
    CLASS,
    DESTROYED,
    ENDED,
    ENDS,
    FAILED,
    JOB,
    LAST,
    ONE_CLASS,
    QUEUE,
    QUEUES,
    RAN,
    RATIO_OF_FAILURES,
    RETRYING,
    SENT,
    WAITED,
    count,
    failure_ratio,
    grown,
    percentiles,
    quantile,
    quantiles,
    rate,
)

_FINISHED_LABEL = ', clues_job_outcome="finished"'
_FAILED_LABEL = ', clues_job_outcome="failed"'
_RETRYING_LABEL = ', clues_job_outcome="retrying"'
_UNHAPPY = ', clues_job_outcome=~"failed|retrying"'
_WIDE = 24

THROUGHPUT = Panel(
    "Throughput by outcome",
    "How many jobs are enqueued, and how do they end?",
    "lines",
    "rate",
    prom=(
        Prom(rate(SENT), "enqueued"),
        Prom(rate(ENDED, "clues_job_outcome"), "{{clues_job_outcome}}"),
        Prom(rate(DESTROYED), "destroyed"),
    ),
    events=Events(
        (
            Value("enqueued", "count", only="event.action:enqueued"),
            Value("finished", "count", only="event.action:perform_finished"),
            Value("failed", "count", only=FAILED),
            Value("retrying", "count", only=RETRYING),
            Value("destroyed", "count", only="event.action:destroyed"),
        ),
        over_time=True,
    ),
)
FAILURES = Panel(
    "Failure ratio",
    "What share of jobs fails for good?",
    "lines",
    "ratio",
    prom=(Prom(failure_ratio("$__rate_interval"), "failed"),),
    events=Events((RATIO_OF_FAILURES,), over_time=True),
)
RUN_TIME = Panel(
    "Run time",
    "How long do jobs take, failed ones included?",
    "lines",
    "seconds",
    prom=quantiles(RAN),
    events=Events(percentiles("clues.time_to_perform", ENDS), over_time=True),
)
QUEUE_TIME = Panel(
    "Time in queue",
    "How long do jobs wait before they are taken?",
    "lines",
    "seconds",
    prom=quantiles(WAITED),
    events=Events(percentiles("clues.time_in_queue", "event.action:dequeued"), over_time=True),
)
EXCEPTIONS = Panel(
    "Exceptions by type",
    "With which exceptions do jobs fail?",
    "bars",
    "count",
    prom=(
        Prom(
            f"topk(10, {grown(ENDED, 'error_type', _UNHAPPY)} > 0)",
            "{{error_type}}",
        ),
    ),
    events=Events((Value("failures", "count", only="event.action:failed"),), by=("error.type",)),
)
RETRIES = Panel(
    "Retries",
    "How many attempts failed and are tried again?",
    "lines",
    "rate",
    prom=(Prom(rate(ENDED, more=_RETRYING_LABEL), "retrying"),),
    events=Events((Value("retrying", "count", only=RETRYING),), over_time=True),
)
UNTAKEN = Panel(
    "Enqueued, not dequeued",
    "How many jobs were enqueued in this time, and neither taken nor removed?",
    "stat",
    "count",
    prom=(Prom(f"({count(SENT)}) - ({count(WAITED + '_count')}) - ({count(DESTROYED)})", "not dequeued"),),
    events=Events(
        (
            Combined(
                "not dequeued",
                "-",
                Value("enqueued", "unique", "clues.event_hash", "event.action:enqueued"),
                Value("taken or removed", "unique", "clues.event_hash", "event.action:(dequeued OR destroyed)"),
            ),
        )
    ),
    width=6,
    height=5,
)
UNENDED = Panel(
    "Dequeued, not ended",
    "How many jobs were taken in this time and have no terminal event: they run, or are lost?",
    "stat",
    "count",
    prom=(Prom(f"({count(WAITED + '_count')}) - ({count(ENDED)})", "not ended"),),
    events=Events(
        (
            Combined(
                "not ended",
                "-",
                Value("taken", "unique", "clues.event_hash", "event.action:dequeued"),
                Value("ended", "unique", "clues.event_hash", ENDS),
            ),
        )
    ),
    width=6,
    height=5,
)


def _stat(title: str, question: str, prom: str, value: Value | Combined | None, *, bad: float | None = None) -> Panel:
    return Panel(
        title,
        question,
        "stat",
        prom=(Prom(prom, title.lower()),),
        events=Events((value,)) if value else None,
        width=4,
        height=4,
        bad_above=bad,
    )


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
_DEPTH = Panel(
    "Depth of queues",
    "How many jobs wait, by queue?",
    "lines",
    prom=(Prom(f"sum by (queue) (max by (job, queue) (clues_queue_depth{{{QUEUES}}}))", "{{queue}}"),),
)
_AGE = Panel(
    "Oldest waiting job",
    "For how long has the oldest job waited, by queue?",
    "lines",
    "seconds",
    prom=(Prom(f"max by (queue) (clues_queue_oldest_age_seconds{{{QUEUES}}})", "{{queue}}"),),
)


def by_label(field: str) -> Panel:
    """Jobs by a field of the user's metadata."""
    return Panel(
        f"By {field}",
        "How are jobs spread over a field of my own metadata, such as customers?",
        "table",
        events=Events(
            (
                Value("ended", "count", only=ENDS),
                Value("failed", "count", only=FAILED),
                Value("p95", "percentile", "clues.time_to_perform", ENDS, 95.0),
            ),
            by=(field,),
            only=ENDS,
        ),
        width=_WIDE,
    )


LABEL = Variable("label", "Metadata field", fields="labels|clues.metrics", many=False)

OVERVIEW = Dashboard(
    "clues-overview",
    "clues: overview",
    "Are jobs done, in time, and without failures? If not: which?",
    (
        (
            "Now, and in this time",
            (
                _stat(
                    "Enqueued",
                    "How many jobs were enqueued?",
                    count(SENT),
                    Value("jobs", "count", only="event.action:enqueued"),
                ),
                _stat(
                    "Finished",
                    "How many jobs finished?",
                    count(ENDED, _FINISHED_LABEL),
                    Value("jobs", "count", only="event.action:perform_finished"),
                ),
                _stat(
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
                _stat(
                    "Waiting",
                    "How many jobs wait now?",
                    f"sum(max by (job, queue) (clues_queue_depth{{{QUEUES}}})) or vector(0)",
                    None,
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
        ("How it goes", (THROUGHPUT, FAILURES, RUN_TIME, QUEUE_TIME, _DEPTH, _AGE)),
        ("What to look at", (_BY_CLASS, _FAILING, EXCEPTIONS, RETRIES, UNTAKEN, UNENDED)),
        ("By metadata", (by_label("$label"),)),
    ),
    (JOB, QUEUE, CLASS, LABEL),
)

_DOCUMENT = ("@timestamp", "event.action", "clues.queue", "clues.job_class", "clues.attempt")
_SLOW = Panel(
    "Slow jobs",
    "Which were the slowest jobs, and which jobs failed?",
    "documents",
    events=Events(
        only=ENDS,
        fields=("@timestamp", "event.action", "clues.time_to_perform", "error.type", "host.name", "clues.event_hash"),
    ),
    width=_WIDE,
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
    width=_WIDE,
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

ONE = Dashboard(
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
    (JOB, QUEUE, ONE_CLASS, LABEL),
)

_HASH = 'clues.event_hash:"$event_hash"'  # in quotes it may be empty still
JOB_DASHBOARD = Dashboard(
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
                    width=_WIDE,
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
                    width=_WIDE,
                    height=10,
                    drills_to=("clues-job", "event_hash"),
                ),
            ),
        ),
    ),
    (Variable("event_hash", "event_hash", text=True, many=False),),
    span="now-7d",
)
