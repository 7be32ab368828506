"""Events as statsd metrics: counters and timers by queue and job class.

=========================================  =========  ============================================================
metric                                     type       when
=========================================  =========  ============================================================
``clues.<event>.<queue>.<class>``          counter    each event, as in ``clues.failed.mail.Welcome``: ``enqueued``,
                                                      ``dequeued``, ``perform_started``, ``perform_finished``,
                                                      ``failed``, ``destroyed``
``clues.time_in_queue.<queue>.<class>``    timer, ms  a job was dequeued, and it is known when it was enqueued
``clues.time_to_perform.<queue>.<class>``  timer, ms  a job finished or failed, and it is known when it began
``<key>.<class>``                          timer, ms  the same, where there is a key (``STATSD_KEY``, as in Action
                                                      Verb's fork of Resque): the job's name appended to the key
``clues.queue.depth.<queue>`` …            gauge      states, in the units of their samples; labels' values in the
                                                      order of the labels' names
=========================================  =========  ============================================================

``clues`` is the prefix; what else than letters, digits, ``-`` and ``_`` is in a queue's or class' name becomes ``_``.
With ``tags="datadog"`` the metrics are ``clues.<event>``, ``clues.time_in_queue``, ``clues.time_to_perform`` and
``clues.queue.depth``, tagged ``queue:mail,job_class:Welcome`` (DogStatsD, Telegraf, statsd_exporter).
"""

from __future__ import annotations

import functools
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from urllib.parse import SplitResult, unquote

from clues.errors import ConfigError
from clues.event import Event, EventType, Sample
from clues.publishers.datagrams import Datagrams, Path, Place
from clues.publishers.names import EVERY, Name, checked_host, checked_port
from clues.publishers.query import Reader, options_of, seconds, text_or_none, whole
from clues.publishers.statsd_packets import Client, Metric, Packets, Sink, number, part, spelled, tag

if TYPE_CHECKING:
    from clues.publishers.outbox import Companion

HOST = "127.0.0.1"
PORT = 8125
PREFIX = "clues"
MTU = 1432
"""Bytes of a packet that any Ethernet takes whole, tunnels' headers included; statsd's own advice."""

_SMALLEST_MTU = 512
_LARGEST_MTU = 65507
_LONGEST_PATH = 107  # what the system's address of a Unix socket holds
_LONGEST_NAME = 200
_LONGEST_TIME = 1e12  # seconds; beyond it, it is none, and no integer is too large for a float
_PREFIX = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\Z")
TIMED = {
    EventType.DEQUEUED: ("_time_in_queue", "time_in_queue"),
    EventType.PERFORM_FINISHED: ("_time_to_perform", "time_to_perform"),
    EventType.FAILED: ("_time_to_perform", "time_to_perform"),
}
"""Where an event's time is, and what its timer is called."""


