"""What back ends answer, or who stands in their place; see `tests.fuzz.targets`."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from http.client import HTTPMessage

from clues.errors import CluesError
from clues.publishers.elasticsearch_bulk import ElasticsearchDestination, ElasticsearchError
from clues.publishers.elasticsearch_client import Answer
from clues.publishers.elasticsearch_documents import Target as Index
from clues.publishers.elasticsearch_setup import set_up
from clues.publishers.otlp_http import HttpLine, _DeadlineSocket
from clues.publishers.otlp_settings import Target as OTLP
from tests.fuzz.hostile import event, line
from tests.fuzz.registry import target, text_of

_STREAM = Index("logs-clues.events-default", namespace="default")
_OTLP = OTLP("logs", "http/protobuf", "localhost", 4318, "/v1/logs", tls=False, timeout=1.0, gzip=False, headers={})
_LINE = HttpLine(_OTLP)


@target
def answers(data: bytes) -> None:
    """What a back end answers: a verdict that courier and shipper know, and words that are short and steer nothing."""
    headers = HTTPMessage()
    for name in ("retry-after", "content-type"):
        headers[name] = data[:60].decode("latin-1").replace("\r", " ").replace("\n", " ")
    for status in (200, 400, 413, 429, 503, 999):
        answer = _LINE._judge(status, headers, data)
        assert len(answer.problem) < 500
        assert answer.retry_after is None or answer.retry_after >= 0


class _Peer(HttpLine):
    """A line whose other side has said all that it will."""

    def __init__(self, said: bytes) -> None:
        super().__init__(_OTLP)
        self._said = said
        self._ends: list[socket.socket] = []

    def _connect(self, deadline: float) -> _DeadlineSocket:
        ours, theirs = socket.socketpair()
        self._ends += (ours, theirs)
        theirs.sendall(self._said)
        theirs.shutdown(socket.SHUT_WR)
        return _DeadlineSocket(ours, deadline)

    def end(self) -> None:
        self.close()
        for end in self._ends:
            end.close()


@target
def http_answers(data: bytes) -> None:
    """Bytes where an OTLP back end's answer over HTTP should be, its head included."""
    for said in (
        data,
        b"HTTP/1.1 " + data,
        b"HTTP/1.1 200 OK\r\n" + data,
        b"HTTP/1.1 503 OK\r\nretry-after: " + data,
        b"HTTP/1.1 400 OK\r\ntransfer-encoding: chunked\r\n\r\n" + data,
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\ncontent-type: application/x-protobuf\r\n\r\n" + data,
    ):
        peer = _Peer(said)
        answer = peer.export(b"x", 1.0)
        peer.end()
        assert len(answer.problem) < 500
        assert answer.retry_after is None or answer.retry_after >= 0


class _Cluster:
    """One that answers everything with the same."""

    place = "http://search:9200"

    def __init__(self, status: int, body: object, headers: dict[str, str]) -> None:
        self.answer = Answer(status, body, headers)

    def ask(self, *_args: object, **_options: object) -> Answer:
        return self.answer

    def close(self) -> None:
        """Nothing."""


def _json(data: bytes) -> object:
    """JSON as a client library would have it, or the text."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return text_of(data)


def _bulk_answers(found: object) -> Iterator[object]:
    """Answers to a bulk request that have something of it in some place."""
    yield found
    yield {"errors": True, "items": found}
    error = {"type": found, "reason": found, "caused_by": found}
    for told in ({"status": found}, {"status": 400, "error": found}, {"status": 400, "error": error}):
        yield {"errors": True, "items": [{"create": told}]}
    yield {"errors": True, "items": [{"create": found}]}
    yield {"errors": True, "items": [found]}


@target
def bulk_answers(data: bytes) -> None:
    """What Elasticsearch or OpenSearch answers: each event is delivered, refused or kept, or it is no answer."""
    told = line(event(1))
    headers = {"retry-after": data[:60].decode("latin-1")}
    for body in _bulk_answers(_json(data)):
        for status in (200, 400, 403, 413, 429, 503):
            said = ""
            try:
                sent = ElasticsearchDestination(_Cluster(status, body, headers), _STREAM).send([told])
            except ElasticsearchError as error:
                said = str(error)
            else:
                assert len(sent.retry) + len(sent.refused) <= 1
                said = sent.problem + "".join(refusal.reason for refusal in sent.refused)
            assert len(said) < 500


@target
def setup_answers(data: bytes) -> None:
    """What a cluster answers to its setup."""
    found = _json(data)
    there = [{"index_template": found, "component_template": found}]
    templates = {"index_templates": there, "component_templates": there, "policy": found}
    for body in (found, {"version": {"number": "8.15.0", "distribution": found}, **templates}):
        with contextlib.suppress(CluesError):
            list(set_up(_Cluster(200, body, {"x-elastic-product": "Elasticsearch"}), _STREAM, delete_after="3d"))
