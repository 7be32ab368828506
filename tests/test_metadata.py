"""What clues adds to a job."""

from __future__ import annotations

import functools
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clues.event import EventType
from clues.metadata import (
    END_OF_TIME,
    error_name,
    event_id,
    failure_of,
    hash_of,
    new_hash,
    read_attempt,
    read_enqueued_time,
    read_hash,
    read_scheduled_time,
    timestamp,
    users_own,
)


def test_hashes_are_32_hex_digits_and_differ_across_a_fork() -> None:
    """Also between parent and child, which share the state of any generator that isn't the kernel's."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write_end, new_hash().encode())
        os._exit(0)
    os.waitpid(pid, 0)
    found = [os.read(read_end, 100).decode(), new_hash(), new_hash()]
    os.close(read_end)
    os.close(write_end)
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in found)
    assert len(set(found)) == 3


def test_all_terminal_events_of_an_attempt_share_one_id() -> None:
    """So that readers count distinct ids, however often an end is told."""
    found = [event_id("h", 2, kind) for kind in EventType]
    assert found == ["h:2:enqueued", "h:2:dequeued", "h:2:perform_started", "h:2:end", "h:2:end", "h:2:end"]


@given(st.integers(min_value=-10_000_000, max_value=4_000_000_000_000_000))
def test_a_timestamp_is_the_microsecond_that_the_float_stands_for(micro: int) -> None:
    """Not the one before it: most floats are a little less than what they were made from."""
    expected = datetime.fromtimestamp(micro // 1_000_000, UTC).replace(microsecond=micro % 1_000_000)
    assert timestamp(micro / 1_000_000) == expected.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def test_a_timestamp_carries_over_the_second() -> None:
    """59.9999999 is the next minute, not second 60 nor microsecond 1000000."""
    assert timestamp(59.9999999) == "1970-01-01T00:01:00.000000Z"
    assert timestamp(1795187998.123456) == "2026-11-20T15:19:58.123456Z"


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"_event_hash": "a", "event_hash": "b"}, "a"),  # Ruby's twins differ; the one with _ counts
        ({"event_hash": "b"}, "b"),
        ({"_event_hash": None, "event_hash": "b"}, "b"),
        ({"_event_hash": ""}, None),
        ({"_event_hash": 7}, None),
        ({"_event_hash": "x"}, "x"),
        ({"_event_hash": "x" * 128}, "x" * 128),
        ({"_event_hash": "x" * 129}, None),
        ({"_event_hash": "\ud800"}, None),
        ({"_event_hash": "a\nb"}, None),
        ({}, None),
    ],
)
def test_read_hash(metadata: dict[str, Any], expected: str | None) -> None:
    """A usable hash, or none."""
    assert read_hash(metadata) == expected


@pytest.mark.parametrize("length", [1, 128])
def test_a_hash_of_a_strings_subclass_is_read_as_plain_text(length: int) -> None:
    """Whatever the subclass makes of being shown; a foreign system's ids may be of one."""

    class Id(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "something else"

    found = read_hash({"_event_hash": Id("7" * length)})
    assert found == "7" * length
    assert type(found) is str


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (3, 3), (1, 1), (0, 1), (-2, 1), (True, 1), ("2", 1), (2.0, 1), (None, 1),
        (10**9 - 1, 10**9 - 1), (10**9, 1), (10**30, 1),
    ],
)  # fmt: skip
def test_read_attempt(found: Any, expected: int) -> None:
    """A sane number, else the first attempt."""
    assert read_attempt({"_attempt": found}) == expected
    assert read_attempt({}) == 1


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"_enqueued_time": 1795187675.5, "enqueued_time": 1.0}, 1795187675.5),
        ({"enqueued_time": 1795187675}, 1795187675.0),
        ({"_enqueued_time": True}, None),
        ({"_enqueued_time": "1795187675"}, None),
        ({"_enqueued_time": float("nan")}, None),
        ({"_enqueued_time": float("inf")}, None),
        ({"_enqueued_time": 10**400}, None),
        ({"_enqueued_time": 1e300}, None),
        ({"_enqueued_time": END_OF_TIME - 1}, END_OF_TIME - 1),
        ({"_enqueued_time": END_OF_TIME}, None),
        ({"_enqueued_time": 0}, None),
        ({"_enqueued_time": 0.5}, 0.5),
        ({"_enqueued_time": -5}, None),
        ({}, None),
    ],
)
def test_read_enqueued_time(metadata: dict[str, Any], expected: float | None) -> None:
    """A time that can be, else None: never a made-up number."""
    assert read_enqueued_time(metadata) == expected


