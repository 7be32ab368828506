"""Dashboards as Grafana's classic JSON: it loads by provisioning and by import, and newer versions migrate it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from clues.dashboards_source.grafana_panel import panel_of
from clues.dashboards_source.grafana_queries import ELASTICSEARCH, PROMETHEUS, source
from clues.dashboards_source.model import Dashboard, Variable

SCHEMA = 41
_GRAFANA = {"type": "grafana", "uid": "-- Grafana --"}
_ROW, _WIDTH, _HEADING = 1, 24, 1


def dashboard(described: Dashboard) -> dict[str, Any]:
    """One dashboard."""
    uses = {source(panel)["type"] for panel in described.panels()}
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
            yield panel_of(panel, number, place, described)
            x, tallest = x + panel.width, max(tallest, panel.height)
        y += tallest
