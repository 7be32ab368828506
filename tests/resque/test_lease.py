"""What stands under ``worker:<id>``: Ruby's, ours, and what else may."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from clues.errors import DecodeError
from clues.resque.lease import Lease

RUN_AT = "2026-11-20T15:09:37Z"


@pytest.mark.parametrize("scenario", ["d-worker-busy", "d2-worker-busy-clues"])
def test_rubys(golden: Callable[[str], dict[str, Any]], scenario: str) -> None:
    """The captures' leases."""
    (key,) = (key for key in golden(scenario)["keys"] if "run_at" in str(key["value"]))
    lease = Lease.parse(key["value"].encode())
    assert lease.shown() == key["value_parsed"]
    assert lease.payload.decode() in key["value"]
    assert (lease.queue, lease.run_at) == (key["value_parsed"]["queue"], key["value_parsed"]["run_at"])


@pytest.mark.parametrize(
    "payload",
    [
        b'{"class":"A","args":[]}',
        b"not json",
        b"",
        b"}",
        b'{"a":"}"}}}',
        b"\xff\x00\n",
        b'","payload":{}',
        b'{"payload":{"queue":"x"}}',
        b" 1 ",
    ],
)
@pytest.mark.parametrize("queue", ["q", 'a"b', "a\\", "é\n", "x,y:z", ""])
def test_ours(payload: bytes, queue: str) -> None:
    """Any payload comes out as it went in, whatever it holds."""
    raw = b'{"queue":' + json.dumps(queue).encode() + f',"run_at":"{RUN_AT}","payload":'.encode() + payload + b"}"
    assert Lease.parse(raw) == Lease(queue, RUN_AT, payload)


@pytest.mark.parametrize(
    ("payload", "shown"),
    [(b'{"class":"A"}', {"class": "A"}), (b"not json", "not json"), (b"\xff", "\\xff"), ("é".encode(), "é")],
)
def test_shown(payload: bytes, shown: Any) -> None:
    """A payload that is no JSON, or no text, as what can be read of it."""
    raw = f'{{"queue":"q","run_at":"{RUN_AT}","payload":'.encode() + payload + b"}"
    assert Lease.parse(raw).shown() == {"queue": "q", "run_at": RUN_AT, "payload": shown}
    assert Lease.payloads([raw, b"x"]) == [payload, b"x"]


def test_a_time_that_is_no_text() -> None:
    """Nothing is lost by it."""
    assert Lease.parse(b'{"queue":"q","run_at":"\xff","payload":{}}') == Lease("q", "\\xff", b"{}")


def test_in_another_order() -> None:
    """As another program may write it; the payload's bytes are kept."""
    raw = f'{{ "payload" : {{"class":"A", "args":[1.0]}}, "run_at":"{RUN_AT}","queue":"q" }}'.encode()
    assert Lease.parse(raw) == Lease("q", RUN_AT, b'{"class":"A", "args":[1.0]}')
    assert Lease.parse(b'{"queue":"q","payload":{}}') == Lease("q", "", b"{}")


@pytest.mark.parametrize("raw", [b"", b"x", b"{}", b"[]", b'{"queue":7,"payload":{}}', b'{"queue":"q"}', b"\xff"])
def test_none(raw: bytes) -> None:
    """Parsing refuses it; reading takes all of it for the payload, as nothing may be lost."""
    with pytest.raises(DecodeError, match=r"not JSON|lease") as caught:
        Lease.parse(raw)
    assert caught.value.raw == raw
    assert Lease.read(raw) == Lease("", "", raw)


def test_a_large_one() -> None:
    """Reading takes no time that grows faster than it."""
    payload = b'{"class":"A","args":["' + b'\\"}' * 3_000_000 + b'"]}'
    raw = b'{"queue":"q","run_at":"x","payload":' + payload + b"}"
    assert Lease.parse(raw).payload == payload
