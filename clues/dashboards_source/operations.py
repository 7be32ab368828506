"""The dashboards of what jobs need: workers and queues, objectives, and clues' own health."""

from __future__ import annotations

from dataclasses import replace

from clues.dashboards_source import objectives
from clues.dashboards_source.model import Combined, Dashboard, Events, Panel, Prom, Value, Variable
from clues.dashboards_source.shared import CLASS, ENDED, ENDS, JOB, QUEUE, QUEUES, RAN, STATES, WAITED, rate

_DELIVERY = 'job=~"$job", destination=~"$destination"'
_DESTINATION = Variable("destination", "Destination", prom=("clues_delivery_delivered", "destination"))


def _state(title: str, question: str, expr: str, *, unit: str = "count", bad: float | None = None) -> Panel:
    return Panel(
        title,
        question,
        "stat",
        unit,  # type: ignore[arg-type]
        prom=(Prom(expr, title.lower()),),
        width=4,
        height=4,
        bad_above=bad,
    )


WORKERS = Dashboard(
    "clues-workers",
    "clues: workers and queues",
    "Are there enough workers, do they work, and what waits?",
    (
        (
            "Now",
            (
                _state(
                    "Workers alive", "How many workers live?", f"sum(max by (job) (clues_worker_alive{{{STATES}}}))"
                ),
                _state(
                    "Workers busy", "How many workers hold a job?", f"sum(max by (job) (clues_worker_busy{{{STATES}}}))"
                ),
                _state(
                    "Utilisation",
                    "What share of the workers is busy?",
                    f"sum(max by (job) (clues_worker_busy{{{STATES}}}))"
                    f" / (sum(max by (job) (clues_worker_alive{{{STATES}}})) > 0)",
                    unit="ratio",
                    bad=0.95,
                ),
                _state(
                    "Longest running job",
                    "For how long has the job run that has run longest?",
                    f"max(clues_job_running_longest_seconds{{{QUEUES}}}) or vector(0)",
                    unit="seconds",
                    bad=3600,
                ),
                _state(
                    "Waiting jobs",
                    "How many jobs wait now?",
                    f"sum(max by (job, queue) (clues_queue_depth{{{QUEUES}}})) or vector(0)",
                ),
                _state(
                    "Paused queues",
                    "How many queues are paused?",
                    f"sum(max by (job, queue) (clues_queue_paused_ratio{{{QUEUES}}})) or vector(0)",
                    bad=1,
                ),
            ),
        ),
        (
            "Workers",
            (
                Panel(
                    "Workers",
                    "How many workers were there, and how many were busy?",
                    "lines",
                    prom=(
                        Prom(f"sum(max by (job) (clues_worker_alive{{{STATES}}}))", "alive"),
                        Prom(f"sum(max by (job) (clues_worker_busy{{{STATES}}}))", "busy"),
                    ),
                    events=Events((Value("processes that ended jobs", "unique", "process.pid", ENDS),), over_time=True),
                ),
                Panel(
                    "Busy seconds a second",
                    "How many workers' time do the jobs of each queue take?",
                    "lines",
                    prom=(Prom(rate(f"{RAN}_sum", "messaging_destination_name"), "{{messaging_destination_name}}"),),
                    events=Events(
                        (Value("seconds worked", "sum", "clues.time_to_perform", ENDS),),
                        by=("clues.queue",),
                        over_time=True,
                        only=ENDS,
                    ),
                ),
                Panel(
                    "Longest running job, by queue",
                    "In which queue does a job run for very long?",
                    "lines",
                    "seconds",
                    prom=(Prom(f"max by (queue) (clues_job_running_longest_seconds{{{QUEUES}}})", "{{queue}}"),),
                ),
                Panel(
                    "Jobs by host",
                    "Which hosts work, and how much?",
                    "table",
                    events=Events(
                        (
                            Value("ended", "count", only=ENDS),
                            Value("seconds worked", "sum", "clues.time_to_perform", ENDS),
                        ),
                        by=("host.name",),
                        only=ENDS,
                    ),
                ),
                Panel(
                    "Jobs that died with their worker",
                    "Which jobs ended by a signal, an exit, or the loss of their host?",
                    "table",
                    events=Events(
                        (Value("jobs", "count", only="event.action:failed AND event.reason:*"),),
                        by=("event.reason",),
                        only="event.action:failed AND event.reason:*",
                    ),
                ),
            ),
        ),
        (
            "Queues",
            (
                Panel(
                    "Depth",
                    "How many jobs wait, by queue?",
                    "lines",
                    prom=(Prom(f"sum by (queue) (max by (job, queue) (clues_queue_depth{{{QUEUES}}}))", "{{queue}}"),),
                ),
                Panel(
                    "Age of the oldest job",
                    "For how long has the oldest job waited, by queue?",
                    "lines",
                    "seconds",
                    prom=(Prom(f"max by (queue) (clues_queue_oldest_age_seconds{{{QUEUES}}})", "{{queue}}"),),
                ),
                Panel(
                    "Coming and going",
                    "Are jobs taken as fast as they come, by queue?",
                    "lines",
                    "rate",
                    prom=(
                        Prom(
                            rate("messaging_client_sent_messages_total", "messaging_destination_name"),
                            "{{messaging_destination_name}} enqueued",
                        ),
                        Prom(
                            rate(f"{WAITED}_count", "messaging_destination_name"),
                            "{{messaging_destination_name}} taken",
                        ),
                        Prom(rate(ENDED, "messaging_destination_name"), "{{messaging_destination_name}} ended"),
                    ),
                    events=Events(
                        (
                            Value("enqueued", "count", only="event.action:enqueued"),
                            Value("taken", "count", only="event.action:dequeued"),
                            Value("ended", "count", only=ENDS),
                        ),
                        over_time=True,
                    ),
                ),
                Panel(
                    "By queue",
                    "What comes to each queue, and how long does it wait there?",
                    "table",
                    events=Events(
                        (
                            Value("enqueued", "count", only="event.action:enqueued"),
                            Value("taken", "count", only="event.action:dequeued"),
                            Value("p95 wait", "percentile", "clues.time_in_queue", "event.action:dequeued", 95.0),
                        ),
                        by=("clues.queue",),
                    ),
                ),
            ),
        ),
    ),
    (JOB, QUEUE, CLASS),
)


