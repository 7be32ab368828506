"""The back ends of a soak: the strict stand-ins of tests/publishers, which keep the ids of events and no more.

Where CLUES_ELASTICSEARCH_URL or CLUES_OTELCOL is set, the real ones stand in their place. Each can be taken down, made
slow, made to swallow all, or, where it answers for itself, made to answer with errors.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import urllib.request
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc

from tests.publishers import collector
from tests.publishers.fake_elasticsearch import FakeElasticsearch, failure, serving
from tests.publishers.otlp_receiver import Fail, Got, Receiver, grpc_receiver, http_receiver, values
from tests.publishers.proxy import Proxy
from tests.publishers.receivers import Lines, Packets


class Ids:
    """How often each event came, by its id; other things count under the empty one. And whose hash is whose."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()
        self.hashes: set[tuple[int, str]] = set()

    def add(self, ids: Iterable[str]) -> None:
        """These have come."""
        with self._lock:
            self.counts.update(ids)

    def extend(self, lines: Iterable[bytes]) -> None:
        """These lines have come."""
        for line in lines:
            name = event_id(line)
            self.add([name])
            if name:
                self.hashes.add((json.loads(line)["args"][0], name.partition(":")[0]))


@dataclass
class BackEnd:
    """One of them.

    Attributes:
        name: in the account.
        url: for CLUES_PUBLISHERS.
        counts: how often each event came.
        faults: ways to harm it, by name; each gives what mends it.
        held: whether it is to get every event.
        hashes: the numbers of jobs, with their hashes, where it sees both.
    """

    name: str
    url: str
    counts: Callable[[], Counter[str]]
    faults: dict[str, Callable[[], Callable[[], object]]] = field(default_factory=dict)
    held: bool = True
    hashes: Callable[[], set[tuple[int, str]]] = set


def event_id(line: bytes) -> str:
    """A line's event id; empty where it has none."""
    try:
        return str(json.loads(line)["metadata"]["_event_id"])
    except (ValueError, KeyError, TypeError):
        return ""


@contextmanager
def tcp() -> Iterator[BackEnd]:
    """Lines over TCP; no proxy, for that would say it has what it then loses."""
    ids = Ids()
    listening = [_SoakLines(ids)]
    port = listening[0].port

    def down() -> Callable[[], object]:
        listening.pop().close()
        return lambda: listening.append(_SoakLines(ids, port=port))

    def stall() -> Callable[[], object]:
        listening[-1].reading.clear()
        return listening[-1].reading.set

    try:
        yield BackEnd(
            "tcp",
            f"tcp://127.0.0.1:{port}",
            lambda: ids.counts,
            {"down": down, "stall": stall},
            hashes=lambda: ids.hashes,
        )
    finally:
        for one in listening:
            one.reading.set()
            one.close()


class _SoakLines(Lines):
    def __init__(self, ids: Ids, **options: Any) -> None:
        self.reading = threading.Event()
        self.reading.set()
        self._ids = ids
        super().__init__(**options)

    def _read(self, opened: socket.socket) -> None:
        rest = b""
        while data := opened.recv(1 << 16):
            self.reading.wait()
            *whole, rest = (rest + data).split(b"\n")
            self._ids.extend(whole)
        opened.close()


@contextmanager
def elasticsearch(index: str) -> Iterator[BackEnd]:
    """A dated index, in which each event is once."""
    real = os.environ.get("CLUES_ELASTICSEARCH_URL", "")
    with ExitStack() as stack:
        fake = None if real else stack.enter_context(serving(FakeElasticsearch(documents=_Keys())))
        if fake is not None:
            fake.requests, fake.bulks = deque(maxlen=1), deque(maxlen=1)  # type: ignore[assignment]
        proxy = stack.enter_context(Proxy(urlsplit(real or fake.url).port or 9200))  # type: ignore[union-attr]
        faults = _faults(proxy)
        if fake is not None:
            answering: FakeElasticsearch = fake

            def errors() -> Callable[[], object]:
                refusals = [
                    failure(503, "unavailable_shards_exception"),
                    failure(429, "es_rejected_execution_exception"),
                ]
                answering.faults.extend(refusals * 3)
                return answering.faults.clear

            faults["errors"] = errors

        def counts() -> Counter[str]:
            if fake is None:
                return Counter(_ids_in(real, index))
            return Counter(name for _, name in list(fake.documents))

        url = f"elasticsearch://127.0.0.1:{proxy.port}?index={index}&dated=true"
        if fake is None:
            stack.enter_context(_set_up(real, index, url))
        yield BackEnd("elasticsearch", url, counts, faults)


class _Keys(dict[Any, Any]):
    """Documents, of which the names are kept alone."""

    def __setitem__(self, key: Any, _value: Any) -> None:
        super().__setitem__(key, None)


