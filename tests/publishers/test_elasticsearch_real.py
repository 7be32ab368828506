"""Real Elasticsearch and OpenSearch: whatever a job carries is indexed, once, and found."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from typer import Typer
from typer.testing import CliRunner

from clues.cli import setup
from clues.event import Event, EventType
from clues.publishers.delivery import Sent
from clues.publishers.elasticsearch import ElasticsearchPublisher, target_of
from clues.publishers.elasticsearch_bulk import ElasticsearchDestination
from clues.publishers.elasticsearch_client import Client
from clues.publishers.elasticsearch_ready import is_set_up
from clues.publishers.elasticsearch_server import Server
from clues.publishers.elasticsearch_setup import set_up
from tests.publishers.elasticsearch_servers import real_elasticsearch, real_opensearch  # noqa: F401 - fixtures


@pytest.fixture(params=["elasticsearch", "opensearch"])
def url(request: pytest.FixtureRequest) -> str:
    """The URL of each kind of server in turn, as CLUES_PUBLISHERS has it."""
    pytest.importorskip({"elasticsearch": "elasticsearch", "opensearch": "opensearchpy"}[request.param])
    found: str = request.getfixturevalue(f"real_{request.param}")
    return f"{request.param}+{found}"


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    connected = Server.of(url).connect()
    yield connected
    connected.close()


@pytest.fixture
def name() -> str:
    """A namespace that no other test has, nor an earlier run on the same server."""
    return f"test{secrets.token_hex(6)}"


def line(metadata: dict[str, Any] | None = None, *, number: int = 0, at: str = "2026-11-20T20:59:58.123456Z") -> bytes:
    known = {"_event_hash": f"{number:032x}", "_event_id": f"{number:032x}:1:end", **(metadata or {})}
    shape = {"event_type": "perform_finished", "timestamp": at, "queue": "q", "metadata": known}
    return json.dumps({**shape, "worker_class": "Job", "args": [number]}).encode()


def found(client: Client, target: str, query: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    assert client.ask("POST", f"/{target}/_refresh").status == 200
    body = {"size": 1000, "query": query or {"match_all": {}}, "sort": ["@timestamp", "event.sequence"]}
    answer = client.ask("POST", f"/{target}/_search", json.dumps(body).encode())
    assert answer.status == 200, answer
    return [hit["_source"] for hit in answer.body["hits"]["hits"]]


def nested(depth: int) -> dict[str, Any]:
    deep: dict[str, Any] = {"end": "x"}
    for _ in range(depth):
        deep = {"k": deep}
    return deep


def nested_list(depth: int) -> list[Any]:
    deep: list[Any] = [1]
    for _ in range(depth):
        deep = [deep]
    return deep


HOSTILE: list[dict[str, Any]] = [
    {"same": 1},
    {"same": "text"},
    {"same": {"inner": {"more": [1, "a", None, {"b": 2}]}}},
    {"same": "2026-01-01"},
    {"same": None},
    {"same": True},
    {"same": 1.5},
    {"same": [[1], [2, [3, {}]]]},
    {"same": []},
    {"same": {}},
    {"location": "Berlin", "foo.created": "yesterday", "client_ip": "nowhere", "x_timestamp": "?", "score": "high"},
    {"@timestamp": "never", "message": {"a": 1}, "event": "x", "_id": 3, "_source": 4, "host": [1], "clues": "x"},
    {"": 1, " ": 2, ".": 3, "..": 4, "a.": 5, ".a": 6, "a..b": 7},
    {"a": {"": {"": 1}}},
    {"a.b": 1, "a": {"b": {"c": 2}}, "a.b.c": 3},
    {"nul\0key": 1, "nul\ufffdkey": 2, "value": "x\0y"},
    {"deep": nested(14)},
    {"deep": nested(25)},
    {"deep": nested(400)},
    {"list": nested_list(400)},
    {"long": "x" * 200_000},
    {"long": "€" * 40_000},
    {"long": "😀" * 40_000},
    {"k" * 40_000: "x"},
    {"€" * 300: {"€" * 300: "€" * 40_000}},
    {f"{'k' * 300}{number}": number for number in range(3)},
    {"big": 10**40, "minus": -(10**400), "huge": 1e308, "nan": float("nan"), "inf": float("-inf")},
    {"half": "\ud800", "\udfff": "😀"},
    {"quotes": '"\\\n\t\u2028', "percent%20": "%", "star*": "?"},
    {f"key{number}": number for number in range(10_000)},
    {"_hostname": 5, "_process": "x", "_attempt": "first", "_time_in_queue": "long", "_time_to_perform": [1]},
    {"_exception": {"a": 1}, "_message": 7, "_backtrace": {"x": 1}, "_reason": [], "_truncated": "all"},
    {"_time_to_perform": 1e300, "_time_in_queue": 10**400, "_clock_skew": True, "_process": 2**70},
    {"_exception": "E" * 50_000, "_message": "m" * 200_000, "_backtrace": ["b" * 50_000] * 3},
    {"_traceparent": "00-zz", "_parent_event_hash": 3, "_reporter": "r" * 40_000, "_hostname": "h" * 40_000},
]


def test_hostile_metadata(url: str, client: Client, name: str) -> None:
    """Every event of the hostile mix is taken, in one stream of one mapping, and sent again is there once."""
    target = target_of(name, None, dated=False)
    list(set_up(client, target))
    destination = ElasticsearchDestination(client, target, chart=("same", "long", "big", "huge", "nan", "half"))
    lines = [line(metadata, number=number) for number, metadata in enumerate(HOSTILE)]
    assert destination.send(lines) == Sent([], [])
    assert destination.send(lines) == Sent([], [])
    assert len(found(client, target.name)) == len(HOSTILE)


def test_ten_thousand_keys_of_many_events(client: Client, name: str) -> None:
    """Keys that are new with every event leave the mapping as it is."""
    target = target_of(name, None, dated=False)
    list(set_up(client, target))
    destination = ElasticsearchDestination(client, target)
    lines = [line({f"key{number}_{n}": n for n in range(10)}, number=number) for number in range(1000)]
    assert destination.send(lines) == Sent([], [])
    mapping = json.dumps(client.ask("GET", f"/{target.name}/_mapping").body)
    assert "key7_3" not in mapping
    assert len(found(client, target.name, {"term": {"clues.metadata.key7_3": "3"}})) == 1


@pytest.mark.parametrize("same", [1, "text", {"a": 1}, "2026-01-01"], ids=str)
def test_whichever_type_comes_first(client: Client, name: str, same: object) -> None:
    target = target_of(name, None, dated=False)
    list(set_up(client, target))
    destination = ElasticsearchDestination(client, target, chart=["same"])
    assert destination.send([line({"same": same})]) == Sent([], [])
    rest = [line({"same": other}, number=number) for number, other in enumerate([2, "b", {"b": [1]}, True, 2.5], 1)]
    assert destination.send(rest) == Sent([], [])


def test_queries(client: Client, name: str) -> None:
    """Metadata is found by its key, numbers by range, labels by value, messages by a word."""
    target = target_of(name, None, dated=False)
    list(set_up(client, target))
    destination = ElasticsearchDestination(client, target, chart=["pages", "pdf.strategy", "urgent"])
    metadata = {"customer": {"id": 42}, "pages": 12, "pdf": {"strategy": "fast"}, "urgent": False}
    failure = {"_exception": "shop.CardDeclined", "_message": "the card was declined", "_time_to_perform": 1.5}
    assert destination.send([line(metadata), line({**failure, "pages": 3}, number=1)]) == Sent([], [])
    queries: list[tuple[dict[str, Any], int]] = [
        ({"term": {"clues.metadata.customer.id": "42"}}, 1),
        ({"range": {"clues.metrics.pages": {"gt": 10}}}, 1),
        ({"range": {"clues.metrics.pages": {"gt": 2}}}, 2),
        ({"term": {"labels.pdf_strategy": "fast"}}, 1),
        ({"term": {"labels.urgent": "false"}}, 1),
        ({"term": {"error.type": "shop.CardDeclined"}}, 1),
        ({"match": {"error.message": "declined"}}, 1),
        ({"range": {"event.duration": {"gte": 1_500_000_000}}}, 1),
        ({"range": {"@timestamp": {"gte": "2026-11-20T20:59:58Z", "lt": "2026-11-20T20:59:59Z"}}}, 2),
    ]
    for query, count in queries:
        assert len(found(client, target.name, query)) == count, query
    by_args = client.ask("POST", f"/{target.name}/_search", b'{"query":{"term":{"clues.args":"[0]"}}}')
    assert by_args.status == 400  # stored, never searched


@pytest.mark.parametrize("dated", [False, True])
def test_indices(client: Client, name: str, dated: bool) -> None:
    """A plain index, and one a day by the event's day: what is sent again on another day is there once too."""
    target = target_of("default", f"jobs-{name}", dated=dated)
    assert not is_set_up(client, target)
    list(set_up(client, target))
    assert is_set_up(client, target)
    destination = ElasticsearchDestination(client, target)
    lines = [line(number=0, at="2026-11-20T23:59:59.999999Z"), line(number=1, at="2026-11-21T01:00:00+01:00")]
    assert destination.send(lines) == destination.send(lines) == Sent([], [])
    first = f"{target.name}-2026.11.20" if dated else target.name
    second = f"{target.name}-2026.11.21" if dated else target.name
    assert len(found(client, first)) == (1 if dated else 2)
    assert len(found(client, second)) == (1 if dated else 2)


