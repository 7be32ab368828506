"""Where back ends have what an event says: found out by making a document and a log record with it, and without."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from clues.event import Event, EventType
from clues.metadata import event_id
from clues.publishers.elasticsearch_documents import Target, bulk_lines
from clues.publishers.otlp_batch import Told, Writer
from clues.publishers.otlp_ids import spans_of
from clues.publishers.otlp_values import nanoseconds

_AT = "2026-11-20T20:59:58.123456Z"
_HASH = "0695f49c5e70fc18da91961113e1769a"
SAMPLES: dict[str, Any] = {
    "_event_hash": _HASH,
    "_event_id": event_id(_HASH, 2, EventType.FAILED),
    "_attempt": 2,
    "_hostname": "web-1",
    "_process": 30731,
    "_system": "celery",
    "_job_id": "7c5e0c5e-42",
    "_enqueued_time": 1795208398.02,
    "_scheduled_time": 1795208400.0,
    "_time_in_queue": 0.25,
    "_time_to_perform": 1.5,
    "_clock_skew": 0.125,
    "_exception": "ValueError",
    "_message": "no such page",
    "_backtrace": ["shop.py:3:in `perform'"],
    "_reason": "timeout",
    "_reporter": "master",
    "_retrying": True,
    "_redelivered": True,
    "_traced_by": "opentelemetry",
    "_truncated": ["args"],
    "_parent_event_hash": "b" * 32,
    "_traceparent": f"00-{'c' * 32}-{'d' * 16}-01",
    "_tracestate": "vendor=1",
    "_parent_span_id": "e" * 16,
}
"""A value for each system key."""

_DERIVED = {"message", "body", "clues.args_size"}
"""What is told in words of several values."""


def places_of_key(key: str) -> tuple[list[str], list[str]]:
    """The fields of Elasticsearch's document and the attributes of OTLP's log record that a key of metadata changes."""
    whole = dict(SAMPLES)
    if key not in {"_traced_by", "_traceparent", "_tracestate"}:
        whole.pop("_traced_by")  # with it, the log record's ids are those of the other's span
    without = {name: value for name, value in whole.items() if name != key}
    return _changed(_event(whole), _event(without))


def places_of(field: str, value: object) -> tuple[list[str], list[str]]:
    """The same of one of an event's own fields: what differs where it has this value, instead of its usual one."""
    usual = _event(SAMPLES)
    change: dict[str, Any] = {field: value}
    return _changed(dataclasses.replace(usual, **change), usual)


def _event(metadata: Mapping[str, Any]) -> Event:
    return Event(EventType.FAILED, _AT, "pdfs", metadata, "PdfGeneration", [42])


def _changed(one: Event, other: Event) -> tuple[list[str], list[str]]:
    documents = _document(one), _document(other)
    records = _record(one), _record(other)
    return _different(*documents), _different(*records)


def _different(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    return sorted(name for name in {*one, *other} - _DERIVED if one.get(name) != other.get(name))


def _document(event: Event) -> dict[str, Any]:
    action, document = bulk_lines(event.line, Target("logs-clues.events-default")).splitlines()
    found = {"_id": json.loads(action)["create"]["_id"]}
    _flatten("", json.loads(document), found)
    return found


def _flatten(prefix: str, value: Mapping[str, Any], into: dict[str, Any]) -> None:
    for key, inner in value.items():
        if isinstance(inner, dict):
            _flatten(f"{prefix}{key}.", inner, into)
        else:
            into[f"{prefix}{key}"] = inner


def _record(event: Event) -> dict[str, Any]:
    told = Told(event.line, event, nanoseconds(event.timestamp), spans_of(event.metadata, "link"))
    request = ExportLogsServiceRequest.FromString(Writer({"service.name": "shop"}, "", "").logs([told], 1))
    [resource] = request.resource_logs
    [record] = resource.scope_logs[0].log_records
    found: dict[str, Any] = {
        f"{pair.key} (resource)": str(pair.value)
        for pair in resource.resource.attributes
        if pair.key != "service.instance.id"
    }
    found |= {pair.key: str(pair.value) for pair in record.attributes}
    for name in ("time_unix_nano", "severity_text", "severity_number", "body", "trace_id", "span_id", "flags"):
        found[name] = str(getattr(record, name))
    return found
