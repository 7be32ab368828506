"""Log records and spans at real receivers, over gRPC and HTTP; and what becomes of events when those fail."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any

import grpc
import pytest

from clues.event import Event
from clues.lifecycle import Lifecycle
from clues.metadata import failure_of
from clues.publishers.delivery import HasState, TakesSamples
from clues.publishers.otlp import OTLPPublisher
from clues.publishers.otlp_ids import root, spans_of
from clues.publishers.otlp_propagator import TraceContext
from tests.publishers.otlp_receiver import Fail, Make, Receiver, destinations, grpc_receiver, http_receiver, values
from tests.requirements import lacking
from tests.stories import NOON, Stage, live

NANOSECONDS = 1795176000123456000


@pytest.fixture(params=["grpc", "http"])
def receiver(request: pytest.FixtureRequest) -> Iterator[Receiver]:
    """A receiver of each kind."""
    yield from grpc_receiver() if request.param == "grpc" else http_receiver()


@pytest.fixture
def over_http() -> Iterator[Receiver]:
    yield from http_receiver()


@pytest.fixture
def over_grpc() -> Iterator[Receiver]:
    yield from grpc_receiver()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes destinations of a receiver."""
    with destinations(spool=tmp_path / "spool", metrics=False) as making:
        yield making


def lines(*events: Event) -> list[bytes]:
    return [event.line for event in events]


def story(job: Callable[[], object] = lambda: None, style: str = "link", **item: Any) -> Stage:
    """A job that waits 2 s and takes 1.5 s."""
    stage = Stage(options={"propagator": TraceContext(style)})
    item = {"class": "PdfGeneration", "args": [42, {"é": None}], **item}

    def timed() -> None:
        stage.clock.now += 1.5
        stage.monotonic.now += 1.5
        job()

    attempt = stage.lifecycle.stamp("pdfs", item)
    stage.lifecycle.enqueued(attempt)
    stage.clock.now += 2
    from tests.stories import work

    work(stage.lifecycle, item, timed, queue="pdfs")
    return stage


def named(spans: list[Any]) -> dict[str, Any]:
    found = {span.name: span for span in spans}
    assert len(found) == len(spans)
    return found


# --- what is told ---


def test_the_contract(make: Make, over_http: Receiver) -> None:
    destination = make(over_http)
    assert destination.name == f"otlp:{over_http.endpoint}/v1/logs"
    assert isinstance(destination, TakesSamples)
    assert isinstance(destination, HasState)


def test_each_event_is_a_log_record(make: Make, receiver: Receiver) -> None:
    stage = story()
    destination = make(receiver)
    assert destination.send(lines(*stage.recorder.events)) == destination.send([])
    records = receiver.logs()
    assert [record.event_name for record in records] == [
        "clues.job.enqueued", "clues.job.dequeued", "clues.job.perform_started", "clues.job.perform_finished",
    ]  # fmt: skip
    first, *_, last = records
    assert first.time_unix_nano == NANOSECONDS
    assert last.time_unix_nano == NANOSECONDS + 3_500_000_000
    assert (first.severity_text, first.severity_number) == ("INFO", 9)
    assert last.body.string_value == "PdfGeneration has finished, of pdfs, after 1.500 s"
    told = values(last.attributes)
    event_hash = stage.metadata[0]["_event_hash"]
    expected = {
        "event.name": "clues.job.perform_finished",
        "messaging.system": "resque",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "pdfs",
        "messaging.message.id": event_hash,
        "messaging.resque.job_class": "PdfGeneration",
        "clues.job.class": "PdfGeneration",
        "clues.event_hash": event_hash,
        "clues.event_id": f"{event_hash}:1:end",
        "clues.attempt": 1,
        "clues.enqueued_time": NOON,
        "clues.time_in_queue": 2.0,
        "clues.time_to_perform": 1.5,
        "clues.args": '[42,{"é":null}]',
    }
    assert told == told | expected
    assert {key for key in told if key not in expected} == {"process.pid"}


def test_logs_and_spans_of_an_event_have_the_same_ids(make: Make, receiver: Receiver) -> None:
    stage = story()
    make(receiver).send(lines(*stage.recorder.events))
    spans, ids = named(receiver.spans()), [(record.trace_id, record.span_id) for record in receiver.logs()]
    enqueue, process = ((span.trace_id, span.span_id) for span in (spans["enqueue pdfs"], spans["process pdfs"]))
    assert ids == [enqueue, process, process, process]


