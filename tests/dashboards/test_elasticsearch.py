"""Each query of documents, as Grafana and as Kibana ask it, asked of a real server that the real publisher has fed."""

from __future__ import annotations

import json
import math
import secrets
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest

from clues.dashboards_source import grafana, grafana_queries, kibana
from clues.dashboards_source.files import DASHBOARDS, for_kibana
from clues.dashboards_source.model import Combined, Dashboard, Events, Panel, Value
from clues.dashboards_source.one_job import ONE_JOB
from clues.event import Event, EventType
from clues.publishers.elasticsearch import ElasticsearchPublisher, target_of
from clues.publishers.elasticsearch_client import Client
from clues.publishers.elasticsearch_server import Server
from clues.publishers.elasticsearch_setup import set_up
from tests.dashboards.history import History, epoch, made
from tests.dashboards.searches import Groups, ask, kql, lens_groups, of_grafana, of_lens, rows
from tests.publishers.elasticsearch_servers import real_elasticsearch, real_opensearch  # noqa: F401 - fixtures

GRAFANA = [
    pytest.param(dashboard, panel, id=f"{dashboard.uid}: {panel.title}")
    for dashboard in DASHBOARDS
    for panel in dashboard.panels()
    if not panel.prom
]
OBJECTS = {one["id"]: one for one in kibana.saved_objects(for_kibana(("customer_id",)))}
KIBANA = [
    pytest.param(dashboard, panel, id=f"{dashboard.uid}: {panel.title}")
    for dashboard in for_kibana(("customer_id",))
    for panel in dashboard.panels()
    if panel.events is not None and "$label" not in panel.events.by
]


@dataclass
class Cluster:
    client: Client
    index: str
    history: History
    events: list[Event]

    @property
    def one_hash(self) -> str:
        """The hash of a job that has failed."""
        found = next(event for event in self.events if event.event_type is EventType.FAILED)
        return str(found.metadata["_event_hash"])


@pytest.fixture(scope="module", params=["elasticsearch", "opensearch"])
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    pytest.importorskip({"elasticsearch": "elasticsearch", "opensearch": "opensearchpy"}[request.param])
    url = f"{request.param}+{request.getfixturevalue(f'real_{request.param}')}"
    name = f"boards{secrets.token_hex(6)}"
    history = made(120)
    spool = tmp_path_factory.mktemp("spool")
    publisher = ElasticsearchPublisher(url, namespace=name, spool=spool, chart=["customer_id"], timeout=120)
    with closing(Server.of(url, timeout=120).connect()) as client, closing(publisher):
        target = target_of(name, None, dated=False)
        list(set_up(client, target))
        events = [*history.last(120)]
        with closing(publisher.destination()) as destination:
            sent = destination.send([event.line for event in events])
            assert (sent.problem, sent.retry, sent.refused) == ("", [], [])
        assert client.ask("POST", f"/{target.name}/_refresh").status == 200
        yield Cluster(client, target.name, history, events)


# What the log says: each choice of documents, and each field, in words of its own.

K = EventType


def is_retrying(event: Event) -> bool:
    return event.event_type is K.FAILED and event.metadata.get("_retrying") is True


def of(*kinds: EventType) -> Callable[[Event], bool]:
    return lambda event: event.event_type in kinds


