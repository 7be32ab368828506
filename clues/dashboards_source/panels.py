"""Panels that several dashboards have."""

from __future__ import annotations

from clues.dashboards_source.model import Combined, Events, Panel, Prom, Unit, Value, Variable
from clues.dashboards_source.shared import (
    DESTROYED,
    ENDED,
    ENDS,
    FAILED,
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
    quantiles,
    rate,
)

WIDE = 24
"""The width of a row."""

_RETRYING_LABEL = ', clues_job_outcome="retrying"'
_UNHAPPY = ', clues_job_outcome=~"failed|retrying"'

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
DEPTH = Panel(
    "Depth of queues",
    "How many jobs wait, by queue?",
    "lines",
    prom=(Prom(f"sum by (queue) (max by (job, queue) (clues_queue_depth{{{QUEUES}}}))", "{{queue}}"),),
)
AGE = Panel(
    "Oldest waiting job",
    "For how long has the oldest job waited, by queue?",
    "lines",
    "seconds",
    prom=(Prom(f"max by (queue) (clues_queue_oldest_age_seconds{{{QUEUES}}})", "{{queue}}"),),
)
WAITING = f"sum(max by (job, queue) (clues_queue_depth{{{QUEUES}}})) or vector(0)"
"""How many jobs wait now."""


def stat(  # noqa: PLR0913 - what a panel has
    title: str,
    question: str,
    prom: str,
    value: Value | Combined | None = None,
    *,
    unit: Unit = "count",
    legend: str = "",
    bad: float | None = None,
) -> Panel:
    """One number, six of which are a row.

    Args:
        title: its title.
        question: what it answers.
        prom: what Prometheus is asked.
        value: what Elasticsearch is asked, if that knows it.
        unit: the number's.
        legend: what Prometheus' answer is called; left out, as the panel.
        bad: from where on it is red.
    """
    return Panel(
        title,
        question,
        "stat",
        unit,
        prom=(Prom(prom, legend or title.lower()),),
        events=Events((value,)) if value else None,
        width=4,
        height=4,
        bad_above=bad,
    )


def _gap(title: str, question: str, prom: str, name: str, *, of: tuple[Value, Value]) -> Panel:
    return Panel(
        title,
        question,
        "stat",
        prom=(Prom(prom, name),),
        events=Events((Combined(name, "-", *of),)),
        width=6,
        height=5,
    )


UNTAKEN = _gap(
    "Enqueued, not dequeued",
    "How many jobs were enqueued in this time, and neither taken nor removed?",
    f"({count(SENT)}) - ({count(WAITED + '_count')}) - ({count(DESTROYED)})",
    "not dequeued",
    of=(
        Value("enqueued", "unique", "clues.event_hash", "event.action:enqueued"),
        Value("taken or removed", "unique", "clues.event_hash", "event.action:(dequeued OR destroyed)"),
    ),
)
UNENDED = _gap(
    "Dequeued, not ended",
    "How many jobs were taken in this time and have no terminal event: they run, or are lost?",
    f"({count(WAITED + '_count')}) - ({count(ENDED)})",
    "not ended",
    of=(
        Value("taken", "unique", "clues.event_hash", "event.action:dequeued"),
        Value("ended", "unique", "clues.event_hash", ENDS),
    ),
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
        width=WIDE,
    )


LABEL = Variable("label", "Metadata field", fields="labels|clues.metrics", many=False)
