"""Dashboards as Grafana's classic JSON: it loads by provisioning and by import, and newer versions migrate it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from clues.dashboards_source.model import Combined, Dashboard, Events, Panel, Prom, Value, Variable

SCHEMA = 41
PROMETHEUS = {"type": "prometheus", "uid": "${DS_PROMETHEUS}"}
ELASTICSEARCH = {"type": "elasticsearch", "uid": "${DS_ELASTICSEARCH}"}
_GRAFANA = {"type": "grafana", "uid": "-- Grafana --"}
_UNITS = {"count": "short", "ratio": "percentunit", "seconds": "s", "rate": "cps", "text": "string"}
_TYPES = {
    "stat": "stat",
    "lines": "timeseries",
    "bars": "bargauge",
    "table": "table",
    "documents": "table",
}
_AT_MOST = re.compile(r"(\S+) <= (\S+)")
_ROW, _WIDTH, _HEADING = 1, 24, 1


def dashboard(described: Dashboard) -> dict[str, Any]:
    """One dashboard."""
    uses = {_source(panel)["type"] for panel in described.panels()}
    return {
        "uid": described.uid,
        "title": described.title,
        "description": described.about,
        "tags": ["clues"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "id": None,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": described.span, "to": "now"},
        "timepicker": {},
        "timezone": "",
        "fiscalYearStartMonth": 0,
        "liveNow": False,
        "weekStart": "",
        "links": [
            {
                "type": "dashboards",
                "title": "clues",
                "tags": ["clues"],
                "asDropdown": True,
                "includeVars": True,
                "keepTime": True,
                "targetBlank": False,
                "icon": "external link",
                "tooltip": "",
                "url": "",
            }
        ],
        "annotations": {"list": [*_annotations(uses)]},
        "templating": {"list": [*_sources(uses), *(_variable(one, uses) for one in described.variables)]},
        "panels": [*_laid_out(described)],
    }


def lucene(only: str, *, chosen: str = "") -> str:
    """A choice of documents in Lucene's words."""
    parts = ["(" + _AT_MOST.sub(r"\1:<=\2", part) + ")" for part in (only, chosen) if part]
    return " AND ".join(parts) or "*"


def _source(panel: Panel) -> dict[str, str]:
    return PROMETHEUS if panel.prom else ELASTICSEARCH


def _annotations(uses: set[str]) -> Iterator[dict[str, Any]]:
    shared = {"enable": True, "hide": False, "iconColor": "purple"}
    yield {
        "name": "Deploys",
        "datasource": _GRAFANA,
        "target": {"type": "tags", "tags": ["deploy"], "limit": 100, "matchAny": False},
        **shared,
    }
    if "elasticsearch" in uses:
        yield {
            "name": "Deploys in Elasticsearch",
            "datasource": ELASTICSEARCH,
            "target": {"refId": "Deploys", "query": "event.action:deploy"},
            "timeField": "@timestamp",
            "textField": "message",
            **shared,
        }


def _sources(uses: set[str]) -> Iterator[dict[str, Any]]:
    for kind in ("prometheus", "elasticsearch"):
        if kind in uses:
            yield {
                "name": f"DS_{kind.upper()}",
                "label": kind.capitalize(),
                "type": "datasource",
                "query": kind,
                "regex": "",
                "refresh": 1,
                "hide": 0,
                "multi": False,
                "includeAll": False,
                "options": [],
                "current": {},
            }


def _variable(one: Variable, uses: set[str]) -> dict[str, Any]:
    common: dict[str, Any] = {"name": one.name, "label": one.label, "hide": 0, "skipUrlSync": False}
    if one.text:
        return {**common, "type": "textbox", "query": "", "current": {"text": "", "value": ""}, "options": []}
    asked: dict[str, Any] = {
        **common,
        "type": "query",
        "refresh": 2,
        "sort": 1,
        "multi": one.many,
        "includeAll": one.many,
        "options": [],
        "regex": "",
        "current": {"text": ["All"], "value": ["$__all"]} if one.many else {},
    }
    if one.prom[0] and "prometheus" in uses:
        metric, label = one.prom
        found = f"label_values({metric}, {label})"
        query = {"qryType": 1, "query": found, "refId": f"PrometheusVariableQueryEditor-{one.name}"}
        return {**asked, "datasource": PROMETHEUS, "definition": found, "query": query}
    if one.fields:
        found = '{"find": "fields"}'
        folders = "|".join(map(re.escape, one.fields.split("|")))
        pattern = f"/^(?:{folders})\\..+$/"
        return {**asked, "datasource": ELASTICSEARCH, "definition": found, "query": found, "regex": pattern}
    found = f'{{"find": "terms", "field": "{one.events}"}}'
    return {**asked, "datasource": ELASTICSEARCH, "definition": found, "query": found}


def _laid_out(described: Dashboard) -> Iterator[dict[str, Any]]:
    """Panels and the headings of their rows, from left to right and down."""
    number, y = 0, 0
    for heading, panels in described.rows:
        number += 1
        at = {"x": 0, "y": y, "w": _WIDTH, "h": _HEADING}
        yield {"id": number, "type": "row", "title": heading, "collapsed": False, "gridPos": at, "panels": []}
        y += _HEADING
        x, tallest = 0, 0
        for panel in panels:
            number += 1
            if x + panel.width > _WIDTH:
                x, y, tallest = 0, y + tallest, 0
            place = {"x": x, "y": y, "w": panel.width, "h": panel.height}
            yield _panel(panel, number, place, described)
            x, tallest = x + panel.width, max(tallest, panel.height)
        y += tallest