CHOICES: dict[str, Callable[[Event], bool]] = {
    "": lambda event: True,
    "event.action:enqueued": of(K.ENQUEUED),
    "event.action:dequeued": of(K.DEQUEUED),
    "event.action:perform_finished": of(K.PERFORM_FINISHED),
    "event.action:failed": of(K.FAILED),
    "event.action:destroyed": of(K.DESTROYED),
    "event.action:(dequeued OR destroyed)": of(K.DEQUEUED, K.DESTROYED),
    "event.action:(perform_finished OR failed)": of(K.PERFORM_FINISHED, K.FAILED),
    "event.action:failed AND NOT clues.retrying:true": lambda e: e.event_type is K.FAILED and not is_retrying(e),
    "event.action:failed AND clues.retrying:true": is_retrying,
    "event.action:perform_finished OR (event.action:failed AND NOT clues.retrying:true)": lambda e: (
        e.event_type is K.PERFORM_FINISHED or (e.event_type is K.FAILED and not is_retrying(e))
    ),
    "event.action:(perform_finished OR destroyed) OR (event.action:failed AND NOT clues.retrying:true)": lambda e: (
        e.event_type in {K.PERFORM_FINISHED, K.DESTROYED} or (e.event_type is K.FAILED and not is_retrying(e))
    ),
    "event.action:(perform_finished OR failed) AND NOT (event.action:failed AND clues.retrying:true)": lambda e: (
        e.event_type in {K.PERFORM_FINISHED, K.FAILED} and not is_retrying(e)
    ),
    "event.action:dequeued AND clues.time_in_queue <= 30": lambda e: (
        e.event_type is K.DEQUEUED and e.metadata["_time_in_queue"] <= 30
    ),
    "event.action:dequeued AND clues.time_in_queue:*": of(K.DEQUEUED),
    "event.action:perform_finished AND clues.time_to_perform <= 300": lambda e: (
        e.event_type is K.PERFORM_FINISHED and e.metadata["_time_to_perform"] <= 300
    ),
    "event.action:failed AND event.reason:*": lambda e: "_reason" in e.metadata,
    "clues.truncated:*": lambda e: "_truncated" in e.metadata,
    "clues.clock_skew:*": lambda e: "_clock_skew" in e.metadata,
    "clues.reporter:(master OR pruner)": lambda e: e.metadata.get("_reporter") in {"master", "pruner"},
}
FIELDS: dict[str, Callable[[Event], Any]] = {
    "clues.time_in_queue": lambda e: e.metadata.get("_time_in_queue"),
    "clues.time_to_perform": lambda e: e.metadata.get("_time_to_perform"),
    "clues.event_hash": lambda e: e.metadata["_event_hash"],
    "clues.attempt": lambda e: e.metadata.get("_attempt", 1),
    "clues.queue": lambda e: e.queue,
    "clues.job_class": lambda e: e.worker_class,
    "error.type": lambda e: e.metadata.get("_exception"),
    "event.reason": lambda e: e.metadata.get("_reason"),
    "event.action": lambda e: e.event_type.value,
    "event.outcome": lambda e: {K.PERFORM_FINISHED: "success", K.FAILED: "failure"}.get(e.event_type, "unknown"),
    "host.name": lambda e: e.metadata["_hostname"],
    "process.pid": lambda e: e.metadata["_process"],
    "labels.customer_id": lambda e: e.metadata.get("customer_id"),
}


def chosen(cluster: Cluster, only: str) -> list[Event]:
    if "$event_hash" in only:
        key = {"clues.event_hash": "_event_hash", "clues.parent_event_hash": "_parent_event_hash"}[
            only.partition(":")[0]
        ]
        return [event for event in cluster.events if event.metadata.get(key) == cluster.one_hash]
    return [event for event in cluster.events if CHOICES[only](event)]


def expected(cluster: Cluster, events: Events) -> dict[tuple[str, ...], list[Event]]:
    """The events of each group."""
    fields = [field.replace("$label", "labels.customer_id") for field in events.by]
    groups: dict[tuple[str, ...], list[Event]] = defaultdict(list)
    for event in chosen(cluster, events.only):
        keys = [FIELDS[field](event) for field in fields]
        if None not in keys:
            groups[tuple(map(str, keys))].append(event)
    return groups


def agrees(cluster: Cluster, value: Value | Combined, group: list[Event], answer: float | None) -> bool:
    """Whether a number is what the log says."""
    if isinstance(value, Combined):
        left, right = (exact(cluster, one, group) for one in (value.left, value.right))
        assert left is not None
        assert right is not None
        if value.how == "-":
            return bool(answer == left - right)
        if value.how == "burn":
            return bool(answer == pytest.approx((1 - left / right) / 0.01))
        expected = pytest.approx(left / right) if right else None
        return bool(answer == expected)
    if value.of == "percentile":
        numbers = sorted(told(cluster, value, group))
        if not numbers:
            return answer is None or math.isnan(answer)
        low, high = (
            min(max(int((value.percent / 100 + off) * len(numbers)), 0), len(numbers) - 1) for off in (-0.02, 0.02)
        )
        assert answer is not None
        return bool(numbers[low] - 1e-6 <= answer <= numbers[high] + 1e-6)
    known = exact(cluster, value, group)
    return answer == known or bool(answer == pytest.approx(known, rel=1e-3))


def exact(cluster: Cluster, value: Value, group: list[Event]) -> float | None:
    if value.of == "count":
        return len(chosen_of(cluster, value, group))
    numbers = told(cluster, value, group)
    if value.of == "unique":
        return len(set(numbers))
    return sum(numbers) if value.of == "sum" else max(numbers, default=None)


def chosen_of(cluster: Cluster, value: Value, group: list[Event]) -> list[Event]:
    if value.window:
        since = cluster.history.end - int(value.window.removesuffix("h")) * 3600
        group = [event for event in group if epoch(event) >= since]
    return group if "$event_hash" in value.only else [event for event in group if CHOICES[value.only](event)]