@pytest.mark.parametrize(("found", "expected"), [(1795187675, 1795187675.0), (0, None), (None, None), ("soon", None)])
def test_read_scheduled_time(found: Any, expected: float | None) -> None:
    """As the time of enqueueing, but of no twin without ``_``: that would be the user's own."""
    assert read_scheduled_time({"_scheduled_time": found, "scheduled_time": 5}) == expected


def test_a_job_without_a_hash_gets_one_of_its_own_systems_id() -> None:
    """The same wherever it is asked for, and for ever: events of a Celery job come from two processes."""
    assert hash_of("celery", "0b3c") == "939f923d2e889184812f41809637f471"
    assert hash_of("rq", "0b3c") != hash_of("celery", "0b3c")
    assert re.fullmatch("[0-9a-f]{32}", hash_of("celery", "\ud800"))  # an id may hold half a character


def test_users_own_leaves_system_keys_out() -> None:
    """Those that clues writes; others with _ belong to whoever wrote them."""
    found = users_own({"_event_hash": 1, "_message": 2, "_traceparent": 3, "event_hash": 4, "mine": 5})
    assert found == {"_traceparent": 3, "event_hash": 4, "mine": 5}


class Card:
    class Declined(Exception):
        pass


def declined() -> None:
    raise Card.Declined("no funds")


def test_a_failure_tells_the_class_the_message_and_the_frames_innermost_first() -> None:
    """As Ruby writes them."""
    with pytest.raises(Card.Declined) as caught:
        declined()
    failure = failure_of(caught.value)
    assert failure.exception == f"{__name__}.Card.Declined"
    assert failure.message == "no funds"
    assert failure.backtrace[0] == f"{__file__}:{declined.__code__.co_firstlineno + 1}:in `declined'"
    assert failure.backtrace[-1].endswith("frames_innermost_first'")


def test_callers_frames_are_left_out_at_the_outer_end_only() -> None:
    """The backtrace ends in the job's code, also when that calls the job system again."""
    with pytest.raises(ZeroDivisionError) as caught:
        exec(compile("callback()", "/lib/jobs/run.py", "exec"), {"callback": lambda: 1 / 0})
    lines = failure_of(caught.value, callers=(str(Path(__file__).parent),)).backtrace
    assert [line.split(":")[0] for line in lines] == [__file__, "/lib/jobs/run.py"]


def test_an_error_of_the_job_system_itself_has_no_frames_of_the_job() -> None:
    """And what raised there is nobody's but ours."""
    with pytest.raises(Card.Declined) as caught:
        declined()
    assert failure_of(caught.value, callers=(str(Path(__file__).parent),)).backtrace == ()


def test_callers_frames_are_left_out_of_causes_too() -> None:
    """A job that raises from a job system's error."""
    with pytest.raises(ValueError) as caught:
        handled(suppressed=False)
    ours = (str(Path(__file__).parent),)
    assert failure_of(caught.value, callers=ours).backtrace == (f"caused by {__name__}.Card.Declined: no funds",)


def handled(*, suppressed: bool) -> None:
    try:
        declined()
    except Card.Declined as error:
        raise ValueError("order 5") from (None if suppressed else error)


def test_causes_follow_with_their_frames() -> None:
    """``raise ... from ...`` and errors during handling; suppressed ones don't."""
    with pytest.raises(ValueError) as caught:
        handled(suppressed=False)
    lines = failure_of(caught.value).backtrace
    place = lines.index(f"caused by {__name__}.Card.Declined: no funds")
    assert lines[place + 1].endswith("in `declined'")
    with pytest.raises(ValueError) as caught:
        handled(suppressed=True)
    assert not any(line.startswith("caused by") for line in failure_of(caught.value).backtrace)


