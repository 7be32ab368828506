"""Which cluster of Elasticsearch or OpenSearch, as the user says it, and the client that reaches it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import SplitResult, unquote

from clues.errors import ConfigError
from clues.publishers.delivery import needs
from clues.publishers.elasticsearch_client import AsIs, Client, ElasticsearchClient, OpenSearchClient
from clues.publishers.query import Reader, flag, seconds, text

ELASTICSEARCH, OPENSEARCH = "elasticsearch", "opensearch"
TIMEOUT = 10.0
_LIBRARIES = {ELASTICSEARCH: "elasticsearch", OPENSEARCH: "opensearchpy"}
_PORT = 9200

SERVER_OPTIONS: Mapping[str, Reader] = {
    "api_key": text,
    "ca_certs": text,
    "ssl_assert_fingerprint": text,
    "verify_certs": flag,
    "timeout": seconds,
}
"""The options in URLs that say how the cluster is reached."""


@dataclass(frozen=True, slots=True)
class Server:
    """Which cluster, and how to get there; it holds no connection, so it may be made before a fork.

    Attributes:
        kind: whose client library to use.
        hosts: URLs; empty with a cloud id, or a client of the user's own.
        options: the library's options.
        client: the user's own client.
        timeout: seconds to wait for an answer.
    """

    kind: str
    hosts: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    client: Any = None
    timeout: float = TIMEOUT

    @classmethod
    def of(cls, target: object, *, timeout: float = TIMEOUT, **options: Any) -> Self:
        """Take what a user gave: URLs or a client, and options of which None and True are the defaults.

        Raises:
            ConfigError: it is neither, or the library isn't installed.
        """
        if not timeout > 0:
            msg = f"timeout must be a number of seconds above 0, not {timeout!r}"
            raise ConfigError(msg)
        given = {name: value for name, value in options.items() if value is not None and value is not True}
        if target is not None and not isinstance(target, str | list | tuple):
            return cls(_kind_of(target, given), client=target, timeout=timeout)
        hosts = [target] if isinstance(target, str) else [*(target or ())]
        if not all(isinstance(host, str) for host in hosts) or bool(hosts) == ("cloud_id" in given):
            msg = "ElasticsearchPublisher takes URLs, or a client, or a cloud_id"
            raise ConfigError(msg)
        kind = OPENSEARCH if any(host.startswith(OPENSEARCH) for host in hosts) else ELASTICSEARCH
        needs(_LIBRARIES[kind], kind, "ElasticsearchPublisher")
        return cls(kind, tuple(map(_with_port, hosts)), given, timeout=timeout)

    @classmethod
    def from_url(cls, url: SplitResult, given: dict[str, Any]) -> Self:
        """Read ``elasticsearch+https://user:pass@host:9200/``.

        Args:
            url: the URL; plain ``http`` and ``https`` mean Elasticsearch.
            given: the options in its query; those of `SERVER_OPTIONS` are taken out.

        Raises:
            ConfigError: something of it is mistaken.
        """
        if not url.hostname:
            msg = f"CLUES_PUBLISHERS: {url.scheme}:// needs a host, as in {ELASTICSEARCH}://localhost:9200"
            raise ConfigError(msg)
        options = {name: given.pop(name) for name in SERVER_OPTIONS if name in given}
        timeout = options.pop("timeout", TIMEOUT)
        if url.username is not None:
            options["basic_auth"] = (unquote(url.username), unquote(url.password or ""))
        return cls.of(f"{url.scheme}://{_netloc(url)}{url.path.rstrip('/')}", timeout=timeout, **options)

    @property
    def place(self) -> str:
        """Which cluster, without secrets; the same in every process."""
        if self.client is not None:
            transport = self.client.transport
            places = map(_shown, transport.hosts) if self.kind == OPENSEARCH else _nodes(transport.node_pool)
        else:
            places = map(_without_user, self.hosts) if self.hosts else iter([f"cloud:{self.options['cloud_id']}"])
        return ",".join(sorted(places))

    def connect(self) -> Client:
        """Make the client. Not before a fork."""
        if self.kind == OPENSEARCH:
            return OpenSearchClient(self.client or self._opensearch(), self.place, self.timeout, zips=not self.client)
        client = self.client or self._elasticsearch()
        return ElasticsearchClient(client, self.place, self.timeout, zips=not self.client)

    def _elasticsearch(self) -> Any:
        import elasticsearch  # noqa: PLC0415 - an extra, imported by the process that ships

        options = dict(self.options)
        if options.get("verify_certs") is False:
            options["ssl_show_warn"] = False
        hosts = [*map(_plain, self.hosts)] or None
        serializers: dict[str, Any] = {AsIs.mimetype: AsIs()}
        with contextlib.suppress(ImportError):  # orjson is an extra of its own: answers have a line for each event
            serializers["application/json"] = _answers()
        return elasticsearch.Elasticsearch(hosts, max_retries=0, serializers=serializers, **options)

    def _opensearch(self) -> Any:
        import opensearchpy  # noqa: PLC0415 - the same

        options = dict(self.options)
        if "basic_auth" in options:
            options["http_auth"] = options.pop("basic_auth")
        if "api_key" in options:
            options["headers"] = {"authorization": f"ApiKey {options.pop('api_key')}"}
        if options.get("verify_certs") is False:
            options["ssl_show_warn"] = False
        return opensearchpy.OpenSearch([*map(_plain, self.hosts)], max_retries=0, **options)


def _kind_of(client: object, options: Mapping[str, Any]) -> str:
    owners = {ancestor.__module__.partition(".")[0] for ancestor in type(client).__mro__}
    for kind, library in _LIBRARIES.items():
        if library in owners and not type(client).__name__.startswith("Async"):
            if options:
                msg = f"{', '.join(sorted(options))}: say it to the client that you give to ElasticsearchPublisher"
                raise ConfigError(msg)
            return kind
    msg = f"ElasticsearchPublisher takes URLs, an Elasticsearch or an OpenSearch client, not {type(client).__name__}"
    raise ConfigError(msg)


def _netloc(url: SplitResult) -> str:
    """Host and port, without user and password."""
    return url.netloc.rpartition("@")[2]


def _with_port(host: str) -> str:
    scheme, mark, rest = host.partition("://")
    if not mark or scheme not in {"http", "https", *(f"{k}{s}" for k in _LIBRARIES for s in ("", "+http", "+https"))}:
        msg = f"{host!r} must be a URL such as http://localhost:{_PORT}"
        raise ConfigError(msg)
    netloc, slash, path = rest.partition("/")
    if not netloc.rpartition("@")[2].rpartition("]")[2].partition(":")[2]:
        netloc = f"{netloc.rstrip(':')}:{_PORT}"
    return f"{scheme}://{netloc}{slash}{path}"


def _plain(host: str) -> str:
    """The URL as a client library takes it."""
    scheme, _, rest = host.partition("://")
    return f"{'https' if scheme.endswith('https') else 'http'}://{rest}"


def _without_user(host: str) -> str:
    scheme, mark, rest = _plain(host).partition("://")
    netloc, slash, path = rest.partition("/")
    return f"{scheme}{mark}{netloc.rpartition('@')[2]}{slash}{path}"


def _nodes(pool: Any) -> Iterator[str]:
    return (node.base_url for node in pool.all())


def _shown(host: Mapping[str, Any]) -> str:
    scheme = "https" if host.get("use_ssl") or host.get("scheme") == "https" else "http"
    return f"{scheme}://{host.get('host')}:{host.get('port', _PORT)}"


def _answers() -> Any:
    """Elastic's quick serializer, which reads what a server quotes of us, too: half a character, say.

    Raises:
        ImportError: orjson is not installed, or the client is too old to know it.
    """
    from elastic_transport import OrjsonSerializer  # noqa: PLC0415 - comes with the client

    class Answers(OrjsonSerializer):
        def json_loads(self, data: bytes) -> Any:
            try:
                return super().json_loads(data)
            except ValueError:
                return json.loads(data)

    return Answers()
