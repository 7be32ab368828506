"""A real Grafana takes what is provisioned and what is installed, and each panel's query goes through it."""

from __future__ import annotations

import json
import math
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from clues.cli import main
from clues.dashboards_source.files import DASHBOARDS
from clues.publishers.elasticsearch import ElasticsearchPublisher, target_of
from clues.publishers.elasticsearch_client import Client
from clues.publishers.elasticsearch_server import Server
from clues.publishers.elasticsearch_setup import set_up
from tests.dashboards import grafana_server, prometheus_server
from tests.dashboards.grafana_server import PASSWORD, USER, Grafana, provisioned
from tests.dashboards.history import History, made
from tests.dashboards.prometheus_server import Prometheus
from tests.dashboards.searches import ask, of_grafana, rows
from tests.dashboards.test_prometheus import RANGE, asked, feed
from tests.publishers.elasticsearch_servers import real_elasticsearch  # noqa: F401 - a fixture
from tests.waiting import wait_for

pytestmark = pytest.mark.timeout(1200)  # a Prometheus may have to be built

FOLDER = Path(__file__).parents[2] / "dashboards"
FILES = {path.stem: json.loads(path.read_text()) for path in sorted((FOLDER / "grafana").iterdir())}
ITS_OWN = {"id", "version"}
SINGLE = {"event_hash", "label"}
"""Variables of which one value alone is chosen."""
LABEL = "labels.customer_id"
PANELS = [
    pytest.param(uid, panel["title"], id=f"{uid}: {panel['title']}")
    for uid, dashboard in FILES.items()
    for panel in dashboard["panels"]
    if panel["type"] != "row"
]


@dataclass(frozen=True)
class Stack:
    """A Grafana as compose starts it, and what it looks at.

    Attributes:
        index: where the events of the last two hours are.
    """

    grafana: Grafana
    prometheus: Prometheus
    search: Client
    index: str
    history: History

    @property
    def begin(self) -> float:
        return self.history.end - RANGE * 60

    @property
    def one_hash(self) -> str:
        return next(str(e.metadata["_event_hash"]) for e in self.history.last(60) if e.event_type == "failed")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Stack]:
    grafana_server.binary()
    url = request.getfixturevalue("real_elasticsearch")
    folder = tmp_path_factory.mktemp("grafana")
    history = made()
    name = f"grafana{secrets.token_hex(6)}"
    publisher = ElasticsearchPublisher(
        f"elasticsearch+{url}", namespace=name, spool=folder / "search", chart=["customer_id"], timeout=120
    )
    rules = FOLDER / "prometheus" / "rules.yml"
    with (
        closing(Server.of(f"elasticsearch+{url}", timeout=120).connect()) as search,
        closing(publisher),
        prometheus_server.running(prometheus_server.binary("prometheus"), folder, rules=rules) as prometheus,
    ):
        target = target_of(name, None, dated=False)
        list(set_up(search, target))
        with closing(publisher.destination()) as destination:
            sent = destination.send([event.line for event in history.last(120)])
            assert (sent.problem, sent.retry, sent.refused) == ("", [], [])
        assert search.ask("POST", f"/{target.name}/_refresh").status == 200
        feed(prometheus.otlp, history, folder / "spool")
        places = {"prometheus": prometheus.url, "elasticsearch": url, "index": target.name}
        with grafana_server.running(
            folder / "home", provisioning=provisioned(folder / "provisioning", **places)
        ) as grafana:
            yield Stack(grafana, prometheus, search, target.name, history)


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Grafana]:
    with grafana_server.running(tmp_path) as grafana:
        yield grafana


def plain(dashboard: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in dashboard.items() if name not in ITS_OWN}


# What is provisioned


def test_provisioning(stack: Stack) -> None:
    """All dashboards are there, as in their files, in the folder `clues`; Grafana complains of nothing."""

    def there() -> bool:
        found = stack.grafana.ask("GET", "/api/search?type=dash-db").body
        return {one["uid"] for one in found} == FILES.keys()

    wait_for(there, "all dashboards", timeout=120)  # it may keep for a minute what one may see
    for uid, wanted in FILES.items():
        answer = stack.grafana.ask("GET", f"/api/dashboards/uid/{uid}")
        assert answer.status == 200
        assert plain(answer.body["dashboard"]) == plain(wanted)
        meta = answer.body["meta"]
        assert (meta["provisioned"], meta["folderTitle"], meta["folderUid"]) == (True, "clues", "clues")
    assert stack.grafana.complaints() == []


