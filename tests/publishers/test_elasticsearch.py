"""The Elasticsearch publisher against a strict fake: what is delivered, asked again, refused, and said."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from clues.errors import ConfigError
from clues.event import Event, EventType
from clues.publishers.delivery import Refusal, Sent
from clues.publishers.elasticsearch import ElasticsearchPublisher
from clues.publishers.elasticsearch_bulk import ElasticsearchDestination, ElasticsearchError
from clues.publishers.elasticsearch_client import UnreachableError
from clues.publishers.elasticsearch_server import Server
from tests.publishers.fake_elasticsearch import FakeElasticsearch, failure, fake, item_failure  # noqa: F401 - a fixture

elasticsearch = pytest.importorskip("elasticsearch")

STREAM = "logs-clues.events-default"


def event(number: int = 0, **metadata: Any) -> Event:
    known = {"_event_hash": f"{number:032x}", "_event_id": f"{number:032x}:1:enqueued", "number": number, **metadata}
    return Event(EventType.ENQUEUED, "2026-11-20T20:59:58.123456Z", "q", known, "Job", [number])


def lines(count: int) -> list[bytes]:
    return [event(number).line for number in range(count)]


def number_of(fields: dict[str, Any]) -> int:
    found: int = fields["clues"]["metadata"]["number"]
    return found


@pytest.fixture(params=["elasticsearch", "opensearch"])
def kind(request: pytest.FixtureRequest) -> str:
    """Whose client library is used."""
    pytest.importorskip({"elasticsearch": "elasticsearch", "opensearch": "opensearchpy"}[request.param])
    found: str = request.param
    return found


@pytest.fixture
def destination(fake: FakeElasticsearch, kind: str, tmp_path: Path) -> Any:  # noqa: F811
    publisher = ElasticsearchPublisher(f"{kind}+{fake.url}", spool=tmp_path)
    found = publisher.destination()
    yield found
    found.close()
    publisher.close()


def test_delivered(fake: FakeElasticsearch, destination: ElasticsearchDestination) -> None:  # noqa: F811
    """A batch is one request; what is sent again is there once, and counts as delivered."""
    assert destination.send(lines(3)) == Sent([], [])
    assert destination.send(lines(4)) == Sent([], [])
    assert fake.bulks == [3, 4]
    assert set(fake.documents) == {(STREAM, f"{number:032x}:1:enqueued") for number in range(4)}


def test_mixed_batch(fake: FakeElasticsearch, destination: ElasticsearchDestination) -> None:  # noqa: F811
    """Each item has its own fate: taken, there already, asked again, refused."""
    fates = {
        1: item_failure(429, "es_rejected_execution_exception"),
        2: item_failure(400, "document_parsing_exception", "failed to parse"),
        3: item_failure(503, "unavailable_shards_exception"),
        5: item_failure(409, "version_conflict_engine_exception"),
        6: (201, {"failure_store": "used"}),
        7: item_failure(403, "cluster_block_exception", "disk full"),
        8: item_failure(404, "index_not_found_exception"),
    }
    fake.item = lambda fields: fates.get(number_of(fields))
    batch = lines(9)
    sent = destination.send([*batch, b"no json", b'{"event_type":"enqueued"}'])
    assert sent.retry == [batch[number] for number in (1, 3, 7, 8)]
    assert [refusal.line for refusal in sent.refused] == [b"no json", b'{"event_type":"enqueued"}', batch[2]]
    assert sent.refused[2].reason == "document_parsing_exception: failed to parse"
    assert sent.problem == "429 es_rejected_execution_exception: because"


def test_lines_that_are_no_events(fake: FakeElasticsearch, destination: ElasticsearchDestination) -> None:  # noqa: F811
    """They are refused with a reason, and nothing is asked of the cluster for their sake."""
    bad = [b"", b"[]", b"\xff", b'"x"', b"[" * 100_000, event(1).line.replace(b"2026-11-20T", b"then ")]
    sent = destination.send(bad)
    assert [refusal.line for refusal in sent.refused] == bad
    assert all(refusal.reason for refusal in sent.refused)
    assert not sent.retry
    assert fake.bulks == []


@pytest.mark.parametrize("status", [429, 502, 503, 504, 500, 408])
def test_whole_request_again(fake: FakeElasticsearch, destination: ElasticsearchDestination, status: int) -> None:  # noqa: F811
    fake.faults = [failure(status, "busy", retry_after="7")]
    sent = destination.send(lines(2))
    assert sent.retry == lines(2)
    assert str(status) in sent.problem
    if "opensearch" not in type(destination._client).__name__.lower():  # that client tells no headers
        assert sent.retry_after == 7.0
    assert destination.send(lines(2)) == Sent([], [])


def test_too_large(fake: FakeElasticsearch, destination: ElasticsearchDestination) -> None:  # noqa: F811
    """A request is halved until it fits; a single event that never does is refused."""
    fake.max_bytes = 3000
    huge = event(99, text="x" * 4000).line
    sent = destination.send([*lines(8), huge])
    assert not sent.retry
    assert [refusal.line for refusal in sent.refused] == [huge]
    assert "413" in sent.refused[0].reason
    assert len(fake.documents) == 8


def test_halves_are_not_pressed_on(fake: FakeElasticsearch, destination: ElasticsearchDestination) -> None:  # noqa: F811
    fake.faults = [(413, {}, {}), None, failure(503, "busy")]
    sent = destination.send(lines(4))
    assert sent.retry == lines(4)[2:]
    fake.faults = [(413, {}, {}), failure(503, "busy")]
    assert destination.send(lines(4)).retry == lines(4)
    assert fake.bulks == [4, 2, 2, 4, 2]


@pytest.mark.parametrize("status", [401, 403, 400, 404])
def test_whole_request_refused(fake: FakeElasticsearch, destination: ElasticsearchDestination, status: int) -> None:  # noqa: F811
    """The operator has to act: it raises with what is to be done, and all waits."""
    fake.faults = [failure(status, "security_exception", "no rights")]
    with pytest.raises(ElasticsearchError, match=rf"HTTP {status} security_exception: no rights"):
        destination.send(lines(1))


def test_an_answer_of_something_else(fake: FakeElasticsearch, destination: ElasticsearchDestination) -> None:  # noqa: F811
    fake.faults = [(200, {"hello": 1}, {})]
    with pytest.raises(ElasticsearchError, match="no answer of Elasticsearch's"):
        destination.send(lines(1))


def test_not_set_up(fake: FakeElasticsearch, destination: ElasticsearchDestination) -> None:  # noqa: F811
    """Without mappings events wait; with them they go, and it isn't asked again."""
    fake.mappings = {}
    with pytest.raises(ElasticsearchError, match="clues setup elasticsearch"):
        destination.send(lines(1))
    fake.mappings = {"properties": {"clues": {"properties": {"metadata": {"type": "flat_object"}}}}}
    destination.send(lines(1))
    asked = len(fake.requests)
    destination.send(lines(1))
    assert len(fake.requests) == asked + 1


