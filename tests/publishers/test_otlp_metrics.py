"""Metrics that are counted of events: right through restarts, retries and crashes, and bounded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clues.event import Event, Sample
from clues.metadata import failure_of
from clues.publishers.otlp_counts import (
    CONSUMED,
    MAX_ERROR_TYPES,
    MAX_SERIES,
    METRICS,
    OTHER,
    PROCESS,
    QUEUED,
    SENT,
    Counts,
)
from tests.publishers.otlp_receiver import (
    Fail,
    Make,
    Receiver,
    by_labels,
    destinations,
    grpc_receiver,
    http_receiver,
    values,
)
from tests.stories import Stage


@pytest.fixture(params=["grpc", "http"])
def receiver(request: pytest.FixtureRequest) -> Iterator[Receiver]:
    yield from grpc_receiver() if request.param == "grpc" else http_receiver()


@pytest.fixture
def over_http() -> Iterator[Receiver]:
    yield from http_receiver()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes destinations of a receiver, of one spool."""
    with destinations(spool=tmp_path / "spool", metrics_interval=0) as making:
        yield making


def jobs(*took: float, queue: str = "pdfs", fails: BaseException | None = None, waits: float = 2.0) -> list[bytes]:
    """The lines of jobs that took so long each."""
    stage = Stage()
    for seconds in took:
        item: dict[str, Any] = {"class": "Pdf", "args": []}
        stage.lifecycle.enqueued(stage.lifecycle.stamp(queue, item))
        stage.clock.now += waits
        attempt = stage.lifecycle.dequeued(queue, item)
        with stage.lifecycle.performing(attempt, queue, item):
            stage.monotonic.now += seconds
        if fails is None:
            stage.lifecycle.perform_finished(attempt)
        else:
            stage.lifecycle.failed(attempt, failure_of(fails))
    return [event.line for event in stage.recorder.events]


def deliver(destination: Any, batch: list[bytes]) -> Any:
    """What the shipper does with a batch; gives the state as its checkpoint would."""
    assert not destination.send(batch).retry
    return json.loads(json.dumps(destination.state()))


def the(points: Any) -> Any:
    (point,) = points
    return point


def test_counts_and_durations(make: Make, receiver: Receiver) -> None:
    destination = make(receiver)
    deliver(destination, jobs(0.003, 0.02, 7200.0))
    deliver(destination, jobs(0.2, fails=ValueError("no")))
    destination.close()
    found = receiver.metrics()
    assert the(found[SENT].sum.data_points).as_int == 4
    assert found[SENT].unit == "{message}"
    assert found[SENT].sum.is_monotonic
    assert found[SENT].sum.aggregation_temporality == 2, "cumulative"
    consumed = by_labels(found[CONSUMED].sum.data_points, "clues.job.outcome", "error.type")
    assert {labels: point.as_int for labels, point in consumed.items()} == {
        ("finished", None): 3, ("failed", "ValueError"): 1,
    }  # fmt: skip
    process = by_labels(found[PROCESS].histogram.data_points, "clues.job.outcome")
    finished = process["finished",]
    assert (finished.count, round(finished.sum, 3)) == (3, 7200.023)
    assert sum(finished.bucket_counts) == 3
    buckets = dict(zip([*finished.explicit_bounds, None], finished.bucket_counts, strict=True))
    assert {bound: count for bound, count in buckets.items() if count} == {0.005: 1, 0.025: 1, 10800.0: 1}
    assert process["failed",].count == 1
    waited = the(found[QUEUED].histogram.data_points)
    assert (waited.count, round(waited.sum, 3)) == (4, 8.0)
    assert found[QUEUED].unit == "s"
    assert waited.start_time_unix_nano < waited.time_unix_nano
    assert values(waited.attributes) == {
        "messaging.system": "resque",
        "messaging.operation.name": "dequeue",
        "messaging.destination.name": "pdfs",
        "clues.job.class": "Pdf",
    }


