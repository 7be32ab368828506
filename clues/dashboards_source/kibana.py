"""Dashboards as Kibana's saved objects: Lens by value, written for 8.9 and newer, which newer versions import too."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from clues.dashboards_source.lens import DATA_VIEW, lens
from clues.dashboards_source.model import Dashboard, Events, Panel

VERSION = "8.9.0"
STREAMS = "logs-clues.events-*"
_COLUMNS = 48  # twice Grafana's
_HEIGHT = 2
_HASH = "event_hash"


def saved_objects(dashboards: Iterable[Dashboard], *, index: str = STREAMS) -> list[dict[str, Any]]:
    """The data view, the dashboards, and the searches that they show."""
    found: list[dict[str, Any]] = [_data_view(index)]
    for described in dashboards:
        found += _dashboard(described)
    return found


def ndjson(objects: Iterable[dict[str, Any]]) -> str:
    """As a file that Kibana imports."""
    return "".join(json.dumps(one, separators=(",", ":"), ensure_ascii=False) + "\n" for one in objects)


def kql(only: str) -> str:
    """A choice of documents in KQL: the same words, but for the hash, which Kibana's own filter chooses."""
    return "" if f"${_HASH}" in only else only


def _data_view(index: str) -> dict[str, Any]:
    return {
        "type": "index-pattern",
        "id": DATA_VIEW,
        "coreMigrationVersion": "8.8.0",
        "typeMigrationVersion": "8.0.0",
        "references": [],
        "attributes": {
            "title": index,
            "name": "clues events",
            "timeFieldName": "@timestamp",
            "fieldFormatMap": json.dumps(
                {
                    "clues.time_in_queue": {"id": "duration", "params": _DURATION},
                    "clues.time_to_perform": {"id": "duration", "params": _DURATION},
                }
            ),
        },
    }


_DURATION = {"inputFormat": "seconds", "outputFormat": "humanizePrecise", "outputPrecision": 2, "useShortSuffix": True}


def _dashboard(described: Dashboard) -> Iterator[dict[str, Any]]:
    panels: list[dict[str, Any]] = []
    references: list[dict[str, str]] = []
    searches: list[dict[str, Any]] = []
    for number, (panel, place) in enumerate(_laid_out(described), 1):
        name = f"p{number}"
        common = {"panelIndex": name, "gridData": {**place, "i": name}, "title": panel.title, "version": VERSION}
        assert panel.events is not None
        if panel.kind == "documents":
            search = _search(f"{described.uid}-{name}", panel, panel.events)
            searches.append(search)
            reference = {"name": f"{name}:panel_{name}", "type": "search", "id": search["id"]}
            references.append(reference)
            panels.append({**common, "type": "search", "embeddableConfig": {}, "panelRefName": f"panel_{name}"})
            continue
        attributes = lens(panel, panel.events, kql)
        references += [{**one, "name": f"{name}:{one['name']}"} for one in attributes["references"]]
        embedded = {"attributes": attributes, "enhancements": {}, "hidePanelTitles": False}
        panels.append({**common, "type": "lens", "embeddableConfig": embedded})
    controls, shown = _controls(described)
    yield from searches
    yield {
        "type": "dashboard",
        "id": described.uid,
        "coreMigrationVersion": "8.8.0",
        "typeMigrationVersion": VERSION,
        "references": [*references, *controls],
        "attributes": {
            "title": described.title,
            "description": described.about,
            "version": 1,
            "timeRestore": True,
            "timeFrom": described.span,
            "timeTo": "now",
            "refreshInterval": {"pause": False, "value": 30000},
            "optionsJSON": json.dumps(
                {"useMargins": True, "syncColors": True, "syncCursor": True, "hidePanelTitles": False}
            ),
            "panelsJSON": json.dumps(panels, ensure_ascii=False),
            "controlGroupInput": shown,
            "kibanaSavedObjectMeta": {
                "searchSourceJSON": json.dumps({"query": {"query": "", "language": "kuery"}, "filter": []})
            },
        },
    }


def _laid_out(described: Dashboard) -> Iterator[tuple[Panel, dict[str, int]]]:
    x = y = tallest = 0
    for panel in described.panels():
        if panel.events is None or any("$label" in field for field in panel.events.by):
            continue
        width, height = panel.width * _COLUMNS // 24, panel.height * _HEIGHT
        if x + width > _COLUMNS:
            x, y, tallest = 0, y + tallest, 0
        yield panel, {"x": x, "y": y, "w": width, "h": height}
        x, tallest = x + width, max(tallest, height)


def _search(name: str, panel: Panel, events: Events) -> dict[str, Any]:
    order = "desc" if events.newest_first else "asc"
    source = {
        "query": {"query": kql(events.only), "language": "kuery"},
        "filter": [],
        "indexRefName": "kibanaSavedObjectMeta.searchSourceJSON.index",
    }
    return {
        "type": "search",
        "id": name,
        "coreMigrationVersion": "8.8.0",
        "typeMigrationVersion": "8.0.0",
        "references": [
            {"name": "kibanaSavedObjectMeta.searchSourceJSON.index", "type": "index-pattern", "id": DATA_VIEW}
        ],
        "attributes": {
            "title": f"clues: {panel.title}",
            "description": panel.question,
            "columns": [field for field in events.fields if field != "@timestamp"],
            "sort": [["@timestamp", order], ["event.sequence", order]],
            "grid": {},
            "hideChart": True,
            "kibanaSavedObjectMeta": {"searchSourceJSON": json.dumps(source)},
        },
    }


def _controls(described: Dashboard) -> tuple[list[dict[str, str]], dict[str, str]]:
    """The fields that the reader chooses by, at the top of the dashboard."""
    panels: dict[str, Any] = {}
    references = []
    wanted = [(one.label, one.events, not one.many) for one in described.variables if one.events]
    if any(one.text for one in described.variables):
        wanted.append(("event_hash", "clues.event_hash", True))
    for number, (title, field, single) in enumerate(wanted):
        name = f"c{number}"
        given = {"id": name, "fieldName": field, "title": title, "singleSelect": single, "enhancements": {}}
        panels[name] = {
            "order": number, "width": "medium", "grow": True, "type": "optionsListControl", "explicitInput": given,
        }  # fmt: skip
        reference = f"controlGroup_{name}:optionsListDataView"
        references.append({"name": reference, "type": "index-pattern", "id": DATA_VIEW})
    ignored = {"ignoreFilters": False, "ignoreQuery": False, "ignoreTimerange": False, "ignoreValidations": False}
    return references, {
        "controlStyle": "oneLine",
        "chainingSystem": "HIERARCHICAL",
        "panelsJSON": json.dumps(panels),
        "ignoreParentSettingsJSON": json.dumps(ignored),
    }