class StatsdPublisher:
    """Counts and times jobs in statsd, by queue and class, and never waits; this module's table has the names."""

    url_options: ClassVar[Mapping[str, Reader]] = {
        "prefix": text_or_none,
        "key": text_or_none,
        "tags": text_or_none,
        "mtu": whole,
        "resolve_every": seconds,
    }

    def __init__(  # noqa: PLR0913 - where to, and how
        self,
        host: str = HOST,
        port: int = PORT,
        *,
        prefix: str = PREFIX,
        key: str | None = None,
        tags: Literal["datadog"] | None = None,
        mtu: int = MTU,
        resolve_every: float = EVERY,
        client: object | None = None,
        place: Place | None = None,
    ) -> None:
        """Find the daemon; waits two seconds at most for its name.

        Args:
            host: its name or address, or ``unix:///var/run/datadog/dsd.socket``.
            port: its port.
            prefix: what all names begin with.
            key: where each job's time is told too, with the job's name appended.
            tags: ``"datadog"`` puts queue and class into tags instead of names.
            mtu: the largest packet; the metrics of one event share one while they fit.
            resolve_every: seconds between two look-ups of the name.
            client: a client of your own instead of host and port: `statsd.StatsClient`, `datadog.DogStatsd` or alike.
            place: who knows the daemon's addresses, instead of the system's resolver.

        Raises:
            ConfigError: one of them is mistaken.
        """
        if tags not in {None, "datadog"}:
            msg = f'StatsdPublisher: tags must be "datadog" or None, not {tags!r}'
            raise ConfigError(msg)
        if type(mtu) is not int or not _SMALLEST_MTU <= mtu <= _LARGEST_MTU:
            msg = f"StatsdPublisher: mtu must be from {_SMALLEST_MTU} to {_LARGEST_MTU}, not {mtu!r}"
            raise ConfigError(msg)
        self._prefix = _checked_name("prefix", prefix)
        self._key = _checked_name("key", key) if key else ""
        self._tagged = tags == "datadog"
        self._packets: Packets | None = None
        self._sink: Sink
        if client is not None:
            self._sink = Client(client, tagged=self._tagged)
        else:
            self._sink = self._packets = Packets(Datagrams(place or _place(str(host), port, resolve_every)), mtu)
        # What is the same in all events of a type, a queue and a class is spelled once.
        self._spelled = functools.lru_cache(maxsize=1024)(self._spell)

    @classmethod
    def from_url(cls, url: SplitResult) -> StatsdPublisher:
        """``statsd://127.0.0.1:8125/clues?tags=datadog&key=&mtu=1432``, ``statsd+unix:///var/run/datadog/dsd.socket``.

        Host, port, prefix and options may be left out; a socket's prefix is an option: ``?prefix=clues``.

        Raises:
            ConfigError: the URL is mistaken.
        """
        options = options_of(url, cls.url_options)
        try:
            port = url.port or PORT
        except ValueError as error:
            msg = f"CLUES_PUBLISHERS: {url.scheme}:// can't be used: {error}"
            raise ConfigError(msg) from error
        path = unquote(url.path)
        if url.scheme == "statsd+unix":
            return cls(f"unix://{url.netloc}{path}", **options)
        if prefix := path.strip("/"):
            options["prefix"] = prefix
        if url.username is not None:
            msg = "CLUES_PUBLISHERS: statsd:// knows no user; it is as in statsd://127.0.0.1:8125/clues"
            raise ConfigError(msg)
        return cls(url.hostname or HOST, port, **{"prefix": PREFIX, **options})

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> StatsdPublisher | None:
        """The publisher that ``STATSD_HOST``, ``STATSD_PORT`` and ``STATSD_KEY`` ask for; None without the first.

        Raises:
            ConfigError: one of them is mistaken.
        """
        host = environ.get("STATSD_HOST", "").strip()
        if not host:
            return None
        text = environ.get("STATSD_PORT", "").strip()
        if not (text or str(PORT)).isdecimal():
            msg = f"STATSD_PORT must be a port, not {text!r}"
            raise ConfigError(msg)
        return cls(host, int(text or PORT), key=environ.get("STATSD_KEY", "").strip().strip(".") or None)

    def publish(self, event: Event, /) -> None:
        """Send the event's metrics.

        Raises:
            OSError: they were not sent, or it is known only now that those before them were lost.
        """
        if self._packets is None:
            self._sink.take(self._metrics(event))
            return
        count, key, timers = self._spelled(event.event_type, event.queue, event.worker_class)
        took = _milliseconds(event.metadata.get(key)) if key else None
        if took is None:
            self._packets.send((count,))
        else:
            value = number(took).encode()
            self._packets.send((count, *[begin + value + end for begin, end in timers]))

    def publish_samples(self, samples: Iterable[Sample], /) -> None:
        """Send states as gauges.

        Raises:
            OSError: they were not sent.
        """
        self._sink.take(self._gauges(samples))

    def companion(self) -> Companion:
        """What tells it states, such as queue depths, in a process beside workers whose job system knows some."""
        from clues.publishers.outbox import Companion  # noqa: PLC0415 - shipping is loaded where it is wanted

        return Companion((), [self])

    def close(self) -> None:
        """Close the socket; a later event opens another. A client of your own stays open."""
        self._sink.close()

    def _spell(
        self, kind: EventType, queue: str | None, worker_class: str | None
    ) -> tuple[bytes, str, list[tuple[bytes, bytes]]]:
        """An event's counter, where its time is, and what its timers' values stand between."""
        event = Event(kind, "", queue, {TIMED.get(kind, ("",))[0]: 0.0}, worker_class, [])
        (count, *timers) = [line for metric in self._metrics(event) for line in spelled(metric)]
        parts = [timer.partition(b":0|") for timer in timers]
        return count, TIMED[kind][0] if kind in TIMED else "", [(begin + b":", b"|" + end) for begin, _, end in parts]

    def _metrics(self, event: Event) -> Iterator[Metric]:
        yield self._metric(event.event_type.value, 1, "c", event)
        if event.event_type in TIMED:
            key, name = TIMED[event.event_type]
            took = _milliseconds(event.metadata.get(key))
            if took is not None:
                yield self._metric(name, took, "ms", event)
                if self._key and name == "time_to_perform":
                    yield Metric(f"{self._key}.{part(event.worker_class)}", took, "ms")

    def _metric(self, what: str, value: float, kind: Literal["c", "ms"], event: Event) -> Metric:
        if self._tagged:
            tags = tag("queue", event.queue), tag("job_class", event.worker_class)
            return Metric(f"{self._prefix}.{what}", value, kind, tags)
        return Metric(f"{self._prefix}.{what}.{part(event.queue)}.{part(event.worker_class)}", value, kind)

    def _gauges(self, samples: Iterable[Sample]) -> Iterator[Metric]:
        for sample in samples:
            if not math.isfinite(sample.value):
                continue
            name = ".".join([self._prefix, *map(part, sample.name.removeprefix("clues.").split("."))])
            labels = sorted(sample.attributes.items())
            if self._tagged:
                yield Metric(name, sample.value, "g", tuple(tag(part(key), value) for key, value in labels))
            else:
                yield Metric(".".join([name, *(part(value) for _, value in labels)]), sample.value, "g")


def _milliseconds(seconds: Any) -> float | None:
    """A time as statsd has it; None for what is none, in an item of somebody else's making."""
    if isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 <= seconds <= _LONGEST_TIME:
        return float(seconds) * 1000
    return None


def _place(host: str, port: int, every: float) -> Place:
    if host.startswith("unix://"):
        path = host.removeprefix("unix://")
        if not path.startswith("/") or len(os.fsencode(path)) > _LONGEST_PATH:
            msg = f"StatsdPublisher: {host!r} must be unix:// and a path of {_LONGEST_PATH} bytes at most"
            raise ConfigError(msg)
        return Path(path)
    if not every > 0:
        msg = f"StatsdPublisher: resolve_every must be a number of seconds, not {every!r}"
        raise ConfigError(msg)
    return Name(checked_host("StatsdPublisher", host), checked_port("StatsdPublisher", port), every=every)


def _checked_name(what: str, name: object) -> str:
    if isinstance(name, str) and len(name) <= _LONGEST_NAME and _PREFIX.match(name):
        return name
    msg = f"StatsdPublisher: {what} must be a name such as clues or shop.jobs, not {name!r}"
    raise ConfigError(msg)
