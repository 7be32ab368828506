"""Events as export requests of log records and of spans."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import clues
from clues.event import Event, Sample
from clues.publishers.otlp_counts import Counts
from clues.publishers.otlp_ids import JobSpans
from clues.publishers.otlp_logs import fill_log
from clues.publishers.otlp_metrics import fill_counts, fill_samples
from clues.publishers.otlp_resource import Attributes, of_host
from clues.publishers.otlp_spans import fill_span
from clues.publishers.otlp_values import SCHEMA_URL, put, text


@dataclass(frozen=True, slots=True)
class Told:
    """An event as it was read.

    Attributes:
        line: its line.
        event: the event.
        spans: its attempt's spans, if it is known which attempt.
    """

    line: bytes
    event: Event
    spans: JobSpans | None


class Writer:
    """Writes requests, each host's events under that host's resource."""

    def __init__(self, known: Attributes, host: str, place: str) -> None:
        """Write for a service.

        Args:
            known: the service's attributes.
            host: this host's name, for what no event tells.
            place: tells this shipper's counts from others'.
        """
        self._known = known
        self._host = host
        self._place = place

    def logs(self, told: Sequence[Told], now: int) -> ExportLogsServiceRequest:
        """Log records."""
        request = ExportLogsServiceRequest()
        records: dict[str, Any] = {}
        for one in told:
            host = self._host_of(one.event)
            if host not in records:
                records[host] = self._scope(request.resource_logs.add(), "scope_logs", host).log_records
            fill_log(records[host].add(), one.event, one.spans, now)
        return request

    def spans(self, told: Sequence[Told]) -> ExportTraceServiceRequest:
        """Spans."""
        request = ExportTraceServiceRequest()
        spans: dict[str, Any] = {}
        for one in told:
            host = self._host_of(one.event)
            if host not in spans:
                spans[host] = self._scope(request.resource_spans.add(), "scope_spans", host).spans
            if one.spans is not None:
                fill_span(spans[host].add(), one.event, one.spans)
        return request

    def metrics(
        self, counts: Counts, samples: Iterable[Sample], now: int, sampled: int
    ) -> tuple[ExportMetricsServiceRequest, int]:
        """Metrics, and how many samples were too many; the times are those of the counts and of the samples."""
        request = ExportMetricsServiceRequest()
        scope = self._scope(request.resource_metrics.add(), "scope_metrics", self._host)
        fill_counts(scope, counts, now)
        return request, fill_samples(scope, samples, sampled)

    def _host_of(self, event: Event) -> str:
        found = event.metadata.get("_hostname")
        return text(found) if isinstance(found, str) and found else self._host

    def _scope(self, resource: Any, scopes: str, host: str) -> Any:
        for key, value in of_host(self._known, host, self._place).items():
            put(resource.resource.attributes, key, value)
        scope = getattr(resource, scopes).add(schema_url=SCHEMA_URL)
        scope.scope.name, scope.scope.version = "clues", clues.__version__
        return scope
