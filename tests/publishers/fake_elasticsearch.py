"""A strict Elasticsearch in this process: it takes bulk requests as the real one documents them, or fails as told."""

from __future__ import annotations

import contextlib
import gzip
import json
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

Answer = tuple[int, dict[str, Any], dict[str, str]]
Item = tuple[int, dict[str, Any]]

MAPPED = {"properties": {"clues": {"properties": {"metadata": {"type": "flattened"}}}}}


@dataclass
class FakeElasticsearch:
    """What it has, what it was asked, and how it is to answer.

    Attributes:
        documents: by index and id.
        requests: method and path of each request.
        bulks: the number of documents of each bulk request.
        faults: answers to the next bulk requests, None for the usual one.
        item: what becomes of a document, by its fields; None for the usual.
        max_bytes: larger bulk requests, unzipped, are refused with 413.
        mappings: what indices that are still to come will have.
        templates: what was put, by path.
        ilm: whether there is index lifecycle management.
        authorization: the header that is wanted.
    """

    documents: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    bulks: list[int] = field(default_factory=list)
    faults: list[Answer | None] = field(default_factory=list)
    item: Callable[[dict[str, Any]], Item | None] = lambda _fields: None
    max_bytes: int = 100 * 1024 * 1024
    mappings: dict[str, Any] = field(default_factory=lambda: MAPPED)
    templates: dict[str, dict[str, Any]] = field(default_factory=dict)
    ilm: bool = True
    authorization: str | None = None
    url: str = ""

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        self.requests.append(f"{method} {path}")
        if self.authorization is not None and headers.get("authorization") != self.authorization:
            return 401, {"error": {"type": "security_exception", "reason": "missing authentication"}, "status": 401}, {}
        if path.startswith("/_bulk?filter_path="):
            return self._bulk(headers, body)
        if body and headers.get("content-type") != "application/json":
            return 406, {"error": f"Content-Type header [{headers.get('content-type')}] is not supported"}, {}
        return self._other(method, path, body)

    def _bulk(self, headers: dict[str, str], body: bytes) -> Answer:
        if headers.get("content-type") != "application/x-ndjson":
            return 406, {"error": f"Content-Type header [{headers.get('content-type')}] is not supported"}, {}
        if headers.get("content-encoding") != "gzip":
            return 400, {"error": "this fake wants gzip"}, {}
        if not body.endswith(b"\n"):
            return 400, {"error": {"type": "illegal_argument_exception", "reason": "must end with a newline"}}, {}
        if len(body) > self.max_bytes:
            return 413, {}, {}
        lines = body.split(b"\n")[:-1]
        self.bulks.append(len(lines) // 2)
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            return fault
        items = [self._create(json.loads(lines[at]), json.loads(lines[at + 1])) for at in range(0, len(lines), 2)]
        return 200, {"took": 1, "errors": any(part["create"]["status"] != 201 for part in items), "items": items}, {}

    def _create(self, action: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
        assert list(action) == ["create"]
        assert set(action["create"]) == {"_index", "_id"}
        assert "@timestamp" in fields
        place = (action["create"]["_index"], action["create"]["_id"])
        status, rest = self.item(fields) or ((409, _CONFLICT) if place in self.documents else (201, {}))
        if status == 201:
            self.documents[place] = fields
        return {"create": {**action["create"], "status": status, **rest}}

    def _other(self, method: str, path: str, body: bytes) -> Answer:
        if method == "PUT":
            self.templates[path] = json.loads(body)
            return 200, {"acknowledged": True}, {}
        if path == "/":
            return 200, {"version": {"number": "8.19.0"}}, {}
        if path.startswith("/_index_template/_simulate_index/"):
            return 200, {"template": {"mappings": self.mappings}}, {}
        if path == "/_ilm/status":
            return (200, {"operation_mode": "RUNNING"}, {}) if self.ilm else (400, {"error": "no handler found"}, {})
        if method == "GET" and path in self.templates:
            return 200, self._shown(path), {}
        return 404, {"error": {"type": "resource_not_found_exception"}}, {}

    def _shown(self, path: str) -> dict[str, Any]:
        kind, name = path[2:].split("/", maxsplit=1)[0], path.rpartition("/")[2]
        if kind == "ilm":
            return {name: {"version": 1, **self.templates[path]}}
        return {f"{kind[0:]}s": [{"name": name, kind: self.templates[path]}]}


_CONFLICT = {"error": {"type": "version_conflict_engine_exception", "reason": "document already exists"}}


def failure(status: int, kind: str, reason: str = "because", **headers: str) -> Answer:
    """An answer that refuses a whole request."""
    return status, {"error": {"type": kind, "reason": reason}, "status": status}, headers


def item_failure(status: int, kind: str, reason: str = "because") -> Item:
    """What becomes of a document that isn't taken."""
    return status, {"error": {"type": kind, "reason": reason}}


@pytest.fixture
def fake() -> Iterator[FakeElasticsearch]:
    """One that runs on loopback for a test."""
    with serving(FakeElasticsearch()) as served:
        yield served


@contextlib.contextmanager
def serving(served: FakeElasticsearch) -> Iterator[FakeElasticsearch]:
    """Have it run on loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, shape, extra = served.answer(self.command, self.path, headers, body)
            data = json.dumps(shape).encode()
            self.send_response(status)
            own = {"content-type": "application/json", "x-elastic-product": "Elasticsearch"}
            for name, value in {**own, **extra, "content-length": str(len(data))}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _do

        def log_message(self, *_args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            if not isinstance(sys.exception(), ConnectionError):  # a client that has gone
                super().handle_error(request, client_address)  # type: ignore[arg-type]

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
