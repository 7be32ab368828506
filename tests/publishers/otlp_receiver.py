"""Receivers of OTLP, over gRPC and HTTP, that record what they get, and fail as they are told."""

from __future__ import annotations

import gzip
import json
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

os.environ.setdefault(
    "GRPC_ENABLE_FORK_SUPPORT", "0"
)  # tests fork beside a server; clues.publishers.otlp_grpc says why

import grpc
from google.protobuf.any_pb2 import Any as Packed
from google.rpc import code_pb2, error_details_pb2, status_pb2
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from clues.publishers.otlp import OTLPPublisher

Make = Callable[..., Any]
"""Makes the destination of a receiver, with options of the publisher."""

SERVICES: dict[str, tuple[str, Any, Any]] = {
    "logs": (
        "opentelemetry.proto.collector.logs.v1.LogsService",
        logs_service_pb2.ExportLogsServiceRequest,
        logs_service_pb2.ExportLogsServiceResponse,
    ),
    "traces": (
        "opentelemetry.proto.collector.trace.v1.TraceService",
        trace_service_pb2.ExportTraceServiceRequest,
        trace_service_pb2.ExportTraceServiceResponse,
    ),
    "metrics": (
        "opentelemetry.proto.collector.metrics.v1.MetricsService",
        metrics_service_pb2.ExportMetricsServiceRequest,
        metrics_service_pb2.ExportMetricsServiceResponse,
    ),
}
PARTIAL = {"logs": "rejected_log_records", "traces": "rejected_spans", "metrics": "rejected_data_points"}


@dataclass
class Fail:
    """One answer that is no plain success.

    Attributes:
        code: a status of gRPC, or of HTTP; OK or 200 with `rejected`.
        message: what it says.
        retry_after: the delay it asks for, in seconds for RetryInfo, or as the header's text.
        rejected: how many records it says it left out.
    """

    code: Any
    message: str = "as told"
    retry_after: Any = None
    rejected: int = 0


@dataclass
class Got:
    """One request.

    Attributes:
        signal: ``logs``, ``traces`` or ``metrics``.
        message: decoded.
        headers: names in lower case.
        path: of HTTP.
    """

    signal: str
    message: Any
    headers: dict[str, str]
    path: str = ""