def test_the_users_metadata_is_flat(make: Make, receiver: Receiver) -> None:
    stage = story(clues_metadata={"customer_id": 7, "vip": True, "rate": 0.5, "none": None, "tags": {"a": [1]}})
    make(receiver).send(lines(stage.recorder.events[0]))
    told = values(receiver.logs()[0].attributes)
    assert {key: value for key, value in told.items() if key.startswith("clues.metadata.")} == {
        "clues.metadata.customer_id": 7,
        "clues.metadata.vip": True,
        "clues.metadata.rate": 0.5,
        "clues.metadata.tags": '{"a":[1]}',
    }


def test_spans(make: Make, receiver: Receiver) -> None:
    stage = story()
    make(receiver).send(lines(*stage.recorder.events))
    spans = named(receiver.spans())
    assert set(spans) == {"enqueue pdfs", "process pdfs"}
    enqueue, process = spans["enqueue pdfs"], spans["process pdfs"]
    assert (enqueue.kind, process.kind) == (enqueue.SPAN_KIND_PRODUCER, enqueue.SPAN_KIND_CONSUMER)
    assert enqueue.start_time_unix_nano == enqueue.end_time_unix_nano == NANOSECONDS
    assert process.end_time_unix_nano == NANOSECONDS + 3_500_000_000
    assert process.start_time_unix_nano == NANOSECONDS + 2_000_000_000
    assert enqueue.trace_id.hex() == stage.metadata[0]["_event_hash"]
    assert (enqueue.parent_span_id, process.parent_span_id) == (b"", b"")
    assert process.trace_id != enqueue.trace_id
    assert [(link.trace_id, link.span_id) for link in process.links] == [(enqueue.trace_id, enqueue.span_id)]
    assert process.status.code == process.status.STATUS_CODE_UNSET
    told = values(process.attributes)
    assert (told["messaging.operation.name"], told["messaging.operation.type"]) == ("process", "process")
    assert "error.type" not in told
    assert values(enqueue.attributes)["messaging.operation.type"] == "send"


def test_a_child_is_in_the_same_trace(make: Make, receiver: Receiver) -> None:
    make(receiver, propagation_style="child").send(lines(*story(style="child").recorder.events))
    spans = named(receiver.spans())
    enqueue, process = spans["enqueue pdfs"], spans["process pdfs"]
    assert process.trace_id == enqueue.trace_id
    assert process.parent_span_id == enqueue.span_id
    assert [link.span_id for link in process.links] == [enqueue.span_id]


def test_none_has_neither_link_nor_parent(make: Make, over_http: Receiver) -> None:
    make(over_http, propagation_style="none").send(lines(*story(style="none").recorder.events))
    process = named(over_http.spans())["process pdfs"]
    assert (list(process.links), process.parent_span_id) == ([], b"")


def test_a_job_enqueued_by_a_job_is_one_trace_with_child(make: Make, over_grpc: Receiver) -> None:
    stage = Stage(options={"propagator": TraceContext("child")})
    inner = {"class": "Inner", "args": []}
    live(stage.lifecycle, {"class": "Outer", "args": []}, lambda: live(stage.lifecycle, inner, queue="in"), queue="out")
    make(over_grpc, propagation_style="child").send(lines(*stage.recorder.events))
    spans = named(over_grpc.spans())
    parents = {name: span.parent_span_id for name, span in spans.items()}
    assert len({span.trace_id for span in spans.values()}) == 1
    assert parents == {
        "enqueue out": b"",
        "process out": spans["enqueue out"].span_id,
        "enqueue in": spans["process out"].span_id,
        "process in": spans["enqueue in"].span_id,
    }


def test_batches_may_split_a_jobs_events_and_come_again(make: Make, over_http: Receiver) -> None:
    stage = story()
    make(over_http).send(lines(*stage.recorder.events))
    whole = over_http.spans()
    over_http.taken.clear()
    for event in reversed(stage.recorder.events):
        make(over_http).send(lines(event))
    assert [span.SerializeToString() for span in reversed(over_http.spans())] == [
        span.SerializeToString() for span in whole
    ]


