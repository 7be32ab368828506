"""Events as JSON lines over TCP: to Logstash, Fluent Bit, rsyslog, Vector, or a listener of one's own.

TCP has no receipt for what a program has read. What is done about that, and what remains, is told in `tcp_destination`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import ClassVar
from urllib.parse import SplitResult

from clues.errors import ConfigError
from clues.publishers.delivery import Destination
from clues.publishers.journal import JournalOptions
from clues.publishers.names import checked_host, checked_port
from clues.publishers.query import Reader, seconds, text
from clues.publishers.shipped import FLUSH_TIMEOUT, SHIPPING, ShippedPublisher, shipping_options
from clues.publishers.tcp_destination import TIMEOUT, TLS, TCPDestination


class TCPPublisher(ShippedPublisher):
    """Has each event's standard line sent over one TCP connection, with or without TLS; lines may come twice."""

    url_options: ClassVar[Mapping[str, Reader]] = {
        "ca_certs": text,
        "certificate": text,
        "key": text,
        "server_name": text,
        "timeout": seconds,
        **SHIPPING,
    }

    def __init__(  # noqa: PLR0913 - where to, and how
        self,
        host: str,
        port: int,
        *,
        tls: bool = False,
        ca_certs: str | os.PathLike[str] | None = None,
        certificate: str | os.PathLike[str] | None = None,
        key: str | os.PathLike[str] | None = None,
        server_name: str | None = None,
        timeout: float = TIMEOUT,
        spool: str | os.PathLike[str] | None = None,
        events: Iterable[str] | None = None,
        sample: float = 1.0,
        flush_timeout: float = FLUSH_TIMEOUT,
        journal: JournalOptions | None = None,
    ) -> None:
        """Check what was given; nothing is connected in this process, unless it is the one that ships.

        Args:
            host: the peer's name or address.
            port: its port.
            tls: encrypt, and check the peer's certificate.
            ca_certs: a file of the authorities to trust; left out, the system's.
            certificate: a file with this side's certificate, for peers that want one.
            key: a file with its key, if that is not in the same.
            server_name: the name in the peer's certificate, if it is not the host's.
            timeout: seconds that connecting may take, and sending without any progress.
            spool: see `ShippedPublisher`, as for all that follows.
            events: the event types to send.
            sample: the share of jobs.
            flush_timeout: seconds that this process' exit may wait.
            journal: how the journal keeps events.

        Raises:
            ConfigError: one of them is mistaken.
        """
        self._host = checked_host("TCPPublisher", host)
        self._port = checked_port("TCPPublisher", port)
        if not 0 < timeout < float("inf"):
            msg = f"TCPPublisher: timeout must be a number of seconds, not {timeout!r}"
            raise ConfigError(msg)
        self._timeout = timeout
        given = TLS(_path(ca_certs), _path(certificate), _path(key), server_name)
        self._tls = given if tls else None
        if self._tls is not None:
            _check(self._tls)
        elif given != TLS():
            msg = "TCPPublisher: ca_certs, certificate, key and server_name are for tls=True (tcp+tls://)"
            raise ConfigError(msg)
        super().__init__(
            f"{'tcp+tls' if tls else 'tcp'}:{self._host}:{self._port}",
            spool=spool,
            events=events,
            sample=sample,
            flush_timeout=flush_timeout,
            journal=journal,
        )

    @classmethod
    def from_url(cls, url: SplitResult) -> TCPPublisher:
        """``tcp://logs.example.com:5170``, ``tcp+tls://logs.example.com:6514?ca_certs=/etc/ssl/logs.pem``.

        Options are ``timeout`` and those of shipping; with TLS also ``ca_certs``, ``certificate``, ``key`` and
        ``server_name``.

        Raises:
            ConfigError: the URL names no port, or an option is mistaken.
        """
        options = shipping_options(url, cls.url_options)
        try:
            port = url.port
        except ValueError as error:
            msg = f"CLUES_PUBLISHERS: {url.scheme}:// can't be used: {error}"
            raise ConfigError(msg) from error
        if url.username is not None or url.path not in {"", "/"} or port is None:
            msg = f"CLUES_PUBLISHERS: {url.scheme}:// must be a host and a port, as in {url.scheme}://127.0.0.1:5170"
            raise ConfigError(msg)
        return cls(url.hostname or "", port, tls=url.scheme == "tcp+tls", **options)

    def destination(self) -> Destination:
        """Where the lines go."""
        return TCPDestination(self.name, self._host, self._port, tls=self._tls, timeout=self._timeout)


def _path(file: str | os.PathLike[str] | None) -> str | None:
    return None if file is None else os.fspath(file)


def _check(tls: TLS) -> None:
    """Read the files once while somebody is looking.

    Raises:
        ConfigError: they are not what they should be.
    """
    try:
        tls.context()
    except (OSError, ValueError) as error:
        named = ", ".join(str(file) for file in (tls.ca_certs, tls.certificate, tls.key) if file)
        msg = f"TCPPublisher: {named or 'the certificates'} can't be used: {error}"
        raise ConfigError(msg) from error
