"""Where each signal goes, and how: from arguments, then OpenTelemetry's environment variables, then its defaults."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from clues.errors import ConfigError

GRPC, HTTP = "grpc", "http/protobuf"
SIGNALS = ("logs", "traces", "metrics")
TIMEOUT = 10.0

_PREFIX = "OTEL_EXPORTER_OTLP_"
_PORTS = {GRPC: 4317, HTTP: 4318}
_GRPC_SCHEMES = {"": None, "http": False, "grpc": False, "unix": False, "https": True, "grpcs": True}
_YES, _NO = {"1", "true", "yes", "on"}, {"", "0", "false", "no", "off"}


@dataclass(frozen=True, slots=True)
class Options:
    """What was given as arguments; None where the environment decides.

    Attributes:
        endpoint: URL, or ``host:port`` for gRPC; for HTTP ``/v1/<signal>`` is added.
        protocol: ``grpc`` or ``http/protobuf``.
        headers: sent with each request.
        insecure: whether a gRPC endpoint without a scheme is spoken to without TLS.
        certificate: file of the authority that the back end's certificate is checked with.
        timeout: seconds for one request.
    """

    endpoint: str | None = None
    protocol: str | None = None
    headers: Mapping[str, str] | None = None
    insecure: bool | None = None
    certificate: str | os.PathLike[str] | None = None
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """Where one signal goes.

    Attributes:
        signal: ``logs``, ``traces`` or ``metrics``.
        protocol: ``grpc`` or ``http/protobuf``.
        host: its name, or a path for Unix sockets of gRPC.
        port: its port; 0 for a Unix socket.
        path: of HTTP.
        tls: whether the connection is encrypted.
        timeout: seconds for one request.
        gzip: whether requests are compressed.
        headers: sent with each request; names in lower case.
        certificate: file of the authority to trust, or empty for the system's.
        client_certificate: file of our own certificate, or empty.
        client_key: file of its key, or empty.
    """

    signal: str
    protocol: str
    host: str
    port: int
    path: str
    tls: bool
    timeout: float
    gzip: bool
    headers: Mapping[str, str] = field(repr=False)  # they hold tokens
    certificate: str = ""
    client_certificate: str = ""
    client_key: str = ""

    @property
    def place(self) -> str:
        """The place in words, without secrets: ``grpc://collector:4317``, ``https://host:4318/v1/logs``."""
        scheme = ("grpc" if self.protocol == GRPC else "http") + "s" * self.tls
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}{self.path}" if self.port else f"{scheme}+unix://{self.host}"


def target(signal: str, options: Options, environ: Mapping[str, str] = os.environ) -> Target:
    """Where a signal goes.

    Raises:
        ConfigError: an option or a variable is mistaken.
    """
    variables = _Variables(signal, environ)
    protocol = options.protocol or variables.text("PROTOCOL") or GRPC
    if protocol not in _PORTS:
        msg = f"the protocol of OTLP must be {GRPC} or {HTTP}, not {protocol!r}"
        raise ConfigError(msg)
    own = environ.get(f"{_PREFIX}{signal.upper()}_ENDPOINT", "").strip() if options.endpoint is None else ""
    general = options.endpoint or environ.get(f"{_PREFIX}ENDPOINT", "").strip() or _default(protocol)
    compression = variables.text("COMPRESSION") or "none"
    if compression not in {"none", "gzip"}:
        msg = f"{_PREFIX}COMPRESSION must be gzip or none, not {compression!r}"
        raise ConfigError(msg)
    found = Target(
        signal=signal,
        protocol=protocol,
        host="",
        port=0,
        path="",
        tls=False,
        timeout=_timeout(options.timeout, variables),
        gzip=compression == "gzip",
        headers=_headers(options.headers, variables),
        certificate=_file(options.certificate or variables.text("CERTIFICATE")),
        client_certificate=_file(variables.text("CLIENT_CERTIFICATE")),
        client_key=_file(variables.text("CLIENT_KEY")),
    )
    insecure = options.insecure if options.insecure is not None else variables.flag("INSECURE")
    if protocol == GRPC:
        return _over_grpc(found, own or general, insecure=insecure)
    return _over_http(found, own, general)


