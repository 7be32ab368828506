"""The dashboard of clues' own health."""

from __future__ import annotations

from clues.dashboards_source.model import Dashboard, Events, Panel, Prom, Value, Variable
from clues.dashboards_source.panels import stat
from clues.dashboards_source.shared import JOB, STATES

_DELIVERY = 'job=~"$job", destination=~"$destination"'
_DESTINATION = Variable("destination", "Destination", prom=("clues_delivery_delivered", "destination"))

HEALTH = Dashboard(
    "clues-health",
    "clues: its own health",
    "Do all events arrive?",
    (
        (
            "Delivery",
            (
                stat(
                    "Published", "How many events were journalled, ever?", f"sum(clues_delivery_published{{{STATES}}})"
                ),
                stat(
                    "Dropped",
                    "How many events did a full journal drop, ever?",
                    f"sum(clues_delivery_dropped{{{STATES}}})",
                    bad=1,
                ),
                stat(
                    "Refused",
                    "How many events were refused for good, ever?",
                    f"sum(clues_delivery_dead_lettered{{{_DELIVERY}}})",
                    bad=1,
                ),
                stat(
                    "Waiting events",
                    "How many events wait for delivery?",
                    f"max(clues_delivery_lag_events{{{_DELIVERY}}})",
                ),
                stat(
                    "Lag",
                    "How old is the oldest event that waits for delivery?",
                    f"max(clues_delivery_lag_duration_seconds{{{_DELIVERY}}})",
                    unit="seconds",
                    bad=60,
                ),
                stat(
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
