"""Faults: always counted, said once a minute at most, never raised."""

from __future__ import annotations

import functools
import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from clues import faults as module
from clues.faults import Faults, describe, say
from clues.plugs import as_publisher
from clues.publishers import CompositePublisher
from tests.forks import forked, held_elsewhere
from tests.stories import Clock, Stage


@pytest.fixture
def handler() -> Iterator[logging.Handler]:
    """A handler of the logger "clues" that tests may break."""
    handler = logging.Handler()
    module.log.addHandler(handler)
    yield handler
    module.log.removeHandler(handler)


def test_said_once_a_minute_and_counted_always(caplog: pytest.LogCaptureFixture) -> None:
    """The second report within a minute is silent; the next one after it says how many were."""
    clock = Clock(0.0)
    faults = Faults(clock=clock)
    for _ in range(3):
        faults.report("Broken", ValueError("no"))
    assert [record.getMessage() for record in caplog.records] == ["Broken: ValueError: no; the job goes on"]
    clock.now = 59.9
    faults.report("Broken", ValueError("no"))
    assert len(caplog.records) == 1
    clock.now = 60.0
    faults.report("Broken", ValueError("still no"), "the event is lost")
    expected = "Broken: ValueError: still no; the event is lost (3 more since the last report)"
    assert caplog.records[-1].getMessage() == expected
    assert faults.counts == {"Broken": 5}


@pytest.mark.parametrize("leave", ["sys.exit(0)", "process.leave(0)"])
def test_what_was_not_said_yet_is_said_when_the_process_ends(leave: str) -> None:
    """Once, by the process that counted it, not by those that it forked."""
    program = f"""
import os, sys
from clues.faults import Faults
from clues.resque import process

faults = Faults()
for _ in range(3):
    faults.report("Broken", ValueError("no"))
if not os.fork():
    {leave}
os.wait()
{leave}
"""
    ended = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60)
    assert ended.stderr.splitlines() == [
        "Broken: ValueError: no; the job goes on",
        "Broken: 2 more since the last report; the process ends",
    ]


def test_each_culprit_has_its_own_minute(caplog: pytest.LogCaptureFixture) -> None:
    """One noisy publisher doesn't hide another's first fault."""
    faults = Faults(clock=Clock(0.0))
    for culprit in ("a", "b", "a"):
        faults.report(culprit, OSError("x"))
    assert len(caplog.records) == 2
    assert faults.counts == {"a": 2, "b": 1}


def test_a_log_handler_that_raises_is_survived(handler: logging.Handler) -> None:
    """Saying it is best effort; counting is not."""

    def emit(record: logging.LogRecord) -> None:
        raise RuntimeError("the disk is full")

    handler.emit = emit  # type: ignore[method-assign]
    faults = Faults()
    faults.report("Broken", ValueError("no"))
    say(logging.WARNING, "hello")
    assert faults.counts == {"Broken": 1}


def test_a_log_handler_that_reports_a_fault_itself_does_not_hang(handler: logging.Handler) -> None:
    """Nothing is locked while it is said."""
    faults = Faults()
    handler.emit = lambda record: faults.report("handler", ValueError("too"))  # type: ignore[method-assign]
    faults.report("Broken", ValueError("no"))
    assert faults.counts == {"Broken": 1, "handler": 2}  # the second, of saying the first, was silent


def test_a_report_from_a_signal_handler_in_the_middle_of_a_report_does_not_hang() -> None:
    """The clock stands in for the signal: it runs in the thread that holds the lock."""
    seen: list[dict[str, int]] = []

    def clock() -> float:
        if not seen:
            seen.append({})
            faults.report("signal handler", ValueError("x"))
        return 0.0

    faults = Faults(clock=clock)
    faults.report("Broken", ValueError("no"))
    assert faults.counts == {"Broken": 1, "signal handler": 1}


