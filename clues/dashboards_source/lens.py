"""A panel as a chart of Kibana's Lens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from clues.dashboards_source.budget import BUDGET
from clues.dashboards_source.model import Combined, Events, Panel, Value

DATA_VIEW = "clues-events"
_LAYER, _DEPLOYS = "layer", "deploys"
_OPERATIONS = {
    "count": "count",
    "unique": "unique_count",
    "percentile": "percentile",
    "sum": "sum",
    "max": "max",
    "average": "average",
}
_FUNCTIONS = {"/": "divide", "-": "subtract", "burn": "divide"}
_FORMATS = {
    "ratio": {"id": "percent", "params": {"decimals": 2}},
    "seconds": {"id": "number", "params": {"decimals": 3, "suffix": " s"}},
}

Words = Callable[[str], str]


def lens(panel: Panel, events: Events, kql: Words) -> dict[str, Any]:
    """The attributes of a Lens by value."""
    columns = dict(_columns(panel, events, kql))
    layer = {"columns": columns, "columnOrder": [*columns], "incompleteColumns": {}, "sampling": 1}
    drawn = panel.kind == "lines"
    layers = [_LAYER, *([_DEPLOYS] if drawn else [])]
    names = ("indexpattern-datasource-layer-", "xy-visualization-layer-")
    return {
        "title": panel.title,
        "description": panel.question,
        "visualizationType": {"lines": "lnsXY", "bars": "lnsXY", "stat": "lnsMetric", "table": "lnsDatatable"}[
            panel.kind
        ],
        "type": "lens",
        "references": [
            {"type": "index-pattern", "id": DATA_VIEW, "name": f"{name}{layer_id}"}
            for name, layer_id in zip(names, layers, strict=False)
        ],
        "state": {
            "visualization": _visualization(panel, events, columns),
            "query": {"query": kql(events.only), "language": "kuery"},
            "filters": [],
            "datasourceStates": {"formBased": {"layers": {_LAYER: layer}}, "textBased": {"layers": {}}},
            "internalReferences": [],
            "adHocDataViews": {},
        },
    }


def _columns(panel: Panel, events: Events, kql: Words) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, field in enumerate(events.by):
        yield f"by{number}", _terms(field, events)
    if events.over_time:
        params = {"interval": "auto", "includeEmptyRows": True, "dropPartials": False}
        yield "time", _bucketed("date_histogram", "@timestamp", "date", "interval", params, label="@timestamp")
    for number, value in enumerate(events.values):
        if isinstance(value, Combined):
            yield from _formula(f"v{number}", value, panel, kql)
        else:
            yield f"v{number}", _value(value, kql) | {"params": _params(value, panel)}


def _terms(field: str, events: Events) -> dict[str, Any]:
    first = events.values[0]
    order: dict[str, Any] = {"type": "alphabetical", "fallback": True}
    if isinstance(first, Value):
        order = {"type": "column", "columnId": "v0"}
    params = {
        "size": events.size,
        "orderBy": order,
        "orderDirection": "desc" if order["type"] == "column" else "asc",
        "otherBucket": False,
        "missingBucket": False,
        "parentFormat": {"id": "terms"},
        "include": [],
        "exclude": [],
        "includeIsRegex": False,
        "excludeIsRegex": False,
    }
    return _bucketed("terms", field, "string", "ordinal", params, label=field)


def _bucketed(  # noqa: PLR0913, PLR0917 - a column's parts
    operation: str, field: str, kind: str, scale: str, params: dict[str, Any], label: str
) -> dict[str, Any]:
    return {
        "label": label,
        "customLabel": True,
        "dataType": kind,
        "operationType": operation,
        "scale": scale,
        "sourceField": field,
        "isBucketed": True,
        "params": params,
    }


def _value(value: Value, kql: Words) -> dict[str, Any]:
    column: dict[str, Any] = {
        "label": value.name,
        "customLabel": True,
        "dataType": "number",
        "operationType": _OPERATIONS[value.of],
        "scale": "ratio",
        "sourceField": value.field or "___records___",
        "isBucketed": False,
    }
    if only := kql(value.only):
        column["filter"] = {"query": only, "language": "kuery"}
    if value.window:
        column["reducedTimeRange"] = value.window
    return column


def _params(value: Value, panel: Panel) -> dict[str, Any]:
    params: dict[str, Any] = {"emptyAsNull": value.of != "count"}
    if value.of == "percentile":
        params["percentile"] = value.percent
    seconds = value.of not in {"count", "unique"} and panel.unit == "seconds"
    return params | ({"format": _FORMATS["seconds"]} if seconds else {})


def _formula(name: str, value: Combined, panel: Panel, kql: Words) -> Iterator[tuple[str, dict[str, Any]]]:
    """A formula, and the columns that Lens makes of it."""
    parts = [f"{name}X0", f"{name}X1"]
    hidden = {"label": f"Part of {value.name}", "customLabel": True}
    for part, one in zip(parts, (value.left, value.right), strict=True):
        yield part, _value(one, kql) | hidden | {"params": {"emptyAsNull": False}}
    left, right = (_written(one, kql) for one in (value.left, value.right))
    text = f"(1 - {left} / {right}) / {BUDGET:g}" if value.how == "burn" else f"{left} {value.how} {right}"
    place = {"location": {"min": 0, "max": len(text)}, "text": text}
    tree: dict[str, Any] = {"type": "function", "name": _FUNCTIONS[value.how], "args": parts, **place}
    if value.how == "burn":
        spent = {"type": "function", "name": "subtract", "args": [1, tree], **place}
        tree = {"type": "function", "name": "divide", "args": [spent, BUDGET], **place}
    number = {"dataType": "number", "isBucketed": False, "scale": "ratio"}
    yield (
        f"{name}X2",
        {**number, **hidden, "operationType": "math", "references": parts, "params": {"tinymathAst": tree}},
    )
    params: dict[str, Any] = {"formula": text, "isFormulaBroken": False}
    if panel.unit == "ratio":
        params["format"] = _FORMATS["ratio"]
    yield (
        name,
        {
            **number,
            "label": value.name,
            "customLabel": True,
            "operationType": "formula",
            "references": [f"{name}X2"],
            "params": params,
        },
    )


def _written(value: Value, kql: Words) -> str:
    field = value.field and f"{value.field}, "
    only = kql(value.only).replace("'", "\\'")
    window = f", reducedTimeRange='{value.window}'" if value.window else ""
    return f"{_OPERATIONS[value.of]}({field}kql='{only}'{window})"


def _visualization(panel: Panel, events: Events, columns: dict[str, Any]) -> dict[str, Any]:
    values = [f"v{number}" for number in range(len(events.values))]
    by = [name for name in columns if name.startswith("by")]
    if panel.kind == "stat":
        return {"layerId": _LAYER, "layerType": "data", "metricAccessor": values[0]}
    if panel.kind == "table":
        return {
            "layerId": _LAYER,
            "layerType": "data",
            "columns": [{"columnId": name, "isTransposed": False} for name in (*by, *values)],
        }
    shape = "line" if panel.kind == "lines" else "bar_horizontal"
    layer: dict[str, Any] = {
        "layerId": _LAYER,
        "layerType": "data",
        "seriesType": shape,
        "accessors": values,
        "xAccessor": "time" if events.over_time else by[0],
        "position": "top",
        "showGridlines": False,
    }
    if events.over_time and by:
        layer["splitAccessor"] = by[0]
    return {
        "legend": {"isVisible": True, "position": "bottom"},
        "valueLabels": "hide",
        "fittingFunction": "None",
        "preferredSeriesType": shape,
        "layers": [layer, *([_deploys()] if panel.kind == "lines" else [])],
    }


def _deploys() -> dict[str, Any]:
    """Lines where something was deployed: documents whose ``event.action`` is ``deploy``."""
    return {
        "layerId": _DEPLOYS,
        "layerType": "annotations",
        "persistanceType": "byValue",
        "ignoreGlobalFilters": True,
        "annotations": [
            {
                "id": "deploy",
                "type": "query",
                "label": "Deploy",
                "key": {"type": "point_in_time"},
                "timeField": "@timestamp",
                "textField": "message",
                "filter": {"type": "kibana_query", "query": "event.action: deploy", "language": "kuery"},
                "icon": "tag",
                "color": "#6092C0",
                "lineWidth": 1,
                "isHidden": False,
            }
        ],
    }
