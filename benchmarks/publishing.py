"""An event in its caller: what it costs by publisher, whole and in `publish` alone, and what other libraries take.

All figures are CPU, but for the times that one in a thousand calls reaches. A whole event is that from the hook's call
to its return: the dequeued event of a job with a few args and metadata, built, encoded and written.
"""

from __future__ import annotations

import gc
import json
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmarks.environments import PEERS, prepared
from benchmarks.programs import Program, output_of
from benchmarks.run import Run
from benchmarks.stories import METADATA, args, events
from benchmarks.timing import Figure, each_cpu, interleaved
from clues.config import Config, Settings
from clues.event import Event, Publisher, json_encoder
from clues.lifecycle import Lifecycle
from clues.plugs import publisher_from_urls
from clues.publishers import CompositePublisher, LogPublisher, NoOpPublisher, StreamPublisher

OBSERVERS = {
    "python-json-logger to a file": "json-logger",
    "python-json-logger with orjson to a file": "json-logger-orjson",
    "structlog with orjson to a file": "structlog",
    "OpenTelemetry SDK, a log record, batched": "sdk",
}


def measure(run: Run) -> list[Figure]:
    """All of it."""
    return [*whole_events(run), *publishing(run), *waiting(run), *others(run)]


def whole_events(run: Run) -> list[Figure]:
    """From the hook's call to its return, by publisher; and the floor."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        null = stack.enter_context(Path("/dev/null").open("w"))
        journal = stack.enter_context(_journalling(folder / "spool"))
        publishers: dict[str, Publisher] = {
            "noop publisher": NoOpPublisher(),
            "log publisher": stack.enter_context(closing(LogPublisher(folder / "clues.log"))),
            "stream publisher, /dev/null": StreamPublisher(null),
            "log and journal": CompositePublisher(
                stack.enter_context(closing(LogPublisher(folder / "beside.log"))), journal
            ),
            "journal (OTLP + Elasticsearch + TCP)": journal,
            "UDP publisher": stack.enter_context(_listening("udp://127.0.0.1:{}")),
            "statsd publisher": stack.enter_context(_listening("statsd://127.0.0.1:{}")),
        }
        cases = {f"{name}, whole event": _hook(publisher) for name, publisher in publishers.items()}
        cases["build + orjson + os.write"] = _floor(folder / "floor.log")
        return each_cpu(cases, rounds=run.rounds(15, 3), calls=run.pick(5_000, 300))


def publishing(run: Run) -> list[Figure]:
    """`publish` alone, of events that are built and not yet encoded."""
    count = run.pick(5_000, 300)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        publishers = {
            "journal (OTLP + Elasticsearch + TCP)": stack.enter_context(_journalling(Path(name, "spool"))),
            "log": stack.enter_context(closing(LogPublisher(Path(name, "clues.log")))),
            "UDP": stack.enter_context(_listening("udp://127.0.0.1:{}")),
            "statsd": stack.enter_context(_listening("statsd://127.0.0.1:{}")),
            "statsd with tags": stack.enter_context(_listening("statsd://127.0.0.1:{}?tags=datadog")),
        }
        cases = {f"{name}, publish": _publishes(publisher, count) for name, publisher in publishers.items()}
        return interleaved(cases, rounds=run.rounds(15, 3), unit="s")


def waiting(run: Run) -> list[Figure]:
    """How long one call in a thousand takes at least, with nobody at the other end."""
    count = run.pick(20_000, 2_000)
    run.note("publishing: a journal's p99.9 is that of a worker tree, where a companion ships, unless a thread does")
    ways: dict[str, _Way] = {
        "journal": lambda folder, away: _journalling(folder, ports=away),
        "journal that a thread ships": lambda folder, away: _journalling(folder, ports=away, accompanied=False),
        "UDP": lambda _folder, away: _datagrams(f"udp://127.0.0.1:{away[0]}"),
        "statsd": lambda _folder, away: _datagrams(f"statsd://127.0.0.1:{away[0]}"),
    }
    cases = {f"{name}, p99.9, back ends away": _slowest(way, count) for name, way in ways.items()}
    return interleaved(cases, rounds=run.rounds(5), unit="s")


def others(run: Run) -> list[Figure]:
    """Other libraries with an event of the same fields, each in a process of its own."""
    programs = prepared("observers", run)
    if programs is None:
        return []
    count = run.pick(20_000, 1_000)
    cases = {name: _observer(programs / "python", case, count) for name, case in OBSERVERS.items()}
    run.versions |= _pinned()
    return interleaved(cases, rounds=run.rounds(5), unit="s")


def _hook(publisher: Publisher) -> Callable[[], object]:
    lifecycle = Lifecycle(Settings(Config(publisher)))
    item: dict[str, Any] = {"class": "Report", "args": args(42), "clues_metadata": dict(METADATA)}
    lifecycle.stamp("mail", item)
    return lambda: lifecycle.dequeued("mail", item)


def _floor(path: Path) -> Callable[[], object]:
    """What nobody can do without: a time, a dictionary of the same fields, JSON, a write."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    encode, event_hash, told = json_encoder(), "0123456789abcdef" * 2, args(42)

    def event() -> None:
        now = time.time()
        metadata = {
            "_event_hash": event_hash,
            "_event_id": f"{event_hash}:1:dequeued",
            "_attempt": 1,
            "_hostname": "web-1",
            "_process": 4711,
            "_enqueued_time": 1795265743.238703,
            "customer_id": 42,
            "tier": "gold",
            "host_hint": "eu-1",
            "_time_in_queue": now - 1795265743.238703,
        }
        shape = {
            "event_type": "dequeued",
            "timestamp": f"2026-11-20T20:59:58.{int(now % 1 * 1_000_000):06d}Z",
            "queue": "mail",
            "metadata": metadata,
            "worker_class": "Report",
            "args": told,
        }
        os.write(fd, encode(shape) + b"\n")

    return event


