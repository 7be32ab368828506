"""``/metrics``: what the OTLP publisher exports, under the names that Prometheus gives it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate

from clues.event import Sample
from clues.publishers.otlp_counts import LABEL_NAMES, METRICS, Counts, Labels, Metric

PLAIN = "text/plain; version=0.0.4; charset=utf-8"
OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"

_UNITS = {"s": "seconds", "ms": "milliseconds", "By": "bytes"}
_HELP = {
    "clues.queue.depth": "Jobs that wait in a queue.",
    "clues.queue.oldest.age": "Age of the oldest job that waits in a queue.",
    "clues.queue.paused": "Whether a queue is paused.",
    "clues.worker.alive": "Workers that are alive.",
    "clues.worker.busy": "Workers that hold a job.",
}


def exposition(samples: Iterable[Sample], counts: Counts | None, *, open_metrics: bool) -> str:
    """The text that Prometheus reads.

    Args:
        samples: states.
        counts: what was counted of events; None where it is not known yet.
        open_metrics: write OpenMetrics rather than Prometheus' older format.
    """
    lines = [*_gauges(samples)]
    if counts is not None:
        for metric in METRICS:
            lines.extend(_counted(metric, counts.series[metric.name], open_metrics=open_metrics))
    return "\n".join([*lines, *["# EOF"] * open_metrics, ""])


def name_of(name: str, unit: str, *, gauge: bool = False) -> str:
    """A metric's name as Prometheus' OTLP receiver translates it: with its unit; ``_ratio`` for gauges without one."""
    found = re.sub(r"[^a-zA-Z0-9_:]", "_", name)
    suffix = _UNITS.get(unit, "ratio" if gauge and unit == "1" else "")
    return f"{found}_{suffix}" if suffix and not found.endswith(f"_{suffix}") else found


def _gauges(samples: Iterable[Sample]) -> Iterator[str]:
    by_name: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        by_name.setdefault((sample.name, sample.unit), []).append(sample)
    for (name, unit), known in by_name.items():
        family = name_of(name, unit, gauge=True)
        yield from _head(family, "gauge", _HELP.get(name, name), unit)
        for sample in known:
            yield _line(family, sample.attributes, sample.value)


def _counted(metric: Metric, series: Mapping[Labels, list[float]], *, open_metrics: bool) -> Iterator[str]:
    if not series:
        return
    family = name_of(metric.name, metric.unit)
    if metric.bounds:
        yield from _head(family, "histogram", metric.description, metric.unit)
    else:
        yield from _head(family if open_metrics else f"{family}_total", "counter", metric.description, metric.unit)
    for labels, numbers in series.items():
        named = {name: value for name, value in zip(LABEL_NAMES, labels, strict=True) if value}
        if not metric.bounds:
            yield _line(f"{family}_total", named, numbers[0])
            continue
        *counts, total = numbers
        for bound, count in zip((*metric.bounds, math.inf), accumulate(counts), strict=True):
            yield _line(f"{family}_bucket", {**named, "le": _number(bound)}, count)
        yield _line(f"{family}_count", named, sum(counts))
        yield _line(f"{family}_sum", named, total)


def _head(family: str, kind: str, text: str, unit: str) -> Iterator[str]:
    yield f"# HELP {family} {text}"
    yield f"# TYPE {family} {kind}"
    if unit in _UNITS:
        yield f"# UNIT {family} {_UNITS[unit]}"


def _line(name: str, labels: Mapping[str, str], value: float) -> str:
    told = ",".join(f'{re.sub(r"[^a-zA-Z0-9_]", "_", key)}="{_escaped(label)}"' for key, label in labels.items())
    return f"{name}{{{told}}} {_number(value)}" if told else f"{name} {_number(value)}"


def _escaped(label: str) -> str:
    return label.encode("utf-8", "replace").decode().replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value)