def test_it_waits_until_it_is_set_up(client: Client, name: str) -> None:
    """Without templates the first event would choose the mapping."""
    target = target_of("default", f"bare-{name}", dated=False)
    destination = ElasticsearchDestination(client, target)
    with pytest.raises(Exception, match="clues setup elasticsearch"):
        destination.send([line()])
    assert client.ask("GET", f"/{target.name}").status == 404
    list(set_up(client, target))
    assert destination.send([line()]) == Sent([], [])


def test_an_index_in_the_way(client: Client, name: str) -> None:
    target = target_of("default", f"old-{name}", dated=False)
    assert client.ask("PUT", f"/{target.name}").status == 200
    last = list(set_up(client, target))[-1]
    assert (last.what, last.name, last.outcome) == ("index", target.name, "left out")
    assert not is_set_up(client, target)


def test_setup_command(url: str, name: str) -> None:
    """It says what it did, and does nothing twice."""
    own = Typer()
    setup.add_to(own)
    arguments = ["setup", "elasticsearch", "--to", url, "--index", f"cli-{name}", "--dated"]
    first = CliRunner().invoke(own, arguments)
    assert first.exit_code == 0, first.output
    again = CliRunner().invoke(own, arguments)
    assert again.exit_code == 0, again.output
    policy, *templates = again.output.splitlines()
    assert policy.startswith(("left out   I", "unchanged  I"))
    assert [text.split()[0] for text in templates] == ["unchanged"] * 3


def test_publisher_from_url(url: str, client: Client, name: str, tmp_path: Path) -> None:
    """From CLUES_PUBLISHERS' URL to a document with the fields that dashboards use."""
    split = urlsplit(f"{url}/?namespace={name}&chart=pages&spool={tmp_path}")
    publisher = ElasticsearchPublisher.from_url(split)
    destination = publisher.destination()
    assert destination.name == publisher.name
    list(set_up(client, target_of(name, None, dated=False)))
    metadata = {"_event_hash": "ab" * 16, "_event_id": f"{'ab' * 16}:2:end", "_attempt": 2, "_process": 7, "pages": 3}
    event = Event(EventType.PERFORM_FINISHED, "2026-11-20T20:59:58.123456Z", "pdf", metadata, "Pdf", [1])
    assert destination.send([event.line]) == Sent([], [])
    destination.close()
    publisher.close()
    [document] = found(client, f"logs-clues.events-{name}")
    assert document["event"]["id"] == f"{'ab' * 16}:2:end"
    assert document["clues"]["metrics"] == {"pages": 3.0}
