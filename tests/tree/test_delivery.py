"""From enqueue to the back ends, with real forks: no event lost, counts that are exact, traces that hang together."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py

from tests.publishers.fake_elasticsearch import FakeElasticsearch, fake
from tests.publishers.otlp_receiver import Receiver, by_labels, grpc_receiver, values
from tests.publishers.receivers import Packets
from tests.tree.trees import JOBS, tree
from tests.waiting import wait_for

JOBS_DONE = 1000
__all__ = ["fake"]  # a fixture


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """An OTLP back end."""
    with contextlib.contextmanager(grpc_receiver)() as found:
        yield found


def application(receiver: Receiver, search: FakeElasticsearch | None = None, style: str = "child") -> str:
    """The jobs, and where their events go."""
    more = f', ElasticsearchPublisher("{search.url}", index="events", spool="spool")' if search else ""
    return (
        JOBS
        + f"""
from clues.publishers import CompositePublisher, ElasticsearchPublisher, OTLPPublisher

clues.configure(publisher=CompositePublisher(
    LogPublisher("events.log"),
    OTLPPublisher("{receiver.endpoint}", propagation_style="{style}", metrics_interval=0.2, spool="spool"){more},
))

class Parent:
    queue = "q"

    @classmethod
    def perform(cls):
        resque.enqueue(Noop, "nested")
"""
    )


def test_a_thousand_forks(tmp_path: Path, redis_url: str, receiver: Receiver, fake: FakeElasticsearch) -> None:
    """A process for each job, four at a time: nothing hangs, nothing is lost, and the sums are those of the jobs."""
    environ = {"WORKER_COUNT": "4", "JOBS_PER_FORK": "1"}
    with tree(tmp_path / "app", redis_url, jobs=application(receiver, fake), **environ) as made:
        made.enqueue("Noop", times=JOBS_DONE)
        wait_for(lambda: made.stats() == (JOBS_DONE, 0), "the end of the jobs", timeout=150)
        assert made.end() == 0
        ids = {event["metadata"]["_event_id"] for event in made.events()}
        assert len({event["metadata"]["_process"] for event in made.events()}) == JOBS_DONE
    assert len(ids) == 3 * JOBS_DONE
    assert {name for _, name in fake.documents} == ids
    assert sorted(str(values(record.attributes)["clues.event_id"]) for record in receiver.logs()) == sorted(ids)
    metrics = receiver.metrics()
    consumed = by_labels(metrics["messaging.client.consumed.messages"].sum.data_points, "messaging.destination.name")
    assert {labels: point.as_int for labels, point in consumed.items()} == {("q",): JOBS_DONE}
    (duration,) = metrics["messaging.process.duration"].histogram.data_points
    assert duration.count == JOBS_DONE


def spans(receiver: Receiver) -> dict[str, Any]:
    """By name and kind of job."""
    return {f"{span.name} {values(span.attributes)['clues.job.class']}": span for span in receiver.spans()}


@pytest.mark.parametrize("style", ["child", "link"])
def test_traces(tmp_path: Path, redis_url: str, receiver: Receiver, style: str) -> None:
    """Of a job that enqueues another: one trace, or linked ones; and `clues ship` makes the same of the log."""
    jobs = application(receiver, style=style)
    with tree(tmp_path / "app", redis_url, jobs=jobs) as made:
        made.enqueue("Parent")
        wait_for(lambda: made.stats() == (2, 0))
        assert made.end() == 0
        found = spans(receiver)
        parent, enqueued, nested = found["process q Parent"], found["enqueue q Noop"], found["process q Noop"]
        assert enqueued.trace_id == parent.trace_id
        assert enqueued.parent_span_id == parent.span_id
        assert [(link.trace_id, link.span_id) for link in nested.links] == [(enqueued.trace_id, enqueued.span_id)]
        assert (nested.trace_id == parent.trace_id) is (style == "child")
        assert nested.parent_span_id == (enqueued.span_id if style == "child" else b"")
        before = sorted(span.SerializeToString(deterministic=True) for span in receiver.spans())
        del receiver.taken[:]
        subprocess.run(
            [
                sys.executable, "-m", "clues", "ship", "events.log", "--to",
                f"{receiver.endpoint.replace('http', 'otlp')}?insecure=true&metrics=false&propagation_style={style}",
            ],
            cwd=made.folder,
            check=True,
            env={**os.environ, "XDG_STATE_HOME": str(tmp_path)},
            timeout=60,
        )  # fmt: skip
        assert sorted(span.SerializeToString(deterministic=True) for span in receiver.spans()) == before


def test_a_trace_that_ruby_began(tmp_path: Path, redis_url: str, receiver: Receiver) -> None:
    """The item carries it as Ruby's instrumentation writes it: beside class and args."""
    trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    with tree(tmp_path / "app", redis_url, jobs=application(receiver)) as made:
        item = {
            "class": "Parent",
            "args": [],
            "traceparent": f"00-{trace}-{span}-01",
            "clues_metadata": {"_event_hash": "1" * 32, "event_hash": "2" * 32},
        }
        made.client.store.push("q", json.dumps(item).encode())
        wait_for(lambda: made.stats() == (2, 0))
        assert made.end() == 0
    found = spans(receiver)
    assert found["process q Parent"].trace_id.hex() == trace
    assert found["process q Parent"].parent_span_id.hex() == span
    assert {one.trace_id.hex() for one in found.values()} == {trace}


def test_states_go_to_statsd(tmp_path: Path, redis_url: str, redis: redis_py.Redis) -> None:
    """STATSD_HOST alone: the tree tells queue depths, and who works, as gauges."""
    redis.sadd("resque:queues", "waiting")
    redis.rpush("resque:queue:waiting", *["{}"] * 2)
    with Packets() as daemon:
        statsd = {"STATSD_HOST": "127.0.0.1", "STATSD_PORT": str(daemon.port)}
        with tree(tmp_path / "app", redis_url, jobs=JOBS.replace("clues.configure(", "dict("), **statsd) as made:
            found: set[bytes] = set()
            while b"clues.queue.depth.waiting:2|g" not in found:
                found |= set(daemon.next().split(b"\n"))
            assert b"clues.queue.paused.waiting:0|g" in found
            assert any(line.startswith(b"clues.worker.alive:") for line in found)
            assert made.end() == 0