def test_attempts_that_are_retried_are_no_failed_jobs() -> None:
    counts, stage = Counts(0), Stage()
    for attempt in (1, 2):
        item: dict[str, Any] = {"class": "Pdf", "args": [], "clues_metadata": {"_event_hash": "a", "_attempt": attempt}}
        stage.lifecycle.failed(
            stage.lifecycle.attempt_of("pdfs", item), failure_of(OSError("no")), retrying=attempt == 1
        )
    for event in stage.recorder.events:
        counts.add(event)
    found = {labels[-2:]: numbers for labels, numbers in counts.series[CONSUMED].items()}
    assert found == {("retrying", "OSError"): [1], ("failed", "OSError"): [1]}


def test_the_resource_has_no_process(make: Make, receiver: Receiver) -> None:
    destination = make(receiver)
    deliver(destination, jobs(1.0))
    destination.close()
    resource = values(receiver.of("metrics")[-1].resource_metrics[0].resource.attributes)
    assert {"service.name", "host.name", "service.instance.id"} <= set(resource)
    assert not [key for key in resource if key.startswith("process.")]


def test_unknown_times_are_left_out(make: Make, over_http: Receiver) -> None:
    stage, item = Stage(), {"class": "Pdf", "args": []}
    stage.lifecycle.stamp("pdfs", item)
    stage.lifecycle.failed(stage.lifecycle.attempt_of("pdfs", item), failure_of(OSError()), reason="lost")
    destination = make(over_http)
    deliver(destination, [event.line for event in stage.recorder.events])
    destination.close()
    assert set(over_http.metrics()) == {CONSUMED}


def test_a_restart_goes_on(make: Make, over_http: Receiver) -> None:
    first = make(over_http)
    state = deliver(first, jobs(1.0, 2.0))
    first.close()
    since = the(over_http.metrics()[SENT].sum.data_points).start_time_unix_nano
    second = make(over_http)
    second.restore(state)
    deliver(second, jobs(1.0))
    second.close()
    point = the(over_http.metrics()[SENT].sum.data_points)
    assert (point.as_int, point.start_time_unix_nano) == (3, since)
    first_resource, second_resource = (over_http.of("metrics")[which].resource_metrics[0].resource for which in (0, -1))
    assert first_resource == second_resource, "one series set"


def test_what_is_not_in_a_checkpoint_is_not_exported(make: Make, over_http: Receiver) -> None:
    """A shipper that dies after a delivery delivers again; its counts must not have been seen, and go back."""
    first, batch = make(over_http), jobs(1.0, 2.0)
    state = deliver(first, batch)
    first.send(jobs(1.0))  # and it dies, with no checkpoint
    first.send_samples([])
    first.close()
    assert the(over_http.metrics()[SENT].sum.data_points).as_int == 2
    second = make(over_http)
    second.restore(state)
    deliver(second, jobs(1.0))
    second.close()
    assert the(over_http.metrics()[SENT].sum.data_points).as_int == 3


def test_what_is_sent_again_counts_once(make: Make, over_http: Receiver) -> None:
    over_http.fail("logs", Fail(503))
    over_http.fail("traces", Fail(503))
    destination, batch = make(over_http), jobs(1.0)
    sent = destination.send(batch)
    sent = destination.send(sent.retry)
    assert sent.retry
    deliver(destination, list(sent.retry))
    deliver(destination, batch)  # told twice by those who finish a dead worker's story
    destination.close()
    found = over_http.metrics()
    assert the(found[SENT].sum.data_points).as_int == 1
    assert the(found[CONSUMED].sum.data_points).as_int == 1
    assert the(found[QUEUED].histogram.data_points).count == 1


def test_what_is_refused_is_not_counted(make: Make, over_http: Receiver) -> None:
    over_http.fail("logs", Fail(400))
    destination = make(over_http)
    assert len(destination.send([b"{", *jobs(1.0)]).refused) == 5
    deliver(destination, jobs(1.0))
    destination.close()
    assert the(over_http.metrics()[SENT].sum.data_points).as_int == 1


def test_all_events_are_counted_whatever_is_chosen(make: Make, over_http: Receiver) -> None:
    destination = make(over_http, events=["failed"], sample=0.0)
    deliver(destination, jobs(1.0, 2.0))
    destination.close()
    assert over_http.logs() == []
    assert over_http.spans() == []
    assert the(over_http.metrics()[SENT].sum.data_points).as_int == 2


