"""The dashboard of workers and queues."""

from __future__ import annotations

from dataclasses import replace

from clues.dashboards_source.model import Dashboard, Events, Panel, Prom, Value
from clues.dashboards_source.panels import AGE, DEPTH, WAITING, stat
from clues.dashboards_source.shared import CLASS, ENDED, ENDS, JOB, QUEUE, QUEUES, RAN, STATES, WAITED, rate

WORKERS = Dashboard(
    "clues-workers",
    "clues: workers and queues",
    "Are there enough workers, do they work, and what waits?",
    (
        (
            "Now",
            (
                stat("Workers alive", "How many workers live?", f"sum(max by (job) (clues_worker_alive{{{STATES}}}))"),
                stat(
                    "Workers busy", "How many workers hold a job?", f"sum(max by (job) (clues_worker_busy{{{STATES}}}))"
                ),
                stat(
                    "Utilisation",
                    "What share of the workers is busy?",
                    f"sum(max by (job) (clues_worker_busy{{{STATES}}}))"
                    f" / (sum(max by (job) (clues_worker_alive{{{STATES}}})) > 0)",
                    unit="ratio",
                    bad=0.95,
                ),
                stat(
                    "Longest running job",
                    "For how long has the job run that has run longest?",
                    f"max(clues_job_running_longest_seconds{{{QUEUES}}}) or vector(0)",
                    unit="seconds",
                    bad=3600,
                ),
                stat(
                    "Waiting jobs",
                    "How many jobs wait now?",
                    WAITING,
                ),
                stat(
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
                replace(DEPTH, title="Depth"),
                replace(AGE, title="Age of the oldest job"),
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
