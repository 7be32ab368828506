"""Publishers as the documentation shows them, and one's own destination; mypy checks it, nothing runs it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult

import clues
from clues import Event
from clues.event import Publisher, Sample
from clues.publishers import (
    CompositePublisher,
    ElasticsearchPublisher,
    LogPublisher,
    NoOpPublisher,
    OTLPPublisher,
    StandardOutPublisher,
    StatsdPublisher,
    StreamPublisher,
    TCPPublisher,
    UDPPublisher,
)
from clues.publishers.delivery import Destination, Refusal, Sent
from clues.publishers.journal import JournalOptions
from clues.publishers.shipped import ShippedPublisher


def over_a_network() -> None:
    for publisher in publishers():
        heard: Publisher = publisher
        clues.configure(heard)


def publishers() -> Iterable[Publisher]:
    yield UDPPublisher("collector.internal", 5140, max_bytes=1400)
    yield StatsdPublisher()
    yield StatsdPublisher("statsd.internal", 8125, prefix="shop", tags="datadog")
    yield TCPPublisher("logstash.internal", 5170, tls=True, ca_certs=Path("/etc/ca.pem"), events=["failed"])
    yield OTLPPublisher()
    yield OTLPPublisher(
        "http://localhost:4318",
        protocol="http/protobuf",
        headers={"authorization": "Bearer …"},
        service_name="shop",
        resource_attributes={"deployment.environment.name": "production"},
        traces=False,
    )
    yield ElasticsearchPublisher("http://localhost:9200")
    yield ElasticsearchPublisher(["https://a:9200", "https://b:9200"], api_key="…", chart=["pages"], sample=0.1)
    yield CompositePublisher(LogPublisher(Path("events.log")), NoOpPublisher(), StandardOutPublisher())
    yield CompositePublisher(StreamPublisher(open("a", "w", encoding="utf-8")))  # noqa: PTH123, SIM115 - usage


class Queue:
    """A destination by shape alone."""

    name = "queue:orders"
    max_events = 500
    max_bytes = 1_000_000

    def send(self, batch: Sequence[bytes], /) -> Sent:
        refused = [Refusal(line, "too long") for line in batch if len(line) > self.max_bytes]
        return Sent(retry=[b"{}"], refused=refused, problem="busy", retry_after=2.0)

    def close(self) -> None:
        """Nothing to let go of."""


class QueuePublisher(ShippedPublisher):
    """A publisher of one's own that no job waits for."""

    def __init__(self, topic: str, **options: Any) -> None:
        super().__init__(f"queue:{topic}", **options)

    @classmethod
    def from_url(cls, url: SplitResult) -> QueuePublisher:
        return cls(url.path, spool="/var/spool/clues", journal=JournalOptions(max_bytes=1 << 30, drop="oldest"))

    def destination(self) -> Destination:
        return Queue()


class States:
    """A publisher that takes all that there is."""

    def publish(self, event: Event, /) -> None:
        self.publish_many([event])

    def publish_many(self, events: Sequence[Event]) -> None:
        print(*(event.line for event in events))  # noqa: T201 - usage

    def publish_samples(self, samples: Iterable[Sample]) -> None:
        print({sample.name: (sample.value, sample.unit, sample.attributes) for sample in samples})  # noqa: T201

    def flush(self, timeout: float) -> bool:
        return timeout > 0

    def close(self) -> None:
        """Nothing to let go of."""


def of_ones_own() -> None:
    clues.configure(CompositePublisher(QueuePublisher("orders", events=["failed"], sample=0.5), States()))