def test_metrics_alone(make: Make, over_http: Receiver) -> None:
    destination = make(over_http, logs=False, traces=False)
    deliver(destination, jobs(1.0))
    destination.close()
    assert {got.signal for got in over_http.got} == {"metrics"}


def test_states_are_gauges(make: Make, receiver: Receiver) -> None:
    destination = make(receiver)
    destination.send_samples(
        [
            Sample("clues.queue.depth", 7, "{job}", {"queue": "a"}),
            Sample("clues.queue.depth", 0, "{job}", {"queue": "b"}),
            Sample("clues.queue.oldest.age", 1.5, "s", {"queue": "a"}),
        ]
    )
    found = receiver.metrics()
    assert set(found) == {"clues.queue.depth", "clues.queue.oldest.age"}
    depths = by_labels(found["clues.queue.depth"].gauge.data_points, "queue")
    assert {queue: point.as_int for (queue,), point in depths.items()} == {"a": 7, "b": 0}
    assert found["clues.queue.depth"].unit == "{job}"
    age = the(found["clues.queue.oldest.age"].gauge.data_points)
    assert age.as_double == 1.5
    assert age.time_unix_nano


def test_states_of_one_moment_are_told_once(make: Make, over_http: Receiver) -> None:
    destination = make(over_http)
    destination.send_samples([Sample("clues.queue.depth", 7)])
    deliver(destination, jobs(1.0))
    destination.close()
    assert "clues.queue.depth" not in over_http.metrics()


def test_exports_are_as_far_apart_as_told(make: Make, over_http: Receiver) -> None:
    destination = make(over_http, metrics_interval=3600)
    for _ in range(3):
        deliver(destination, jobs(1.0))
        destination.send_samples([Sample("clues.queue.depth", 7)])
    assert len(over_http.of("metrics")) == 1
    destination.close()
    assert len(over_http.of("metrics")) == 2
    assert the(over_http.metrics()[SENT].sum.data_points).as_int == 3


def test_nothing_new_is_not_exported(make: Make, over_http: Receiver) -> None:
    destination = make(over_http)
    destination.send_samples([])
    destination.send([])
    destination.close()
    assert over_http.got == []


def test_a_back_end_that_takes_no_metrics_holds_up_no_event(
    make: Make, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    import grpc

    code: Any = grpc.StatusCode.UNIMPLEMENTED if receiver.protocol == "grpc" else 404
    receiver.fail("metrics", *[Fail(code)] * 5)
    destination = make(receiver)
    deliver(destination, jobs(1.0))
    deliver(destination, jobs(1.0))
    with pytest.raises(Exception, match="as told"):
        destination.send_samples([Sample("clues.queue.depth", 7)])
    destination.close()
    assert len(receiver.logs()) == 8
    assert "metrics come with a later export" in caplog.text


def test_a_closing_destination_waits_two_seconds_at_most(make: Make, over_http: Receiver) -> None:
    import time

    destination = make(over_http, metrics_interval=3600, timeout=60.0)
    deliver(destination, jobs(1.0))
    over_http.answering.clear()
    began = time.monotonic()
    destination.close()
    assert time.monotonic() - began < 10
    over_http.answering.set()


# --- bounds ---


def told(queue: str, error: str = "", kind: str = "failed") -> Event:
    metadata = {"_time_to_perform": 1.0, "_exception": error}
    line = {"event_type": kind, "timestamp": "2026-11-20T20:59:58Z", "queue": queue, "metadata": metadata}
    return Event.from_line(json.dumps(line | {"worker_class": "Job", "args": []}))


def test_error_types_are_bounded() -> None:
    counts = Counts(0)
    for number in range(2 * MAX_ERROR_TYPES):
        counts.add(told("q", f"Error{number}"))
    found = {labels[-1]: numbers[0] for labels, numbers in counts.series[CONSUMED].items()}
    assert len(found) == MAX_ERROR_TYPES + 1
    assert found[OTHER] == MAX_ERROR_TYPES


def test_series_are_bounded_and_nothing_is_lost() -> None:
    counts = Counts(0)
    for number in range(2 * MAX_SERIES):
        counts.add(told(f"queue-{number}", "E"))
        counts.add(told(f"queue-{number}", kind="perform_finished"))
    for name in (CONSUMED, PROCESS):
        series = counts.series[name]
        assert len(series) == MAX_SERIES + 2
        assert (
            sum(numbers[0] if name == CONSUMED else sum(numbers[:-1]) for numbers in series.values()) == 4 * MAX_SERIES
        )
        assert (OTHER, "process", OTHER, OTHER, "failed", OTHER) in series
        assert (OTHER, "process", OTHER, OTHER, "finished", "") in series


def test_bounds_outlast_a_restart() -> None:
    counts = Counts(0)
    for number in range(MAX_ERROR_TYPES):
        counts.add(told("q", f"Error{number}"))
    again = Counts.restored(json.loads(json.dumps(counts.state())), 5)
    again.add(told("q", "Another"))
    assert again.since == 0
    assert {labels[-1] for labels in again.series[CONSUMED]} >= {OTHER, "Error0"}
    assert "Another" not in {labels[-1] for labels in again.series[CONSUMED]}


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"since": 1},
        {"since": 1, "series": []},
        {"since": 1, "series": {SENT: [[1, 2]]}, "bounds": {SENT: []}},
        {"series": 7},
    ],
)
def test_a_state_that_cannot_be_read_is_left(state: dict[str, Any]) -> None:
    counts = Counts.restored(state, 5)
    assert counts.since == 5
    assert not any(counts.series.values())