def _default(protocol: str) -> str:
    return f"http://localhost:{_PORTS[protocol]}"


def _over_grpc(found: Target, endpoint: str, *, insecure: bool) -> Target:
    if endpoint.startswith("unix:"):
        return replace(found, host=endpoint.removeprefix("unix:").replace("//", "", 1))
    url = _url(endpoint if "://" in endpoint else f"//{endpoint}")
    if url.scheme not in _GRPC_SCHEMES or not url.hostname:
        raise _mistaken(endpoint)
    secure = _GRPC_SCHEMES[url.scheme]
    tls = (not insecure) if secure is None else secure
    return replace(found, host=url.hostname, port=url.port or _PORTS[GRPC], tls=tls)


def _over_http(found: Target, own: str, general: str) -> Target:
    url = _url(own or general)
    if url.scheme not in {"http", "https"} or not url.hostname:
        raise _mistaken(own or general)
    path = url.path or "/" if own else f"{url.path.rstrip('/')}/v1/{found.signal}"
    if url.query:
        path += f"?{url.query}"
    tls = url.scheme == "https"
    return replace(found, host=url.hostname, port=url.port or (443 if tls else 80), path=path, tls=tls)


def _url(text: str) -> SplitResult:
    try:
        url = urlsplit(text)
        _ = url.port  # raises where it is none
    except ValueError:
        raise _mistaken(text) from None
    return url


def _mistaken(endpoint: str) -> ConfigError:
    shown = endpoint.rpartition("@")[2][:100]  # what stands before an @ may be a password
    return ConfigError(f"{shown!r} is no endpoint for OTLP such as http://localhost:4317 or https://collector:4318")


def _headers(given: Mapping[str, str] | None, variables: _Variables) -> dict[str, str]:
    found = dict(given) if given is not None else header_list(variables.text("HEADERS"))
    for name, value in found.items():
        if not _is_header(name, value):
            msg = f"the header {name!r} of OTLP must be printable ASCII"
            raise ConfigError(msg)
    return {name.lower(): value for name, value in found.items()}


def _is_header(name: object, value: object) -> bool:
    if not (isinstance(name, str) and isinstance(value, str)):
        return False
    return name.isascii() and name.isprintable() and value.isascii() and value.isprintable()


def header_list(text: str) -> dict[str, str]:
    """Headers from the environment's spelling, ``name=value,name=value``, percent-encoded.

    Raises:
        ConfigError: it is not spelled so.
    """
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    if any(not (equals and name.strip()) for name, equals, _ in pairs):
        msg = f"{_PREFIX}HEADERS must be name=value,name=value, percent-encoded"
        raise ConfigError(msg)
    return {unquote(name.strip()): unquote(value.strip()) for name, _, value in pairs}


def _timeout(given: float | None, variables: _Variables) -> float:
    found = given if given is not None else variables.text("TIMEOUT") or TIMEOUT
    try:
        seconds = float(found)
    except (TypeError, ValueError):
        seconds = -1.0
    if not (seconds > 0 and math.isfinite(seconds)):
        msg = f"the timeout of OTLP must be a number of seconds, not {found!r}"
        raise ConfigError(msg)
    return seconds


def _file(given: str | os.PathLike[str]) -> str:
    path = os.fspath(given)
    if path and not Path(path).is_file():
        msg = f"the certificate or key {path} for OTLP is no file"
        raise ConfigError(msg)
    return path


class _Variables:
    """OpenTelemetry's variables for one signal: its own where it is set, else the one for all."""

    def __init__(self, signal: str, environ: Mapping[str, str]) -> None:
        self._signal = signal.upper()
        self._environ = environ

    def text(self, name: str) -> str:
        own = self._environ.get(f"{_PREFIX}{self._signal}_{name}", "").strip()
        return own or self._environ.get(f"{_PREFIX}{name}", "").strip()

    def flag(self, name: str) -> bool:
        text = self.text(name).lower()
        if text not in _YES | _NO:
            msg = f"{_PREFIX}{name} must be true or false, not {text!r}"
            raise ConfigError(msg)
        return text in _YES
