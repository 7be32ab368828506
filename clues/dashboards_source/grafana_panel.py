"""One panel of Grafana's: what it asks, and how it looks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from clues.dashboards_source.grafana_queries import REFS, by_choice, column, is_table, plain, source, targets
from clues.dashboards_source.model import Combined, Dashboard, Events, Panel

_UNITS = {"count": "short", "ratio": "percentunit", "seconds": "s", "rate": "cps", "text": "string"}
_TYPES = {
    "stat": "stat",
    "lines": "timeseries",
    "bars": "bargauge",
    "table": "table",
    "documents": "table",
}


def panel_of(panel: Panel, number: int, place: dict[str, int], described: Dashboard) -> dict[str, Any]:
    """A panel.

    Args:
        panel: what it shows.
        number: its own on its dashboard.
        place: where it stands there.
        described: the dashboard, whose variables choose.
    """
    return {
        "id": number,
        "type": _TYPES[panel.kind],
        "title": panel.title,
        "description": panel.question,
        "datasource": source(panel),
        "gridPos": place,
        "interval": "1m" if panel.kind == "lines" else None,
        "targets": [*targets(panel, described)],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": [*_overrides(panel)]},
        "options": _options(panel),
        "transformations": [*_transformations(panel)],
    }


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
            yield _sorted("Value", down=True)
        return
    events = panel.events
    if events is None:
        return
    if events.fields:
        if not events.newest_first:  # Grafana always asks for the newest first; events of one millisecond have numbers
            yield _sorted("event.sequence", down=False)
            yield _sorted("@timestamp", down=False)
        yield {"id": "filterFieldsByName", "options": {"include": {"names": list(events.fields)}}}
        index = {name: number for number, name in enumerate(events.fields)}
        yield {"id": "organize", "options": {"indexByName": index}}
        return
    if is_table(events):
        yield from _columns_named(events)
        return
    if any(isinstance(value, Combined) for value in events.values):
        yield {"id": "joinByField", "options": {"byField": "Time", "mode": "outer"}}
    for value in events.values:
        if isinstance(value, Combined):
            reckoned = {"left": value.left.name, "operator": value.how, "right": value.right.name}
            options = {"mode": "binary", "alias": value.name, "binary": reckoned, "replaceFields": True}
            yield {"id": "calculateField", "options": options}


def _columns_named(events: Events) -> Iterator[dict[str, Any]]:
    """The columns of each query get their names, and those of the same row are put together."""
    choices = by_choice(events)
    for ref, values in zip(REFS, choices.values(), strict=False):
        names = {column(value): value.name for value in values}
        yield {"id": "organize", "filter": {"id": "byRefId", "options": ref}, "options": {"renameByName": names}}
    if len(choices) > 1:
        (field,) = events.by
        yield {"id": "joinByField", "options": {"byField": field, "mode": "outer"}}
    yield _sorted(next(plain(events)).name, down=True)


def _sorted(field: str, *, down: bool) -> dict[str, Any]:
    return {"id": "sortBy", "options": {"fields": {}, "sort": [{"field": field, "desc": down}]}}