def test_nobody_there(tmp_path: Path, kind: str) -> None:
    """The error names the place, not the password."""
    publisher = ElasticsearchPublisher(f"{kind}://me:secret@127.0.0.1:1", spool=tmp_path)
    destination = publisher.destination()
    with pytest.raises(UnreachableError, match=r"can't reach http://127\.0\.0\.1:1") as caught:
        destination.send(lines(1))
    assert "secret" not in str(caught.value)
    assert "secret" not in destination.name
    assert destination.name == publisher.name
    publisher.close()


def test_authorization(fake: FakeElasticsearch, tmp_path: Path, kind: str) -> None:  # noqa: F811
    """User and password of a URL, percent-encoded, reach the server; so does an API key."""
    host = fake.url.removeprefix("http://")
    for text, header in [
        (f"{kind}://me:p%40ss@{host}?spool={tmp_path}/1", f"Basic {base64.b64encode(b'me:p@ss').decode()}"),
        (f"{kind}://{host}?api_key=abc&spool={tmp_path}/2", "ApiKey abc"),
    ]:
        fake.authorization = header
        publisher = ElasticsearchPublisher.from_url(urlsplit(text))
        destination = publisher.destination()
        assert destination.send(lines(1)) == Sent([], [])
        destination.close()
        publisher.close()


def test_user_in_the_url(fake: FakeElasticsearch, tmp_path: Path, kind: str) -> None:  # noqa: F811
    """In code a URL may name user and password too."""
    fake.authorization = f"Basic {base64.b64encode(b'me:p@ss').decode()}"
    url = f"{kind}+{fake.url}".replace("//", "//me:p%40ss@")
    publisher = ElasticsearchPublisher(url, spool=tmp_path)
    destination = publisher.destination()
    assert destination.send(lines(1)) == Sent([], [])
    destination.close()
    publisher.close()


