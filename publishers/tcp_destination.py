"""Lines over one TCP connection, and what is done that none is lost without a word.

TCP's only answer is that the other side's kernel has the bytes; nothing says that its program has read them. So:

- before each batch the connection is looked at: one that the peer has closed is not written to;
- after each batch it is waited until the peer's kernel has acknowledged all of it, and looked again;
- whatever goes wrong, the whole batch is sent again, over a new connection;
- the lines of the last five minutes, 4 MiB at most, are kept, and sent again too, if the connection is reset or stops
  taking bytes. A peer that dies with unread bytes resets it, while one that closes it in order has read them all.

So lines may come twice: readers tell by ``_event_id``. What can still be lost without a word are lines that a peer's
kernel has acknowledged and its program never read, where

- the connection ends in order all the same: a proxy took it for a program that is gone;
- it is reset only when five minutes have passed, or 4 MiB have come after them;
- this side's shipper ends before it hears of that.

And what the peer's program has read, and then loses itself. Where each event matters, take a back end that answers for
each: Elasticsearch or OTLP.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

from clues.faults import describe
from clues.publishers.connection import Connection, PeerClosedError
from clues.publishers.delivery import Refusal, Sent, with_advice
from clues.publishers.lines import reader
from clues.publishers.names import look_up_within

if TYPE_CHECKING:
    import ssl

TIMEOUT = 5.0
DOUBTFUL_TIME = 300.0
DOUBTFUL_BYTES = 4 << 20
"""About what a peer's kernel holds for a program that does not read."""


@dataclass(frozen=True, slots=True)
class TLS:
    """How to know the peer, and to be known by it.

    Attributes:
        ca_certs: a file of the authorities to trust; left out, the system's.
        certificate: a file with this side's certificate, for peers that want one.
        key: a file with its key, if that is not in the same.
        server_name: the name in the peer's certificate, if it is not the host's.
    """

    ca_certs: str | None = None
    certificate: str | None = None
    key: str | None = None
    server_name: str | None = None

    def context(self) -> ssl.SSLContext:
        """What the files say now: they are read for each connection, so that renewed ones need no restart.

        Raises:
            OSError: a file can't be read, or is not what it should be.
        """
        import ssl  # noqa: PLC0415 - only where it is wanted

        context = ssl.create_default_context(cafile=self.ca_certs)
        if self.certificate:
            context.load_cert_chain(self.certificate, self.key)
        return context


class TCPDestination:
    """Sends lines over one connection that is kept.

    Attributes:
        name: the publisher's.
        max_events: the most lines of a batch.
        max_bytes: the most bytes of one.
    """

    max_events = 1000
    max_bytes = 1 << 20

    def __init__(  # noqa: PLR0913 - where to, and how
        self,
        name: str,
        host: str,
        port: int,
        *,
        tls: TLS | None = None,
        timeout: float = TIMEOUT,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Connect with the first batch.

        Args:
            name: the publisher's.
            host: the peer's name or address.
            port: its port.
            tls: how to encrypt, or None.
            timeout: seconds that connecting may take, and sending without any progress.
            clock: seconds that never jump.
        """
        self.name = name
        self._host = host
        self._port = port
        self._tls = tls
        self._timeout = timeout
        self._clock = clock
        self._connection: Connection | None = None
        self._doubtful: deque[tuple[float, bytes]] = deque()

    def send(self, batch: Sequence[bytes], /) -> Sent:
        """Send lines, and wait until the peer's kernel has them."""
        lines, refused = _sorted(batch)
        try:
            if lines:
                self._send(b"".join(line + b"\n" for line in lines))
        except OSError as error:
            self._abandon()
            return Sent(retry=lines, refused=refused, problem=with_advice(describe(error), "ca_certs="))
        return Sent(refused=refused)

    def close(self) -> None:
        """Close the connection in order: what it holds is still delivered."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _send(self, data: bytes) -> None:
        connection = self._looked_at()
        if connection is None:
            connection = self._connection = self._connected()
            again = b"".join(lines for _, lines in self._recent())
            if again:
                connection.deliver(again)
        connection.deliver(data)
        self._doubtful.append((self._clock(), data))
        self._recent()

    def _looked_at(self) -> Connection | None:
        """The connection, if it is still one."""
        if self._connection is None:
            return None
        try:
            self._connection.look()
        except PeerClosedError:
            self._doubtful.clear()  # it has read all, or its kernel would have reset the connection
            self.close()
        except OSError:
            self._abandon()
        return self._connection

    def _connected(self) -> Connection:
        deadline = self._clock() + self._timeout
        addresses = look_up_within(self._timeout, self._host, self._port, socket.SOCK_STREAM)
        context = self._tls.context() if self._tls is not None else None
        name = (self._tls.server_name if self._tls is not None else None) or self._host
        problem: OSError | None = None
        for address in addresses:
            left = max(deadline - self._clock(), 0.001)
            try:
                return Connection.to(address, left, patience=self._timeout, context=context, server_name=name)
            except OSError as error:
                problem = problem or error
        assert problem is not None
        raise problem

    def _recent(self) -> deque[tuple[float, bytes]]:
        """What was sent of late, and may lie unread with the peer."""
        since = self._clock() - DOUBTFUL_TIME
        size = sum(len(lines) for _, lines in self._doubtful)
        while self._doubtful and (size > DOUBTFUL_BYTES or self._doubtful[0][0] < since):
            size -= len(self._doubtful.popleft()[1])
        return self._doubtful

    def _abandon(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abandon()


def _sorted(batch: Sequence[bytes]) -> tuple[list[bytes], list[Refusal]]:
    """The events among lines, and those that are none: peers would take them, and choke on them where nobody looks."""
    lines: list[bytes] = []
    refused: list[Refusal] = []
    read = reader()
    for line in batch:
        try:
            read(line)
        except ValueError as error:
            refused.append(Refusal(line, str(error)[:200]))
        else:
            lines.append(line)
    return lines, refused
