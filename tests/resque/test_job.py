"""Items as jobs, and the failures that they become."""

from __future__ import annotations

import base64
import json
from typing import Any, ClassVar

import pytest

from clues.errors import ConfigError, DecodeError, NoClassError, TermException, UnknownJobError
from clues.metadata import Failure
from clues.resque import times
from clues.resque.failure import FailureEntry, additional, as_payload, checked_backends, default_backends, describe
from clues.resque.job import Job
from clues.resque.registry import Registry


@pytest.mark.parametrize(
    ("raw", "error", "why"),
    [
        (b"not json", DecodeError, "not JSON"),
        (b'["of mine"]', DecodeError, "not an object with class and args: .*of mine"),
        (b'{"class":"A","args":{}}', DecodeError, "args must be an array, not dict"),
        (b'{"args":[]}', NoClassError, "names none"),
        (b'{"class":"","args":[]}', NoClassError, "names none"),
        (b'{"class":7}', NoClassError, "names none"),
        (b'{"class":"A"}', UnknownJobError, "No job is registered as 'A'"),
    ],
)
def test_what_is_wrong_is_raised_late(raw: bytes, error: type[Exception], why: str) -> None:
    """When the job should run, so that it fails like any other; and it says what is wrong."""
    job = Job("q", raw)
    assert job.raw == raw
    assert job.args == []
    str(job)
    with pytest.raises(error, match=why) as caught:
        job.definition(Registry())
    assert not isinstance(caught.value, DecodeError) or caught.value.raw == raw


def test_what_is_known_of_a_bad_one() -> None:
    """Its events are of what can be read of it."""
    assert Job("q", b"not json").item == {"class": None, "args": []}
    assert Job("q", b'{"class":"A","args":5,"x":1}').item == {"class": "A", "args": [], "x": 1}


class Card:
    """A job that fails, whose hook may fail too."""

    queue = "q"
    heard: ClassVar[list[Any]] = []
    hook_error: ClassVar[Exception | None] = None

    @classmethod
    def perform(cls, *args: int) -> None:
        raise ValueError(f"declined: {args}")

    @classmethod
    def on_failure(cls, error: BaseException, *args: int) -> None:
        cls.heard.append((str(error), args))
        if cls.hook_error is not None:
            raise cls.hook_error


