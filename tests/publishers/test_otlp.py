"""OTLPPublisher as an application uses it: configured, published to, shipped from its journal, forked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import pytest

import clues
from clues.config import Settings
from clues.event import Event
from clues.lifecycle import Lifecycle
from clues.publishers.delivery import Destination, Sent
from clues.publishers.otlp import OTLPPublisher
from clues.publishers.otlp_counts import SENT
from tests.forks import forked
from tests.publishers.otlp_receiver import Fail, Receiver, grpc_receiver, http_receiver, values
from tests.stories import live
from tests.waiting import wait_for

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["grpc", "http"])
def receiver(request: pytest.FixtureRequest) -> Iterator[Receiver]:
    yield from grpc_receiver() if request.param == "grpc" else http_receiver()


def url_of(receiver: Receiver, spool: Path, more: str = "") -> str:
    scheme = "otlp" if receiver.protocol == "grpc" else "otlp+http"
    return f"{receiver.endpoint.replace('http', scheme, 1)}?service_name=shop&spool={spool}&flush_timeout=20{more}"


def enqueue_and_work(number: int = 1) -> None:
    lifecycle = Lifecycle(Settings(clues.configure.__globals__["default"].config))
    for _ in range(number):
        live(lifecycle, {"class": "Job", "args": [1]})


def of_event(receiver: Receiver) -> list[str]:
    return [values(record.attributes)["clues.event_id"] for record in receiver.logs()]


def test_from_configure_to_the_back_end(receiver: Receiver, tmp_path: Path) -> None:
    publisher = OTLPPublisher.from_url(urlsplit(url_of(receiver, tmp_path, "&propagation_style=child")))
    config = clues.configure(publisher, propagator=publisher.propagator, environ={})
    enqueue_and_work(3)
    assert publisher.flush(20.0)
    publisher.close()
    assert config.faults.counts == {}
    assert len(set(of_event(receiver))) == 12
    spans = receiver.spans()
    assert len(spans) == 6
    assert len({span.trace_id for span in spans}) == 3
    (point,) = receiver.metrics()[SENT].sum.data_points
    assert point.as_int == 3
    resource = receiver.of("metrics")[-1].resource_metrics[0].resource
    assert values(resource.attributes)["service.name"] == "shop"


def test_an_outage_loses_nothing(receiver: Receiver, tmp_path: Path) -> None:
    code: Any = grpc.StatusCode.UNAVAILABLE if receiver.protocol == "grpc" else 503
    receiver.fail("logs", Fail(code), Fail(code))
    receiver.fail("traces", Fail(code))
    publisher = OTLPPublisher.from_url(urlsplit(url_of(receiver, tmp_path)))
    clues.configure(publisher, environ={})
    enqueue_and_work()
    assert publisher.flush(20.0)
    publisher.close()
    assert len(of_event(receiver)) == 4
    assert len(receiver.spans()) == 2


def test_counts_go_on_with_the_next_process(receiver: Receiver, tmp_path: Path) -> None:
    for _ in range(2):
        publisher = OTLPPublisher.from_url(urlsplit(url_of(receiver, tmp_path)))
        clues.configure(publisher, environ={})
        enqueue_and_work(2)
        assert publisher.flush(20.0)
        publisher.close()
    (point,) = receiver.metrics()[SENT].sum.data_points
    assert point.as_int == 4


@pytest.mark.parametrize("receiver", ["http"], indirect=True)  # gRPC's server would not outlive the fork here
def test_a_shipper_that_is_killed_counts_nothing_twice(receiver: Receiver, tmp_path: Path) -> None:
    """Killed with a batch delivered and no checkpoint of it: its logs come twice, its counts once."""
    fields = f'"timestamp":"2026-11-20T20:59:58.1Z","queue":"q","metadata":{{"_event_hash":"{"a" * 32}"}}'
    line = f'{{"event_type":"enqueued",{fields},"worker_class":"Job","args":[]}}'.encode()

    def publisher() -> OTLPPublisher:
        return OTLPPublisher(receiver.endpoint, protocol=receiver.protocol, spool=tmp_path, metrics_interval=0)

    class Dies:
        def __init__(self, inner: Destination) -> None:
            self.inner = inner
            self.name, self.max_events, self.max_bytes = inner.name, inner.max_events, inner.max_bytes

        def send(self, batch: Sequence[bytes], /) -> Sent:
            sent = self.inner.send(batch)
            os.kill(os.getpid(), signal.SIGKILL)
            return sent

        def close(self) -> None:
            self.inner.close()

    def ships_and_dies() -> None:
        doomed = publisher()
        inner = doomed.destination()
        doomed.destination = lambda: Dies(inner)  # type: ignore[method-assign]
        doomed.publish(Event.from_line(line))
        doomed.flush(20.0)

    assert forked(ships_and_dies) == -signal.SIGKILL
    heir = publisher()
    heir.publish(Event.from_line(line.replace(b"a" * 32, b"b" * 32)))
    assert heir.flush(20.0)
    heir.close()
    assert len(receiver.logs()) == 3
    (point,) = receiver.metrics()[SENT].sum.data_points
    assert point.as_int == 2


def test_forked_jobs_publish_without_any_library(receiver: Receiver, tmp_path: Path) -> None:
    """They append to the journal and leave by _exit; their parent ships, over connections that they don't touch."""
    publisher = OTLPPublisher.from_url(urlsplit(url_of(receiver, tmp_path)))
    clues.configure(publisher, propagator=publisher.propagator, environ={})
    enqueue_and_work()
    wait_for(lambda: len(receiver.logs()) == 4, "delivery")  # with connections open
    before = set(sys.modules)

    def job() -> None:
        enqueue_and_work()
        fresh = set(sys.modules) - before
        assert not [name for name in fresh if name.startswith(("grpc", "opentelemetry", "google"))], fresh

    for _ in range(10):
        assert forked(job) == 0
    assert publisher.flush(20.0)
    publisher.close()
    assert len(set(of_event(receiver))) == len(of_event(receiver)) == 44


FORKS = """
import contextlib, os, sys
import clues.publishers.otlp_grpc
assert os.environ["GRPC_ENABLE_FORK_SUPPORT"] == sys.argv[2]
from urllib.parse import urlsplit
from clues.publishers import OTLPPublisher
from tests.publishers.destinations import event
from tests.publishers.otlp_receiver import grpc_receiver

if sys.argv[2] == "0":
    with contextlib.contextmanager(grpc_receiver)() as receiver:
        url = receiver.endpoint.replace("http", "otlp") + "?insecure=true&metrics_interval=0.05&spool=" + sys.argv[1]
        publisher = OTLPPublisher.from_url(urlsplit(url))
        for number in range(150):
            for each in range(20):
                publisher.publish(event(number * 20 + each))
            if not (pid := os.fork()):
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
        assert publisher.flush(60)
        publisher.close()
"""


@pytest.mark.parametrize("wanted", ["0", "1"])
def test_forks_beside_grpc(tmp_path: Path, wanted: str) -> None:
    """They end nobody; an application whose own children use gRPC may have its fork support all the same."""
    environ = {name: value for name, value in os.environ.items() if name != "GRPC_ENABLE_FORK_SUPPORT"}
    environ |= {"GRPC_ENABLE_FORK_SUPPORT": "1"} if wanted == "1" else {}
    command = [sys.executable, "-c", FORKS, str(tmp_path), wanted]
    done = subprocess.run(command, env=environ, cwd=ROOT, check=False, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
