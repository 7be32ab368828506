"""All files that are made of the description, by their place under ``dashboards/``."""

from __future__ import annotations

import json
from collections.abc import Iterator

from clues.dashboards_source import grafana, kibana
from clues.dashboards_source.health import HEALTH
from clues.dashboards_source.metrics import METRICS
from clues.dashboards_source.model import Dashboard
from clues.dashboards_source.one_class import ONE_CLASS
from clues.dashboards_source.one_job import ONE_JOB
from clues.dashboards_source.overview import OVERVIEW
from clues.dashboards_source.panels import by_label
from clues.dashboards_source.rules import rules
from clues.dashboards_source.slo import SLO
from clues.dashboards_source.workers import WORKERS
from clues.dashboards_source.yaml import dumped

DASHBOARDS = (OVERVIEW, ONE_CLASS, ONE_JOB, WORKERS, SLO, HEALTH)
LABEL = "plan"
"""The field of metadata that Kibana's overview has a panel of, unless others are asked for."""

_MADE = "# Made by `make dashboards` from clues/dashboards_source.\n"


def for_kibana(labels: tuple[str, ...] = (LABEL,)) -> tuple[Dashboard, ...]:
    """The dashboards with a panel for each of these fields of metadata, where Grafana's readers choose one."""
    own = ("By metadata", tuple(by_label(label if "." in label else f"labels.{label}") for label in labels))
    return tuple(
        Dashboard(one.uid, one.title, one.about, (*one.rows, own), one.variables, one.span)
        if one in {OVERVIEW, ONE_CLASS}
        else one
        for one in DASHBOARDS
    )


def files() -> Iterator[tuple[str, str]]:
    """Each file's place and text."""
    for one in DASHBOARDS:
        text = json.dumps(grafana.dashboard(one), indent=2, ensure_ascii=False)
        yield f"grafana/{one.uid}.json", f"{text}\n"
    yield "kibana/clues.ndjson", kibana.ndjson(kibana.saved_objects(for_kibana()))
    yield "prometheus/rules.yml", _MADE + dumped(rules())
    yield "METRICS.md", _metrics()


def _metrics() -> str:
    rows = []
    for metric in METRICS:
        labels = ", ".join(f"`{label}`" for label in metric.labels) or "–"
        rows.append(f"| `{metric.name}` | {metric.type} | {labels} | {metric.about} |")
    return "\n".join(
        (
            "# Metrics that the dashboards, rules and alerts use",
            "",
            "Made by `make dashboards`. The names are Prometheus' for what is sent over OTLP",
            "([docs/publishers/otlp.md](../docs/publishers/otlp.md#metrics)); every series has `job`, the service, and",
            "`instance` too. A histogram has `_bucket` with the label `le`, `_sum` and `_count`.",
            "",
            "| metric | type | labels | |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
        )
    )