@pytest.mark.parametrize("hook_error", [None, OSError("no pager")])
def test_a_failure_as_it_is_stored(hook_error: Exception | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hook has the error and the arguments; what it raises itself is told beside it, with the job."""
    monkeypatch.setattr(Card, "heard", [])
    monkeypatch.setattr(Card, "hook_error", hook_error)
    job = Job("q", b'{"class":"Card","args":[1,2]}')
    registry = Registry()
    registry.register(Card)
    definition = job.definition(registry)
    with pytest.raises(ValueError, match=r"declined: \(1, 2\)") as caught:
        job.perform(definition)
    stored = job.fail(definition, caught.value)
    assert Card.heard == [("declined: (1, 2)", (1, 2))]
    if hook_error is None:
        assert (stored.exception, stored.message) == ("ValueError", "declined: (1, 2)")
    else:
        assert stored.exception == "RuntimeError"
        assert stored.message == (
            "Additional error (OSError: no pager) occurred in running failure hooks for job (Job{q} | Card | [1, 2])\n"
            "Original error that caused job failure was OSError: ValueError: declined: (1, 2)"
        )
    assert stored.backtrace
    assert stored.backtrace[0].endswith("in `perform'")
    assert not any("clues/resque/" in line for line in stored.backtrace)


def test_a_failure_of_a_job_that_is_unknown() -> None:
    """There are no hooks to ask."""
    assert Job("q", b"x").fail(None, KeyError("a")) == Failure("KeyError", "'a'", ())


@pytest.mark.parametrize(
    ("payload", "shown"),
    [(b'{"class":"A","args":[1.0]}', {"class": "A", "args": [1.0]}), (b"not json", "not json"), (b"\xff", "\\xff")],
)
def test_an_entry(payload: bytes, shown: Any) -> None:
    """As Resque stores it; what is no text can be had whole all the same."""
    at = 1795187979.75
    failure = Failure("ValueError", "no" * 100_000, ("a.rb:1:in `x'",))
    found = json.loads(FailureEntry(at, payload, failure, "h:1:q\udcff", "q\udcff").encode())
    odd = {"payload_base64": base64.b64encode(payload).decode()} if payload == b"\xff" else {}
    assert found == {
        "failed_at": times.failed_at(at), "payload": shown, "exception": "ValueError", "error": "no" * 50_000,
        "backtrace": ["a.rb:1:in `x'"], "worker": "h:1:q\\xff", "queue": "q\\xff", **odd,
    }  # fmt: skip
    assert list(found)[:7] == ["failed_at", "payload", "exception", "error", "backtrace", "worker", "queue"]


def test_where_failures_go() -> None:
    """As FAILURE_BACKEND says; a failure has one place in Redis, and any number beside it."""

    class Pager:
        def save(self, entry: FailureEntry) -> None:
            """Do nothing."""

    pager = Pager()
    assert default_backends({}) == default_backends({"FAILURE_BACKEND": ""}) == ("redis",)
    assert default_backends({"FAILURE_BACKEND": "redis"}) == ("redis",)
    assert default_backends({"FAILURE_BACKEND": "redis_multi_queue"}) == ("redis_multi_queue",)
    with pytest.raises(ConfigError, match="FAILURE_BACKEND must be redis or redis_multi_queue, not 'sql'"):
        default_backends({"FAILURE_BACKEND": "sql"})
    for backends in (("redis", pager), ("redis_multi_queue",), (pager, pager), ()):
        assert checked_backends(iter(backends)) == backends
    with pytest.raises(ConfigError, match=r"failure_backends takes .*, not 'sql'"):
        checked_backends(["redis", "sql"])  # type: ignore[list-item]
    with pytest.raises(ConfigError, match=r"failure_backends takes .*, not 5"):
        checked_backends([5])  # type: ignore[list-item]
    with pytest.raises(ConfigError, match=r"failure_backends takes .*, not both"):
        checked_backends(["redis", pager, "redis_multi_queue"])


def test_a_good_one() -> None:
    """Class and args; other keys are kept."""
    job = Job("q", b'{"class":"A","args":[1,"x"],"clues_metadata":{}}')
    assert (job.worker_class, job.args) == ("A", [1, "x"])
    assert str(job) == "(Job{q} | A | [1, 'x'])"
    assert job.item["clues_metadata"] == {}


def test_large_args_are_not_shown_whole() -> None:
    """In a failure that names the job."""
    assert len(str(Job("q", b'{"class":"A","args":["' + b"x" * 1_000_000 + b'"]}'))) < 2000


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        (b'{"class":"A"}', True),
        (b' { "a" : 1e400 } \n', True),
        (b"{}", True),
        (b"[]", False),
        (b"x", False),
        (b'{"a":"\xff"}', False),
        (b'{"a":NaN}', False),
        (b'{"a":' * 99 + b"1" + b"}" * 99, True),
        (b'{"a":' * 100 + b"1" + b"}" * 100, False),
    ],
)
def test_payloads_of_entries(raw: bytes, kept: bool) -> None:
    """Objects as they came, all else as a string; the entry around them is always JSON that Ruby can read."""
    payload = as_payload(raw)
    assert (payload == raw) is kept
    found = json.loads(b'{"payload":' + payload + b"}")["payload"]
    assert isinstance(found, dict if kept else str)


def test_both_errors_are_told() -> None:
    """Where an on_failure hook raised too."""
    failure = additional(ValueError("hook"), KeyError("job"), "(Job{q} | A | [])")
    assert failure.exception == "RuntimeError"
    assert "Additional error (ValueError: hook)" in failure.message
    assert "KeyError: 'job'" in failure.message


def test_an_error_that_can_not_be_described() -> None:
    """Not even its class can be trusted."""

    class Hostile(Exception):
        def __str__(self) -> str:
            raise KeyboardInterrupt

    found = describe(Hostile())
    assert found.exception.endswith("Hostile")
    assert found.message == "<the error can't be read>"


def test_the_end_of_a_worker_has_rubys_name() -> None:
    """So that resque-web, and those who retry such failures, know it."""
    assert describe(TermException("SIGTERM")) == Failure("Resque::TermException", "SIGTERM", ())