def _publishes(publisher: Publisher, count: int) -> Callable[[], float]:
    def timed() -> float:
        told = events(count // 4)
        with _calm():
            begin = time.process_time()
            for event in told:
                publisher.publish(event)
            return (time.process_time() - begin) / len(told)

    return timed


_Ports = tuple[int, int, int]
_Way = Callable[[Path, _Ports], AbstractContextManager[Publisher]]


def _slowest(way: _Way, count: int) -> Callable[[], float]:
    """One publisher at a time: what it does by and by is its own, and no other's trouble."""

    def timed() -> float:
        told = events(count // 4)
        with tempfile.TemporaryDirectory() as folder, way(Path(folder), _away()) as publisher:
            taken = sorted(_each(publisher, told))
            return taken[len(taken) * 999 // 1000]

    return timed


def _each(publisher: Publisher, told: Sequence[Event]) -> Iterator[float]:
    for event in told:
        begin = time.perf_counter()
        with suppress(OSError):  # that nobody listens is what is wanted here
            publisher.publish(event)
        yield time.perf_counter() - begin


@contextmanager
def _calm() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def _journalling(
    spool: Path, *, ports: tuple[int, int, int] | None = None, accompanied: bool = True
) -> Iterator[Publisher]:
    """Three publishers of one journal, which somebody else ships, or a thread of this process."""
    otlp, elasticsearch, tcp = ports or _away()
    publisher = publisher_from_urls(
        [
            f"otlp+http://127.0.0.1:{otlp}?service_name=shop&spool={spool}&flush_timeout=0",
            f"elasticsearch://127.0.0.1:{elasticsearch}?spool={spool}&flush_timeout=0",
            f"tcp://127.0.0.1:{tcp}?spool={spool}&flush_timeout=0",
        ]
    )
    if accompanied:
        publisher.companion()  # type: ignore[attr-defined]
    try:
        yield publisher
    finally:
        publisher.close()  # type: ignore[attr-defined]


@contextmanager
def _listening(url: str) -> Iterator[Publisher]:
    """A publisher of datagrams that somebody takes, and nobody reads."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        with _datagrams(url.format(receiver.getsockname()[1])) as publisher:
            yield publisher


@contextmanager
def _datagrams(url: str) -> Iterator[Publisher]:
    publisher = publisher_from_urls([url])
    try:
        yield publisher
    finally:
        publisher.close()  # type: ignore[attr-defined]


def _away() -> _Ports:
    """Ports at which nobody listens."""
    found = []
    for _ in range(3):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            found.append(taken.getsockname()[1])
    return found[0], found[1], found[2]


def _observer(python: Path, case: str, count: int) -> Callable[[], float]:
    def told() -> float:
        with tempfile.TemporaryDirectory() as folder:
            command = [str(python), str(PEERS / "observers" / "emit.py"), case, str(count), str(Path(folder, "log"))]
            found: dict[str, float] = json.loads(output_of(Program(command)))
            return found["caller"]

    return told


def _pinned() -> dict[str, str]:
    wanted = (PEERS / "observers" / "requirements.txt").read_text().split()
    pairs = dict(line.split("==") for line in wanted)
    return {name: pairs[name] for name in ("opentelemetry-sdk", "python-json-logger", "structlog")}
