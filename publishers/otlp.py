"""Logs, traces and metrics of jobs for OpenTelemetry, over OTLP."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar
from urllib.parse import SplitResult, unquote

from clues.errors import ConfigError
from clues.publishers.choice import Choice
from clues.publishers.delivery import Destination, needs
from clues.publishers.journal import JournalOptions
from clues.publishers.otlp_ids import style
from clues.publishers.otlp_propagator import TraceContext
from clues.publishers.otlp_resource import resource_attributes
from clues.publishers.otlp_settings import GRPC, HTTP, SIGNALS, Options, header_list, target
from clues.publishers.query import Reader, flag, seconds, text
from clues.publishers.shipped import FLUSH_TIMEOUT, SHIPPING, ShippedPublisher, shipping_options

_METRICS_INTERVAL = 15.0


class OTLPPublisher(ShippedPublisher):
    """Ships events as log records, as spans by the messaging conventions, and as metrics that are counted of them.

    What is left out comes from OpenTelemetry's environment variables (``OTEL_EXPORTER_OTLP_ENDPOINT``,
    ``OTEL_SERVICE_NAME`` and so on). No job's process imports a library of OpenTelemetry for it, let alone its SDK.

    Attributes:
        propagator: carries trace context in items, for `clues.configure`; None without traces: a job's own spans would
            have a parent that nobody exports.
    """

    url_options: ClassVar[Mapping[str, Reader]] = {
        "service_name": text,
        "headers": header_list,
        "insecure": flag,
        "certificate": text,
        "propagation_style": text,
        "logs": flag,
        "traces": flag,
        "metrics": flag,
        "metrics_interval": seconds,
        "timeout": seconds,
        **SHIPPING,
    }

    def __init__(  # noqa: PLR0913 - one parameter for each option
        self,
        endpoint: str | None = None,
        *,
        protocol: str | None = None,
        headers: Mapping[str, str] | None = None,
        insecure: bool | None = None,
        certificate: str | os.PathLike[str] | None = None,
        service_name: str | None = None,
        resource_attributes: Mapping[str, str | bool | int | float] | None = None,
        propagation_style: str = "link",
        logs: bool = True,
        traces: bool = True,
        metrics: bool = True,
        metrics_interval: float = _METRICS_INTERVAL,
        timeout: float | None = None,
        spool: str | os.PathLike[str] | None = None,
        events: Iterable[str] | None = None,
        sample: float = 1.0,
        flush_timeout: float = FLUSH_TIMEOUT,
        journal: JournalOptions | None = None,
    ) -> None:
        """Check the settings and make sure that the journal can be written.

        Args:
            endpoint: ``http://host:4317`` for gRPC, ``http://host:4318`` for HTTP (``/v1/logs`` and so on are added).
            protocol: ``grpc``, the default, or ``http/protobuf``.
            headers: sent with each request, for tokens.
            insecure: whether an endpoint without a scheme is spoken to without TLS.
            certificate: file of the authority that the back end's certificate is checked with.
            service_name: whose jobs these are; the same for all programs that share a spool.
            resource_attributes: what else is to be told of the service.
            propagation_style: what a job's process span is to the span that enqueued it: ``link``ed, in a trace of its
                own; its ``child``, in one trace; or ``none`` of both.
            logs: whether each event becomes a log record.
            traces: whether spans are made.
            metrics: whether events are counted; all of them, whatever `events` and `sample` say of logs and spans.
            metrics_interval: the least seconds between two exports of metrics.
            timeout: seconds for one request; 10 if the environment doesn't say.
            spool: the journal's folder.
            events: the event types to make logs and spans of; left out, all.
            sample: the share of jobs to make logs and spans of, from 0 to 1; failures always.
            flush_timeout: seconds that this process' exit may wait for delivery.
            journal: how the journal keeps events.

        Raises:
            ConfigError: an option or a variable is mistaken, or a library is missing (``clues[otlp]``).
        """
        wanted = dict(zip(SIGNALS, (logs, traces, metrics), strict=True))
        if not any(wanted.values()):
            msg = "OTLPPublisher has nothing to do with logs, traces and metrics all False"
            raise ConfigError(msg)
        if not metrics_interval >= 0:
            msg = f"metrics_interval must be a number of seconds, not {metrics_interval!r}"
            raise ConfigError(msg)
        options = Options(endpoint, protocol, headers, insecure, certificate, timeout)
        self._targets = {signal: target(signal, options) for signal, is_wanted in wanted.items() if is_wanted}
        self._resource = _resource(service_name, resource_attributes)
        self._style = style(propagation_style)
        self._chosen = Choice.of(events, sample)
        self._interval = float(metrics_interval)
        for found in self._targets.values():
            _check_libraries(found.protocol)
        self.propagator: TraceContext | None = TraceContext(self._style) if traces else None
        chosen = self._chosen.events
        super().__init__(
            f"otlp:{next(iter(self._targets.values())).place}",
            spool=spool,
            # All events are counted; which become logs and spans is chosen in the destination.
            events=None if metrics or chosen is None else [name.decode() for name in chosen],
            sample=1.0 if metrics else self._chosen.sample,
            flush_timeout=flush_timeout,
            journal=journal,
        )

    @classmethod
    def from_url(cls, url: SplitResult) -> OTLPPublisher:
        """``otlp://host:4317`` is gRPC, ``otlp+http://host:4318`` HTTP; ``otlps://``, ``otlp+https://`` are over TLS.

        Without a host, the environment says where. Options follow as a query:
        ``otlps://host:4317?service_name=shop&headers=api-key%3D123&traces=false``.

        Raises:
            ConfigError: the URL is mistaken.
        """
        given = shipping_options(url, cls.url_options)
        if headers := given.pop("headers", {}) | _credentials(url):
            given["headers"] = headers
        if "+http" in url.scheme:
            given["protocol"] = HTTP
        if url.hostname:
            given.setdefault("protocol", GRPC)
            given["endpoint"] = _endpoint(url, given)
        return cls(**given)

    def destination(self) -> Destination:
        """The destination; here OTLP's messages, and gRPC, are imported."""
        from clues.publishers.otlp_destination import OTLPDestination, Plan  # noqa: PLC0415 - in the shipper alone

        return OTLPDestination(
            Plan(
                name=self.name,
                targets=self._targets,
                resource=self._resource,
                place=str(self.outbox.journal.spool.folder),
                propagation=self._style,
                choice=self._chosen,
                metrics_interval=self._interval,
            )
        )


_resource = resource_attributes  # the parameter of the same name hides it


def _check_libraries(protocol: str) -> None:
    needs("opentelemetry.proto", "otlp", "OTLPPublisher")
    needs("google.rpc", "otlp", "OTLPPublisher")
    if protocol == GRPC:
        needs("grpc", "otlp", "OTLPPublisher over gRPC")


def _endpoint(url: SplitResult, given: dict[str, Any]) -> str:
    """The URL's place, as OpenTelemetry spells it; TLS if the scheme, a certificate or ``insecure=false`` says so."""
    tls = url.scheme.endswith("s") or "certificate" in given or given.get("insecure") is False
    if given.pop("insecure", False) and tls:
        msg = f"CLUES_PUBLISHERS: {url.scheme}:// with insecure=true contradicts itself"
        raise ConfigError(msg)
    place = url.netloc.rpartition("@")[2]
    if url.port is None and given["protocol"] == HTTP:
        place = f"{place.removesuffix(':')}:4318"
    return f"{'https' if tls else 'http'}://{place}{url.path}"


def _credentials(url: SplitResult) -> dict[str, str]:
    if not url.username and not url.password:
        return {}
    pair = f"{unquote(url.username or '')}:{unquote(url.password or '')}"
    return {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
