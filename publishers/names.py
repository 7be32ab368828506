"""Where a host's name points to, found out off the job's way: looking a name up may take half a minute."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import mmap
import queue
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from clues.errors import ConfigError

PATIENCE = 2.0
"""Seconds that configuring waits for the first look-up; after it events are refused, until there is an address."""

EVERY = 60.0
"""Seconds between two look-ups of a name."""

Resolve = Callable[[str, int, int], "list[Address]"]

_CLAIM = 5.0  # seconds in which a look-up is somebody's; whoever began it may have left, as children do
_SHARED = 4096
_HEAD = struct.Struct("=dQII")  # when to look again, version, size and checksum of what follows
_TIME = struct.Struct("=d")
_VERSION = struct.Struct("=Q")
_HIGHEST_PORT = 65535


class Address(NamedTuple):
    """Where a socket may connect to.

    Attributes:
        family: the address family.
        place: what `socket.connect` takes.
    """

    family: int
    place: Any

    def __str__(self) -> str:
        if isinstance(self.place, str):
            return self.place
        host, port = self.place[:2]
        return f"[{host}]:{port}" if self.family == socket.AF_INET6 else f"{host}:{port}"


def checked_host(who: str, host: object) -> str:
    """A host's name or address, as it should be.

    Raises:
        ConfigError: it is not.
    """
    if isinstance(host, str) and host.strip() and host.isprintable() and not set(host) & set(" /@"):
        return host.removeprefix("[").removesuffix("]")
    msg = f"{who} needs a host's name or address, not {host!r}"
    raise ConfigError(msg)


def checked_port(who: str, port: object) -> int:
    """A port, as it should be.

    Raises:
        ConfigError: it is not.
    """
    if isinstance(port, int) and not isinstance(port, bool) and 0 < port <= _HIGHEST_PORT:
        return port
    msg = f"{who} needs a port from 1 to {_HIGHEST_PORT}, not {port!r}"
    raise ConfigError(msg)


def look_up(host: str, port: int, kind: int) -> list[Address]:
    """All addresses of a name, IPv4 first: daemons listen there unless told otherwise, for ``localhost`` not least.

    Raises:
        OSError: it has none, or nobody answers.
    """
    found = socket.getaddrinfo(host, port, type=kind)
    found.sort(key=lambda one: one[0] != socket.AF_INET)
    return [Address(family, place) for family, _, _, _, place in found]


def look_up_within(timeout: float, host: str, port: int, kind: int, resolve: Resolve = look_up) -> list[Address]:
    """The same within a time, which the system's own look-up does not know.

    Raises:
        OSError: it has none, or nobody answered in time.
    """
    if _is_numeric(host):
        return look_up(host, port, kind)
    answers: queue.SimpleQueue[list[Address] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(resolve(host, port, kind))
        except (OSError, UnicodeError) as error:
            answers.put(_as_os_error(error))

    threading.Thread(target=ask, name="clues name", daemon=True).start()
    try:
        answer = answers.get(timeout=timeout)
    except queue.Empty:
        raise TimeoutError(f"nobody answered within {timeout:g} s what the address of {host} is") from None
    if isinstance(answer, OSError):
        raise answer
    return answer


class Name:
    """A name for datagrams, and its addresses as of late; what asks for them never waits.

    A look-up is a short-lived thread's, begun by an event when the last one is old. What it finds is in memory that a
    process shares with those it forks: else each job's own process would look the name up again.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        every: float = EVERY,
        resolve: Resolve = look_up,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Look the name up, and wait `PATIENCE` for that.

        Args:
            host: a name, or an address, which is never looked up again.
            port: the port.
            every: seconds between two look-ups.
            resolve: gives all addresses.
            clock: seconds that never jump.

        Raises:
            ConfigError: an address is of a network that this host does not have.
        """
        self._host = host
        self._port = port
        self._every = every
        self._resolve = resolve
        self._clock = clock
        self._shared = mmap.mmap(-1, _SHARED)
        self._version = 0
        self._addresses: tuple[Address, ...] = ()
        self._problem = "it was not looked up yet"
        self._thread: threading.Thread | None = None
        self._numeric = _is_numeric(host)
        if self._numeric:
            self._addresses = tuple(_numeric(host, port))
        else:
            self._begin(clock()).join(PATIENCE)

    def addresses(self) -> tuple[Address, ...]:
        """The addresses, that to try first at the front.

        Raises:
            OSError: none is known as yet.
        """
        if self._numeric:
            return self._addresses
        now = self._clock()
        if now >= _TIME.unpack_from(self._shared)[0]:
            # A process that can have no more threads, or is leaving, is no reason to harm the job.
            with contextlib.suppress(RuntimeError):
                self._begin(now)
        if _VERSION.unpack_from(self._shared, _TIME.size)[0] != self._version:
            self._take()
        if not self._addresses:
            raise OSError(f"the address of {self._host} is not known: {self._problem}")
        return self._addresses

    def refused(self, address: Address) -> None:
        """Nobody listens at an address: try the others first, here and in the processes that share the name."""
        if len(self._addresses) > 1 and self._addresses[0] == address:
            self._addresses = (*self._addresses[1:], address)
            self._put(_TIME.unpack_from(self._shared)[0], self._addresses)

    def _begin(self, now: float) -> threading.Thread:
        _TIME.pack_into(self._shared, 0, now + min(_CLAIM, self._every))
        thread = self._thread
        if thread is None or not thread.is_alive():
            thread = self._thread = threading.Thread(target=self._look, name="clues name", daemon=True)
            thread.start()
        return thread

    def _look(self) -> None:
        try:
            found = self._resolve(self._host, self._port, socket.SOCK_DGRAM)
        except (OSError, UnicodeError) as error:
            self._problem = str(_as_os_error(error))
            return  # the old addresses are better than none, and the next look-up is soon
        current = self._addresses[:1]
        # That which was found to listen stays the first for as long as it is one of them.
        found.sort(key=lambda one: one not in current)
        self._put(self._clock() + self._every, found)

    def _put(self, look_again: float, addresses: Sequence[Address]) -> None:
        data = b""
        for count in range(len(addresses), 0, -1):
            data = json.dumps(addresses[:count]).encode()
            if _HEAD.size + len(data) <= _SHARED:
                break
        version = _VERSION.unpack_from(self._shared, _TIME.size)[0] + 1
        self._shared[_HEAD.size : _HEAD.size + len(data)] = data
        _HEAD.pack_into(self._shared, 0, look_again, version, len(data), zlib.crc32(data))

    def _take(self) -> None:
        """Read what some process wrote; if another is writing just now, the old addresses do until the next event."""
        _, version, size, checksum = _HEAD.unpack_from(self._shared)
        data = self._shared[_HEAD.size : _HEAD.size + min(size, _SHARED)]
        if zlib.crc32(data) == checksum:
            self._version = version
            self._addresses = tuple(Address(family, tuple(place)) for family, place in json.loads(data))


def _is_numeric(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _numeric(host: str, port: int) -> list[Address]:
    try:
        return look_up(host, port, socket.SOCK_DGRAM)
    except OSError as error:  # fe80::1%eth7
        msg = f"the address {host} can't be used: {error}"
        raise ConfigError(msg) from error


def _as_os_error(error: OSError | UnicodeError) -> OSError:
    """A name that is too long or has an empty part comes as a UnicodeError."""
    return error if isinstance(error, OSError) else OSError(f"not a host's name: {error}")