@pytest.mark.parametrize("uid", ["clues-prometheus", "clues-elasticsearch"])
def test_a_data_source_is_well(stack: Stack, uid: str) -> None:
    answer = stack.grafana.ask("GET", f"/api/datasources/uid/{uid}/health")
    assert (answer.status, answer.body["status"]) == (200, "OK"), answer


def test_rules(stack: Stack) -> None:
    """Grafana shows the rules that Prometheus has loaded, and all of them can be reckoned."""

    def loaded() -> Any:
        answer = stack.grafana.ask("GET", "/api/prometheus/clues-prometheus/api/v1/rules")
        assert answer.status == 200, answer
        found = [rule for group in answer.body["data"]["groups"] for rule in group["rules"]]
        return found if all(rule["health"] != "unknown" for rule in found) else None

    found = wait_for(loaded, "rules that have been reckoned", timeout=120)
    assert {rule["health"] for rule in found} == {"ok"}
    text = (FOLDER / "prometheus" / "rules.yml").read_text()
    assert {rule["name"] for rule in found} == set(re.findall(r"(?:alert|record): \"?([\w:]+)", text))


# What panels ask


def choices(stack: Stack, uid: str) -> dict[str, list[str]]:
    """All that each variable of a dashboard offers, found as Grafana finds it."""
    found: dict[str, list[str]] = {}
    window = f"start={stack.begin:.0f}&end={stack.history.end:.0f}"
    for variable in FILES[uid]["templating"]["list"]:
        if variable["type"] == "textbox":
            found[variable["name"]] = [stack.one_hash]
        elif variable["type"] == "datasource":
            found[variable["name"]] = [f"clues-{variable['query']}"]
        elif "DS_PROMETHEUS" in variable["datasource"]["uid"]:
            match = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["definition"])
            assert match is not None
            path = f"resources/api/v1/label/{match[2]}/values?match[]={match[1]}&{window}"
            answer = stack.grafana.ask("GET", f"/api/datasources/uid/clues-prometheus/{path}")
            assert answer.status == 200, answer
            found[variable["name"]] = answer.body["data"]
        else:
            assert json.loads(variable["query"]) == {"find": "fields"}
            path = f"resources/{stack.index}/_mapping"
            answer = stack.grafana.ask("GET", f"/api/datasources/uid/clues-elasticsearch/{path}")
            assert answer.status == 200, answer
            (mapped,) = answer.body.values()
            pattern = re.compile(variable["regex"].strip("/"))
            offered = [name for name in fields(mapped["mappings"]["properties"]) if pattern.match(name)]
            assert LABEL in offered
            found[variable["name"]] = [LABEL]
    return found


def fields(properties: dict[str, Any], *folders: str) -> Iterator[str]:
    for name, one in properties.items():
        if "type" in one:
            yield ".".join((*folders, name))
        yield from fields(one.get("properties", {}), *folders, name)


def lucene_of(many: list[str]) -> str:
    quoted = (f'"{one}"' for one in many)
    return f"({' OR '.join(quoted)})"


def filled(target: dict[str, Any], values: dict[str, list[str]]) -> dict[str, Any]:
    """A target as a browser sends it, with all chosen that a variable offers."""

    def put(text: str, joined: Callable[[list[str]], str]) -> str:
        for name, offered in values.items():
            chosen = offered[0] if name in SINGLE else joined(offered)
            text = re.sub(rf"\$(?:{name}\b|{{{name}}})", lambda _, chosen=chosen: chosen, text)  # type: ignore[misc]
        return text

    if "expr" in target:
        target = {**target, "expr": put(target["expr"], lambda many: f"({'|'.join(many)})")}
    if "query" in target:
        target = {**target, "query": put(target["query"], lucene_of)}
    found: dict[str, Any] = json.loads(put(json.dumps(target), lambda many: many[0]))
    return {**found, "intervalMs": 3585_000, "maxDataPoints": 1000}


