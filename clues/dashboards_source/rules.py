"""Recording rules and alerts for Prometheus, and their tests for promtool."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from clues.dashboards_source import objectives
from clues.dashboards_source.shared import WAITED

_DELIVERY = "clues_delivery"


def rules() -> dict[str, Any]:
    """Prometheus' rule file."""
    return {
        "groups": [
            {"name": "clues-recorded", "interval": "30s", "rules": [*_recorded()]},
            {"name": "clues-objectives", "rules": [*_burning()]},
            {"name": "clues-work", "rules": [*_work()]},
            {"name": "clues-delivery", "rules": [*_delivery()]},
        ]
    }


def _recorded() -> Iterator[dict[str, Any]]:
    for objective in objectives.ALL:
        for window in objectives.WINDOWS:
            yield {"record": objective.record(window), "expr": objective.recorded(window)}


def _burning() -> Iterator[dict[str, Any]]:
    budget = 1 - objectives.SHARE
    pairs = (
        ("Fast", objectives.FAST, "1h", "5m", "2m", "page"),
        ("Slow", objectives.SLOW, "6h", "30m", "15m", "ticket"),
    )
    for objective in objectives.ALL:
        for word, burn, long, short, wait, severity in pairs:
            most = f"{burn * budget:.6g}"
            yield _alert(
                f"Clues{objective.name.title().replace('_', '')}Burns{word}",
                f"{objective.record(long)} > {most} and {objective.record(short)} > {most}",
                wait,
                severity,
                f"Too few jobs of {{{{ $labels.messaging_destination_name }}}} {objective.promise}",
                f"In the last {long} the error budget was spent {burn:g} times as fast as it lasts,"
                f" and it still is: {{{{ $value | humanizePercentage }}}} of jobs broke the promise.",
            )


def _work() -> Iterator[dict[str, Any]]:
    by_queue = '"queue", "$1", "messaging_destination_name", "(.*)"'
    taken = f"sum by (queue) (label_replace(increase({WAITED}_count[10m]), {by_queue}))"
    yield _alert(
        "CluesQueueStuck",
        "max by (queue) (clues_queue_depth) > 0 and on (queue) (max by (queue) (clues_queue_oldest_age_seconds) > 600)"
        f" unless on (queue) ({taken} > 0) unless on (queue) (max by (queue) (clues_queue_paused_ratio) > 0)",
        "5m",
        "page",
        "Nothing is taken from {{ $labels.queue }}",
        "{{ $value }} jobs wait, the oldest for more than 10 minutes; in 10 minutes none was taken."
        " `clues workers` tells who works, `clues queues` what waits.",
    )
    yield _alert(
        "CluesWorkerLost",
        "max by (job) (clues_worker_alive) < max by (job) (max_over_time(clues_worker_alive[30m]))",
        "5m",
        "ticket",
        "{{ $labels.job }} has fewer workers than before",
        "{{ $value }} workers live, fewer than at some time in the last half hour. `clues workers` tells which.",
    )
    yield _alert(
        "CluesNoWorkers",
        "max by (job) (clues_worker_alive) == 0 and on (job) (sum by (job) (clues_queue_depth) > 0)",
        "2m",
        "page",
        "{{ $labels.job }} has no worker, and jobs wait",
        "Start workers: `clues work`, `clues start`.",
    )


def _delivery() -> Iterator[dict[str, Any]]:
    waiting, lag = f"{_DELIVERY}_lag_events", f"{_DELIVERY}_lag_duration_seconds"
    yield _alert(
        "CluesSpoolGrowing",
        f"deriv({waiting}[15m]) > 0 and {lag} > 300",
        "10m",
        "ticket",
        "Events for {{ $labels.destination }} pile up",
        "The oldest waits for more than 5 minutes, and more come than go. `clues doctor` tells why.",
    )
    yield _alert(
        "CluesEventsLost",
        f"delta({_DELIVERY}_dropped[15m]) > 0",
        "0m",
        "page",
        "Events are dropped, as the journal is full",
        "{{ $value }} events in 15 minutes. `clues doctor` tells what does not take them.",
    )
    yield _alert(
        "CluesEventsRefused",
        f"delta({_DELIVERY}_dead_lettered[15m]) > 0",
        "0m",
        "ticket",
        "{{ $labels.destination }} refuses events",
        "{{ $value }} events in 15 minutes are in the dead letter, with the reasons.",
    )


def _alert(name: str, expr: str, wait: str, severity: str, summary: str, description: str) -> dict[str, Any]:  # noqa: PLR0913, PLR0917
    return {
        "alert": name,
        "expr": expr,
        "for": wait,
        "labels": {"severity": severity},
        "annotations": {"summary": summary, "description": description},
    }
