"""The metrics that dashboards, rules and alerts are made of, by the names that Prometheus has for them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Type = Literal["counter", "histogram", "gauge"]

_UNITS = {"s": "seconds", "By": "bytes", "1": "ratio"}
_RESOURCE = ("job", "instance")
_LABELS = (
    "messaging_system",
    "messaging_operation_name",
    "messaging_destination_name",
    "clues_job_class",
)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        otlp: its name in OpenTelemetry.
        unit: its unit in UCUM.
        type: of which type it is.
        labels: its labels in Prometheus, beside ``job`` and ``instance``.
        about: what it says.
    """

    otlp: str
    unit: str
    type: Type
    labels: tuple[str, ...]
    about: str

    @property
    def name(self) -> str:
        """Its name in Prometheus; a histogram's without ``_bucket``."""
        return prometheus_name(self.otlp, self.unit, self.type)

    def series(self) -> Iterator[tuple[str, frozenset[str]]]:
        """The names that queries use, each with its labels."""
        labels = frozenset((*_RESOURCE, *self.labels))
        if self.type != "histogram":
            yield self.name, labels
            return
        yield f"{self.name}_bucket", labels | {"le"}
        yield f"{self.name}_sum", labels
        yield f"{self.name}_count", labels


def prometheus_name(name: str, unit: str, kind: Type) -> str:
    """What Prometheus' OTLP receiver calls a metric: the unit, unless it is in braces, and ``_total`` are appended."""
    found = re.sub(r"[^a-zA-Z0-9_]+", "_", name)
    word = _UNITS.get(unit, "" if unit.startswith("{") else unit)
    if word and not (word == "ratio" and kind != "gauge") and not found.endswith(f"_{word}"):
        found += f"_{word}"
    return f"{found}_total" if kind == "counter" and not found.endswith("_total") else found


METRICS = (
    Metric("messaging.client.sent.messages", "{message}", "counter", _LABELS, "jobs enqueued"),
    Metric(
        "messaging.client.consumed.messages",
        "{message}",
        "counter",
        (*_LABELS, "clues_job_outcome", "error_type"),
        "attempts that have ended; the outcome is `finished`, `failed` or `retrying`",
    ),
    Metric("clues.job.destroyed", "{job}", "counter", _LABELS, "jobs removed from their queue, never performed"),
    Metric(
        "messaging.process.duration",
        "s",
        "histogram",
        (*_LABELS, "clues_job_outcome", "error_type"),
        "how long attempts took, failed ones too",
    ),
    Metric("clues.job.queue.duration", "s", "histogram", _LABELS, "how long jobs waited; its count is of jobs taken"),
    Metric("clues.queue.depth", "{job}", "gauge", ("queue",), "jobs that wait"),
    Metric("clues.queue.oldest.age", "s", "gauge", ("queue",), "the age of the job that has waited longest"),
    Metric("clues.queue.paused", "1", "gauge", ("queue",), "1 while a queue is paused"),
    Metric("clues.job.running.longest", "s", "gauge", ("queue",), "for how long the longest running job has run"),
    Metric("clues.worker.alive", "{worker}", "gauge", (), "workers that live"),
    Metric("clues.worker.busy", "{worker}", "gauge", (), "workers that hold a job"),
    Metric("clues.delivery.published", "{event}", "gauge", (), "events that were journalled, ever"),
    Metric("clues.delivery.dropped", "{event}", "gauge", (), "events that a full journal has dropped, ever"),
    Metric("clues.delivery.delivered", "{event}", "gauge", ("destination",), "events delivered, ever"),
    Metric("clues.delivery.retried", "{event}", "gauge", ("destination",), "events sent again, ever"),
    Metric("clues.delivery.dead_lettered", "{event}", "gauge", ("destination",), "events refused for good, ever"),
    Metric("clues.delivery.lag.events", "{event}", "gauge", ("destination",), "events that wait for delivery"),
    Metric("clues.delivery.lag.duration", "s", "gauge", ("destination",), "the age of the oldest of them"),
)
"""All of them. `clues.publishers.otlp_counts`, `clues.resque.sampler` and `clues.publishers.health` make them."""
