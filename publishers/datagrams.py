"""A socket for datagrams that costs its caller microseconds, lives through forks and follows its receiver."""

from __future__ import annotations

import os
import socket
from typing import Protocol

from clues.forklock import ForkLock
from clues.publishers.names import Address


class Place(Protocol):
    """Where datagrams go."""

    def addresses(self) -> tuple[Address, ...]:
        """The addresses, that to try first at the front; raises OSError if there are none."""

    def refused(self, address: Address) -> None:
        """Nobody listens at an address."""


class Path:
    """A datagram socket in the file system."""

    def __init__(self, path: str) -> None:
        """Send to this path."""
        self._addresses = (Address(socket.AF_UNIX, path),)

    def addresses(self) -> tuple[Address, ...]:
        """The one."""
        return self._addresses

    def refused(self, address: Address) -> None:
        """Nothing: there is no other."""


class Datagrams:
    """Sends datagrams, and never waits: a receiver that can't take one now doesn't get it, and the caller is told.

    The socket is connected, for that is cheaper, and tells whether somebody listens. It is opened with the first
    datagram, and again after a fork, after an error, and when the receiver's address is another. One thread at a time.
    """

    def __init__(self, place: Place) -> None:
        """Send there."""
        self._place = place
        self._using = ForkLock()
        self._socket: socket.socket | None = None
        self._opened_by = 0
        self._identity = (0, 0)
        self._address: Address | None = None
        self._addresses: tuple[Address, ...] = ()

    def send(self, datagram: bytes) -> None:
        """Send one datagram.

        Raises:
            OSError: it was not sent; or nobody was there for the one before it, which is known only now.
        """
        with self._using.lock:
            opened, addresses = self._socket, self._place.addresses()
            if opened is None or addresses is not self._addresses or not self._is_ours(opened):
                opened = self._ready(addresses)
            try:
                opened.send(datagram)
            except (BlockingIOError, InterruptedError):
                raise
            except ConnectionRefusedError as refusal:
                self._send_again(datagram, refusal)
            except OSError:
                self._drop()  # the network may have changed: the next one tries anew
                raise

    def close(self) -> None:
        """Close the socket; a later datagram opens another."""
        with self._using.lock:
            self._drop()

    def _send_again(self, datagram: bytes, refusal: OSError) -> None:
        """Send what was held up by a refusal, which over UDP is that of the datagram before."""
        refused = self._address
        assert refused is not None
        self._drop()
        self._place.refused(refused)
        self._ready(self._place.addresses()).send(datagram)
        if refused.family != socket.AF_UNIX:
            msg = f"nobody listened at {refused}, so the datagram before this one is lost"
            raise ConnectionRefusedError(refusal.errno, msg) from refusal

    def _ready(self, addresses: tuple[Address, ...]) -> socket.socket:
        self._addresses = addresses
        if self._socket is not None and self._address in addresses and self._is_ours(self._socket):
            return self._socket
        self._drop()
        return self._open(addresses)

    def _open(self, addresses: tuple[Address, ...]) -> socket.socket:
        problem: OSError | None = None
        for address in addresses:
            opened = socket.socket(address.family, socket.SOCK_DGRAM)
            try:
                opened.settimeout(0)
                opened.connect(address.place)
            except OSError as error:  # no route to an IPv6 address, for instance
                opened.close()
                problem = problem or error
                continue
            found = os.fstat(opened.fileno())
            self._identity = found.st_dev, found.st_ino
            self._opened_by = os.getpid()
            self._address = address
            self._socket = opened
            return opened
        assert problem is not None
        raise problem

    def _drop(self) -> None:
        opened, self._socket = self._socket, None
        if opened is None:
            return
        if self._has_our_number(opened):
            opened.close()
        else:
            opened.detach()

    def _is_ours(self, opened: socket.socket) -> bool:
        """Whether this process opened it: errors of a shared socket would come to whoever asks first."""
        return self._opened_by == os.getpid() and self._has_our_number(opened)

    def _has_our_number(self, opened: socket.socket) -> bool:
        """Whether the number still stands for it: a daemon closes all, and the number may be another's now."""
        try:
            found = os.fstat(opened.fileno())
        except OSError:
            return False
        device, number = self._identity
        return found.st_ino == number and found.st_dev == device