def test_a_failure(make: Make, receiver: Receiver) -> None:
    def fail() -> None:
        raise ValueError("no such page\nmore")

    make(receiver).send(lines(*story(fail).recorder.events))
    process, record = named(receiver.spans())["process pdfs"], receiver.logs()[-1]
    assert (process.status.code, process.status.message) == (
        process.status.STATUS_CODE_ERROR,
        "ValueError: no such page",
    )
    assert values(process.attributes)["error.type"] == "ValueError"
    (recorded,) = process.events
    assert (recorded.name, recorded.time_unix_nano) == ("exception", process.end_time_unix_nano)
    assert (record.severity_text, record.event_name) == ("ERROR", "clues.job.failed")
    assert record.body.string_value == "PdfGeneration has failed, of pdfs, after 1.500 s: ValueError: no such page"
    for told in (values(recorded.attributes), values(record.attributes)):
        assert (told["exception.type"], told["exception.message"]) == ("ValueError", "no such page\nmore")
        assert "in `fail'" in told["exception.stacktrace"].splitlines()[0]


def test_an_attempt_that_is_retried(make: Make, receiver: Receiver) -> None:
    """Its span is one of an error; nobody need be called for it."""
    stage, item = Stage(), {"class": "Job", "args": [], "job_id": "0b5f-7"}
    stage.lifecycle.system = "celery"
    stage.lifecycle.enqueued(stage.lifecycle.stamp("mail", item, scheduled_time=NOON + 60))
    attempt = stage.lifecycle.dequeued("mail", item, redelivered=True)
    stage.lifecycle.failed(attempt, failure_of(ValueError("no")), retrying=True)
    make(receiver).send(lines(*stage.recorder.events))
    process, record = named(receiver.spans())["process mail"], receiver.logs()[-1]
    assert process.status.code == process.status.STATUS_CODE_ERROR
    assert (record.severity_text, record.severity_number) == ("WARN", 13)
    assert record.body.string_value == "Job has failed, of mail, and will be retried: ValueError: no"
    expected = {
        "messaging.system": "celery",
        "messaging.celery.job_class": "Job",
        "clues.job_id": "0b5f-7",
        "clues.scheduled_time": NOON + 60,
        "clues.redelivered": True,
        "clues.retrying": True,
        "error.type": "ValueError",
    }
    assert values(process.attributes) == values(process.attributes) | expected


def test_a_lost_job_has_no_made_up_time(make: Make, over_http: Receiver) -> None:
    from clues.metadata import Failure

    stage, item = Stage(), {"class": "Job", "args": []}
    stage.lifecycle.stamp("mail", item)
    attempt = stage.lifecycle.attempt_of("mail", item)
    stage.lifecycle.failed(attempt, Failure("DirtyExit", "gone"), reason="lost", reporter="pruner")
    make(over_http).send(lines(*stage.recorder.events))
    (span,) = over_http.spans()
    assert span.start_time_unix_nano == span.end_time_unix_nano
    told = values(span.attributes)
    assert (told["error.type"], told["clues.reason"], told["clues.reporter"]) == ("DirtyExit", "lost", "pruner")
    assert "clues.time_to_perform" not in told


def test_a_destroyed_job_was_not_processed(make: Make, over_http: Receiver) -> None:
    stage, item = Stage(), {"class": "Job", "args": []}
    stage.lifecycle.stamp("mail", item)
    stage.lifecycle.destroyed("mail", item)
    make(over_http).send(lines(*stage.recorder.events))
    (span,) = over_http.spans()
    assert (span.name, span.kind) == ("destroy mail", span.SPAN_KIND_CLIENT)
    assert span.links[0].span_id.hex() == root(stage.metadata[0]["_event_hash"]).span_id


def test_a_users_context_and_a_second_attempt_are_links_of_the_enqueue_span(make: Make, over_http: Receiver) -> None:
    users = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    make(over_http).send(lines(*story(traceparent=users).recorder.events))
    enqueue = named(over_http.spans())["enqueue pdfs"]
    assert enqueue.kind == enqueue.SPAN_KIND_CLIENT, "it is not its context that the item carries"
    assert enqueue.trace_id.hex() == users[3:35]
    assert enqueue.parent_span_id == enqueue.links[0].span_id == bytes.fromhex("b7ad6b7169203331")