def of_all(name: str, offered: list[str]) -> str:
    return offered[0] if name in SINGLE else "*"


def panel_of(uid: str, title: str) -> dict[str, Any]:
    (found,) = (one for one in FILES[uid]["panels"] if one["title"] == title and one["type"] != "row")
    return dict(found)


@pytest.mark.parametrize(("uid", "title"), PANELS)
def test_a_panel(stack: Stack, uid: str, title: str) -> None:
    """Its queries go through Grafana without an error, and bring the figures that its back end gives."""
    values = choices(stack, uid)
    assert all(values.values()), "a variable offers nothing"
    panel = panel_of(uid, title)
    targets = [filled(target, values) for target in panel["targets"]]
    frames = stack.grafana.queried(targets, stack.begin, stack.history.end)
    for target in targets:
        check = of_prometheus if "expr" in target else of_documents
        check(stack, target, frames[target["refId"]], {name: of_all(name, one) for name, one in values.items()})
    for change in panel["transformations"]:
        if names := change["options"].get("renameByName"):
            (frame,) = frames[change["filter"]["options"]]
            assert names.keys() < {column["name"] for column in frame["schema"]["fields"]}


def of_prometheus(stack: Stack, target: dict[str, Any], frames: list[dict[str, Any]], _: dict[str, str]) -> None:
    """The last figure of each series is what Prometheus says itself of that moment."""
    found = {labels: series for frame in frames for labels, series in series_of(frame)}
    moments = {max(series) for series in found.values()}
    assert moments
    for moment in moments:
        wanted = stack.prometheus.at(asked(target["expr"]), moment)
        for labels, series in found.items():
            if moment in series:
                assert series[moment] == pytest.approx(wanted[labels])
    assert stack.prometheus.at(asked(target["expr"]), max(moments)).keys() <= found.keys()


def series_of(frame: dict[str, Any]) -> Iterator[tuple[frozenset[tuple[str, str]], dict[float, float]]]:
    """The series of a frame, by their labels; a table has labels in columns, and one row of each series."""
    columns = frame["schema"]["fields"]
    data = frame["data"]["values"]
    if not data or not data[0]:
        return
    if all(column["type"] in {"time", "number"} for column in columns):
        moments = [moment / 1000 for moment in data[0]]
        for column, numbers in zip(columns[1:], data[1:], strict=True):
            series = {at: number for at, number in zip(moments, numbers, strict=True) if number is not None}
            yield frozenset((column.get("labels") or {}).items()), series
        return
    for row in zip(*data, strict=True):
        labels = {column["name"]: cell for column, cell in zip(columns, row, strict=True) if column["type"] == "string"}
        (moment,) = (cell / 1000 for column, cell in zip(columns, row, strict=True) if column["type"] == "time")
        (number,) = (cell for column, cell in zip(columns, row, strict=True) if column["type"] == "number")
        yield frozenset(labels.items()), {moment: number}


def of_documents(stack: Stack, target: dict[str, Any], frames: list[dict[str, Any]], values: dict[str, str]) -> None:
    """The figures are those of our own search; over time, their sums are."""
    body = ask(stack.search, stack.index, of_grafana(target, values))
    if target["metrics"][0]["type"] == "raw_data":
        (frame,) = frames or [{"data": {"values": []}}]
        lengths = {len(column) for column in frame["data"]["values"]} or {0}
        assert lengths == {len(body["hits"]["hits"])}
        return
    keys = {bucket.get("field") for bucket in target["bucketAggs"]}
    found = sorted(figures(frames, keys))
    wanted = sorted(
        number
        for _, numbers in rows(body, target)
        for number in numbers.values()
        if number is not None and not math.isnan(number)
    )
    over_time = any(bucket["settings"].get("interval") == "auto" for bucket in target["bucketAggs"])
    if not over_time:
        assert found == pytest.approx(wanted, rel=1e-3)
    elif target["metrics"][0]["type"] in {"count", "sum"}:
        assert sum(found) == pytest.approx(sum(wanted))
    else:
        assert bool(found) == bool(wanted)


