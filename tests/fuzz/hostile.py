"""What somebody may write who means harm: texts, JSON, events."""

# ruff: noqa: E501 - samples read best as wide as they are
from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

EVIL = (
    '\x1b]0;owned\x07\x1b[2J\x9b31m\r\n{"event_type":"failed"}\n\x08\x7f\x00\x85\u2028\u2029\u202eevil\u2066\u061c'
    "<script>alert(1)</script><img src=x onerror=alert(1)>'\"`|[red]x[/red]|#a:b,@1\ud800"
)
"""Escape sequences, ends of lines, marks that turn text, HTML, markup; at its end half a character, which has encoders
spell out all the rest as well."""

DEEP = b"[" * 3000 + b"]" * 3000
TYPES = ("enqueued", "dequeued", "perform_started", "perform_finished", "failed", "destroyed")
KEYS = (
    "_event_hash", "_event_id", "_attempt", "_hostname", "_process", "_enqueued_time", "_traceparent", "_time_in_queue",
    "_time_to_perform", "_exception", "_message", "_backtrace", "_reason", "_reporter", "_retrying", "_redelivered",
    "_truncated", "_system", "_job_id", "_scheduled_time", "_clock_skew", "_parent_event_hash", "_traced_by",
    "event_hash", "message", "plan", EVIL,
)  # fmt: skip
RAW = (
    b"", b"\xff\xfe", b"[]", b"null", b"1", b"NaN", b"9" * 6000, b"1e999", b'"\\ud800"', b"\xef\xbb\xbf{}", b"\0" * 9,
    DEEP, b'{"class":"Job","args":' + DEEP + b"}", b'{"class":["' + b"9" * 6000 + b'"]}', b'{"a":[' + b"9" * 6000 + b"]}",
    b'{"destination":"x","event":' + DEEP + b"}", b'{"destination":"x","event":"\\ud800"}',
    b'{"event_type":"failed","timestamp":"x","queue":"q","worker_class":"W","args":' + DEEP + b',"metadata":{}}',
    b'{"event_type":"failed","timestamp":"x","queue":"q","worker_class":"W","args":[' + b"9" * 6000 + b'],"metadata":{}}',
    b'{"name":"x","positions":{"1":1e999},"delivered":"x","retried":[],"dead_lettered":null,"left_out":0,"state":7}',
    b'{"queue":"q","run_at":"","payload":' + DEEP + b"}",
    EVIL.encode("utf-8", "surrogatepass"),
)  # fmt: skip
"""Bytes that are no JSON, or too much of it."""

MANY: tuple[Any, ...] = (
    EVIL, EVIL[:-1], "", None, 0, -1, 1e308, float("nan"), float("inf"), 10**30, 10**400, True, [], {}, [EVIL], {EVIL: EVIL},
    "x" * 3000, "9" * 5000, "2026-11-20T20:59:58Z", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59",
    "infinity",
)  # fmt: skip
"""Values that may stand anywhere."""


def event(number: int = 0, kind: str = "failed", **changed: Any) -> dict[str, Any]:
    """An event as it should be, but for what is changed; fields of its metadata by their keys."""
    event_hash = f"{number:032x}"
    told = {
        "event_type": kind,
        "timestamp": "2026-11-20T20:59:58.123456Z",
        "queue": "q",
        "metadata": {
            "_event_hash": event_hash, "_event_id": f"{event_hash}:1:{'end' if kind in TYPES[3:] else kind}",
            "_attempt": 1, "_hostname": "h", "_process": 1, "_enqueued_time": 1795208398.02, "_time_in_queue": 0.1,
            "_time_to_perform": 0.2,
        },
        "worker_class": "Job",
        "args": [1],
    }  # fmt: skip
    fields = {key: value for key, value in changed.items() if key in told}
    metadata: dict[str, Any] = {key: value for key, value in changed.items() if key not in told}
    return {**told, "metadata": {**told["metadata"], **metadata}, **fields}  # type: ignore[dict-item]


def line(told: Any) -> bytes:
    """As it stands in a log of somebody else's making."""
    return json.dumps(told, ensure_ascii=False).encode("utf-8", "surrogatepass")


def log() -> bytes:
    """Each field of each type of event with each value, and lines that are none."""
    fields = ("queue", "worker_class", "timestamp", "args", "metadata", *KEYS)
    lines = [
        line(event(place % 40, TYPES[(place + at) % 6], **{field: value}))
        for place, field in enumerate(fields)
        for at, value in enumerate(MANY)
    ]
    everywhere = event(1, queue=EVIL, worker_class=EVIL, args=[EVIL, {EVIL: EVIL}], **dict.fromkeys(KEYS[9:], EVIL))
    return b"\n".join([*lines, line(everywhere), *RAW, b"# " + EVIL.encode("utf-8", "surrogatepass"), b""])


texts = st.one_of(st.sampled_from((EVIL, *EVIL, "\x1b[31m", "a|b:c#d@e\n")), st.text(max_size=20))
values = st.recursive(
    st.sampled_from(MANY) | texts | st.integers() | st.floats(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts | st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=8,
)
events = st.builds(
    lambda kind, fields: event(0, kind, **fields),
    st.sampled_from(TYPES),
    st.dictionaries(
        st.sampled_from(("queue", "worker_class", "timestamp", "args", "metadata", *KEYS)), values, max_size=4
    ),
)


def _cut(data: bytes, start: int, end: int, more: bytes) -> bytes:
    return data[:start] + more + data[end:]


def _bytes(told: Any) -> bytes:
    try:
        return line(told)
    except ValueError:
        return b"{}"


jsons = (values | events).map(_bytes)
spoilt = st.builds(_cut, jsons, st.integers(0, 200), st.integers(0, 200), st.binary(max_size=6))
foreign = st.one_of(
    jsons,
    spoilt,
    st.sampled_from(RAW),
    st.binary(max_size=100),
    texts.map(lambda text: text.encode("utf-8", "surrogatepass")),
)
"""Bytes from somebody else: JSON, JSON that was cut and spliced, anything."""
