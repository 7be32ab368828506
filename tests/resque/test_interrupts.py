"""Exceptions raised in a job from outside, by real threads and real signals: in its own code, once, or not at all."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest

from clues.errors import Interrupt, JobTimeout, TermException
from clues.resque.interrupts import DELIVER, InMainThread, Interruptible, InThread, Uninterruptible
from tests.waiting import wait_for

FOR_EVER = 60.0


@pytest.fixture
def main() -> Iterator[InMainThread]:
    """The main thread's, with its signal handled."""
    made = InMainThread()
    before = signal.signal(DELIVER, lambda *_: made.deliver())
    yield made
    signal.signal(DELIVER, before)


class Elsewhere:
    """Something done in another thread while a test goes on."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.error: BaseException | None = None
        self._act = act
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._act()
        except BaseException as error:
            self.error = error

    def join(self) -> None:
        self._thread.join(FOR_EVER)
        assert not self._thread.is_alive()
        if self.error is not None:
            raise self.error


@contextmanager
def elsewhere(act: Callable[[], object]) -> Iterator[None]:
    other = Elsewhere(act)
    yield
    other.join()


class Job:
    """A job's code that says when it runs, and goes on until it is told, or interrupted."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.over = False

    def __call__(self) -> str:
        self.begun.set()
        deadline = time.monotonic() + FOR_EVER
        while not self.over:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        return "its answer"


Beside = Callable[[Callable[[], object]], None]


def both(test: Callable[[Interruptible, Beside], None]) -> Callable[..., None]:
    """Run a test with a job in the main thread, and the others beside it; and with one in a thread."""

    def tried(place: Interruptible) -> None:
        others: list[Elsewhere] = []
        test(place, lambda act: others.append(Elsewhere(act)))
        for other in others:
            other.join()

    @pytest.mark.parametrize("place", ["main thread", "thread"])
    def run(place: str, main: InMainThread) -> None:
        if place == "main thread":
            tried(main)
        else:
            Elsewhere(lambda: tried(InThread())).join()

    run.__doc__ = test.__doc__
    return run


@both
def test_it_is_raised_in_the_code_that_runs(place: Interruptible, beside: Beside) -> None:
    """Once: the first one counts."""
    job = Job()
    answers: list[bool] = []

    def throw() -> None:
        job.begun.wait(FOR_EVER)
        answers.append(place.throw(TermException, place.serial))
        wait_for(lambda: place.thrown)
        answers.append(place.throw(JobTimeout, place.serial))

    beside(throw)
    with pytest.raises(TermException):
        place.run(job)
    wait_for(lambda: len(answers) == 2)
    assert answers == [True, False]
    assert place.thrown is TermException
    assert place.run(lambda: 7) == 7
    assert place.thrown is None


@both
def test_code_that_catches_it(place: Interruptible, beside: Beside) -> None:
    """Goes on, and hears no second one."""
    job = Job()
    caught: list[type[BaseException]] = []

    def stubborn() -> str:
        try:
            return job()
        except Interrupt as error:
            caught.append(type(error))
            for _ in range(200):
                time.sleep(0.0005)
            return "went on"

    def throw() -> None:
        job.begun.wait(FOR_EVER)
        serial = place.serial
        while place.serial == serial and not job.over:
            place.throw(TermException, serial)
            time.sleep(0)

    beside(throw)
    assert place.run(stubborn) == "went on"
    job.over = True
    assert caught == [TermException]


@both
def test_nothing_runs(place: Interruptible, beside: Beside) -> None:
    """Then nothing is raised, neither at once nor in the next run; nor is what was meant for another run."""
    assert not place.throw(TermException, place.serial)
    place.run(lambda: None)
    assert not place.throw(TermException, place.serial)
    job = Job()

    def throw() -> None:
        job.begun.wait(FOR_EVER)
        assert not place.throw(TermException, place.serial - 1)
        assert not place.throw(TermException, place.serial + 1)
        job.over = True

    beside(throw)
    assert place.run(job) == "its answer"
    assert place.thrown is None


@both
def test_what_the_code_raises_itself(place: Interruptible, beside: Beside) -> None:
    """Passes as it is."""
    with pytest.raises(ZeroDivisionError):
        place.run(lambda: 1 / 0)
    with pytest.raises(SystemExit):
        place.run(lambda: (_ for _ in ()).throw(SystemExit(3)))
    assert place.thrown is None
    assert not place.throw(TermException, place.serial)
    assert not place.kill()


def test_a_system_call_is_interrupted(main: InMainThread) -> None:
    """In the main thread, however long it would wait."""
    job = Job()

    def wait() -> None:
        job.begun.set()
        signal.pthread_sigmask(signal.SIG_BLOCK, [])
        time.sleep(FOR_EVER)

    def throw() -> None:
        job.begun.wait(FOR_EVER)
        main.throw(TermException, main.serial)

    with elsewhere(throw), pytest.raises(TermException):
        main.run(wait)