def _burn(objective: objectives.Objective) -> tuple[Panel, ...]:
    within = Combined("within target", "/", objective.good, objective.all)
    return (
        Panel(
            f"{objective.title}: within target",
            f"What share of jobs {objective.promise} in this time?",
            "stat",
            "ratio",
            prom=(Prom(objective.within("$__range", dashboards=True), "within target"),),
            events=Events((within,)),
            width=8,
            height=6,
        ),
        *(_burning(objective, window) for window in ("1h", "6h")),
        Panel(
            f"{objective.title}: burn rate",
            "How fast is the error budget spent? 1 is just in time; 14.4 for 1 h or 6 for 6 h calls someone.",
            "lines",
            prom=tuple(
                Prom(objective.burn(window, dashboards=True), f"{window} {{{{messaging_destination_name}}}}")
                for window in ("1h", "6h")
            ),
            width=24,
        ),
        Panel(
            f"{objective.title}: within target, over time",
            f"Since when do fewer jobs than before {objective.promise.removeprefix('are ')}?",
            "lines",
            "ratio",
            events=Events((within,), over_time=True),
            width=24,
        ),
    )


def _burning(objective: objectives.Objective, window: str) -> Panel:
    good, counted = (replace(value, window=window) for value in (objective.good, objective.all))
    return Panel(
        f"{objective.title}: burn rate, last {window}",
        f"How fast was the error budget spent in the last {window}?",
        "stat",
        prom=(Prom(objective.burnt(window), "burn rate"),),
        events=Events((Combined("burn rate", "burn", good, counted),)),
        width=8,
        height=6,
        bad_above=objectives.FAST if window == "1h" else objectives.SLOW,
    )


