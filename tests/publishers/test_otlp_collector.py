"""What a real Collector makes of what is sent to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from clues.event import Sample
from clues.publishers.otlp import OTLPPublisher
from clues.publishers.otlp_counts import CONSUMED, PROCESS, QUEUED, SENT
from clues.publishers.otlp_propagator import TraceContext
from tests.publishers.collector import binary, running
from tests.publishers.otlp_receiver import Receiver, http_receiver, values
from tests.stories import Stage, live

pytestmark = pytest.mark.timeout(1200)  # it may have to be built


@pytest.fixture(scope="session")
def collector_binary() -> Path:
    return binary()


@pytest.fixture
def onward() -> Iterator[Receiver]:
    """What the Collector sends on to."""
    yield from http_receiver()


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_a_collector_takes_everything(
    collector_binary: Path,
    onward: Receiver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    protocol: str,
    compression: str,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", compression)
    stage = Stage(options={"propagator": TraceContext("child")})
    live(stage.lifecycle, {"class": "Good", "args": [{"é": 1}], "clues_metadata": {"tags": [1, 2]}})
    live(stage.lifecycle, {"class": "Bad", "args": []}, lambda: 1 / 0)
    with running(collector_binary, tmp_path, onward.endpoint) as endpoints:
        endpoint = endpoints[0] if protocol == "grpc" else endpoints[1]
        publisher = OTLPPublisher(
            endpoint, protocol=protocol, spool=tmp_path / "spool", service_name="shop", propagation_style="child"
        )
        with closing(publisher), closing(publisher.destination()) as destination:
            sent = destination.send([event.line for event in stage.recorder.events])
            assert (sent.problem, sent.retry, sent.refused) == ("", [], [])
            destination.state()  # type: ignore[attr-defined]
            destination.send_samples([Sample("clues.queue.depth", 7, "{job}", {"queue": "mail"})])  # type: ignore[attr-defined]
    assert len(onward.logs()) == 8
    assert {record.event_name for record in onward.logs()} == {
        f"clues.job.{event.event_type}" for event in stage.recorder.events
    }
    assert sorted(span.name for span in onward.spans()) == [
        "enqueue mail",
        "enqueue mail",
        "process mail",
        "process mail",
    ]
    assert set(onward.metrics()) == {SENT, CONSUMED, PROCESS, QUEUED, "clues.queue.depth"}
    resource = values(onward.of("logs")[0].resource_logs[0].resource.attributes)
    assert (resource["service.name"], resource["host.name"]) == ("shop", "web-1")


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_collector_whose_back_end_is_down_is_asked_again(
    collector_binary: Path, onward: Receiver, tmp_path: Path, protocol: str
) -> None:
    from tests.publishers.otlp_receiver import Fail

    onward.fail("logs", Fail(503), Fail(429, retry_after="3"))
    stage = Stage()
    live(stage.lifecycle, {"class": "Good", "args": []})
    batch = [event.line for event in stage.recorder.events]
    with running(collector_binary, tmp_path, onward.endpoint) as endpoints:
        endpoint = endpoints[0] if protocol == "grpc" else endpoints[1]
        publisher = OTLPPublisher(endpoint, protocol=protocol, spool=tmp_path / "spool", metrics=False)
        with closing(publisher), closing(publisher.destination()) as destination:
            assert list(destination.send(batch).retry) == batch
            assert list(destination.send(batch).retry) == batch
            assert list(destination.send(batch).retry) == []
    assert len(onward.logs()) == 4
