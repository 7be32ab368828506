"""The dashboard of objectives: what of them is kept, and how fast their error budgets are spent."""

from __future__ import annotations

from dataclasses import replace

from clues.dashboards_source import objectives
from clues.dashboards_source.model import Combined, Dashboard, Events, Panel, Prom
from clues.dashboards_source.shared import CLASS, JOB, QUEUE


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