def test_counts_in_other_buckets_begin_anew() -> None:
    """A later version may have others, and sums of both would say nothing."""
    counts = Counts(1)
    counts.add(told("q"))
    state = json.loads(json.dumps(counts.state()))
    state["bounds"][PROCESS].pop()
    found = Counts.restored(state, 5)
    assert found.series[PROCESS] == {}
    assert found.series[CONSUMED]


def test_buckets_go_from_milliseconds_to_hours() -> None:
    bounds = {metric.name: metric.bounds for metric in METRICS}
    assert (bounds[PROCESS][0], bounds[PROCESS][-1]) == (0.005, 21600.0)
    assert bounds[QUEUED][-1] == 43200.0
    assert all([*one] == sorted(set(one)) for one in bounds.values())


def test_each_series_tells_since_when_it_counts(make: Make, over_http: Receiver) -> None:
    """From the last export before it had anything to count; through restarts too, and from an older version's state."""

    def told(destination: Any, lines: list[bytes]) -> tuple[dict[Any, Any], Any]:
        state = deliver(destination, lines)
        destination.send_samples([])
        return by_labels(over_http.metrics()[CONSUMED].sum.data_points, "clues.job.outcome"), state

    destination = make(over_http)
    first, _ = told(destination, jobs(1.0))
    both, state = told(destination, jobs(1.0, fails=ValueError()))
    assert both["finished",].start_time_unix_nano == first["finished",].start_time_unix_nano
    assert both["failed",].start_time_unix_nano == first["finished",].time_unix_nano
    again = make(over_http)
    again.restore(state)
    after, _ = told(again, jobs(1.0, fails=ValueError()))
    assert {labels: point.start_time_unix_nano for labels, point in after.items()} == {
        labels: point.start_time_unix_nano for labels, point in both.items()
    }
    older = {key: value for key, value in state.items() if key != "starts"}
    assert Counts.restored(older, 7).state()["series"] == state["series"]


def test_destroyed_jobs_are_counted() -> None:
    stage = Stage()
    item: dict[str, Any] = {"class": "Pdf", "args": []}
    stage.lifecycle.enqueued(stage.lifecycle.stamp("pdfs", item))
    stage.lifecycle.destroyed("pdfs", item)
    counts = Counts(0)
    for event in stage.recorder.events:
        counts.add(event)
    assert counts.series["clues.job.destroyed"] == {("resque", "destroy", "pdfs", "Pdf", "", ""): [1]}