def test_an_unsampled_trace_has_logs_but_no_spans(make: Make, over_http: Receiver) -> None:
    users = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
    make(over_http, propagation_style="child").send(lines(*story(traceparent=users, style="child").recorder.events))
    assert over_http.spans() == []
    assert [record.flags for record in over_http.logs()] == [0, 0, 0, 0]


def test_another_system_is_told_by_its_metadata(make: Make, over_http: Receiver) -> None:
    stage = Stage()
    foreign = Lifecycle(stage.lifecycle.settings, system="celery")
    foreign.enqueued(foreign.stamp("pdfs", {"class": "PdfGeneration", "args": [42]}))
    make(over_http).send(lines(stage.recorder.events[0]))
    told = values(over_http.logs()[0].attributes)
    assert (told["messaging.system"], told["messaging.celery.job_class"]) == ("celery", "PdfGeneration")
    assert "messaging.resque.job_class" not in told


def test_each_host_has_its_resource(make: Make, receiver: Receiver) -> None:
    one, other = Stage(), Stage(options={"hostname": "web-2"})
    for stage in (one, other):
        live(stage.lifecycle, {"class": "Job", "args": []})
    make(receiver, resource_attributes={"deployment.environment.name": "test"}).send(
        lines(*one.recorder.events, *other.recorder.events)
    )
    (message,) = receiver.of("logs")
    found = [values(resource.resource.attributes) for resource in message.resource_logs]
    assert [resource["host.name"] for resource in found] == ["web-1", "web-2"]
    assert {resource["service.name"] for resource in found} == {"shop"}
    assert {resource["deployment.environment.name"] for resource in found} == {"test"}
    assert found[0]["service.instance.id"] != found[1]["service.instance.id"]
    (scope,) = message.resource_logs[0].scope_logs
    assert (scope.scope.name, scope.schema_url) == ("clues", "https://opentelemetry.io/schemas/1.44.0")


def test_signals_that_are_not_wanted_are_not_sent(make: Make, over_http: Receiver) -> None:
    make(over_http, traces=False).send(lines(*story().recorder.events))
    make(over_http, logs=False).send(lines(*story().recorder.events))
    assert [got.signal for got in over_http.taken] == ["logs", "traces"]


def test_chosen_events(make: Make, over_http: Receiver) -> None:
    sent = make(over_http, events=["failed"]).send(
        lines(*story().recorder.events, *story(lambda: 1 / 0).recorder.events)
    )
    assert not sent.retry
    assert [record.event_name for record in over_http.logs()] == ["clues.job.failed"]
    assert [span.name for span in over_http.spans()] == ["process pdfs"]


