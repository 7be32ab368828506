"""What several dashboards ask in the same words."""

from __future__ import annotations

from clues.dashboards_source.model import Combined, Prom, Value, Variable

SENT = "messaging_client_sent_messages_total"
ENDED = "messaging_client_consumed_messages_total"
DESTROYED = "clues_job_destroyed_total"
RAN = "messaging_process_duration_seconds"
WAITED = "clues_job_queue_duration_seconds"

CHOSEN = 'job=~"$job", messaging_destination_name=~"$queue", clues_job_class=~"$class"'
"""Which series, by the variables of dashboards of jobs."""
STATES = 'job=~"$job"'
"""The same, of states of everything."""
QUEUES = 'job=~"$job", queue=~"$queue"'
"""The same, of states of queues."""

ENDS = "event.action:(perform_finished OR failed)"
FAILED = "event.action:failed AND NOT clues.retrying:true"
RETRYING = "event.action:failed AND clues.retrying:true"
LAST = f"event.action:(perform_finished OR destroyed) OR ({FAILED})"
"""Of documents: the ends of attempts; failures for good; failures that another attempt follows; ends of jobs."""

JOB = Variable("job", "Service", prom=(SENT, "job"))
QUEUE = Variable("queue", "Queue", prom=(SENT, "messaging_destination_name"), events="clues.queue")
CLASS = Variable("class", "Class", prom=(SENT, "clues_job_class"), events="clues.job_class")
A_CLASS = Variable("class", "Class", prom=(SENT, "clues_job_class"), events="clues.job_class", many=False)


def rate(metric: str, by: str = "", more: str = "") -> str:
    """How many a second."""
    return f"sum {_by(by)}(rate({metric}{{{CHOSEN}{more}}}[$__rate_interval]))"


def grown(metric: str, by: str = "", more: str = "", over: str = "$__range") -> str:
    """How many in all of a time."""
    return f"sum {_by(by)}(increase({metric}{{{CHOSEN}{more}}}[{over}]))"


def count(metric: str, more: str = "") -> str:
    """How many in the time shown, and 0 where there is no series."""
    return f"{grown(metric, more=more)} or vector(0)"


def quantile(share: float, histogram: str, by: str = "", over: str = "$__rate_interval", more: str = "") -> str:
    """A quantile of a histogram."""
    of = f"{by}, le" if by else "le"
    return f"histogram_quantile({share}, sum by ({of}) (rate({histogram}_bucket{{{CHOSEN}{more}}}[{over}])))"


def quantiles(histogram: str) -> tuple[Prom, ...]:
    """The three that matter."""
    return tuple(Prom(quantile(share, histogram), name) for share, name in _SHARES)


def percentiles(field: str, only: str) -> tuple[Value, ...]:
    """The same of documents."""
    return tuple(Value(name, "percentile", field, only, share * 100) for share, name in _SHARES)


def failure_ratio(over: str = "$__range", by: str = "") -> str:
    """Failures for good, of all attempts but those that are retried."""
    failed = grown(ENDED, by, ', clues_job_outcome="failed"', over)
    ended = grown(ENDED, by, ', clues_job_outcome=~"finished|failed"', over)
    nothing = f"{grown(ENDED, by, '', over)} * 0"
    return f"({failed} or {nothing}) / ({ended} > 0)"


RATIO_OF_FAILURES = Combined(
    "failed",
    "/",
    Value("failed", "count", only=FAILED),
    Value("ended", "count", only=f"event.action:perform_finished OR ({FAILED})"),
)

_SHARES = ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))


def _by(labels: str) -> str:
    return f"by ({labels}) " if labels else ""