def handled_badly() -> float:
    try:
        declined()
    except Card.Declined:
        return 1 / 0
    return 1.0


def test_an_error_while_another_was_handled_is_told_with_it() -> None:
    """Though nobody said `from`: as tracebacks show it."""
    with pytest.raises(ZeroDivisionError) as caught:
        handled_badly()
    assert f"caused by {__name__}.Card.Declined: no funds" in failure_of(caught.value).backtrace


def test_odd_errors_are_described() -> None:
    """Cycles of causes, endless chains, thousand-fold frames, and words that can't be had or are no plain text."""
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert failure_of(first).backtrace == ("caused by ValueError: b",)

    chained: BaseException = ValueError("0")
    for number in range(1, 50):
        outer = ValueError(str(number))
        outer.__cause__, chained = chained, outer
    told = [f"caused by ValueError: {number}" for number in range(48, 40, -1)]
    assert list(failure_of(chained).backtrace) == told  # eight

    class Liar(str):
        __slots__ = ()

        def __len__(self) -> int:
            return 0

    class Odd(Exception):
        def __str__(self) -> str:
            return Liar("lies")

    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError

    assert type(failure_of(Odd()).message) is str
    assert failure_of(Odd()).message == "lies"
    assert failure_of(Mute()).message == "<message can't be read>"


@pytest.mark.parametrize("depth", [199, 200, 201, 600])
def test_of_endless_frames_the_outermost_and_the_innermost_are_told(depth: int) -> None:
    """Two hundred, and how many are missing between them."""

    def deeper(left: int) -> None:
        if left == 0:
            raise ValueError
        deeper(left - 1)

    with pytest.raises(ValueError) as caught:
        deeper(depth - 2)  # this test's frame is one, and the last
    lines = failure_of(caught.value).backtrace
    if depth <= 200:
        assert len(lines) == depth
        return
    assert len(lines) == 201
    assert lines[100] == f"… {depth - 200} frames left out …"
    assert lines[0] == f"{__file__}:{deeper.__code__.co_firstlineno + 2}:in `deeper'"
    assert lines[-1].endswith("are_told'")


def test_the_names_of_errors_have_their_module_where_it_says_something() -> None:
    """Those of the interpreter, and of a script, have none."""
    scripted: dict[str, Any] = {"__name__": "__main__"}
    exec("class Declined(Exception): pass", scripted)
    assert error_name(ValueError()) == "ValueError"
    assert error_name(scripted["Declined"]()) == "Declined"
    assert error_name(Card.Declined()) == f"{__name__}.Card.Declined"


def test_frames_of_the_callers_are_left_out_between_the_jobs_too() -> None:
    """A hook around the job is reached through its caller twice; what the job called and who raised there stays."""
    code = {
        name: compile(f"def {name}(then):\n    then()\n", f"/{folder}/{name}.py", "exec")
        for folder, name in [("lib", "worker"), ("app", "hook"), ("lib", "between"), ("app", "job"), ("lib", "called")]
    }
    made: dict[str, Any] = {}
    for one in code.values():
        exec(one, made)

    def story() -> None:
        made["worker"](lambda: made["hook"](lambda: made["between"](lambda: made["job"](lambda: made["called"](1)))))

    with pytest.raises(TypeError) as caught:
        story()
    lines = failure_of(caught.value, callers=("/lib/",)).backtrace
    names = [line.split("`")[1].rstrip("'") for line in lines]
    assert [name for name in names if name not in {"<lambda>", "story"}][:3] == ["called", "job", "hook"]
    assert "between" not in names
    assert "worker" not in names
    with pytest.raises(TypeError) as caught:
        made["between"](functools.partial(made["job"], 1))
    (job, _) = failure_of(caught.value, callers=("/lib/",)).backtrace
    assert job == "/app/job.py:2:in `job'"
