"""A connection over HTTP, kept open between requests, with one deadline for all of a request."""

from __future__ import annotations

import gzip
import http.client
import io
import socket
import ssl
import time
from email.utils import parsedate_to_datetime
from typing import Any, cast

from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from clues.publishers.delivery import with_advice
from clues.publishers.otlp_answers import ADVICE, Answer, Verdict
from clues.publishers.otlp_partial import taken
from clues.publishers.otlp_settings import Target

_RESPONSES: dict[str, Any] = {
    "logs": ExportLogsServiceResponse,
    "traces": ExportTraceServiceResponse,
    "metrics": ExportMetricsServiceResponse,
}
_AGAIN = {429, 502, 503, 504}
# Of these OTLP would drop the data. It is the settings that are wrong: it waits until they are put right.
_MISDIRECTED = {301, 302, 303, 307, 308, 401, 403, 404, 405, 407}
_TOO_LARGE = 413
_LONGEST_ANSWER = 1 << 20
_PART = 1 << 16


class HttpLine:
    """One signal's connection."""

    def __init__(self, target: Target) -> None:
        """Prepare; it connects with the first request.

        Raises:
            OSError: a certificate can't be read.
        """
        self._target = target
        self._tls = _tls(target) if target.tls else None
        self._connection: http.client.HTTPConnection | None = None
        self._sock: _DeadlineSocket | None = None
        self._headers = {"user-agent": "clues", **target.headers, "content-type": "application/x-protobuf"}
        if target.gzip:
            self._headers["content-encoding"] = "gzip"

    def export(self, request: bytes, timeout: float) -> Answer:
        """Send a request and wait for the answer, so many seconds at most."""
        body = gzip.compress(request, 6, mtime=0) if self._target.gzip else request
        deadline = time.monotonic() + timeout
        reused = self._connection is not None
        try:
            try:
                status, headers, text = self._post(body, deadline)
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                if not reused:
                    raise
                self.close()  # it was idle for too long; nothing was answered, so it is sent anew
                status, headers, text = self._post(body, deadline)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            said = f"no answer within {timeout:.1f} s" if isinstance(error, TimeoutError) else repr(error)[:200]
            return Answer(Verdict.AGAIN, with_advice(f"{self._target.place}: {said}", ADVICE))
        return self._judge(status, headers, text)

    def close(self) -> None:
        """Close the connection; a later request opens another."""
        connection, sock = self._connection, self._sock
        self._connection = self._sock = None
        if connection is not None:
            connection.close()
        if sock is not None:
            sock.end()

    def _post(self, body: bytes, deadline: float) -> tuple[int, http.client.HTTPMessage, bytes]:
        if self._connection is None or self._sock is None:
            self._sock = self._connect(deadline)
            self._connection = http.client.HTTPConnection(self._target.host, self._target.port)
            self._connection.sock = cast("socket.socket", self._sock)
        connection, self._sock.deadline = self._connection, deadline
        connection.request("POST", self._target.path, body, self._headers)
        with connection.getresponse() as response:
            text = response.read(_LONGEST_ANSWER)
            closing = response.will_close or bool(response.read(1))
        if closing:
            self.close()
        return response.status, response.headers, text

    def _connect(self, deadline: float) -> _DeadlineSocket:
        target = self._target
        plain = socket.create_connection((target.host, target.port), _left(deadline))
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                plain.settimeout(_left(deadline))
                plain = self._tls.wrap_socket(plain, server_hostname=target.host)
        except BaseException:
            plain.close()
            raise
        return _DeadlineSocket(plain, deadline)

    def _judge(self, status: int, headers: http.client.HTTPMessage, text: bytes) -> Answer:
        place = self._target.place
        if status in {200, 202, 204}:
            return self._taken(text)
        problem = f"{place}: HTTP {status} {_said(headers, text)}".strip()
        if status == _TOO_LARGE:
            return Answer(Verdict.TOO_LARGE, problem)
        if status in _AGAIN or status in _MISDIRECTED:
            return Answer(Verdict.AGAIN, problem, _retry_after(headers.get("retry-after")))
        return Answer(Verdict.REFUSED, problem)

    def _taken(self, text: bytes) -> Answer:
        try:
            return taken(_RESPONSES[self._target.signal].FromString(text), self._target.place)
        except DecodeError:  # JSON, or a proxy's own words; what counts is that it took it
            return Answer(Verdict.TAKEN)


class _DeadlineSocket:
    """A socket whose sends and reads together keep one deadline, however slowly the other side drips."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self.deadline = deadline

    def sendall(self, data: bytes) -> None:
        view = memoryview(data)
        while view:  # in parts, for over TLS each of them has the timeout to itself
            self._sock.settimeout(_left(self.deadline))
            self._sock.sendall(view[:_PART])
            view = view[_PART:]

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_DeadlineReader(self._sock, self.deadline))

    def close(self) -> None:
        """Nothing: the client calls it when the answer's body is still to be read."""

    def end(self) -> None:
        self._sock.close()


class _DeadlineReader(io.RawIOBase):
    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(_left(self._deadline))
        return self._sock.recv_into(buffer)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _tls(target: Target) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=target.certificate or None)
    if target.client_certificate:
        context.load_cert_chain(target.client_certificate, target.client_key or None)
    return context


def _said(headers: http.client.HTTPMessage, text: bytes) -> str:
    """The reason in an answer's body."""
    if "protobuf" in headers.get("content-type", ""):
        try:
            return str(Status.FromString(text).message)[:200]
        except DecodeError:
            return ""
    return " ".join(text[:200].decode("utf-8", "replace").split())


def _retry_after(text: str | None) -> float | None:
    if not text:
        return None
    if text.strip().isdecimal():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