def test_a_child_forked_while_a_thread_reports_can_report() -> None:
    """The child's lock is free, whoever held the parent's."""

    def child() -> None:
        faults = Faults()
        faults.report("Broken", ValueError("in the child"))
        assert faults.counts == {"Broken": 1}

    with held_elsewhere(module._counting.lock):
        assert forked(child) == 0


def test_describe_survives_any_error() -> None:
    """The type, and what can be had of the message."""

    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError("no words")

    assert describe(Mute()) == "Mute: <message can't be read>"
    assert describe(ValueError()) == "ValueError"
    assert len(describe(ValueError("x" * 10_000))) < 400


def test_reports_hold_no_secrets_and_no_escapes(caplog: pytest.LogCaptureFixture) -> None:
    """What an observer raises may hold credentials, or what would steer a terminal or forge a line."""
    Faults().report("P", ValueError("redis://u:hunter2@h/0 password=hunter3\n*** forged \x1b[31m"))
    (record,) = caplog.records
    said = record.getMessage()
    assert "hunter" not in said
    assert "\n" not in said
    assert "\x1b" not in said
    assert "forged" in said


class Stop(Exception):
    """What a handler of a signal raises."""


def _stop(_number: int, _frame: object) -> None:
    raise Stop


class _Handler:
    def __call__(self, _number: int, _frame: object) -> None:
        raise SystemExit(3)

    def method(self, _number: int, _frame: object) -> None:
        raise Stop


HANDLERS = [
    (_stop, Stop),
    (_Handler(), SystemExit),
    (_Handler().method, Stop),
    (functools.partial(lambda _more, _number, _frame: sys.exit(3), 1), SystemExit),
]


@pytest.fixture(params=HANDLERS, ids=["function", "object", "method", "partial"])
def stopped(request: pytest.FixtureRequest) -> Iterator[type[BaseException]]:
    """A process that a signal is to stop, by what its handler raises."""
    handler, raised = request.param
    before = signal.signal(signal.SIGUSR1, handler)
    yield raised
    signal.signal(signal.SIGUSR1, before)


def test_a_handler_that_is_no_code_of_pythons_is_nobodys() -> None:
    """One that only looks like a function, or whose code can't be compared."""

    class Pretends:
        def __init__(self) -> None:
            self.__code__: list[int] = []

        def __call__(self, _number: int, _frame: object) -> None:
            pass

    before = signal.signal(signal.SIGUSR1, Pretends())
    try:
        faults = Faults()
        try:
            _fail()
        except ValueError as error:
            faults.report("Broken", error)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert faults.counts == {"Broken": 1}


def _fail() -> None:
    raise ValueError("no")


def _interrupted(*_: object) -> None:
    signal.raise_signal(signal.SIGUSR1)


def test_what_a_signal_raises_while_we_preprocess_goes_on(stopped: type[BaseException]) -> None:
    """A time limit, or the end of a process, only met us on its way."""
    stage = Stage(options={"item_preprocessors": (_interrupted,)})
    with pytest.raises(stopped):
        stage.lifecycle.stamp("mail", {"class": "Job", "args": []})
    assert stage.config.faults.counts == {}


@pytest.mark.parametrize("publisher", [_interrupted, CompositePublisher(_interrupted)], ids=["plain", "composite"])
def test_what_a_signal_raises_while_we_publish_goes_on(stopped: type[BaseException], publisher: Any) -> None:
    stage = Stage(options={"publisher": as_publisher(publisher)})
    attempt = stage.lifecycle.stamp("mail", {"class": "Job", "args": []})
    with pytest.raises(stopped):
        stage.lifecycle.enqueued(attempt)
    assert stage.config.faults.counts == {}


def test_what_a_plug_raises_by_itself_is_its_fault(stopped: type[BaseException]) -> None:
    def exits(*_: object) -> None:
        sys.exit(3)

    stage = Stage(options={"item_preprocessors": (exits,)})
    stage.lifecycle.stamp("mail", {"class": "Job", "args": []})
    assert sum(stage.config.faults.counts.values()) == 1
