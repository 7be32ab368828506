"""A TCP connection on which lines go out, and which is watched for the peer's end."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import time
from typing import TYPE_CHECKING, NoReturn

from clues.publishers.names import Address

if TYPE_CHECKING:
    import ssl

_LINGER_NOT = struct.pack("ii", 1, 0)
_CHUNK = 1 << 16
_LOOKS = 64  # at a peer that talks without end
_FIRST_PAUSE, _LONGEST_PAUSE = 0.0005, 0.02
_VERDICT = 1.0
"""Seconds to wait for a TLS 1.3 peer's word on our certificate, which comes only after the handshake, if it comes."""


class PeerClosedError(ConnectionError):
    """The peer has closed the connection in order."""


class Connection:
    """A connection; each step of it has a time in which something must move."""

    def __init__(self, opened: socket.socket, patience: float) -> None:
        """Take a socket that is connected.

        Args:
            opened: the socket.
            patience: seconds to wait for any progress.
        """
        self._socket = opened
        self._patience = patience

    @classmethod
    def to(
        cls, address: Address, timeout: float, *, patience: float, context: ssl.SSLContext | None, server_name: str
    ) -> Connection:
        """Connect.

        Args:
            address: where to.
            timeout: seconds for connecting and for TLS' handshake, each.
            patience: seconds to wait for any progress later.
            context: how to encrypt, or None.
            server_name: the name in the peer's certificate.

        Raises:
            OSError: that failed, or the peer is not who it should be.
        """
        opened = socket.socket(address.family, socket.SOCK_STREAM)
        try:
            opened.settimeout(timeout)
            opened.connect(address.place)
            _tune(opened)
            if context is not None:
                opened = context.wrap_socket(opened, server_hostname=server_name)
            found = cls(opened, patience)
            if context is not None:
                found._await_verdict(min(_VERDICT, timeout))
        except BaseException:
            opened.close()
            raise
        return found

    def deliver(self, data: bytes) -> None:
        """Send all, and wait until the peer's kernel has it.

        Raises:
            OSError: it may not have all; a TimeoutError if nothing moved for as long as `patience`.
        """
        left = memoryview(data)
        self._socket.settimeout(self._patience)
        while left:
            left = left[self._socket.send(left[:_CHUNK]) :]
        self._drain()
        with contextlib.suppress(PeerClosedError):  # in order, so it has read all
            self.look()

    def look(self) -> None:
        """See whether the connection still stands; what the peer says is not listened to.

        Raises:
            PeerClosedError: the peer has closed it, having read all.
            OSError: it is broken.
        """
        self._socket.settimeout(0)
        for _ in range(_LOOKS):
            try:
                if not self._socket.recv(_CHUNK):
                    self._end()
            except OSError as error:
                if _is_silence(error):
                    return
                raise

    def _end(self) -> NoReturn:
        """Say how the connection has ended: a reset behind an orderly end does not show when reading."""
        left = _unacknowledged(self._socket)
        if error := self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(error, os.strerror(error))
        if left:
            raise ConnectionAbortedError(f"the peer has closed the connection before {left} bytes")
        raise PeerClosedError("the peer has closed the connection")

    def close(self) -> None:
        """Close it in order."""
        self._socket.close()

    def abandon(self) -> None:
        """Close it, and have the kernel forget what was not delivered: that will come over another."""
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        self._socket.close()

    def _drain(self) -> None:
        """Wait until the kernel's send queue is empty, where it can be asked."""
        left, pause = _unacknowledged(self._socket), _FIRST_PAUSE
        deadline = time.monotonic() + self._patience
        poll = select.poll()
        poll.register(self._socket, 0)  # only for errors, which end the wait
        while left:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the peer has not taken {left} bytes for {self._patience:g} s")
            if poll.poll(pause * 1000):
                self.look()
            pause = min(2 * pause, _LONGEST_PAUSE)
            before, left = left, _unacknowledged(self._socket)
            if left < before:
                deadline = time.monotonic() + self._patience

    def _await_verdict(self, seconds: float) -> None:
        """Give a TLS 1.3 peer time to refuse us: it counts the handshake as done before it has seen our certificate.

        Most peers send a session ticket once they are content, and then nothing is waited for.
        """
        opened = self._socket
        if getattr(opened, "version", str)() != "TLSv1.3":
            return
        deadline = time.monotonic() + seconds
        poll = select.poll()
        poll.register(opened, select.POLLIN)
        while (left := deadline - time.monotonic()) > 0:
            poll.poll(left * 1000)
            self.look()
            session = getattr(opened, "session", None)
            if session is not None and session.has_ticket:
                return


def _tune(opened: socket.socket) -> None:
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # the end of a batch is waited for
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # firewalls forget connections that are silent
    if hasattr(socket, "TCP_KEEPIDLE"):
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)


def _unacknowledged(opened: socket.socket) -> int:
    """How many bytes the peer's kernel has not acknowledged; 0 where the system doesn't tell."""
    try:
        import fcntl  # noqa: PLC0415 - not on every system
        import termios  # noqa: PLC0415 - the same

        # SIOCOUTQ, which has TIOCOUTQ's number.
        found = fcntl.ioctl(opened.fileno(), termios.TIOCOUTQ, b"\0" * 4)
    except (ImportError, AttributeError, OSError):
        return 0
    return int(struct.unpack("i", found)[0])


def _is_silence(error: OSError) -> bool:
    """Whether there is nothing to read now, over TLS too."""
    return isinstance(error, BlockingIOError | InterruptedError) or type(error).__name__ in {
        "SSLWantReadError",
        "SSLWantWriteError",
    }
