"""Items as jobs, and the failures that they become."""

from __future__ import annotations

import json

import pytest

from clues.errors import DecodeError, NoClassError, UnknownJobError
from clues.resque.failure import additional, as_payload, describe
from clues.resque.job import Job
from clues.resque.registry import Registry


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b"not json", DecodeError),
        (b"[]", DecodeError),
        (b'{"class":"A","args":{}}', DecodeError),
        (b'{"args":[]}', NoClassError),
        (b'{"class":"","args":[]}', NoClassError),
        (b'{"class":7}', NoClassError),
        (b'{"class":"A"}', UnknownJobError),
    ],
)
def test_what_is_wrong_is_raised_late(raw: bytes, error: type[Exception]) -> None:
    """When the job should run, so that it fails like any other."""
    job = Job("q", raw)
    assert job.raw == raw
    assert job.args == []
    str(job)
    with pytest.raises(error):
        job.definition(Registry())


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

    assert describe(Hostile()).exception.endswith("Hostile")
