"""A connection over gRPC.

gRPC's C core hooks into each `fork` of a process that has a channel, to make it fit for use in the child, and ends
parent or child by SIGABRT or SIGSEGV when a thread is in it meanwhile (grpc/grpc#32992, #43055). Children of ours don't
touch it: so that is off, unless the environment says that it is wanted.
"""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path
from typing import Any

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # it is read as gRPC begins

import grpc
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from clues.publishers.delivery import with_advice
from clues.publishers.otlp_answers import ADVICE, Answer, Verdict
from clues.publishers.otlp_partial import taken
from clues.publishers.otlp_settings import Target

_SERVICES: dict[str, tuple[str, Any]] = {
    "logs": ("logs.v1.LogsService", ExportLogsServiceResponse),
    "traces": ("trace.v1.TraceService", ExportTraceServiceResponse),
    "metrics": ("metrics.v1.MetricsService", ExportMetricsServiceResponse),
}
_AGAIN = {
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DATA_LOSS,
    # Of these OTLP would drop the data. It is the settings that are wrong: it waits until they are put right.
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNIMPLEMENTED,
}
_OPTIONS = [
    ("grpc.max_reconnect_backoff_ms", 5000),  # two minutes otherwise; the shipper has a back-off of its own
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.primary_user_agent", "clues"),
]
# As gRPC in C++, Go and Java says that a message is larger than the server takes.
_OVERSIZE = re.compile(r"larger than max|exceeds maximum|too large", re.IGNORECASE)
_UNTRUSTED = re.compile(r"CERTIFICATE_VERIFY_FAILED.*", re.DOTALL)
_GRACE = 0.5  # seconds after which a call that has not kept its own deadline is given up


class GrpcLine:
    """One signal's channel."""

    def __init__(self, target: Target) -> None:
        """Prepare; it connects with the first request.

        Raises:
            OSError: a certificate can't be read.
        """
        service, response = _SERVICES[target.signal]
        self._target = target
        self._channel = _channel(target)
        self._call = self._channel.unary_unary(
            f"/opentelemetry.proto.collector.{service}/Export",
            request_serializer=bytes,
            response_deserializer=response.FromString,
        )
        self._metadata = tuple(target.headers.items())
        self._compression = grpc.Compression.Gzip if target.gzip else None

    def export(self, request: bytes, timeout: float) -> Answer:
        """Send a request and wait for the answer, so many seconds at most."""
        done = threading.Event()
        call = self._call.future(request, timeout=timeout, metadata=self._metadata, compression=self._compression)
        call.add_done_callback(lambda _: done.set())
        if not done.wait(timeout + _GRACE):
            call.cancel()
            return Answer(Verdict.AGAIN, f"{self._target.place}: no answer within {timeout:.1f} s")
        if call.code() is grpc.StatusCode.OK:
            return taken(call.result(), self._target.place)
        return self._failed(call)

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def _failed(self, call: Any) -> Answer:
        code, details = call.code(), str(call.details() or "")
        problem = with_advice(f"{self._target.place}: {code.name} {_core(details)[:200]}".strip(), ADVICE)
        retry_after = _retry_after(call.trailing_metadata())
        if code in _AGAIN:
            return Answer(Verdict.AGAIN, problem, retry_after)
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
            # Without a delay OTLP would drop the data, but so a Collector passes on that its own back end is busy.
            return Answer(Verdict.TOO_LARGE if _OVERSIZE.search(details) else Verdict.AGAIN, problem, retry_after)
        return Answer(Verdict.REFUSED, problem)


def _channel(target: Target) -> grpc.Channel:
    options = list(_OPTIONS)
    if not target.port:
        return grpc.insecure_channel(f"unix:{target.host}", options=options)
    host = f"[{target.host}]" if ":" in target.host else target.host
    address = f"{host}:{target.port}"
    if not target.tls:
        return grpc.insecure_channel(address, options=options)
    credentials = grpc.ssl_channel_credentials(
        _bytes(target.certificate), _bytes(target.client_key), _bytes(target.client_certificate)
    )
    return grpc.secure_channel(address, credentials, options=options)


def _core(details: str) -> str:
    """What is at the bottom of an error that was passed on: gRPC tells of each address, and then of each layer."""
    found = _UNTRUSTED.search(details)
    return found[0] if found else details


def _bytes(path: str) -> bytes | None:
    return Path(path).read_bytes() if path else None


def _retry_after(trailing: Any) -> float | None:
    for key, value in trailing or ():
        if key != "grpc-status-details-bin":
            continue
        try:
            details = Status.FromString(value).details
            for detail in details:
                info = RetryInfo()
                if detail.Is(RetryInfo.DESCRIPTOR) and detail.Unpack(info):
                    return max(0.0, float(info.retry_delay.seconds + info.retry_delay.nanos / 1e9))
        except Exception:  # noqa: BLE001 - a server's malformed hint
            return None
    return None