def test_clients_of_ones_own(fake: FakeElasticsearch, tmp_path: Path, kind: str) -> None:  # noqa: F811
    library = pytest.importorskip({"elasticsearch": "elasticsearch", "opensearch": "opensearchpy"}[kind])
    fake.authorization = f"Basic {base64.b64encode(b'a:b').decode()}"
    auth = {"basic_auth": ("a", "b")} if kind == "elasticsearch" else {"http_auth": ("a", "b")}
    client = getattr(library, {"elasticsearch": "Elasticsearch", "opensearch": "OpenSearch"}[kind])(
        [fake.url], http_compress=True, **auth
    )
    publisher = ElasticsearchPublisher(client, namespace="own", spool=tmp_path)
    assert publisher.name == f"elasticsearch:{fake.url}/logs-clues.events-own"
    destination = publisher.destination()
    assert destination.send(lines(1)) == Sent([], [])
    destination.close()
    publisher.close()
    with pytest.raises(ConfigError, match="say it to the client"):
        ElasticsearchPublisher(client, api_key="x", spool=tmp_path)


def test_several_hosts(fake: FakeElasticsearch, tmp_path: Path, kind: str) -> None:  # noqa: F811
    """One that is down costs a batch a turn, not its events."""
    publisher = ElasticsearchPublisher([f"{kind}://127.0.0.1:1", f"{kind}+{fake.url}"], spool=tmp_path)
    destination = publisher.destination()
    for _ in range(4):
        try:
            destination.send(lines(2))
        except UnreachableError:
            continue
    assert len(fake.documents) == 2
    destination.close()
    publisher.close()


def test_dated_index(fake: FakeElasticsearch, tmp_path: Path) -> None:  # noqa: F811
    url = f"elasticsearch+{fake.url}/?index=jobs&dated=true&spool={tmp_path}"
    publisher = ElasticsearchPublisher.from_url(urlsplit(url))
    destination = publisher.destination()
    assert destination.name.endswith("/jobs-*")
    destination.send(lines(1))
    assert {index for index, _ in fake.documents} == {"jobs-2026.11.20"}
    destination.close()
    publisher.close()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("elasticsearch://", "needs a host"),
        ("elasticsearch://h?colour=red", "knows no option colour"),
        ("elasticsearch://h?namespace=a-b", "namespace must be lower case"),
        ("elasticsearch://h?namespace=A", "namespace must be lower case"),
        ("elasticsearch://h?index=_x", "index must be lower case"),
        ("elasticsearch://h?index=a*", "index must be lower case"),
        ("elasticsearch://h?timeout=long", "timeout"),
        ("elasticsearch://h?timeout=0", "timeout"),
        ("elasticsearch://h?chart=.", "chart"),
        ("ftp://h", "must be a URL"),
    ],
)
def test_mistaken_urls(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ElasticsearchPublisher.from_url(urlsplit(text))


def test_mistaken_targets(tmp_path: Path) -> None:
    for target in (None, 5, object(), ["localhost"], [1]):
        with pytest.raises(ConfigError):
            ElasticsearchPublisher(target, spool=tmp_path)


def test_places() -> None:
    """One cluster has one name, however it is written, without user and password."""
    names = [Server.of(text).place for text in ("elasticsearch://a:b@es", "http://es:9200", "elasticsearch+http://es")]
    assert names == ["http://es:9200"] * 3
    assert Server.of(["https://b:1/x", "https://a:1"]).place == "https://a:1,https://b:1/x"
    assert Server.of("http://[::1]").place == "http://[::1]:9200"
    assert Server.of(None, cloud_id="mine:abc").place == "cloud:mine:abc"


def test_refusals_hold_the_line_whole(fake: FakeElasticsearch, destination: ElasticsearchDestination) -> None:  # noqa: F811
    """What goes to the dead letter can be sent again: it is the event's line."""
    fake.item = lambda _fields: item_failure(400, "illegal_argument_exception", "x" * 1000)
    [refusal] = destination.send(lines(1)).refused
    assert isinstance(refusal, Refusal)
    assert json.loads(refusal.line)["args"] == [0]
    assert len(refusal.reason) <= 300


def test_by_way_of_the_journal(fake: FakeElasticsearch, tmp_path: Path, kind: str) -> None:  # noqa: F811
    """What is published is delivered by the shipper."""
    publisher = ElasticsearchPublisher(f"{kind}+{fake.url}", spool=tmp_path, flush_timeout=30)
    for number in range(20):
        publisher.publish(event(number))
    assert publisher.flush(30)
    assert sorted(map(number_of, fake.documents.values())) == list(range(20))
    publisher.close()


def test_missing_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is said when clues is configured, with what to install."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    for scheme, extra in [("http", "elasticsearch"), ("opensearch", "opensearch")]:
        with pytest.raises(ConfigError, match=rf"pip install 'clues\[{extra}\]'"):
            ElasticsearchPublisher(f"{scheme}://localhost", spool=tmp_path)
