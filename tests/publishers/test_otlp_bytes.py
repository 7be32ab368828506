"""Log records and spans as bytes: protobuf reads of them just what its own classes would have written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from clues.event import Event, EventType
from clues.publishers.lines import event_of
from clues.publishers.otlp_batch import Told, Writer
from clues.publishers.otlp_ids import spans_of
from clues.publishers.otlp_logs import log_record
from clues.publishers.otlp_spans import has_span, span
from clues.publishers.otlp_values import job_attributes, nanoseconds
from tests.publishers import otlp_reference
from tests.publishers.otlp_reference import in_order

AT = "2026-11-20T20:59:58.123456Z"
OBSERVED = 1_795_176_000_999_999_999

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**63), 2**63)
    | st.floats()
    | st.text()
    | st.text(st.characters(categories=["Cs", "L"]))
    | st.text("aé", min_size=120, max_size=140)
)
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5)
keys = st.text() | st.sampled_from([
    "_event_hash", "event_hash", "_event_id", "_attempt", "_hostname", "_process", "_system", "_exception", "_message",
    "_backtrace", "_reason", "_time_to_perform", "_time_in_queue", "_traceparent", "_tracestate", "_parent_span_id",
    "_job_id", "_scheduled_time", "_retrying", "_redelivered",
])  # fmt: skip
hashes = st.sampled_from(["ab" * 16, "0" * 32, "a job of another system"])
contexts = st.sampled_from([f"00-{'c' * 32}-{'d' * 16}-01", f"00-{'c' * 32}-{'d' * 16}-00", "none"])
usual = st.fixed_dictionaries(
    {"_event_hash": hashes, "_process": st.integers(0, 4194304), "_event_id": st.text()},
    optional={
        "_traceparent": contexts,
        "_tracestate": st.sampled_from(["a=1", ""]),
        "_parent_span_id": st.sampled_from(["e" * 16, "0" * 16]),
        "_time_to_perform": st.floats(0, 1e6),
        "_exception": st.text(),
        "_message": st.text(),
        "_backtrace": st.lists(st.text()),
        "_attempt": st.integers(0, 3),
        "_system": st.sampled_from(["celery", "rq"]),
        "_job_id": st.text(),
        "_scheduled_time": st.floats(0, 1e10),
        "_retrying": st.booleans(),
        "customer": scalars,
    },
)
events = st.builds(
    Event,
    st.sampled_from(EventType),
    st.sampled_from([AT, "1970-01-01T00:00:00.000000Z", "2026-11-20T20:59:58+01:00", "2026-11-20"]),
    st.sampled_from(["mail", "", "é", "x" * 200]) | scalars,
    usual | st.dictionaries(keys, values),
    st.sampled_from(["Welcome", "Übersicht"]) | scalars,
    st.lists(values, max_size=3),
)


@settings(max_examples=300)
@given(events, st.sampled_from(["link", "child", "none"]))
@example(Event(EventType.FAILED, AT, None, {"_event_hash": "ab" * 16}, None, []), "link")
@example(Event(EventType.ENQUEUED, AT, "q", {"_event_hash": "ab" * 16, "_process": True}, "Job", []), "link")
@example(Event(EventType.ENQUEUED, AT, "q", {"_event_hash": "ab" * 16, "_process": 1}, "Job", []), "link")
def test_any_event(event: Event, style: Any) -> None:
    spans = spans_of(event.metadata, style)
    at, attributes = nanoseconds(event.timestamp), job_attributes(event)
    written = log_record(event, at, spans, attributes, OBSERVED)
    record = LogRecord.FromString(written)
    assert record.SerializeToString(deterministic=True) == written
    same_args(record, event)
    assert in_order(record) == in_order(otlp_reference.log_record(event, spans, OBSERVED))
    if spans is not None and has_span(event, spans):
        written = span(event, at, spans, attributes)
        found = Span.FromString(written)
        assert found.SerializeToString(deterministic=True) == written
        assert in_order(found) == in_order(otlp_reference.span_of(event, spans))


def same_args(record: LogRecord, event: Event) -> None:
    """The args are the same JSON, whichever encoder's; from now on spelled as the standard library does."""
    wanted = json.dumps(event.args, ensure_ascii=False, separators=(",", ":"))
    (held,) = (one.value for one in record.attributes if one.key == "clues.args")
    finite = wanted if "NaN" not in wanted and "Infinity" not in wanted else None
    if finite is not None and held.string_value.isascii():
        assert json.loads(held.string_value) == json.loads(wanted)
    held.string_value = otlp_reference.text(wanted)


@pytest.mark.parametrize("size", [0, 1, 62, 63, 124, 125, 126, 127, 128, 129, 4095, 4096, 16383, 16384, 100_000])
def test_texts_of_any_length(size: int) -> None:
    event = Event(EventType.ENQUEUED, AT, "q" * size, {"k" * size: "v" * size, "n": size}, "C" * size, ["a" * size])
    record = LogRecord.FromString(log_record(event, 5, None, job_attributes(event), OBSERVED))
    reference = otlp_reference.log_record(event, None, OBSERVED)
    reference.time_unix_nano = 5
    assert in_order(record) == in_order(reference)