def figures(frames: list[dict[str, Any]], keys: set[str | None]) -> Iterator[float]:
    for frame in frames:
        for column, cells in zip(frame["schema"]["fields"], frame["data"]["values"], strict=True):
            if column["type"] == "number" and column["name"] not in keys:
                yield from (cell for cell in cells if cell is not None)


# What is installed


def outcomes(text: str) -> list[str]:
    return [line.split()[0] for line in text.splitlines()]


def token(grafana: Grafana, role: str) -> str:
    """A new service account's."""
    account = grafana.ask("POST", "/api/serviceaccounts", {"name": role, "role": role})
    assert account.status == 201, account
    made_of = grafana.ask("POST", f"/api/serviceaccounts/{account.body['id']}/tokens", {"name": role})
    assert made_of.status == 200, made_of
    return str(made_of.body["key"])


def test_setup(empty: Grafana, capsys: pytest.CaptureFixture[str]) -> None:
    """Installed by one who may edit, said again by another way in, put right after an edit; nothing is there twice."""
    count = 1 + len(DASHBOARDS)
    editor = ["setup", "grafana", "--url", empty.url, "--api-key", token(empty, "Editor")]
    admin = ["setup", "grafana", "--url", empty.url.replace("://", f"://{USER}:{PASSWORD}@")]
    assert main(editor) == 0
    assert outcomes(capsys.readouterr().out) == ["installed"] * count
    assert main(admin) == 0
    assert outcomes(capsys.readouterr().out) == ["unchanged"] * count
    edited = empty.ask("GET", "/api/dashboards/uid/clues-slo").body["dashboard"]
    assert empty.ask("POST", "/api/dashboards/db", {"dashboard": {**edited, "title": "mine"}}).status == 200
    assert main(editor) == 0
    assert outcomes(capsys.readouterr().out).count("updated") == 1
    found = empty.ask("GET", "/api/search?type=dash-db").body
    assert {(one["uid"], one["folderUid"]) for one in found} == {(uid, "clues") for uid in FILES}
    assert len(found) == len(FILES)
    for uid, wanted in FILES.items():
        assert plain(empty.ask("GET", f"/api/dashboards/uid/{uid}").body["dashboard"]) == plain(wanted)


def test_who_may_only_look_is_told_what_it_takes(empty: Grafana, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["setup", "grafana", "--url", empty.url, "--api-key", token(empty, "Viewer")]) == 1
    told = capsys.readouterr().err
    assert "HTTP 403" in told
    assert "it needs the permissions" in told
    assert main(["setup", "grafana", "--url", empty.url, "--user", f"{USER}:wrong"]) == 1
    assert "HTTP 401" in capsys.readouterr().err


def test_a_folder_of_that_title(empty: Grafana, capsys: pytest.CaptureFixture[str]) -> None:
    """One of the user's own is left alone."""
    assert empty.ask("POST", "/api/folders", {"uid": "mine", "title": "clues"}).status == 200
    command = ["setup", "grafana", "--url", empty.url, "--user", f"{USER}:{PASSWORD}"]
    assert main(command) == 0
    assert main([*command, "--folder", "another title"]) == 0
    assert outcomes(capsys.readouterr().out).count("unchanged") == 1 + len(DASHBOARDS)


def test_what_is_provisioned_stays(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    """Where they are the same already there is nothing to do."""
    assert main(["setup", "grafana", "--url", stack.grafana.url, "--user", f"{USER}:{PASSWORD}"]) == 0
    assert set(outcomes(capsys.readouterr().out)) == {"unchanged"}


@pytest.mark.parametrize("path", ["/api/dashboards/db", "/api/dashboards/import"])
def test_by_hand(empty: Grafana, path: str) -> None:
    """Import takes each file as it is."""
    for uid, dashboard in FILES.items():
        answer = empty.ask("POST", path, {"dashboard": dashboard, "overwrite": True, "folderUid": ""})
        assert answer.status == 200, answer
        assert plain(empty.ask("GET", f"/api/dashboards/uid/{uid}").body["dashboard"]) == plain(dashboard)
    assert empty.complaints() == []
