"""Events as documents of Elasticsearch or OpenSearch."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import SplitResult

from clues.errors import ConfigError
from clues.publishers.delivery import Destination
from clues.publishers.elasticsearch_bulk import MAX_BYTES, ElasticsearchDestination, destination_name
from clues.publishers.elasticsearch_documents import DATASET, Target
from clues.publishers.elasticsearch_server import SERVER_OPTIONS, TIMEOUT, Server
from clues.publishers.journal import JournalOptions
from clues.publishers.query import Reader, flag, names, text
from clues.publishers.shipped import FLUSH_TIMEOUT, SHIPPING, ShippedPublisher, shipping_options

_MAX_NAME = 100  # of 255 bytes; dates and numbers follow
_NO_NAMESPACE = re.compile(r'[-\\/*?"<>|,#:\s]')
_NO_INDEX = re.compile(r'^[-_+.]|[\\/*?"<>|,#:\s]')


class ElasticsearchPublisher(ShippedPublisher):
    """Journals each event; the shipper creates its document, in the data stream ``logs-clues.events-default``.

    ``clues setup elasticsearch`` once makes the templates; until then events wait in the journal. An event that is
    sent twice is there once. Its fields are the Elastic Common Schema's, and our own under ``clues``.
    """

    url_options: ClassVar[Mapping[str, Reader]] = {
        "namespace": text,
        "index": text,
        "dated": flag,
        "chart": names,
        **SERVER_OPTIONS,
        **SHIPPING,
    }

    def __init__(  # noqa: PLR0913 - one for each option
        self,
        hosts_or_client: str | Sequence[str] | Any = None,
        *,
        namespace: str = "default",
        index: str | None = None,
        dated: bool = False,
        chart: Iterable[str] = (),
        api_key: str | tuple[str, str] | None = None,
        basic_auth: tuple[str, str] | None = None,
        ca_certs: str | os.PathLike[str] | None = None,
        ssl_assert_fingerprint: str | None = None,
        verify_certs: bool = True,
        cloud_id: str | None = None,
        timeout: float = TIMEOUT,
        max_bytes: int = MAX_BYTES,
        spool: str | os.PathLike[str] | None = None,
        events: Iterable[str] | None = None,
        sample: float = 1.0,
        flush_timeout: float = FLUSH_TIMEOUT,
        journal: JournalOptions | None = None,
    ) -> None:
        """Prepare; nothing is asked of the cluster yet.

        Args:
            hosts_or_client: URLs (``https://host:9200``; ``opensearch+https://host:9200`` for OpenSearch), or an
                ``elasticsearch.Elasticsearch`` or ``opensearchpy.OpenSearch``, whose own options then count.
            namespace: the last part of the data stream's name, such as ``production``.
            index: write to this index instead of a data stream.
            dated: write to one index a day, ``<index>-2026.11.20``, by the event's day.
            chart: names of your metadata that Kibana should draw or group by: numbers become fields
                ``clues.metrics.<name>``, strings and booleans ``labels.<name>``.
            api_key: an API key.
            basic_auth: user and password.
            ca_certs: a file of certificates to trust.
            ssl_assert_fingerprint: the server's certificate must have this fingerprint.
            verify_certs: check the server's certificate.
            cloud_id: the deployment's id in Elastic Cloud, instead of URLs.
            timeout: seconds to wait for an answer.
            max_bytes: the most bytes of a request, by the events' lines.
            spool: the folder of the journal; left out, CLUES_SPOOL, else one of the user's own.
            events: the event types to deliver; left out, all.
            sample: the share of jobs to deliver events of, from 0 to 1; failures are always delivered.
            flush_timeout: seconds that this process' exit may wait for delivery.
            journal: how the journal keeps events.

        Raises:
            ConfigError: an option is mistaken, or the client library isn't installed.
        """
        self._target = target_of(namespace, index, dated=dated)
        self._chart = _chart_of(chart)
        self._max_bytes = max_bytes
        self._server = Server.of(
            hosts_or_client,
            timeout=timeout,
            api_key=api_key,
            basic_auth=basic_auth,
            ca_certs=None if ca_certs is None else os.fspath(ca_certs),
            ssl_assert_fingerprint=ssl_assert_fingerprint,
            verify_certs=verify_certs,
            cloud_id=cloud_id,
        )
        super().__init__(
            destination_name(self._server.place, self._target),
            spool=spool,
            events=events,
            sample=sample,
            flush_timeout=flush_timeout,
            journal=journal,
        )

    @classmethod
    def from_url(cls, url: SplitResult) -> ElasticsearchPublisher:
        """``elasticsearch://user:pass@host:9200/?namespace=…&index=…&dated=true&chart=a,b``, ``opensearch+https://…``.

        Raises:
            ConfigError: something of it is mistaken, or the client library isn't installed.
        """
        options = shipping_options(url, cls.url_options)
        server = Server.from_url(url, options)
        return cls([*server.hosts], timeout=server.timeout, **server.options, **options)

    def destination(self) -> Destination:
        """The cluster."""
        return ElasticsearchDestination(
            self._server.connect(), self._target, chart=self._chart, max_bytes=self._max_bytes
        )


def target_of(namespace: str, index: str | None, *, dated: bool) -> Target:
    """Where documents go.

    Args:
        namespace: the data stream's.
        index: the index; None for the data stream.
        dated: one index a day.

    Raises:
        ConfigError: Elasticsearch allows no such name.
    """
    if index is None and not dated:
        _check("namespace", namespace, _NO_NAMESPACE)
        return Target(f"logs-{DATASET}-{namespace}", namespace=namespace)
    name = "clues-events" if index is None else index
    _check("index", name, _NO_INDEX)
    return Target(name, dated=dated)


def _check(what: str, name: str, forbidden: re.Pattern[str]) -> None:
    fine = 0 < len(name.encode()) <= _MAX_NAME and name == name.lower()
    if not fine or forbidden.search(name):
        msg = f'{what} must be lower case, short, and without -\\/*?"<>|,#: and blanks, not {name!r}'
        raise ConfigError(msg)


def _chart_of(chart: Iterable[str]) -> tuple[str, ...]:
    names = (chart,) if isinstance(chart, str) else tuple(chart)
    if not all(str(name).strip(".") for name in names):
        msg = f"chart must be names of metadata, not {chart!r}"
        raise ConfigError(msg)
    return names