def told(cluster: Cluster, value: Value, group: list[Event]) -> list[Any]:
    found = (FIELDS[value.field](event) for event in chosen_of(cluster, value, group))
    return [one for one in found if one is not None]


def of_dashboard(dashboard: Dashboard, panel: Panel) -> list[dict[str, Any]]:
    made_of = grafana.dashboard(dashboard)
    (found,) = (one for one in made_of["panels"] if one["title"] == panel.title and one["type"] != "row")
    targets: list[dict[str, Any]] = found["targets"]
    return targets


KINDS = {"count": "count", "unique": "cardinality", "percentile": "percentiles", "sum": "sum", "max": "max"}


@pytest.mark.parametrize(("dashboard", "panel"), GRAFANA)
def test_grafana(cluster: Cluster, dashboard: Dashboard, panel: Panel) -> None:
    events = panel.events
    assert events is not None
    values = {"queue": "*", "class": "*", "label": "labels.customer_id", "event_hash": cluster.one_hash}
    targets = of_dashboard(dashboard, panel)
    if not events.values:
        body = ask(cluster.client, cluster.index, of_grafana(targets[0], values))
        wanted = chosen(cluster, events.only)
        assert body["hits"]["total"]["value"] == len(wanted)
        hashes = {hit["_source"]["clues"]["event_hash"] for hit in body["hits"]["hits"]}
        assert hashes <= {event.metadata["_event_hash"] for event in wanted}
        return
    groups = expected(cluster, events)
    is_table = grafana_queries.is_table(events)
    of_targets = grafana_queries.by_choice(events).values() if is_table else zip(grafana_queries.plain(events))
    for target, of_target in zip(targets, of_targets, strict=True):
        found = [*rows(ask(cluster.client, cluster.index, of_grafana(target, values)), target)]
        for value in of_target:
            seen = {keys for keys, numbers in found if numbers[KINDS[value.of]]}
            assert seen == {keys for keys, some in groups.items() if exact_or_any(cluster, value, some)}
            for keys, numbers in found:
                assert agrees(cluster, value, groups[keys], numbers[KINDS[value.of]]), (value, keys, numbers)


def exact_or_any(cluster: Cluster, value: Value, group: list[Event]) -> object:
    return told(cluster, value, group) if value.of == "percentile" else exact(cluster, value, group)


def test_one_job_that_nobody_has_named_yet(cluster: Cluster) -> None:
    """Its dashboard is empty, and no error."""
    panels = grafana.dashboard(ONE_JOB)["panels"]
    targets = [target for panel in panels for target in panel.get("targets", ())]
    assert targets
    for target in targets:
        body = ask(cluster.client, cluster.index, of_grafana(target, {"event_hash": ""}))
        assert body["hits"]["total"]["value"] == 0


@pytest.mark.parametrize(("dashboard", "panel"), KIBANA)
def test_kibana(cluster: Cluster, dashboard: Dashboard, panel: Panel) -> None:
    events = panel.events
    assert events is not None
    shown = json.loads(OBJECTS[dashboard.uid]["attributes"]["panelsJSON"])
    (found,) = (one for one in shown if one["title"] == panel.title)
    one_job = {"match": {"clues.event_hash": cluster.one_hash}}  # what the control at the top chooses
    if found["type"] == "search":
        (name,) = (
            ref["id"]
            for ref in OBJECTS[dashboard.uid]["references"]
            if ref["name"].startswith(f"{found['panelIndex']}:")
        )
        saved = OBJECTS[name]["attributes"]
        source = json.loads(saved["kibanaSavedObjectMeta"]["searchSourceJSON"])
        query = kql(source["query"]["query"])
        if "$event_hash" in events.only:
            return  # it shows whatever the control chooses
        sort = [{field: order} for field, order in saved["sort"]]
        body = ask(cluster.client, cluster.index, {"query": query, "sort": sort, "size": 10})
        assert body["hits"]["total"]["value"] == len(chosen(cluster, events.only))
        return
    state = found["embeddableConfig"]["attributes"]["state"]
    search = of_lens(state, cluster.history.end)
    if "$event_hash" in events.only:
        search["query"] = {"bool": {"filter": [search["query"], one_job]}}
    answer: Groups = lens_groups(ask(cluster.client, cluster.index, search), state)
    groups = expected(cluster, events)
    assert answer.keys() == groups.keys()
    for keys, group in groups.items():
        for value in events.values:
            assert agrees(cluster, value, group, answer[keys][value.name]), (value, keys, answer[keys])
