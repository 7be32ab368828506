"""Events as datagrams: sent at once, to whoever listens."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import SplitResult

from clues.errors import ConfigError
from clues.event import Event, EventType
from clues.plain import Walk
from clues.publishers.datagrams import Datagrams, Place
from clues.publishers.names import EVERY, Name, checked_host, checked_port
from clues.publishers.query import Reader, options_of, seconds, whole
from clues.redaction import NO_SECRETS

MAX_BYTES = 8192
"""What rsyslog takes of a message unless told otherwise, and others at least; few events are larger than 1 kB."""

SMALLEST = 512
LARGEST = 65507
"""What a UDP datagram over IPv4 can hold."""

_MOST_OF_A_NAME = 64


class UDPPublisher:
    """Sends each event's line, with its newline, as one datagram, without ever waiting.

    UDP promises nothing: what the network or the receiver drops, nobody hears of. What can be known is raised, and so
    counted: nobody listens, no route, a full buffer, a name that is not known. The receiver's name is looked up when
    this is made and then once a minute, by a thread of a moment's life; its address is shared with forked children.

    An event that is larger than a datagram may be loses args, backtrace, the user's metadata and message, in this
    order, as far as needed, and says so in ``_truncated``; its hash and id are always kept. Datagrams beyond the
    network's MTU (1,472 bytes on Ethernet) travel in pieces, and are lost if one of them is.
    """

    url_options: ClassVar[Mapping[str, Reader]] = {"max_bytes": whole, "resolve_every": seconds}

    def __init__(
        self,
        host: str,
        port: int,
        *,
        max_bytes: int = MAX_BYTES,
        resolve_every: float = EVERY,
        place: Place | None = None,
    ) -> None:
        """Find the receiver; waits two seconds at most for its name.

        Args:
            host: the receiver's name, IPv4 or IPv6 address.
            port: its port.
            max_bytes: the largest datagram; as much as the receiver reads of one.
            resolve_every: seconds between two look-ups of the name.
            place: who knows the receiver's addresses, instead of the system's resolver.

        Raises:
            ConfigError: one of them is mistaken.
        """
        host, port = checked_host("UDPPublisher", host), checked_port("UDPPublisher", port)
        if type(max_bytes) is not int or not SMALLEST <= max_bytes <= LARGEST:
            msg = f"UDPPublisher: max_bytes must be from {SMALLEST} to {LARGEST}, not {max_bytes!r}"
            raise ConfigError(msg)
        if not resolve_every > 0:
            msg = f"UDPPublisher: resolve_every must be a number of seconds, not {resolve_every!r}"
            raise ConfigError(msg)
        self._max_bytes = max_bytes
        self._datagrams = Datagrams(place or Name(host, port, every=resolve_every))

    @classmethod
    def from_url(cls, url: SplitResult) -> UDPPublisher:
        """``udp://logs.example.com:5140?max_bytes=8192&resolve_every=60``.

        Raises:
            ConfigError: the URL names no port, or an option that there isn't.
        """
        options = options_of(url, cls.url_options)
        try:
            port = url.port
        except ValueError as error:
            msg = f"CLUES_PUBLISHERS: udp:// can't be used: {error}"
            raise ConfigError(msg) from error
        if url.username is not None or url.path not in {"", "/"} or port is None:
            msg = "CLUES_PUBLISHERS: udp:// must be a host and a port, as in udp://127.0.0.1:5140"
            raise ConfigError(msg)
        return cls(url.hostname or "", port, **options)

    def publish(self, event: Event, /) -> None:
        """Send the event's line.

        Raises:
            OSError: it was not sent, or it is known only now that the one before it was lost.
        """
        line = event.marshalled
        if len(line) >= self._max_bytes:
            line = shrunk(event, self._max_bytes - 1)
        self._datagrams.send(line + b"\n")

    def close(self) -> None:
        """Close the socket; a later event opens another."""
        self._datagrams.close()


def shrunk(event: Event, size: int) -> bytes:
    """An event's line within a size; what was shortened for it stands in ``_truncated``.

    Raises:
        OSError: there is no such line.
    """
    for part, shorten in _PARTS:
        if shorten(event, LARGEST) == event:
            continue
        event = _marked(event, part)
        line = event.marshalled
        over = len(line) - size
        if over > 0:
            event = shorten(event, over)
            line = event.marshalled
        if len(line) > size:
            event = shorten(event, LARGEST)
            line = event.marshalled
        if len(line) <= size:
            return line
    line = _least(event).line  # the user's marshaller may write whatever it likes
    if len(line) > size:
        raise OSError(errno.EMSGSIZE, f"an event of {event.worker_class} is larger than {size} bytes at its smallest")
    return line


def _marked(event: Event, part: str) -> Event:
    cut = event.metadata.get("_truncated")
    parts = [*(cut if isinstance(cut, list) else ()), part]
    return replace(event, metadata={**event.metadata, "_truncated": list(dict.fromkeys(parts))})


def _shorter_args(event: Event, over: int) -> Event:
    return replace(event, args=_shorter(list(event.args), over))


def _shorter_metadata(event: Event, over: int) -> Event:
    users = {key: value for key, value in event.metadata.items() if not key.startswith("_")}
    others = {key: value for key, value in event.metadata.items() if key.startswith("_")}
    return replace(event, metadata=others | _shorter(users, over))


def _shortens(key: str) -> Callable[[Event, int], Event]:
    def shorten(event: Event, over: int) -> Event:
        if key not in event.metadata:
            return event
        return replace(event, metadata={**event.metadata, key: _shorter(event.metadata[key], over)})

    return shorten


_PARTS: tuple[tuple[str, Callable[[Event, int], Event]], ...] = (
    ("args", _shorter_args),
    ("_backtrace", _shortens("_backtrace")),
    ("metadata", _shorter_metadata),
    ("_message", _shortens("_message")),
)
# Each is a part's name in `_truncated`, and takes about so many bytes off it.


def _shorter(value: Any, over: int) -> Any:
    """A value that is so many bytes shorter, or an empty one of its kind."""
    room = len(replace(_EMPTY, args=[value]).line) - len(_EMPTY.line) - over
    if room <= 0:
        return "" if isinstance(value, str) else type(value)()
    return Walk(NO_SECRETS, room).value(value)


_EMPTY = Event(EventType.ENQUEUED, "", None, {}, None, [])


def _least(event: Event) -> Event:
    """What must not be lost of an event."""
    known = _marked(event, "metadata").metadata
    keep = {key: known[key] for key in ("_event_hash", "_event_id", "_attempt", "_truncated") if key in known}
    return replace(event, metadata=keep, args=[], queue=_short(event.queue), worker_class=_short(event.worker_class))


def _short(name: str | None) -> str | None:
    return None if name is None else name[:_MOST_OF_A_NAME]