def _panel(panel: Panel, number: int, place: dict[str, int], described: Dashboard) -> dict[str, Any]:
    return {
        "id": number,
        "type": _TYPES[panel.kind],
        "title": panel.title,
        "description": panel.question,
        "datasource": _source(panel),
        "gridPos": place,
        "interval": "1m" if panel.kind == "lines" else None,
        "targets": [*_targets(panel, described)],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": [*_overrides(panel)]},
        "options": _options(panel),
        "transformations": [*_transformations(panel)],
    }


def _targets(panel: Panel, described: Dashboard) -> Iterator[dict[str, Any]]:
    if panel.prom:
        for number, query in enumerate(panel.prom):
            yield _prometheus(
                query, chr(ord("A") + number), over_time=panel.kind == "lines", table=panel.kind == "table"
            )
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
        order = "desc" if events.newest_first else "asc"
        yield {
            **_target("A", lucene(events.only, chosen=chosen)),
            "metrics": [{"id": "1", "type": "raw_data", "settings": {"size": "500", "order": order}}],
            "bucketAggs": [],
        }
        return
    if events.by and not events.over_time:
        yield _table(events, chosen)
        return
    for number, value in enumerate(_plain(events)):
        yield {
            **_target(chr(ord("A") + number), lucene(both(events.only, value.only), chosen=chosen)),
            "alias": "" if events.by else value.name,
            "metrics": [_metric(value, "1")],
            "bucketAggs": [*_buckets(events)],
        }


def _table(events: Events, chosen: str) -> dict[str, Any]:
    """One query for a table: where values are of different documents, each choice of these has rows of its own."""
    filters: dict[str, str] = {}
    metrics: dict[tuple[str, ...], Value] = {}
    for value in _plain(events):
        filters.setdefault(value.only, value.name)
        metrics.setdefault((value.of, value.field, str(value.percent)), value)
    buckets = [*_buckets(events)]
    only = events.only
    if len(filters) > 1:
        chosen_by = [{"query": lucene(choice), "label": name} for choice, name in filters.items()]
        buckets.append({"id": "8", "type": "filters", "settings": {"filters": chosen_by}})
    else:
        only = both(only, next(iter(filters)))
    return {
        **_target("A", lucene(only, chosen=chosen)),
        "metrics": [_metric(value, str(10 + number)) for number, value in enumerate(metrics.values())],
        "bucketAggs": buckets,
    }


def both(first: str, second: str) -> str:
    """Two choices of documents, as one."""
    parts = [part for part in dict.fromkeys((first, second)) if part]
    return parts[0] if len(parts) == 1 else " AND ".join(f"({part})" for part in parts)


def _plain(events: Events) -> Iterator[Value]:
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


def _defaults(panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.bad_above is not None:
        steps.append({"color": "red", "value": panel.bad_above})
    found: dict[str, Any] = {
        "unit": "short" if panel.kind == "documents" else _UNITS[panel.unit],
        "thresholds": {"mode": "absolute", "steps": steps},
        "mappings": [],
    }
    if panel.unit == "ratio":
        found |= {"min": 0, "max": 1}
    if panel.kind == "stat":
        found |= {"noValue": "–", "color": {"mode": "thresholds"}}
    if panel.kind == "lines":
        found["custom"] = {"drawStyle": "line", "fillOpacity": 8, "showPoints": "auto", "spanNulls": False}
    return found


def _overrides(panel: Panel) -> Iterator[dict[str, Any]]:
    if panel.drills_to is None:
        return
    uid, name = panel.drills_to
    field = {"class": "clues_job_class", "event_hash": "clues.event_hash"}[name]
    link = {"title": "Look closer", "url": f"/d/{uid}?var-{name}=${{__value.raw}}&${{__url_time_range}}"}
    yield {"matcher": {"id": "byName", "options": field}, "properties": [{"id": "links", "value": [link]}]}


def _options(panel: Panel) -> dict[str, Any]:
    reduced = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    if panel.kind == "stat":
        return {"reduceOptions": reduced, "colorMode": "value", "graphMode": "none", "textMode": "auto"}
    if panel.kind == "lines":
        legend = {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": ["mean", "max"]}
        return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
    if panel.kind == "bars":
        return {"reduceOptions": reduced, "orientation": "horizontal", "displayMode": "gradient", "valueMode": "text"}
    return {"showHeader": True, "cellHeight": "sm"}


def _transformations(panel: Panel) -> Iterator[dict[str, Any]]:
    if panel.prom:
        if panel.kind == "table":
            yield {"id": "organize", "options": {"excludeByName": {"Time": True}}}
            yield {"id": "sortBy", "options": {"sort": [{"field": "Value", "desc": True}]}}
        return
    events = panel.events
    if events is None:
        return
    if events.fields:
        yield {"id": "filterFieldsByName", "options": {"include": {"names": list(events.fields)}}}
        index = {name: number for number, name in enumerate(events.fields)}
        yield {"id": "organize", "options": {"indexByName": index}}
        return
    if any(isinstance(value, Combined) for value in events.values):
        yield {"id": "joinByField", "options": {"byField": "Time", "mode": "outer"}}
    for value in events.values:
        if isinstance(value, Combined):
            reckoned = {"left": value.left.name, "operator": value.how, "right": value.right.name}
            options = {"mode": "binary", "alias": value.name, "binary": reckoned, "replaceFields": True}
            yield {"id": "calculateField", "options": options}