SLO = Dashboard(
    "clues-slo",
    "clues: SLO",
    "Are jobs taken and done as promised, and how fast is the error budget spent?",
    tuple((objective.title, _burn(objective)) for objective in objectives.ALL),
    (JOB, QUEUE, CLASS),
    span="now-24h",
)

HEALTH = Dashboard(
    "clues-health",
    "clues: its own health",
    "Do all events arrive?",
    (
        (
            "Delivery",
            (
                _state(
                    "Published", "How many events were journalled, ever?", f"sum(clues_delivery_published{{{STATES}}})"
                ),
                _state(
                    "Dropped",
                    "How many events did a full journal drop, ever?",
                    f"sum(clues_delivery_dropped{{{STATES}}})",
                    bad=1,
                ),
                _state(
                    "Refused",
                    "How many events were refused for good, ever?",
                    f"sum(clues_delivery_dead_lettered{{{_DELIVERY}}})",
                    bad=1,
                ),
                _state(
                    "Waiting events",
                    "How many events wait for delivery?",
                    f"max(clues_delivery_lag_events{{{_DELIVERY}}})",
                ),
                _state(
                    "Lag",
                    "How old is the oldest event that waits for delivery?",
                    f"max(clues_delivery_lag_duration_seconds{{{_DELIVERY}}})",
                    unit="seconds",
                    bad=60,
                ),
                _state(
                    "Sent again",
                    "How many events were sent again, ever?",
                    f"sum(clues_delivery_retried{{{_DELIVERY}}})",
                ),
            ),
        ),
        (
            "By destination",
            (
                Panel(
                    "Delivered",
                    "How many events a second does each destination get?",
                    "lines",
                    "rate",
                    prom=(
                        Prom(
                            f"sum by (destination) (rate(clues_delivery_delivered{{{_DELIVERY}}}[$__rate_interval]))",
                            "{{destination}}",
                        ),
                    ),
                ),
                Panel(
                    "Lag by destination",
                    "How far behind is each destination?",
                    "lines",
                    "seconds",
                    prom=(
                        Prom(
                            f"max by (destination) (clues_delivery_lag_duration_seconds{{{_DELIVERY}}})",
                            "{{destination}}",
                        ),
                    ),
                ),
                Panel(
                    "Events that wait",
                    "Does the spool grow?",
                    "lines",
                    prom=(Prom(f"sum by (destination) (clues_delivery_lag_events{{{_DELIVERY}}})", "{{destination}}"),),
                ),
                Panel(
                    "Lost or refused",
                    "Since when are events dropped or refused?",
                    "lines",
                    prom=(
                        Prom(f"sum(clues_delivery_dropped{{{STATES}}})", "dropped"),
                        Prom(
                            f"sum by (destination) (clues_delivery_dead_lettered{{{_DELIVERY}}})",
                            "{{destination}} refused",
                        ),
                    ),
                ),
            ),
        ),
        (
            "What the events say",
            (
                Panel(
                    "Events",
                    "Which events arrive?",
                    "lines",
                    events=Events((Value("events", "count"),), by=("event.action",), over_time=True),
                ),
                Panel(
                    "Cut, and out of step",
                    "Of how many events was something cut, and how many clocks disagree?",
                    "lines",
                    events=Events(
                        (
                            Value("truncated", "count", only="clues.truncated:*"),
                            Value("clock skew", "count", only="clues.clock_skew:*"),
                            Value("told for the dead", "count", only="clues.reporter:(master OR pruner)"),
                        ),
                        over_time=True,
                    ),
                ),
            ),
        ),
    ),
    (JOB, _DESTINATION),
)
