"""Metrics as statsd's daemons read them, several in a packet."""

from __future__ import annotations

import errno
import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple, Protocol

from clues.errors import ConfigError
from clues.publishers.datagrams import Datagrams

_LONGEST_PART = 100
_NO_NAME = re.compile(r"[^A-Za-z0-9_-]+")
_NO_TAG = re.compile(r"[^\w\-:./]+")  # what Datadog would replace too


class Metric(NamedTuple):
    """One number.

    Attributes:
        name: with its prefix.
        value: the number.
        kind: ``c``, ``ms`` or ``g``.
        tags: ``key:value``, for those that want tags.
    """

    name: str
    value: float
    kind: Literal["c", "ms", "g"]
    tags: tuple[str, ...] = ()


class Sink(Protocol):
    """Whoever takes metrics."""

    def take(self, metrics: Iterable[Metric]) -> None:
        """Take them, without waiting."""

    def close(self) -> None:
        """Let go of what is held open."""


class Packets:
    """Metrics in statsd's own spelling, several in a packet."""

    def __init__(self, datagrams: Datagrams, mtu: int) -> None:
        """Send packets of this size at most."""
        self._datagrams = datagrams
        self._mtu = mtu

    def take(self, metrics: Iterable[Metric]) -> None:
        """Send them.

        Raises:
            OSError: some were not sent.
        """
        self.send([line for metric in metrics for line in spelled(metric)])

    def send(self, lines: Sequence[bytes]) -> None:
        """Send metrics that are spelled already.

        Raises:
            OSError: some were not sent.
        """
        whole = b"\n".join(lines)
        if 0 < len(whole) <= self._mtu:
            self._datagrams.send(whole)
            return
        problem: OSError | None = None
        for packet in packed(lines, self._mtu):
            try:
                self._datagrams.send(packet)
            except OSError as error:  # the other packets may get through
                problem = problem or error
        if problem is not None:
            raise problem

    def close(self) -> None:
        """Close the socket."""
        self._datagrams.close()


class Client:
    """Somebody else's client: `increment` or `incr`, `timing`, `gauge`."""

    def __init__(self, client: Any, *, tagged: bool) -> None:
        """Use this client.

        Raises:
            ConfigError: it is none.
        """
        self._count = getattr(client, "increment", None) or getattr(client, "incr", None)
        self._time = getattr(client, "timing", None)
        self._set = getattr(client, "gauge", None)
        self._tagged = tagged
        if not (callable(self._count) and callable(self._time) and callable(self._set)):
            msg = f"StatsdPublisher: a client has incr or increment, timing and gauge; {type(client).__name__} has not"
            raise ConfigError(msg)

    def take(self, metrics: Iterable[Metric]) -> None:
        """Call the client for each."""
        calls = {"c": self._count, "ms": self._time, "g": self._set}
        for metric in metrics:
            given = {"tags": list(metric.tags)} if self._tagged else {}
            calls[metric.kind](metric.name, metric.value, **given)  # type: ignore[misc]

    def close(self) -> None:
        """Nothing: the client is the application's."""


def packed(lines: Iterable[bytes], mtu: int) -> Iterator[bytes]:
    """Lines put together, as many as fit into a packet.

    Raises:
        OSError: one alone does not; the others have gone out.
    """
    packet, too_long = b"", 0
    for line in lines:
        if len(line) > mtu:
            too_long += 1
        elif not packet:
            packet = line
        elif len(packet) + 1 + len(line) <= mtu:
            packet += b"\n" + line
        else:
            yield packet
            packet = line
    if packet:
        yield packet
    if too_long:
        raise OSError(errno.EMSGSIZE, f"{too_long} metrics are longer than {mtu} bytes")


def spelled(metric: Metric) -> Iterator[bytes]:
    """A metric's lines: one, but for gauges below zero."""
    tags = f"|#{','.join(metric.tags)}" if metric.tags else ""
    if metric.kind == "g" and metric.value < 0 and not tags:
        yield f"{metric.name}:0|g".encode()  # to statsd a number with a sign is a difference
    yield f"{metric.name}:{number(metric.value)}|{metric.kind}{tags}".encode()


def number(value: float) -> str:
    """A value as statsd reads it, to the thousandth."""
    return str(value) if isinstance(value, int) else f"{value:.3f}".rstrip("0").rstrip(".")


@functools.lru_cache(maxsize=1024)
def part(name: str | None) -> str:
    """A name as one part of a metric's name."""
    return _NO_NAME.sub("_", name or "")[:_LONGEST_PART] or "unknown"


@functools.lru_cache(maxsize=1024)
def tag(key: str, value: str | None) -> str:
    """A tag: ``queue:mail``."""
    return f"{key}:{_NO_TAG.sub('_', value or '')[:_LONGEST_PART] or 'unknown'}"