def test_headers_and_gzip(make: Make, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    make(receiver, headers={"Api-Key": "123"}).send(lines(*story().recorder.events))
    assert [got.headers["api-key"] for got in receiver.taken] == ["123", "123"]
    assert len(receiver.logs()) == 4
    if receiver.protocol != "grpc":
        assert receiver.taken[0].headers["content-encoding"] == "gzip"
        assert receiver.taken[0].headers["content-type"] == "application/x-protobuf"


def test_the_environment_says_where(tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", receiver.protocol)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "from-env")
    publisher = OTLPPublisher(spool=tmp_path, metrics=False)
    with closing(publisher), closing(publisher.destination()) as destination:
        destination.send(lines(*story().recorder.events))
    assert receiver.taken[0].headers["api-key"] == "a b"
    resource = values(receiver.of("logs")[0].resource_logs[0].resource.attributes)
    assert resource["service.name"] == "from-env"


# --- lines that are no events, or odd ones ---


def test_what_is_no_event_is_refused(make: Make, over_http: Receiver) -> None:
    good = story().recorder.events[0].line
    odd = good.replace(b"2026-11-20", b"yesterday!")
    old = good.replace(b"2026-11-20", b"1916-11-20")
    assert odd != good
    sent = make(over_http).send([b"{", good, odd, b"7", old])
    assert [refusal.line for refusal in sent.refused] == [b"{", odd, b"7", old]
    assert "before 1970" in sent.refused[-1].reason
    assert not sent.retry
    assert len(over_http.logs()) == 1


@pytest.mark.parametrize("change", [
    (b'"queue":"pdfs"', b'"queue":null'),
    (b'"queue":"pdfs"', b'"queue":{"a":1}'),
    (b'"worker_class":"PdfGeneration"', b'"worker_class":null'),
    (b"PdfGeneration", b"\\ud800"),
    (b'"_attempt":1', b'"_attempt":99999999999999999999'),
    (b'"_attempt":1', b'"_attempt":1,"n":1e999,"m":NaN'),
    (b'"_attempt":1', b'"_attempt":1,"_system":""'),
    (b'"_attempt":1', b'"_time_to_perform":-7,"_backtrace":{"a":1},"_exception":[],"_message":7'),
    (b'"_attempt":1', b'"_time_to_perform":1e308'),
    (b'"_event_hash"', b'"_other"'),
])  # fmt: skip
def test_odd_events_are_told_as_they_are(make: Make, receiver: Receiver, change: tuple[bytes, bytes]) -> None:
    events = [event.line for event in story(lambda: 1 / 0).recorder.events]
    odd = [line.replace(*change) for line in events]
    assert odd != events
    sent = make(receiver).send(odd)
    assert (sent.retry, sent.refused) == ([], [])
    assert len(receiver.logs()) == 4


# --- failures ---

AGAIN = [
    *[("grpc", Fail(code)) for code in (
        grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE, grpc.StatusCode.DATA_LOSS, grpc.StatusCode.CANCELLED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNIMPLEMENTED,
    )],
    *[("http", Fail(code)) for code in (429, 502, 503, 504, 401, 403, 404, 301)],
]  # fmt: skip
REFUSED = [
    *[("grpc", Fail(code)) for code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL)],
    *[("http", Fail(code)) for code in (400, 422, 500)],
]


@pytest.mark.parametrize(("receiver", "fail"), AGAIN, indirect=["receiver"])
def test_what_may_pass_is_sent_again(make: Make, receiver: Receiver, fail: Fail) -> None:
    receiver.fail("logs", fail)
    destination, batch = make(receiver), lines(*story().recorder.events)
    sent = destination.send(batch)
    assert (list(sent.retry), list(sent.refused)) == (batch, [])
    assert "as told" in sent.problem
    assert receiver.taken == []
    assert destination.send(sent.retry).retry == []
    assert len(receiver.logs()) == 4
    assert len(receiver.spans()) == 2


@pytest.mark.parametrize(("receiver", "fail"), REFUSED, indirect=["receiver"])
def test_what_is_refused_is_not(make: Make, receiver: Receiver, fail: Fail) -> None:
    receiver.fail("logs", fail)
    batch = lines(*story().recorder.events)
    sent = make(receiver).send(batch)
    assert sent.retry == []
    assert [refusal.line for refusal in sent.refused] == batch
    assert sent.refused[0].reason.startswith("logs: ")
    assert "as told" in sent.refused[0].reason
    assert receiver.taken == [], "nor are its spans sent"


def test_logs_are_not_sent_twice_when_spans_fail(make: Make, receiver: Receiver) -> None:
    code: Any = grpc.StatusCode.UNAVAILABLE if receiver.protocol == "grpc" else 503
    receiver.fail("traces", Fail(code), Fail(code))
    destination, batch = make(receiver), lines(*story().recorder.events)
    sent = destination.send(batch)
    assert list(sent.retry) == [batch[0], batch[3]], "the others have no spans"
    sent = destination.send(sent.retry[:1])
    assert list(sent.retry) == [batch[0]]
    for line in (batch[0], batch[3]):
        assert destination.send([line]).retry == []
    assert [record.event_name for record in receiver.logs()] == [
        f"clues.job.{event.event_type}" for event in map(Event.from_line, batch)
    ]
    assert len(receiver.spans()) == 2
    assert destination.send(batch).retry == []
    assert len(receiver.logs()) == 8, "what is delivered is forgotten"


def test_spans_that_are_refused_are_told(make: Make, over_http: Receiver) -> None:
    over_http.fail("traces", Fail(400))
    batch = lines(*story().recorder.events)
    sent = make(over_http).send(batch)
    assert [refusal.line for refusal in sent.refused] == [batch[0], batch[3]]
    assert sent.refused[0].reason.startswith("spans: ")


def test_retry_after_of_grpc(make: Make, over_grpc: Receiver) -> None:
    over_grpc.fail("logs", Fail(grpc.StatusCode.RESOURCE_EXHAUSTED, retry_after=1.5))
    sent = make(over_grpc).send(lines(*story().recorder.events))
    assert len(sent.retry) == 4
    assert sent.retry_after == 1.5


@pytest.mark.parametrize(("text", "least", "most"), [
    ("7", 7, 7), ("date", 50, 60), ("soon", None, None), ("-1", None, None), ("", None, None),
])  # fmt: skip
def test_retry_after_of_http(make: Make, over_http: Receiver, text: str, least: float | None, most: float) -> None:
    over_http.fail("logs", Fail(429, retry_after=formatdate(time.time() + 60, usegmt=True) if text == "date" else text))
    sent = make(over_http).send(lines(*story().recorder.events))
    assert len(sent.retry) == 4
    if least is None:
        assert sent.retry_after is None
    else:
        assert sent.retry_after is not None
        assert least <= sent.retry_after <= most


@pytest.mark.parametrize(("receiver", "code"), [
    ("grpc", grpc.StatusCode.RESOURCE_EXHAUSTED), ("http", 413),
], indirect=["receiver"])  # fmt: skip
def test_what_is_too_large_is_halved(make: Make, receiver: Receiver, code: Any) -> None:
    large = Fail(code, "Received message larger than max (5000000 vs. 4194304)")
    receiver.fail("logs", large, large)
    sent = make(receiver).send(lines(*story().recorder.events))
    assert (sent.retry, sent.refused) == ([], [])
    found = [len(message.resource_logs[0].scope_logs[0].log_records) for message in receiver.of("logs")]
    assert found == [1, 1, 2]
    assert [record.event_name[-8:] for record in receiver.logs()] == ["enqueued", "dequeued", "_started", "finished"]


def test_a_message_that_a_real_server_finds_too_large_is_halved(make: Make, over_grpc: Receiver) -> None:
    """Its limit is 4 MB."""
    line = story().recorder.events[0].line
    batch = [line.replace(b"[42,", b'["%s",' % (character * 3_000_000)) for character in (b"a", b"b")]
    sent = make(over_grpc, traces=False).send(batch)
    assert (sent.retry, sent.refused) == ([], [])
    assert len(over_grpc.logs()) == 2


def test_one_event_that_is_too_large_is_refused_alone(make: Make, over_http: Receiver) -> None:
    over_http.fail("logs", Fail(413))
    sent = make(over_http).send(lines(story().recorder.events[0]))
    assert [refusal.reason[:20] for refusal in sent.refused] == ["logs: http://127.0.0"]


def test_what_a_back_end_left_out_is_said(make: Make, receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    code: Any = grpc.StatusCode.OK if receiver.protocol == "grpc" else 200
    receiver.fail("logs", Fail(code, "too old", rejected=3))
    sent = make(receiver).send(lines(*story().recorder.events))
    assert (sent.retry, sent.refused) == ([], []), "nobody knows which"
    assert "left out 3: too old" in caplog.text


def test_an_answer_that_is_no_protobuf_is_one_too(make: Make, over_http: Receiver) -> None:
    over_http.fail("logs", Fail("json"))
    assert make(over_http).send(lines(*story().recorder.events)).retry == []


def test_nobody_there(make: Make, receiver: Receiver) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as sock:
        port = sock.getsockname()[1]
    receiver.endpoint = f"http://127.0.0.1:{port}"
    batch = lines(*story().recorder.events)
    sent = make(receiver, timeout=5.0).send(batch)
    assert list(sent.retry) == batch
    assert f"127.0.0.1:{port}" in sent.problem


@contextmanager
def within(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


def test_a_back_end_that_does_not_answer_costs_the_timeout_and_no_more(make: Make, receiver: Receiver) -> None:
    receiver.answering.clear()
    batch = lines(*story().recorder.events)
    destination = make(receiver, timeout=0.3)
    with within(5):
        sent = destination.send(batch)
    assert list(sent.retry) == batch
    assert sent.problem
    receiver.answering.set()


def test_a_host_that_takes_connections_and_nothing_else(make: Make, receiver: Receiver) -> None:
    """Its kernel does, the program hangs."""
    with closing(socket.create_server(("127.0.0.1", 0))) as sock:
        receiver.endpoint = f"http://127.0.0.1:{sock.getsockname()[1]}"
        with within(5):
            sent = make(receiver, timeout=0.3).send(lines(*story().recorder.events))
    assert len(sent.retry) == 4


def test_an_answer_that_drips_costs_the_timeout_and_no_more(make: Make, over_http: Receiver) -> None:
    """Each byte comes within the timeout, the whole never does."""
    stop = threading.Event()

    def drip(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nx: ")
            while not stop.wait(0.05):
                try:
                    connection.sendall(b"x")
                except OSError:
                    return

    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        thread = threading.Thread(target=drip, args=(server,))
        thread.start()
        over_http.endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
        with within(5):
            sent = make(over_http, timeout=0.4).send(lines(*story().recorder.events))
        stop.set()
        thread.join()
    assert len(sent.retry) == 4
    assert "no answer within" in sent.problem


def test_a_connection_that_was_closed_meanwhile_is_opened_again(make: Make, over_http: Receiver) -> None:
    destination = make(over_http, traces=False)
    destination.send(lines(*story().recorder.events))
    destination._lines["logs"]._sock._sock.shutdown(socket.SHUT_RDWR)
    assert destination.send(lines(*story().recorder.events)).retry == []
    assert len(over_http.logs()) == 8


def test_a_back_end_that_comes_back_is_found_again(make: Make, tmp_path: Path) -> None:
    """Over gRPC, whose own back-off would grow to two minutes."""
    batch = lines(*story().recorder.events)
    with closing(socket.create_server(("127.0.0.1", 0))) as sock:
        port = sock.getsockname()[1]
    destination = make(Receiver("grpc", f"http://127.0.0.1:{port}"), timeout=5.0)
    assert list(destination.send(batch).retry) == batch
    from concurrent.futures import ThreadPoolExecutor

    from tests.publishers.otlp_receiver import SERVICES, _handler
    from tests.waiting import wait_for

    receiver, server = Receiver("grpc"), grpc.server(ThreadPoolExecutor(2))
    for signal, (name, request, response) in SERVICES.items():
        server.add_generic_rpc_handlers((_handler(receiver, signal, name, request, response),))
    assert server.add_insecure_port(f"127.0.0.1:{port}") == port
    server.start()
    try:
        wait_for(lambda: not destination.send(batch).retry, "delivery")
    finally:
        server.stop(0).wait(10)


# --- TLS ---


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost and its key."""
    folder = tmp_path_factory.mktemp("tls")
    command: list[str | Path] = [
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
        "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", folder / "key.pem", "-out", folder / "cert.pem",
    ]  # fmt: skip
    try:
        subprocess.run(command, check=True, capture_output=True)
    except OSError as error:
        lacking("openssl", str(error))
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture(params=["grpc", "http"])
def secure(request: pytest.FixtureRequest, certificate: tuple[Path, Path]) -> Iterator[Receiver]:
    """A receiver of each kind, over TLS."""
    cert, key = certificate
    if request.param == "grpc":
        yield from grpc_receiver(grpc.ssl_server_credentials([(key.read_bytes(), cert.read_bytes())]))
        return
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    yield from http_receiver(context)


def test_tls(make: Make, secure: Receiver, certificate: tuple[Path, Path]) -> None:
    assert make(secure, certificate=certificate[0]).send(lines(*story().recorder.events)).retry == []
    assert len(secure.logs()) == 4


def test_an_authority_that_is_not_trusted(make: Make, secure: Receiver) -> None:
    sent = make(secure, timeout=5.0).send(lines(*story().recorder.events))
    assert len(sent.retry) == 4
    assert secure.got == []


def test_ids_are_those_that_were_injected(make: Make, over_http: Receiver) -> None:
    stage = story()
    make(over_http).send(lines(*stage.recorder.events))
    enqueue = named(over_http.spans())["enqueue pdfs"]
    assert stage.metadata[0]["_traceparent"] == f"00-{enqueue.trace_id.hex()}-{enqueue.span_id.hex()}-01"
    spans = spans_of(stage.metadata[-1], "link")
    assert spans is not None
    assert named(over_http.spans())["process pdfs"].span_id.hex() == spans.process.span_id
