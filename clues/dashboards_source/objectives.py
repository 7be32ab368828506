"""What is promised of jobs, and how it is reckoned: for panels, recording rules and alerts alike."""

from __future__ import annotations

from dataclasses import dataclass

from clues.dashboards_source.budget import BUDGET, SHARE
from clues.dashboards_source.model import Value
from clues.dashboards_source.shared import CHOSEN, ENDED, ENDS, RAN, RETRYING, WAITED

WINDOWS = ("5m", "30m", "1h", "6h")
FAST, SLOW = 14.4, 6.0
"""Burn rates that call someone: 2 % of 30 days' budget in 1 h, 5 % in 6 h (Google's SRE workbook)."""

_BY = "job, messaging_destination_name"


@dataclass(frozen=True, slots=True)
class Objective:
    """A promise.

    Attributes:
        name: its name in rules.
        title: its title.
        promise: what jobs that keep it do.
        kept: the series of jobs that keep it.
        counted: the series of all jobs that it is for.
        good: the documents of jobs that keep it.
        all: the documents of all jobs that it is for.
    """

    name: str
    title: str
    promise: str
    kept: tuple[str, str]
    counted: tuple[str, str]
    good: Value
    all: Value

    def within(self, over: str, *, dashboards: bool, by: str = "") -> str:
        """The share that keeps it."""
        kept, counted = (_grown(of, over, by, dashboards=dashboards) for of in (self.kept, self.counted))
        return f"({kept} or {counted} * 0) / ({counted} > 0)"

    def burn(self, over: str, *, dashboards: bool) -> str:
        """How fast the budget is spent, by queue."""
        return f"(1 - ({self.within(over, dashboards=dashboards, by=_BY)})) / {BUDGET:g}"

    def burnt(self, over: str) -> str:
        """The same of all queues together."""
        return f"(1 - ({self.within(over, dashboards=True)})) / {BUDGET:g}"

    def record(self, over: str) -> str:
        """The name of the recorded share of jobs that don't keep it."""
        return f"clues:{self.name}_errors:ratio_increase{over}"

    def recorded(self, over: str) -> str:
        """What is recorded under that name."""
        return f"1 - ({self.within(over, dashboards=False, by=_BY)})"


def _grown(of: tuple[str, str], over: str, by: str, *, dashboards: bool) -> str:
    metric, labels = of
    chosen = ", ".join(part for part in (CHOSEN if dashboards else "", labels) if part)
    grouped = f"by ({by}) " if by else ""
    return f"sum {grouped}(increase({metric}{{{chosen}}}[{over}]))"


QUEUE_TARGET, RUN_TARGET = 30, 300
"""Seconds; bounds of buckets of their histograms."""

_JUDGED = 'clues_job_outcome=~"finished|failed"'

QUEUE_TIME = Objective(
    "queue_time",
    "Time in queue",
    f"are taken within {QUEUE_TARGET} s",
    (f"{WAITED}_bucket", f'le=~"{QUEUE_TARGET}([.]0)?"'),
    (f"{WAITED}_count", ""),
    Value("in time", "count", only=f"event.action:dequeued AND clues.time_in_queue <= {QUEUE_TARGET}"),
    Value("taken", "count", only="event.action:dequeued AND clues.time_in_queue:*"),
)
EXECUTION = Objective(
    "execution",
    "Execution",
    f"finish, without failing, within {RUN_TARGET} s",
    (f"{RAN}_bucket", f'le=~"{RUN_TARGET}([.]0)?", clues_job_outcome="finished"'),
    (ENDED, _JUDGED),
    Value("in time", "count", only=f"event.action:perform_finished AND clues.time_to_perform <= {RUN_TARGET}"),
    Value("ended", "count", only=f"{ENDS} AND NOT ({RETRYING})"),
)
ALL = (QUEUE_TIME, EXECUTION)

__all__ = ["ALL", "BUDGET", "FAST", "QUEUE_TARGET", "RUN_TARGET", "SHARE", "SLOW", "WINDOWS", "Objective"]
