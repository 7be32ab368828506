"""Events as export requests of log records and of spans."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

import clues
from clues.event import Event, Sample
from clues.publishers.otlp_counts import Counts
from clues.publishers.otlp_facts import text
from clues.publishers.otlp_ids import JobSpans
from clues.publishers.otlp_logs import log_record
from clues.publishers.otlp_metrics import fill_counts, fill_samples
from clues.publishers.otlp_resource import Attributes, of_host
from clues.publishers.otlp_spans import span
from clues.publishers.otlp_values import SCHEMA_URL, job_attributes, put
from clues.publishers.otlp_wire import field, sized, string

_ITEM = b"\x12"  # the tag of field 2: a scope's log records or spans


@dataclass(slots=True)
class Told:
    """An event as it was read.

    Attributes:
        line: its line.
        event: the event.
        at: when it happened, in nanoseconds.
        spans: its attempt's spans, if it is known which attempt.
        attributes: the job's, which its log record and its span have in common; None until they are asked for.
    """

    line: bytes
    event: Event
    at: int
    spans: JobSpans | None
    attributes: list[bytes] | None = None


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

    def logs(self, told: Sequence[Told], now: int) -> bytes:
        """A request of log records."""
        records: dict[str, list[bytes]] = {}
        for one in told:
            record = log_record(one.event, one.at, one.spans, _attributes(one), now)
            records.setdefault(self._host_of(one.event), []).append(sized(record))
        return self._request(records)

    def spans(self, told: Sequence[Told]) -> bytes:
        """A request of spans."""
        spans: dict[str, list[bytes]] = {}
        for one in told:
            if one.spans is not None:
                found = span(one.event, one.at, one.spans, _attributes(one))
                spans.setdefault(self._host_of(one.event), []).append(sized(found))
        return self._request(spans)

    def metrics(self, counts: Counts, samples: Iterable[Sample], now: int, sampled: int) -> tuple[bytes, int]:
        """A request of metrics, and how many samples were too many; the times are the counts' and the samples'."""
        request = ExportMetricsServiceRequest()
        resource = request.resource_metrics.add(resource=self._resource(self._host))
        scope = resource.scope_metrics.add(scope=_SCOPE, schema_url=SCHEMA_URL)
        fill_counts(scope, counts, now)
        left_out = fill_samples(scope, samples, sampled)
        return request.SerializeToString(), left_out

    def _request(self, items: Mapping[str, Sequence[bytes]]) -> bytes:
        """Log records or spans, each with its length before it, by host; the same fields hold both."""
        return b"".join(
            field(1, field(1, self._resource(host).SerializeToString()) + field(2, _of_scope(told)))
            for host, told in items.items()
        )

    def _host_of(self, event: Event) -> str:
        found = event.metadata.get("_hostname")
        return text(found) if isinstance(found, str) and found else self._host

    def _resource(self, host: str) -> Resource:
        found = Resource()
        for key, value in of_host(self._known, host, self._place).items():
            put(found.attributes, key, value)
        return found


_SCOPE = InstrumentationScope(name="clues", version=clues.__version__)


def _of_scope(items: Sequence[bytes]) -> bytes:
    return field(1, _SCOPE.SerializeToString()) + _ITEM + _ITEM.join(items) + string(3, SCHEMA_URL)


def _attributes(one: Told) -> list[bytes]:
    if one.attributes is None:
        one.attributes = job_attributes(one.event)
    return one.attributes
