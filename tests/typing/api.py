"""Public usage as the documentation shows it; mypy checks it, nothing runs it."""
# ruff: noqa: T201 - usage prints

from __future__ import annotations

import io
import logging
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import clues
from clues import Event, EventType, Runtime, clues_metadata
from clues.config import Config
from clues.event import Publisher, Sample
from clues.logging import JobFilter, JobFormatter, install
from clues.plugs import Item
from clues.publishers import (
    CompositePublisher,
    LogPublisher,
    NoOpPublisher,
    StandardOutPublisher,
    StreamPublisher,
)
from clues.testing import RecordingPublisher, capture_events


def add_customer(queue: str, item: Item) -> None:
    item["clues_metadata"]["customer_id"] = 42


def my_line(
    event_type: str,
    timestamp: str,
    queue: str | None,
    metadata: Mapping[str, Any],
    worker_class: str | None,
    args: Sequence[Any],
) -> str:
    return f"{timestamp} {event_type} {worker_class}"


class Sockets:
    """A publisher by shape alone."""

    def publish(self, event: Event) -> None:
        kind: EventType = event.event_type
        line: bytes = event.line
        text: str = kind.value
        print(text, kind.terminal, line, event.metadata.get("customer_id"), list(event.args))


class Tracing:
    def inject(self, item: Item) -> None:
        item["clues_metadata"]["_traceparent"] = "00-…"

    @contextmanager
    def activate(self, item: Mapping[str, Any]) -> Generator[None]:
        yield


class Depths:
    def sample(self) -> list[Sample]:
        return [Sample("clues.queue.depth", 3, "{job}", {"queue": "mail"})]


def configured_in_every_way() -> None:
    config: Config = clues.configure(publisher=LogPublisher("/var/log/clues.log"))
    clues.configure(
        CompositePublisher(StandardOutPublisher(), StreamPublisher(io.StringIO()), NoOpPublisher(), Sockets(), print),
        item_preprocessor=add_customer,
        marshaller=my_line,
        redact=["pin"],
        redact_args={"ChargeCard": [1]},
        max_args_bytes=4096,
        adopt_unstamped=True,
        hostname="web-1",
        propagator=Tracing(),
        samplers=[Depths()],
    )
    clues.configure(lambda event: print(event.queue), item_preprocessor=[add_customer, lambda queue, item: None])
    clues.configure(LogPublisher(logging.getLogger("events"), level=logging.DEBUG), redact=False)
    clues.configure()
    configured: bool = clues.configured()
    counts: dict[str, int] = config.faults.counts
    publisher: Publisher = Sockets()
    print(configured, counts, publisher)


class PdfGeneration(Runtime):
    queue = "pdf_generation"

    @classmethod
    def perform(cls, doc_id: int) -> None:
        cls.clues_metadata["pdf_generation_strategy"] = "fast"
        clues_metadata.update(doc_id=doc_id)
        pages: Any = clues_metadata.get("pages", 0)
        clues_metadata["pages"] = pages + 1


def logs() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(JobFormatter())
    handler.addFilter(JobFilter())
    install()
    install(logging.getLogger("app"))


def tests() -> None:
    with capture_events(item_preprocessor=add_customer) as recorder:
        found: RecordingPublisher = recorder
        types: list[str] = found.types
        first: Event = found.of("enqueued")[0]
        print(types, first.metadata["_event_hash"], found.of(EventType.FAILED), found.about("…"))
        found.clear()


def read(line: bytes) -> str:
    return Event.from_line(line).line.decode()
