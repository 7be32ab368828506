"""The checked-in files are what the description gives, and what Grafana, Kibana and Prometheus can take."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clues.dashboards_source import kibana
from clues.dashboards_source.files import DASHBOARDS, files
from clues.dashboards_source.metrics import METRICS, prometheus_name
from clues.dashboards_source.rules import rules

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "dashboards"
MADE = dict(files())
GRAFANA = {place: json.loads(text) for place, text in MADE.items() if place.startswith("grafana/")}
OBJECTS = [json.loads(line) for line in MADE["kibana/clues.ndjson"].splitlines()]
DEPRECATED = {"graph", "singlestat", "table-old", "heatmap-old", "graphite", "angular", "piechart-old"}
VARIABLE = re.compile(r"\$(?:\{(\w+)[^}]*\}|(\w+))")
BUILT_IN = {"__range", "__rate_interval", "__interval", "__value", "__url_time_range", "__all"}


@pytest.mark.parametrize("place", MADE)
def test_what_is_checked_in_is_what_is_described(place: str) -> None:
    assert (FOLDER / place).read_text() == MADE[place], "run `make dashboards`"


def test_nothing_else_is_checked_in() -> None:
    there = {f"{path.parent.name}/{path.name}" for kind in ("grafana", "kibana") for path in (FOLDER / kind).iterdir()}
    assert there == {place for place in MADE if place.startswith(("grafana/", "kibana/"))}


def walked(value: object) -> Iterator[tuple[str, Any]]:
    """All keys and values within."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key, inner
            yield from walked(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from walked(inner)


@pytest.mark.parametrize("place", GRAFANA)
def test_a_dashboard_of_grafana(place: str) -> None:
    """What Grafana's classic model asks for."""
    dashboard = GRAFANA[place]
    assert place == f"grafana/{dashboard['uid']}.json"
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", dashboard["uid"])
    assert dashboard["id"] is None
    assert 39 <= dashboard["schemaVersion"] <= 42
    assert "__inputs" not in dashboard
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    variables = {one["name"] for one in dashboard["templating"]["list"]}
    text = json.dumps(dashboard)
    used = {first or second for first, second in VARIABLE.findall(text)} - BUILT_IN
    assert used <= variables, used - variables
    assert {one["type"] for one in dashboard["templating"]["list"]} <= {"datasource", "query", "textbox", "custom"}
    for panel in panels:
        assert panel["type"] in {"row", "stat", "timeseries", "table", "bargauge"}
        assert panel["type"] not in DEPRECATED
        at = panel["gridPos"]
        assert 0 <= at["x"] < at["x"] + at["w"] <= 24
        if panel["type"] != "row":
            assert panel["targets"]
            assert panel["datasource"]["uid"] in {"${DS_PROMETHEUS}", "${DS_ELASTICSEARCH}"}
            references = [target["refId"] for target in panel["targets"]]
            assert len(set(references)) == len(references)
            assert all(target["datasource"] == panel["datasource"] for target in panel["targets"])
            for target in panel["targets"]:  # of others as the last buckets Grafana makes no rows
                assert {bucket["type"] for bucket in target.get("bucketAggs", ())[-1:]} <= {"terms", "date_histogram"}


@pytest.mark.parametrize("place", GRAFANA)
def test_panels_of_grafana_do_not_overlap(place: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in GRAFANA[place]["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken
        taken |= cells


def test_uids_are_unique_and_links_lead_to_dashboards() -> None:
    uids = [dashboard["uid"] for dashboard in GRAFANA.values()]
    assert len(set(uids)) == len(uids) == 6
    for dashboard in GRAFANA.values():
        for key, value in walked(dashboard):
            if key == "url" and value:
                found = re.match(r"/d/([\w-]+)\?var-(\w+)=", value)
                assert found is not None
                (target,) = (one for one in GRAFANA.values() if one["uid"] == found[1])
                assert found[2] in {one["name"] for one in target["templating"]["list"]}


def test_objects_of_kibana() -> None:
    """What Kibana's import asks for: known references, panels that name theirs, versions that 8.9 knows."""
    known = {(one["type"], one["id"]) for one in OBJECTS}
    assert len(known) == len(OBJECTS)
    for one in OBJECTS:
        assert {(reference["type"], reference["id"]) for reference in one["references"]} <= known
        names = [reference["name"] for reference in one["references"]]
        assert len(set(names)) == len(names)
        if one["type"] != "dashboard":
            continue
        panels = json.loads(one["attributes"]["panelsJSON"])
        assert panels
        assert len({panel["panelIndex"] for panel in panels}) == len(panels)
        taken: set[tuple[int, int]] = set()
        for panel in panels:
            at = panel["gridData"]
            assert at["i"] == panel["panelIndex"]
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            assert not cells & taken
            assert at["x"] + at["w"] <= 48
            taken |= cells
            if panel["type"] == "search":
                assert f"{panel['panelIndex']}:{panel['panelRefName']}" in names
            else:
                _check_lens(panel, names)


def _check_lens(panel: dict[str, Any], names: list[str]) -> None:
    attributes = panel["embeddableConfig"]["attributes"]
    assert all(f"{panel['panelIndex']}:{one['name']}" in names for one in attributes["references"])
    assert attributes["visualizationType"] in {"lnsXY", "lnsMetric", "lnsDatatable"}
    ((name, layer),) = attributes["state"]["datasourceStates"]["formBased"]["layers"].items()
    assert f"indexpattern-datasource-layer-{name}" in {one["name"] for one in attributes["references"]}
    assert set(layer["columnOrder"]) == set(layer["columns"])
    text = json.dumps(attributes["state"]["visualization"])
    shown = set(re.findall(r'"((?:v|by)\d+|time)"', text))
    assert shown <= set(layer["columns"])
    for column in layer["columns"].values():
        assert all(reference in layer["columns"] for reference in column.get("references", ()))
        order = column.get("params", {}).get("orderBy", {})
        assert order.get("columnId", "v0") in layer["columns"]


def fields_of_the_mapping() -> set[str]:
    found: set[str] = set()

    def visit(properties: dict[str, Any], before: str) -> None:
        for name, known in properties.items():
            found.add(before + name)
            visit(known.get("properties", {}), f"{before}{name}.")

    for file in ("mappings.json", "mappings-opensearch.json"):
        template = json.loads((FOLDER / "elasticsearch" / file).read_text())["template"]
        visit(template["mappings"]["properties"], "")
    return found


def test_all_fields_are_in_the_mapping() -> None:
    """Of both products; ``labels.*`` is the user's own."""
    used: set[str] = set()
    for dashboard in GRAFANA.values():
        for key, value in walked(dashboard):
            if key == "field" and "." in str(value) and isinstance(value, str):
                used.add(value)
            if key == "query" and isinstance(value, str) and ":" in value and "label_values" not in value:
                used |= {name for name in re.findall(r"([@\w.]+):", value) if "." in name}
    for one in OBJECTS:
        for text in (value for key, value in walked(one) if key in {"panelsJSON", "searchSourceJSON"}):
            for key, value in walked(json.loads(text)):
                if key in {"sourceField", "fieldName"} and value != "___records___":
                    used.add(value)
                if key == "query" and isinstance(value, str):
                    used |= set(re.findall(r"([@\w.]+)\s*(?::|<=)", value))
        used |= set(one["attributes"].get("columns", ()))
    for described in DASHBOARDS:
        for panel in described.panels():
            if panel.events is not None:
                used |= {*panel.events.fields, *panel.events.by}
    used -= {"$label"}
    assert {field for field in used if not field.startswith("labels.")} <= fields_of_the_mapping()
    assert len(used) > 20


SELECTOR = re.compile(r"\b((?:clues|messaging)_\w+)(?:\{([^}]*)\})?")
GROUPED = re.compile(r"\b(?:by|on) \(([^)]*)\)")


def test_all_metrics_and_labels_are_listed() -> None:
    known = {name: labels for metric in METRICS for name, labels in metric.series()}
    every_label = {label for labels in known.values() for label in labels}
    exprs = [query.expr for described in DASHBOARDS for panel in described.panels() for query in panel.prom]
    exprs += [rule["expr"] for group in rules()["groups"] for rule in group["rules"]]
    names = set()
    for expr in exprs:
        for name, inside in SELECTOR.findall(re.sub(GROUPED, "by ()", expr).replace("messaging_destination_name", "#")):
            names.add(name)
            labels = set(
                re.findall(r'([\w#]+)\s*(?:=~|!~|!=|=)\s*"', inside.replace("#", "messaging_destination_name"))
            )
            assert labels <= known[name], (name, labels)
        for grouped in GROUPED.findall(expr):
            assert {label.strip() for label in grouped.split(",") if label.strip()} <= every_label, expr
    # What is asked of by nobody is listed for nothing.
    assert {metric.name for metric in METRICS} - {re.sub("_(bucket|sum|count)$", "", name) for name in names} == set()


@pytest.mark.parametrize(
    ("otlp", "unit", "kind", "expected"),
    [
        ("messaging.process.duration", "s", "histogram", "messaging_process_duration_seconds"),
        ("messaging.client.sent.messages", "{message}", "counter", "messaging_client_sent_messages_total"),
        ("clues.queue.paused", "1", "gauge", "clues_queue_paused_ratio"),
        ("clues.queue.depth", "{job}", "gauge", "clues_queue_depth"),
    ],
)
def test_names(otlp: str, unit: str, kind: Any, expected: str) -> None:
    assert prometheus_name(otlp, unit, kind) == expected


def test_each_panel_in_the_table_of_questions_is_there() -> None:
    """docs/questions.md names dashboards and panels that are."""
    titles = {(one.title.removeprefix("clues: "), panel.title) for one in DASHBOARDS for panel in one.panels()}
    rows = [
        line.split("|")[2]
        for line in (ROOT / "docs" / "questions.md").read_text().splitlines()
        if line.startswith("|") and "→" in line
    ]
    named = [found for row in rows for found in re.findall(r"\*([^*]+)\* → ([^;(]+)", row)]
    assert len(named) > 20
    for dashboard, panels in named:
        for panel in panels.split(" · "):
            assert (dashboard, panel.strip()) in titles
    asked = {(dashboard, panel.strip()) for dashboard, panels in named for panel in panels.split(" · ")}
    assert {dashboard for dashboard, _ in asked} == {one.title.removeprefix("clues: ") for one in DASHBOARDS}


def test_other_labels_for_kibana() -> None:
    from clues.dashboards_source.files import for_kibana

    text = kibana.ndjson(kibana.saved_objects(for_kibana(("plan",)), index="jobs-*"))
    assert "labels.plan" in text
    assert "labels.customer_id" not in text
    assert '"title":"jobs-*"' in text
