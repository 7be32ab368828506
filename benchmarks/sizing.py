"""``python -m benchmarks.sizing``: what a million jobs cost, in bytes and CPU; docs/operations.md shows its table.

The events are those of `benchmarks.stories`, four of each job. Sizes are counted, not estimated: of the log, of the
journal, of requests as a back end gets them, of Redis by its own word. CPU is that of this process, or of the shipper.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import redis

from benchmarks.machine import machine
from benchmarks.programs import Program, output_of
from benchmarks.sinks import elasticsearch
from benchmarks.stories import METADATA, args, events
from clues.config import Config, Settings
from clues.demo.redis_server import EmbeddedRedis
from clues.event import Event
from clues.lifecycle import Lifecycle
from clues.metadata import new_hash
from clues.publishers import LogPublisher, TCPPublisher
from clues.publishers.elasticsearch_documents import Target, bulk_lines
from clues.publishers.journal import Journal

_TARGET = Target("logs-clues.events-default", namespace="default")
_MILLION = 1_000_000


def main() -> None:
    """Measure, and print a table in Markdown."""
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 25_000
    print(f"{jobs:,} jobs; {', '.join(f'{name} {what}' for name, what in machine().items())}\n")
    print("| what | a job | a million jobs |\n| --- | --- | --- |")
    with tempfile.TemporaryDirectory() as name:
        for what, unit, value in _figures(Path(name), events(jobs), jobs):
            print(f"| {what} | {_shown(value / jobs, unit)} | {_shown(value / jobs * _MILLION, unit)} |", flush=True)


def _figures(folder: Path, told: list[Event], jobs: int) -> Iterator[tuple[str, str, float]]:
    log = b"".join(event.line + b"\n" for event in told)
    yield "event log, four events", "B", len(log)
    yield "event log, gzipped by logrotate", "B", len(gzip.compress(log, 6))
    yield "documents for Elasticsearch, as JSON", "B", sum(len(bulk_lines(event.line, _TARGET)) for event in told)
    yield from _delivered(folder, told)
    yield from _written(folder, jobs)
    yield from _in_redis(jobs)


def _delivered(folder: Path, told: list[Event]) -> Iterator[tuple[str, str, float]]:
    """What back ends are sent, and the shipper's CPU for it."""
    ways: tuple[tuple[str, str, dict[str, str]], ...] = (
        ("OTLP", "otlp+http://127.0.0.1:{port}?service_name=shop", {}),
        ("OTLP, gzip", "otlp+http://127.0.0.1:{port}?service_name=shop", {"OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"}),
        ("Elasticsearch, gzip", "elasticsearch://127.0.0.1:{port}?", {}),
    )
    for number, (what, url, environ) in enumerate(ways):
        spool = folder / f"spool-{number}"
        journal = Journal(spool)
        for event in told:
            journal.append(event)
        journal.close()
        with _counting() as (port, counts):
            command = [sys.executable, "-m", "benchmarks.shipping", str(spool), url.format(port=port)]
            found: dict[str, Any] = json.loads(output_of(Program(command, environ)))
        assert found["delivered"] == [len(told)], found
        yield f"to {what}: bytes on the wire", "B", counts.total()
        for path, size in sorted(counts.items()):
            if what == "OTLP":
                yield f"… of these {path.rpartition('/')[2]}", "B", size
        yield f"to {what}: the shipper's CPU", "s", found["cpu"]


@contextmanager
def _counting() -> Iterator[tuple[int, Counter[str]]]:
    """A back end that takes all, and counts the bodies' bytes by path; gives its port and the counts."""
    counts: Counter[str] = Counter()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            path = self.path.partition("?")[0]
            body = self.rfile.read(int(self.headers["Content-Length"]))
            counts[path] += len(body)
            self.wfile.write(elasticsearch(self.path.encode(), body) if path == "/_bulk" else _TAKEN)

        def do_GET(self) -> None:
            self.wfile.write(elasticsearch(self.path.encode(), b""))

        do_HEAD = do_PUT = do_GET  # noqa: N815 - as `http.server` calls them

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port, counts
    finally:
        server.shutdown()
        server.server_close()


_TAKEN = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n"


def _written(folder: Path, jobs: int) -> Iterator[tuple[str, str, float]]:
    """CPU of the four hooks of a job, with its events written; half of it is in the program that enqueues."""
    log = LogPublisher(folder / "events.log")
    yield "in the job's programs: CPU for the log", "s", _cpu(lambda: _live(Lifecycle(Settings(Config(log))), jobs))
    shipped = TCPPublisher("127.0.0.1", 9, spool=folder / "spool")
    shipped.companion()  # so that nothing is shipped from here
    yield (
        "in the job's programs: CPU for the journal",
        "s",
        _cpu(lambda: _live(Lifecycle(Settings(Config(shipped))), jobs)),
    )


def _live(lifecycle: Lifecycle, jobs: int) -> None:
    for number in range(jobs):
        item: dict[str, Any] = {"class": "Report", "args": args(number), "clues_metadata": dict(METADATA)}
        lifecycle.enqueued(lifecycle.stamp("reports", item))
        attempt = lifecycle.dequeued("reports", item)
        with lifecycle.performing(attempt, "reports", item):
            pass
        lifecycle.perform_finished(attempt)


def _cpu(act: Callable[[], object]) -> float:
    begin = time.process_time()
    act()
    return time.process_time() - begin


def _in_redis(jobs: int) -> Iterator[tuple[str, str, float]]:
    """What a waiting job takes in Redis, and an entry in the list of failures."""
    with EmbeddedRedis() as server, redis.Redis.from_url(server.url) as client:
        bare, stamped = _item({}), _item(_stamp())
        failure = {
            "failed_at": "2026/11/20 20:59:58 UTC",
            "payload": stamped,
            "exception": "ValueError",
            "error": "there is no page 7",
            "backtrace": ["/srv/shop/jobs.py:12:in `perform'"] * 12,
            "worker": "web-1:30731:reports",
            "queue": "reports",
        }
        yield "Redis, while it waits, unstamped", "B", _memory(client, bare, jobs)
        yield "Redis, while it waits, stamped by clues", "B", _memory(client, stamped, jobs)
        yield "Redis, in the list of failures", "B", _memory(client, failure, jobs)


def _item(metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {"class": "Report", "args": args(7)} | ({"clues_metadata": dict(metadata)} if metadata else {})


def _stamp() -> dict[str, Any]:
    own = {"_event_hash": new_hash(), "_attempt": 1, "_hostname": os.uname().nodename, "_process": os.getpid()}
    return {**own, "_enqueued_time": time.time(), **METADATA}


def _memory(client: redis.Redis, item: Mapping[str, Any], count: int) -> int:
    client.flushall()
    before = int(client.info("memory")["used_memory"])
    pipeline = client.pipeline(transaction=False)
    text = json.dumps(item, separators=(",", ":"), ensure_ascii=False)
    for _ in range(count):
        pipeline.rpush("queue:reports", text)
    pipeline.execute()
    return int(client.info("memory")["used_memory"]) - before


def _shown(value: float, unit: str) -> str:
    if unit == "s":
        return f"{value * 1e6:.0f} µs" if value < 1e-3 else f"{value:.0f} s"
    for size, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= size:
            return f"{value / size:.3g} {name}"
    return f"{value:.0f} B"


if __name__ == "__main__":
    main()