def test_truth_values_and_numbers_are_not_mixed_up() -> None:
    """1, 1.0 and True are one key to a cache, and three values."""
    kinds = []
    for value in (1, True, 1.0, 1):
        event = Event(EventType.ENQUEUED, AT, value, {"_process": value, "n": value}, value, [])  # type: ignore[arg-type]
        record = LogRecord.FromString(log_record(event, 5, None, job_attributes(event), OBSERVED))
        kinds.append({one.key: one.value.WhichOneof("value") for one in record.attributes})
    names = ("messaging.destination.name", "clues.job.class", "process.pid", "clues.metadata.n")
    assert [[kind[name] for name in names] for kind in kinds] == [
        ["int_value"] * 4, ["bool_value"] * 4, ["double_value"] * 4, ["int_value"] * 4,
    ]  # fmt: skip


def test_hosts_have_resources_of_their_own() -> None:
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

    told = []
    for host in ("a", "b", "a", 5, None):
        event = Event(EventType.ENQUEUED, AT, "q", {"_hostname": host}, "Job", [])
        told.append(Told(event.line, event, nanoseconds(AT), None))
    request = ExportLogsServiceRequest.FromString(Writer({"service.name": "s"}, "here", "/p").logs(told, OBSERVED))
    counts = []
    for resource in request.resource_logs:
        (host,) = (one.value.string_value for one in resource.resource.attributes if one.key == "host.name")
        (scope,) = resource.scope_logs
        assert (scope.scope.name, scope.schema_url[:8]) == ("clues", "https://")
        counts.append((host, len(scope.log_records)))
    assert counts == [("a", 2), ("b", 1), ("here", 2)]


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-20T20:59:58.123456Z", "2026-11-20T20:59:58.000000Z", "2026-W47-5T20:59:58.123456Z",
        "2026-11-20 20:59:58.123456Z", "2026-11-20T20:59+01.123456Z", "2026-11-20T20+01:00.123456Z",
        "2026-11-20T20:59:58,123456Z", "2026-11-20T20:59:61.123456Z", "2026-11-20T20:59:58.12345٣Z",
        "2026-11-20T20:59:58.12345²Z", "1969-12-31T23:59:59.999999Z", "2262-04-11T23:47:16.854775Z",
        "2262-04-11T23:47:16.854776Z", "2026-11-20T20:59:58.1234567", "2026-11-20T20:59:58.12345-Z",
    ],
)  # fmt: skip
def test_timestamps(text: str) -> None:
    """The usual spelling is read by a way of its own, which finds the same as the standard library's."""
    event = Event(EventType.ENQUEUED, text, "q", {}, "Job", [])
    try:
        wanted: int | None = otlp_reference.moment(event)
    except ValueError:
        wanted = None
    if wanted is None or not 0 <= wanted < 1 << 63:
        with pytest.raises(ValueError, match=r"."):
            nanoseconds(text)
    else:
        assert nanoseconds(text) == wanted


@given(st.sampled_from(EventType), st.dictionaries(keys, values), st.lists(values, max_size=3), st.booleans())
def test_lines_read_the_quick_way(kind: EventType, metadata: dict[str, Any], args: list[Any], spaced: bool) -> None:
    """orjson or not, the same event, to the last digit and to the kind of each number."""
    shape = {"event_type": kind, "timestamp": AT, "queue": "q", "metadata": metadata, "worker_class": "J", "args": args}
    line = json.dumps(shape, separators=None if spaced else (",", ":")).encode()
    assert repr(event_of(line)) == repr(Event.from_line(line))


@pytest.mark.parametrize(
    "number",
    [
        "9223372036854775808", "18446744073709551615", "18446744073709551616", "-9223372036854775808",
        "-9223372036854775809", "0.00012345678901234567", "[0.00012345678901234567,18446744073709551616]", "1e400",
        "NaN", '"\\ud800"', "10000000000000000000000.5", "1.000000000000000000000000", "123456789012345678901234567890",
    ],
)  # fmt: skip
def test_numbers_of_a_line(number: str) -> None:
    text = '{"event_type":"failed","timestamp":"","queue":null,"metadata":{"n":%s},"worker_class":null,"args":[%s]}'
    line = (text % (number, number)).encode()
    assert repr(event_of(line)) == repr(Event.from_line(line))


@pytest.mark.parametrize(
    "line",
    [
        b"", b"5", b"[]", b"{}", b'"x"', b"\xff", b'{"event_type":"failed"}',
        b'{"event_type":[],"timestamp":"","queue":null,"metadata":{},"worker_class":null,"args":[]}',
        b'{"event_type":"no","timestamp":"","queue":null,"metadata":{},"worker_class":null,"args":[]}',
        b'{"event_type":"failed","timestamp":1,"queue":null,"metadata":{},"worker_class":null,"args":[]}',
        b'{"event_type":"failed","timestamp":"","queue":null,"metadata":[],"worker_class":null,"args":[]}',
        b'{"event_type":"failed","timestamp":"","queue":null,"metadata":{},"worker_class":null,"args":{}}',
        b"[" * 5000 + b"]" * 5000,
    ],
)  # fmt: skip
def test_what_is_no_event(line: bytes) -> None:
    """It is refused in the same words."""
    with pytest.raises(ValueError, match=r".") as plain:
        Event.from_line(line)
    with pytest.raises(ValueError, match=r".") as quick:
        event_of(line)
    assert str(quick.value) == str(plain.value)