@dataclass
class Receiver:
    """What both kinds have in common.

    Attributes:
        got: all requests, failed ones too.
        taken: those answered with success.
        fails: by signal, the answers to come before success.
        answering: cleared, requests are not answered.
    """

    protocol: str = ""
    endpoint: str = ""
    got: list[Got] = field(default_factory=list)
    taken: list[Got] = field(default_factory=list)
    fails: dict[str, deque[Fail]] = field(default_factory=lambda: {signal: deque() for signal in SERVICES})
    answering: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.answering.set()

    def fail(self, signal: str, *fails: Fail) -> None:
        """Answer the next requests of a signal so."""
        self.fails[signal].extend(fails)

    def next_fail(self, got: Got) -> Fail | None:
        """Record a request; gives what is wrong with it."""
        self.got.append(got)
        self.answering.wait(30)
        fail = self.fails[got.signal].popleft() if self.fails[got.signal] else None
        if fail is None or fail.rejected:
            self.taken.append(got)
        return fail

    def of(self, signal: str) -> list[Any]:
        """The messages of a signal that were taken."""
        return [got.message for got in list(self.taken) if got.signal == signal]

    def logs(self) -> list[Any]:
        """All log records that were taken."""
        return [
            record
            for message in self.of("logs")
            for resource in message.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]

    def spans(self) -> list[Any]:
        """All spans that were taken."""
        return [
            span
            for message in self.of("traces")
            for resource in message.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def metrics(self, which: int = -1) -> dict[str, Any]:
        """The metrics of an export, by name; the last one's if not told."""
        (resource,) = self.of("metrics")[which].resource_metrics
        (scope,) = resource.scope_metrics
        found = {metric.name: metric for metric in scope.metrics}
        assert len(found) == len(scope.metrics)
        return found


def values(attributes: Any) -> dict[str, Any]:
    """Attributes as a dictionary; no key is there twice."""
    found = {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}
    assert len(found) == len(attributes)
    return found


def by_labels(points: Any, *names: str) -> dict[tuple[Any, ...], Any]:
    """A metric's points by some of their labels."""
    found = {tuple(values(point.attributes).get(name) for name in names): point for point in points}
    assert len(found) == len(points)
    return found


def grpc_receiver(credentials: grpc.ServerCredentials | None = None) -> Iterator[Receiver]:
    """A receiver over gRPC, until the caller goes on."""
    receiver = Receiver("grpc")
    server = grpc.server(ThreadPoolExecutor(8))
    for signal, (name, request, response) in SERVICES.items():
        server.add_generic_rpc_handlers((_handler(receiver, signal, name, request, response),))
    if credentials is None:
        receiver.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    else:
        receiver.endpoint = f"https://localhost:{server.add_secure_port('localhost:0', credentials)}"
    server.start()
    try:
        yield receiver
    finally:
        receiver.answering.set()
        server.stop(0).wait(10)


def http_receiver(context: Any = None) -> Iterator[Receiver]:
    """A receiver over HTTP, until the caller goes on."""
    receiver = Receiver("http/protobuf")

    class Handler(_HttpHandler):
        recording = receiver

    server = _HttpServer(("127.0.0.1", 0), Handler)
    scheme = "http"
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    receiver.endpoint = f"{scheme}://{'localhost' if context else '127.0.0.1'}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.answering.set()
        server.shutdown()
        server.server_close()
        thread.join(10)


def _handler(receiver: Receiver, signal: str, name: str, request: Any, response: Any) -> Any:
    def export(message: Any, context: Any) -> Any:
        headers = {key: str(value) for key, value in context.invocation_metadata()}
        fail = receiver.next_fail(Got(signal, message, headers))
        if fail is None:
            return response()
        if fail.rejected:
            return _partly(signal, response, fail)
        if fail.retry_after is not None:
            context.set_trailing_metadata((("grpc-status-details-bin", _with_delay(fail)),))
        context.abort(fail.code, fail.message)
        return None

    method = grpc.unary_unary_rpc_method_handler(export, request.FromString, response.SerializeToString)
    return grpc.method_handlers_generic_handler(name, {"Export": method})


def _partly(signal: str, response: Any, fail: Fail) -> Any:
    answer = response()
    setattr(answer.partial_success, PARTIAL[signal], fail.rejected)
    answer.partial_success.error_message = fail.message
    return answer


def _with_delay(fail: Fail) -> bytes:
    info = error_details_pb2.RetryInfo()
    info.retry_delay.FromMilliseconds(int(fail.retry_after * 1000))
    packed = Packed()
    packed.Pack(info)
    status = status_pb2.Status(code=code_pb2.RESOURCE_EXHAUSTED, message=fail.message, details=[packed])
    found: bytes = status.SerializeToString()
    return found


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: clients that give up are what is tested."""


class _HttpHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    recording: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        signal = self.path.partition("?")[0].rpartition("/")[2]
        _, request, response = SERVICES[signal]
        headers = {key.lower(): value for key, value in self.headers.items()}
        fail = self.recording.next_fail(Got(signal, request.FromString(body), headers, self.path))
        if fail is None:
            self._answer(200, response().SerializeToString())
        elif fail.rejected:
            self._answer(200, _partly(signal, response, fail).SerializeToString())
        elif fail.code == "json":
            self._answer(200, json.dumps({"partialSuccess": {}}).encode(), kind="application/json")
        else:
            status = status_pb2.Status(message=fail.message).SerializeToString()
            self._answer(fail.code, status, retry_after=fail.retry_after)

    def _answer(
        self, code: int, body: bytes, *, kind: str = "application/x-protobuf", retry_after: str | None = None
    ) -> None:
        self.send_response(code)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        if retry_after is not None:
            self.send_header("retry-after", retry_after)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class' name
        """Nothing: tests look at what was recorded."""


@contextmanager
def destinations(**options: Any) -> Iterator[Make]:
    """Makes destinations, which have these options in common, and closes them in the end."""
    with ExitStack() as made:

        def make(receiver: Receiver, **more: Any) -> Any:
            given = {"service_name": "shop"} | options | more
            publisher = OTLPPublisher(receiver.endpoint, protocol=receiver.protocol, **given)
            made.enter_context(closing(publisher))
            destination: Any = publisher.destination()
            return made.enter_context(closing(destination))

        yield make
