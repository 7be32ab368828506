"""The page of metrics: of OpenTelemetry, Prometheus and statsd."""

from __future__ import annotations

from collections.abc import Iterator

from clues.dashboards_source.metrics import METRICS
from clues.event import EventType
from clues.publishers import statsd
from clues.publishers.otlp_counts import LABEL_NAMES, MAX_ERROR_TYPES, MAX_SERIES
from clues.publishers.otlp_counts import METRICS as COUNTED
from docs.reference_source.markdown import code, table, whole

_INTRO = f"""
Metrics are made of events by the shipper, so forks and kills do not falsify them; states, such as queue depths, are
asked of Redis every 15 s by one process. `OTLPPublisher` sends them; [`clues web`](../web.md#metrics-for-prometheus)
shows those of the logs that it follows at `/metrics`, under Prometheus' names.

A metric has at most {MAX_SERIES} series, and {MAX_ERROR_TYPES} error types; what would be more counts as `_OTHER`.
"""


def page() -> str:
    """The page."""
    return whole("Metrics", "clues/dashboards_source/metrics.py", *_blocks())


def _blocks() -> Iterator[str]:
    yield _INTRO
    yield "## OpenTelemetry and Prometheus"
    yield table(("OpenTelemetry", "kind", "unit", "attributes", "Prometheus, `/metrics`", "what it says"), _metrics())
    yield "Prometheus adds `job` and `instance`; a histogram is `_bucket`, with the label `le`, `_sum` and `_count`."
    yield "Upper bounds of the histograms' buckets, in seconds:"
    yield table(("metric", "bounds"), _bounds())
    yield "## statsd"
    yield (
        "`StatsdPublisher` tells of single events, as they come. The first word is the publisher's `prefix`, "
        f"`{statsd.PREFIX}` if nothing else is said; whatever is no letter, digit, `-` or `_` in a queue's or class' "
        'name becomes `_`. With `tags="datadog"` queue and class are the tags `queue` and `job_class` instead.'
    )
    yield table(("metric", "kind", "unit", "what it says"), _statsd())


def _metrics() -> Iterator[tuple[str, ...]]:
    names = {name.replace(".", "_"): name for name in LABEL_NAMES}
    for metric in METRICS:
        labels = ", ".join(code(names.get(label, label)) for label in metric.labels) or "–"
        yield code(metric.otlp), metric.type, code(metric.unit), labels, code(metric.name), metric.about


def _bounds() -> Iterator[tuple[str, str]]:
    for metric in COUNTED:
        if metric.bounds:
            yield code(metric.name), " ".join(f"{bound:g}" for bound in metric.bounds)


def _statsd() -> Iterator[tuple[str, str, str, str]]:
    prefix = statsd.PREFIX
    for kind in EventType:
        yield code(f"{prefix}.{kind}.<queue>.<class>"), "counter", "events", f"`{kind}` events"
    for name in dict.fromkeys(name for _, name in statsd.TIMED.values()):
        kinds = " and ".join(code(kind) for kind, (_, timer) in statsd.TIMED.items() if timer == name)
        yield code(f"{prefix}.{name}.<queue>.<class>"), "timer", "ms", f"`_{name}` of {kinds} events"
    yield code("<key>.<class>"), "timer", "ms", "`_time_to_perform` again, with the option `key` alone"
    yield (
        code(f"{prefix}.<state>.<labels>"),
        "gauge",
        "its own",
        "states, such as `clues.queue.depth.<queue>`: those above, every 15 s; labels by the order of their names",
    )
