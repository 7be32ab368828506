"""Counts and states as metrics of OTLP."""

from __future__ import annotations

import math
from collections.abc import Iterable

from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, HistogramDataPoint, ScopeMetrics
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric as Message

from clues.event import Sample
from clues.publishers.otlp_counts import LABEL_NAMES, MAX_SERIES, METRICS, Counts, Labels, Metric
from clues.publishers.otlp_facts import text
from clues.publishers.otlp_values import put

_CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE


def fill_counts(scope: ScopeMetrics, counts: Counts, now: int) -> None:
    """Add the counters and histograms that have counted something.

    Args:
        scope: where to.
        counts: what was counted.
        now: nanoseconds since the epoch.
    """
    for metric in METRICS:
        known = counts.series[metric.name]
        if not known:
            continue
        message = scope.metrics.add(name=metric.name, unit=metric.unit, description=metric.description)
        for labels, numbers in known.items():
            # Its own start: who knows it can tell that a series which begins with 1 has grown by 1.
            start = counts.start_of(metric.name, labels)
            if metric.bounds:
                _fill_bucketed(message, metric, labels, numbers, start, now)
            else:
                _fill_counter(message, labels, numbers, start, now)


def fill_samples(scope: ScopeMetrics, samples: Iterable[Sample], now: int) -> int:
    """Add a gauge for each name among the samples; gives how many samples were left out, as too many of a name.

    Args:
        scope: where to.
        samples: the states.
        now: when they were, in nanoseconds since the epoch.
    """
    gauges: dict[str, Message] = {}
    left_out = 0
    for sample in samples:
        if sample.name not in gauges:
            gauges[sample.name] = scope.metrics.add(name=text(sample.name), unit=text(sample.unit))
        points = gauges[sample.name].gauge.data_points
        value = float(sample.value)
        if len(points) >= MAX_SERIES or not math.isfinite(value):
            left_out += 1
            continue
        point = points.add(time_unix_nano=now)
        if isinstance(sample.value, int):
            point.as_int = sample.value
        else:
            point.as_double = value
        for key, label in sample.attributes.items():
            put(point.attributes, key, label)
    return left_out


def _fill_counter(message: Message, labels: Labels, numbers: list[float], since: int, now: int) -> None:
    message.sum.aggregation_temporality = _CUMULATIVE
    message.sum.is_monotonic = True
    point = message.sum.data_points.add(start_time_unix_nano=since, time_unix_nano=now, as_int=int(numbers[0]))
    _put_labels(point.attributes, labels)


def _fill_bucketed(  # noqa: PLR0913, PLR0917 - one point's parts
    message: Message, metric: Metric, labels: Labels, numbers: list[float], since: int, now: int
) -> None:
    message.histogram.aggregation_temporality = _CUMULATIVE
    *counts, total = numbers
    point: HistogramDataPoint = message.histogram.data_points.add(start_time_unix_nano=since, time_unix_nano=now)
    point.bucket_counts.extend(int(count) for count in counts)
    point.explicit_bounds.extend(metric.bounds)
    point.count = int(sum(counts))
    point.sum = total
    _put_labels(point.attributes, labels)


def _put_labels(into: object, labels: Labels) -> None:
    for name, value in zip(LABEL_NAMES, labels, strict=True):
        put(into, name, value or None)