@contextmanager
def _set_up(real: str, index: str, url: str) -> Iterator[None]:
    """A real one knows our indices, as `clues setup` makes it, and is left without them."""
    subprocess.run([sys.executable, "-m", "clues", "setup", "elasticsearch", "--to", url], check=True, timeout=60)
    yield
    with _asked(real, f"_cat/indices/{index}-*?h=index") as answer:
        made = answer.read().decode().split()
    for path in (*made, f"_index_template/clues.events-{index}"):
        _asked(real, path, method="DELETE").close()


def _asked(url: str, path: str, *, method: str = "GET", body: dict[str, Any] | None = None) -> Any:
    """An open answer of a real one."""
    data, headers = (json.dumps(body).encode(), {"content-type": "application/json"}) if body else (None, {})
    return urllib.request.urlopen(
        urllib.request.Request(f"{url}/{path}", method=method, data=data, headers=headers), timeout=60
    )


def _ids_in(url: str, index: str) -> Iterator[str]:
    """The ids of all documents of a real one."""
    _asked(url, f"{index}-*/_refresh", method="POST").close()
    body: dict[str, Any] = {"size": 10_000, "_source": False, "sort": ["_doc"]}
    path = f"{index}-*/_search?scroll=1m"
    while True:
        with _asked(url, path, method="POST", body=body) as answer:
            found = json.load(answer)
        if not found["hits"]["hits"]:
            return
        yield from (hit["_id"] for hit in found["hits"]["hits"])
        path, body = "_search/scroll", {"scroll": "1m", "scroll_id": found["_scroll_id"]}


@contextmanager
def otlp(folder: Path) -> Iterator[BackEnd]:
    """Log records, spans and metrics over gRPC; behind a Collector, where there is one."""
    ids = Ids()
    with ExitStack() as stack:
        real = os.environ.get("CLUES_OTELCOL", "")
        receiver = stack.enter_context(contextmanager(http_receiver if real else grpc_receiver)())
        receiver.got, receiver.taken = deque(maxlen=1), _Taken(ids)  # type: ignore[assignment]
        endpoint = receiver.endpoint
        if real:
            endpoint, _ = stack.enter_context(collector.running(Path(real), folder, receiver.endpoint))
        proxy = stack.enter_context(Proxy(urlsplit(endpoint).port or 0))
        faults = _faults(proxy)
        faults["errors"] = lambda: _otlp_errors(receiver, real=bool(real))
        url = f"otlp://127.0.0.1:{proxy.port}?insecure=true&timeout=5"
        yield BackEnd("otlp", url, lambda: ids.counts, faults)


def _otlp_errors(receiver: Receiver, *, real: bool) -> Callable[[], object]:
    for signal in ("logs", "traces", "metrics"):
        code: Any = 503 if real else grpc.StatusCode.UNAVAILABLE
        slowly: Any = 503 if real else grpc.StatusCode.RESOURCE_EXHAUSTED
        receiver.fail(signal, *[Fail(code), Fail(slowly, retry_after="1" if real else 0.5)] * 3)

    def mend() -> None:
        for fails in receiver.fails.values():
            fails.clear()

    return mend


class _Taken(list[Got]):
    """Requests that were taken, of which the ids of log records are kept alone."""

    def __init__(self, ids: Ids) -> None:
        super().__init__()
        self._ids = ids

    def append(self, got: Got) -> None:
        if got.signal == "logs":
            self._ids.add(
                str(values(record.attributes).get("clues.event_id", ""))
                for resource in got.message.resource_logs
                for scope in resource.scope_logs
                for record in scope.log_records
            )


def _faults(proxy: Proxy) -> dict[str, Callable[[], Callable[[], object]]]:
    def down() -> Callable[[], object]:
        proxy.down()
        return proxy.up

    def black_hole() -> Callable[[], object]:
        proxy.black_hole = True
        proxy.down()
        proxy.up()

        def mend() -> None:
            proxy.black_hole = False
            proxy.down()
            proxy.up()

        return mend

    def slow() -> Callable[[], object]:
        proxy.delay = 0.3
        return lambda: setattr(proxy, "delay", 0.0)

    return {"down": down, "black hole": black_hole, "slow": slow}


@contextmanager
def datagrams(name: str, path: str = "") -> Iterator[BackEnd]:
    """Who takes datagrams; nobody promises that they come, and over loopback they do."""
    ids = Ids()
    over = threading.Event()
    with Packets() as packets:
        packets._socket.settimeout(0.2)
        packets._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)

        def count() -> None:
            while not over.is_set():
                try:
                    datagram = packets._socket.recv(1 << 16)
                except TimeoutError:
                    continue
                ids.extend([datagram])

        thread = threading.Thread(target=count)
        thread.start()
        try:
            url = f"{name}://127.0.0.1:{packets.port}{path}"
            yield BackEnd(name, url, lambda: ids.counts, held=False, hashes=lambda: ids.hashes)
        finally:
            over.set()
            thread.join()


@contextmanager
def all_of_them(folder: Path, seed: int) -> Iterator[list[BackEnd]]:
    """Every one, at work."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(made)
            for made in (
                tcp(),
                elasticsearch(f"soak-{seed}"),
                otlp(folder),
                datagrams("udp"),
                datagrams("statsd", "/soak"),
            )
        ]