def test_a_job_that_hears_nothing_is_asked_once(main: InMainThread) -> None:
    """While the main thread is where it can't be raised: whoever asks knows since when it should have heeded it."""
    job = Job()
    answers: list[bool] = []

    def throw() -> None:
        job.begun.wait(FOR_EVER)
        answers.extend(main.throw(TermException, main.serial) for _ in range(5))
        job.over = True

    def deaf() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, [DELIVER])
        try:
            job()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [DELIVER])

    with elsewhere(throw), pytest.raises(TermException):
        main.run(deaf)
    assert answers == [True, False, False, False, False]


def test_at_a_signal(main: InMainThread) -> None:
    """What its handler raises: in the code alone, and once."""
    before = signal.signal(signal.SIGUSR1, lambda *_: main.raise_now(TermException))
    try:
        signal.raise_signal(signal.SIGUSR1)
        caught = []

        def job() -> None:
            for _ in range(3):
                try:
                    signal.raise_signal(signal.SIGUSR1)
                except TermException as error:
                    caught.append(error)

        def asked_before(serial: int) -> None:
            main._asked = TermException, serial
            with pytest.raises(TermException):
                signal.raise_signal(signal.SIGUSR1)
            signal.raise_signal(DELIVER)

        main.run(job)
        signal.raise_signal(signal.SIGUSR1)
        assert len(caught) == 1
        main.run(lambda: asked_before(main.serial))
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_late_signal(main: InMainThread) -> None:
    """What was asked of one run does not come to the next; nor does a signal that nobody has asked for."""
    main.run(lambda: None)
    main._asked = TermException, main.serial

    def job() -> str:
        signal.raise_signal(DELIVER)
        signal.raise_signal(DELIVER)
        return "undisturbed"

    assert main.run(job) == "undisturbed"
    main._asked = TermException, main.serial
    signal.raise_signal(DELIVER)


def test_uninterruptible() -> None:
    """Nothing is ever raised."""
    place = Uninterruptible()

    def job() -> str:
        assert not place.throw(TermException, place.serial)
        return "its answer"

    assert place.run(job) == "its answer"
    assert place.thrown is None
    assert not place.kill()


# storms


@pytest.fixture
def hurried() -> Iterator[None]:
    """Threads take turns after a microsecond, not after five milliseconds."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


class Storm:
    """Short runs in a tight loop, while somebody throws at whatever runs, as fast as it goes, until enough has come.

    Attributes:
        wrong: what should never happen, in words.
        raised: how many exceptions came.
    """

    def __init__(self, place: Interruptible, enough: int) -> None:
        self.place = place
        self.wrong: list[str] = []
        self.raised = 0
        self.over = False
        self._enough = enough

    def thrower(self) -> None:
        """Throw, each time another exception that knows which run it is meant for."""
        while not self.over:
            serial = self.place.serial
            self.place.throw(type("Thrown", (TermException,), {"serial": serial}), serial)

    def run(self) -> None:
        """Run until enough has come."""
        deadline = time.monotonic() + FOR_EVER
        try:
            for number in count():
                if self.raised >= self._enough:
                    break
                assert time.monotonic() < deadline
                try:
                    self._one(number)
                    self._outside()
                except Interrupt:
                    self.wrong.append("raised outside")
        finally:
            self.over = True

    def _one(self, number: int) -> None:
        heard: list[Any] = []

        def job() -> None:
            for _ in range(number % 4):
                try:
                    self._busy(number % 7 * 10)
                except Interrupt as error:
                    heard.append(error)

        try:
            self.place.run(job)
        except Interrupt as error:
            heard.append(error)
        self.raised += len(heard)
        if len(heard) > 1:
            self.wrong.append(f"raised {len(heard)} times")
        if any(error.serial != self.place.serial for error in heard):
            self.wrong.append("meant for another run")

    @staticmethod
    def _busy(steps: int) -> None:
        for _ in range(steps):
            pass
        time.sleep(0)  # somebody else's turn

    def _outside(self) -> None:
        """As a worker that commits: many small calls, which must not be interrupted."""
        for _ in range(5):
            self._busy(5)


@pytest.mark.usefixtures("hurried")
def test_a_storm_in_the_main_thread(main: InMainThread) -> None:
    """At most one in each run, none outside, none in the next."""
    storm = Storm(main, 1000)
    with elsewhere(storm.thrower):
        storm.run()
    assert storm.wrong == []


@pytest.mark.usefixtures("hurried")
def test_a_storm_in_threads() -> None:
    """In several at once."""
    storms = [Storm(InThread(), 300) for _ in range(4)]

    def thrower() -> None:
        while not all(storm.over for storm in storms):
            for storm in storms:
                serial = storm.place.serial
                storm.place.throw(type("Thrown", (TermException,), {"serial": serial}), serial)

    threads = [Elsewhere(storm.run) for storm in storms]
    with elsewhere(thrower):
        for thread in threads:
            thread.join()
    assert [storm.wrong for storm in storms] == [[]] * 4
