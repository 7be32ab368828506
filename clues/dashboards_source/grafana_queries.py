"""What Grafana's panels ask, of Prometheus and of Elasticsearch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from clues.dashboards_source.model import Combined, Dashboard, Events, Panel, Prom, Value

PROMETHEUS = {"type": "prometheus", "uid": "${DS_PROMETHEUS}"}
ELASTICSEARCH = {"type": "elasticsearch", "uid": "${DS_ELASTICSEARCH}"}
REFS = "ABCDEFGH"
"""What a panel's queries are called."""
_AT_MOST = re.compile(r"(\S+) <= (\S+)")


def source(panel: Panel) -> dict[str, str]:
    """Whom it asks."""
    return PROMETHEUS if panel.prom else ELASTICSEARCH


def targets(panel: Panel, described: Dashboard) -> Iterator[dict[str, Any]]:
    """A panel's queries."""
    if panel.prom:
        for number, query in enumerate(panel.prom):
            yield _prometheus(query, REFS[number], over_time=panel.kind == "lines", table=panel.kind == "table")
    elif panel.events is not None:
        yield from _elasticsearch(panel.events, described)


def _prometheus(query: Prom, ref: str, *, over_time: bool, table: bool) -> dict[str, Any]:
    return {
        "refId": ref,
        "datasource": PROMETHEUS,
        "editorMode": "code",
        "expr": query.expr,
        "legendFormat": query.legend,
        "instant": not over_time,
        "range": over_time,
        "format": "table" if table else "time_series",
    }


def _elasticsearch(events: Events, described: Dashboard) -> Iterator[dict[str, Any]]:
    """A target for each value that is of some documents only, as Grafana has one filter a query."""
    chosen = _chosen(described) if events.of_dashboard else ""
    if not events.values:
        yield {
            **_target("A", lucene(events.only, chosen=chosen)),
            "metrics": [{"id": "1", "type": "raw_data", "settings": {"size": "500"}}],
            "bucketAggs": [],
        }
        return
    if is_table(events):
        yield from _table(events, chosen)
        return
    for number, value in enumerate(plain(events)):
        yield {
            **_target(REFS[number], lucene(both(events.only, value.only), chosen=chosen)),
            "alias": "" if events.by else value.name,
            "metrics": [_metric(value, "1")],
            "bucketAggs": [*_buckets(events)],
        }


def is_table(events: Events) -> bool:
    """Whether each value of a field has a row."""
    return bool(events.by) and not events.over_time


def by_choice(events: Events) -> dict[str, list[Value]]:
    """The values of a table, by the documents that they are made of."""
    found: dict[str, list[Value]] = {}
    for value in plain(events):
        found.setdefault(value.only, []).append(value)
    return found


def _table(events: Events, chosen: str) -> Iterator[dict[str, Any]]:
    """A query for each choice of documents: of `filters` as the last buckets Grafana makes no rows."""
    for ref, (only, values) in zip(REFS, by_choice(events).items(), strict=False):
        yield {
            **_target(ref, lucene(both(events.only, only), chosen=chosen)),
            "metrics": [_metric(value, str(10 + number)) for number, value in enumerate(values)],
            "bucketAggs": [*_buckets(events)],
        }


def both(first: str, second: str) -> str:
    """Two choices of documents, as one."""
    parts = [part for part in dict.fromkeys((first, second)) if part]
    return parts[0] if len(parts) == 1 else " AND ".join(f"({part})" for part in parts)


def plain(events: Events) -> Iterator[Value]:
    """The values that are asked for, those of combined ones too."""
    for value in events.values:
        yield from (value.left, value.right) if isinstance(value, Combined) else (value,)


def _target(ref: str, query: str) -> dict[str, Any]:
    return {"refId": ref, "datasource": ELASTICSEARCH, "query": query, "timeField": "@timestamp"}


def _chosen(described: Dashboard) -> str:
    fields = [(one.events, one.name) for one in described.variables if one.events]
    return " AND ".join(f"{field}:${name}" for field, name in fields)


def _metric(value: Value, number: str) -> dict[str, Any]:
    metric: dict[str, Any] = {"id": number, "type": _METRICS[value.of]}
    if value.field:
        metric["field"] = value.field
    if value.of == "percentile":
        metric["settings"] = {"percents": [f"{value.percent:g}"]}
    if value.of == "unique":
        metric["settings"] = {"precision_threshold": "40000"}
    return metric


def column(value: Value) -> str:
    """What Grafana calls a value's column in a table."""
    if value.of == "percentile":
        return f"p{value.percent:.1f} {value.field}"
    return _COLUMNS[value.of]


_COLUMNS = {"count": "Count", "unique": "Unique Count", "sum": "Sum", "max": "Max", "average": "Average"}
_METRICS = {
    "count": "count",
    "unique": "cardinality",
    "percentile": "percentiles",
    "sum": "sum",
    "max": "max",
    "average": "avg",
}


def _buckets(events: Events) -> Iterator[dict[str, Any]]:
    for number, field in enumerate(events.by):
        settings = {"size": str(events.size), "order": "desc", "orderBy": "_count", "min_doc_count": "1"}
        yield {"id": str(2 + number), "type": "terms", "field": field, "settings": settings}
    if events.over_time or not events.by:
        # A number alone is made of one bucket for all: Grafana asks nothing without a bucket.
        settings = {"interval": "auto" if events.over_time else "10000d", "min_doc_count": "0"}
        yield {"id": "9", "type": "date_histogram", "field": "@timestamp", "settings": settings}


def lucene(only: str, *, chosen: str = "") -> str:
    """A choice of documents in Lucene's words."""
    parts = ["(" + _AT_MOST.sub(r"\1:<=\2", part) + ")" for part in (only, chosen) if part]
    return " AND ".join(parts) or "*"
