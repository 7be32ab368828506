"""Ledgers of real processes that die."""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from clues import ledger
from clues.attempt import Attempt
from clues.config import Config, Settings
from clues.event import Event, EventType
from clues.ledger import SLOT, Ledger
from clues.lifecycle import Lifecycle
from clues.metadata import failure_of
from clues.publishers import LogPublisher
from clues.sanitize import Limits, Sanitizer
from clues.testing import RecordingPublisher
from tests.forks import exit_code, fork, forked
from tests.waiting import wait_for


class Worker:
    """One process' lifecycle and ledger."""

    def __init__(self, folder: Path, publisher: Any = None, *, place: str = "redis://here/0", **options: Any) -> None:
        self.recorder = RecordingPublisher()
        self.lifecycle = Lifecycle(Settings(Config(publisher or self.recorder, **options)), system="celery")
        self.ledger = Ledger(self.lifecycle, place, folder=str(folder))

    def begin(self, number: int = 1, **metadata: Any) -> Attempt:
        item = {
            "class": "shop.charge", "args": [number], "job_id": f"job-{number}", "clues_metadata": metadata
        }  # fmt: skip
        self.lifecycle.stamp("mail", item)
        attempt = self.lifecycle.dequeued("mail", item, hold=True)
        assert attempt is not None
        self.lifecycle.perform_started(attempt)
        self.ledger.begin(attempt)
        return attempt


def killed(act: Callable[[], object], folder: Path) -> int:
    """A process that does something and dies of SIGKILL after that."""
    sign = folder / f"sign-{os.urandom(4).hex()}"

    def live() -> None:
        act()
        sign.touch()
        signal.pause()

    pid = fork(live)
    dead = os.WEXITED | os.WNOHANG | os.WNOWAIT
    wait_for(lambda: sign.exists() or os.waitid(os.P_PID, pid, dead), "the child's work")
    os.kill(pid, signal.SIGKILL)
    assert exit_code(pid) == -signal.SIGKILL
    return pid


def test_what_had_begun_failed_for_its_worker_died(tmp_path: Path) -> None:
    def act() -> None:
        here = Worker(tmp_path / "run", LogPublisher(tmp_path / "events.log"))
        for number in (1, 2):
            here.begin(number)

    pid = killed(act, tmp_path)
    here = Worker(tmp_path / "run", hostname="another", clock=lambda: 1.5, marshaller=lambda *_: "mine")
    told = here.ledger.settle()
    assert len(told) == 2
    assert here.recorder.types == ["failed", "failed"]
    for event, number in zip(here.recorder.events, (1, 2), strict=True):
        metadata = event.metadata
        assert metadata["_reason"] == "lost"
        assert metadata["_event_id"] == f"{metadata['_event_hash']}:1:end"
        assert metadata["_process"] == pid
        assert (metadata["_exception"], metadata["_backtrace"]) == ("clues.errors.DirtyExit", [])
        assert str(pid) in metadata["_message"]
        assert metadata["_hostname"] == os.uname().nodename
        assert metadata["_hostname"] in metadata["_message"]
        assert metadata["_reporter"] == "adapter"
        assert metadata["_job_id"] == f"job-{number}"
        assert "_time_to_perform" not in metadata
        assert (event.timestamp, event.queue, event.worker_class) == (
            "1970-01-01T00:00:01.500000Z",
            "mail",
            "shop.charge",
        )
        assert event.args == [number]
        assert event.marshalled == b"mine"
    assert list((tmp_path / "run").glob("*.ledger")) == []
    assert here.ledger.settle() == set()


def test_an_end_that_was_decided_is_told_again_as_it_was(tmp_path: Path) -> None:
    """The worker died between noting the end and publishing it."""

    def act() -> None:
        here = Worker(tmp_path / "run")
        before = here.begin(7)
        told = here.lifecycle.outcome(before)
        here.ledger.decide(before, told)
        here.ledger.end(before, told)
        attempt = here.begin()
        here.lifecycle.publish = lambda *_: signal.pause()  # type: ignore[method-assign]
        (tmp_path / "sign").touch()
        here.ledger.end(attempt, here.lifecycle.outcome(attempt))

    pid = fork(act)
    wait_for((tmp_path / "sign").exists)
    (ledger,) = (tmp_path / "run").glob("*.ledger")
    wait_for(lambda: ledger.read_bytes()[:1] == b"=", "the end's note")
    os.kill(pid, signal.SIGKILL)
    exit_code(pid)
    here = Worker(tmp_path / "run")
    assert len(here.ledger.settle()) == 1
    assert here.recorder.types == ["perform_finished"]
    assert here.recorder.events[0].metadata["_process"] == pid


def test_an_end_that_is_about_to_be_committed(tmp_path: Path) -> None:
    """It stands there before, and is not told by that; whoever knows what was committed tells it."""

    def act() -> None:
        here = Worker(tmp_path / "run")
        attempt = here.begin()
        here.ledger.decide(attempt, here.lifecycle.outcome(attempt))
        never_begun = here.lifecycle.dequeued(
            "mail", {"class": "J", "args": [2], "clues_metadata": {"_event_hash": "b"}}
        )
        here.ledger.decide(never_begun, here.lifecycle.outcome(never_begun, failure_of(ValueError("no"))))
        here.ledger.decide(None, None)
        assert here.recorder.types == ["dequeued", "perform_started", "dequeued"]

    killed(act, tmp_path)
    here = Worker(tmp_path / "run")
    found = list(here.ledger.inherited())
    assert [(ended, Event.from_line(line).event_type, Event.from_line(line).args) for ended, line in found] == [
        (True, "perform_finished", [1]),
        (True, "failed", [2]),
    ]
    assert here.recorder.events == []


def test_what_was_decided_and_told_leaves_nothing(tmp_path: Path) -> None:
    """The event is told as it was decided; the slot is another's then."""

    def act() -> None:
        here = Worker(tmp_path / "run")
        for number in range(3):
            attempt = here.begin(number)
            event = here.lifecycle.outcome(attempt)
            here.ledger.decide(attempt, event)
            here.ledger.end(attempt, event)
        never_begun = here.lifecycle.dequeued("mail", {"class": "J", "clues_metadata": {"_event_hash": "b"}})
        event = here.lifecycle.outcome(never_begun)
        here.ledger.decide(never_begun, event)
        here.ledger.end(never_begun, event)
        assert here.recorder.types.count("perform_finished") == 4

    killed(act, tmp_path)
    assert list(Worker(tmp_path / "run").ledger.inherited()) == []


def test_what_has_ended_leaves_nothing(tmp_path: Path) -> None:
    def act() -> None:
        here = Worker(tmp_path / "run")
        for number in range(3):
            attempt = here.begin(number)
            error = failure_of(ValueError("no")) if number else None
            here.ledger.end(attempt, here.lifecycle.outcome(attempt, error))
        assert here.recorder.types[2::3] == ["perform_finished", "failed", "failed"]

    killed(act, tmp_path)
    here = Worker(tmp_path / "run")
    assert here.ledger.settle() == set()
    assert here.recorder.events == []
    assert list((tmp_path / "run").glob("*.ledger")) == []


def test_the_living_are_let_be(tmp_path: Path) -> None:
    def act() -> None:
        Worker(tmp_path / "run").begin()
        (tmp_path / "sign").touch()
        signal.pause()

    pid = fork(act)
    wait_for((tmp_path / "sign").exists)
    here = Worker(tmp_path / "run")
    assert here.ledger.settle() == set()
    os.kill(pid, signal.SIGKILL)
    exit_code(pid)
    assert len(here.ledger.settle()) == 1


def test_one_process_may_be_told_of_with_its_reason(tmp_path: Path) -> None:
    pids = [killed(lambda: Worker(tmp_path / "run").begin(), tmp_path) for _ in range(2)]
    here = Worker(tmp_path / "run")
    here.ledger.settle(pids[1], reason="killed:SIGKILL")
    assert [(one.metadata["_process"], one.metadata["_reason"]) for one in here.recorder.events] == [
        (pids[1], "killed:SIGKILL")
    ]


def test_a_forked_child_has_a_ledger_of_its_own(tmp_path: Path) -> None:
    """And what it inherits of its parent's does not keep that from being told."""
    parent = Worker(tmp_path / "run")
    attempt = parent.begin(1)

    def act() -> None:
        parent.begin(2)
        (tmp_path / "sign").touch()
        signal.pause()

    pid = fork(act)
    wait_for((tmp_path / "sign").exists, "the child's job")
    parent.ledger.end(attempt, parent.lifecycle.outcome(attempt))
    parent.ledger.leave()
    assert [path.name.split("-")[2] for path in (tmp_path / "run").glob("*.ledger")] == [str(pid)]
    os.kill(pid, signal.SIGKILL)
    exit_code(pid)
    here = Worker(tmp_path / "run")
    here.ledger.settle()
    assert [event.args for event in here.recorder.events] == [[2]]


def test_other_places_are_others_affair(tmp_path: Path) -> None:
    killed(lambda: Worker(tmp_path / "run").begin(), tmp_path)
    here = Worker(tmp_path / "run")
    elsewhere = Ledger(here.lifecycle, "redis://there/0", folder=str(tmp_path / "run"))
    assert elsewhere.settle() == set()
    assert len(here.ledger.settle()) == 1


@pytest.mark.parametrize(
    "damage", [b"+\0\0\0\x09not json!", b"+\xff\xff\xff\xff", b"=\0\0\0\x02{}", b"\0" * SLOT, b"+"]
)
def test_half_written_slots_are_passed_over(tmp_path: Path, damage: bytes) -> None:
    killed(lambda: Worker(tmp_path / "run").begin(), tmp_path)
    (path,) = (tmp_path / "run").glob("*.ledger")
    whole = path.read_bytes().ljust(SLOT, b"\0")
    path.write_bytes(damage.ljust(SLOT, b"\0") + whole)
    here = Worker(tmp_path / "run")
    assert len(here.ledger.settle()) == 1
    assert here.recorder.types == ["failed"]


def test_threads_have_slots_of_their_own(tmp_path: Path) -> None:
    def act() -> None:
        here = Worker(tmp_path / "run")
        begun: list[Attempt] = []
        threads = [
            threading.Thread(target=lambda: begun.extend([here.begin(number) for number in range(50)]))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for attempt in begun[100:]:
            here.ledger.end(attempt, here.lifecycle.outcome(attempt))

    killed(act, tmp_path)
    here = Worker(tmp_path / "run")
    assert len(here.ledger.settle()) == 100


def test_a_folder_that_others_may_write_is_not_believed(tmp_path: Path) -> None:
    """Jobs run on; each that is not noted is counted, and the log says so once a minute."""
    folder = tmp_path / "run"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    here = Worker(folder)
    for number in range(3):
        attempt = here.begin(number)
        here.ledger.end(attempt, here.lifecycle.outcome(attempt))
    assert here.recorder.types[2::3] == ["perform_finished"] * 3
    config = here.lifecycle.settings.config
    assert config is not None
    assert config.faults.counts == {"clues": 3}
    assert list(folder.iterdir()) == []


def test_without_a_job_nothing_is_made(tmp_path: Path) -> None:
    here = Worker(tmp_path / "run")
    here.ledger.begin(None)
    here.ledger.end(None, None)
    here.lifecycle.settings.config = None
    assert here.ledger.settle() == set()
    assert not (tmp_path / "run").exists()


def test_ends_of_what_began_elsewhere_are_published(tmp_path: Path) -> None:
    here = Worker(tmp_path / "run")
    attempt = here.begin()
    here.ledger.forget()
    here.ledger.end(attempt, here.lifecycle.outcome(attempt))
    assert here.recorder.of(EventType.PERFORM_FINISHED)


def test_an_end_that_is_decided_is_told_by_who_knows_that_it_was_committed(tmp_path: Path) -> None:
    first = Worker(tmp_path)

    def decide_two_of_three() -> None:
        attempts = [first.begin(number) for number in (1, 2, 3)]
        for attempt in attempts[:2]:
            first.ledger.decide(attempt, first.lifecycle.outcome(attempt))
        first.ledger.end(attempts[1], None)  # it was not committed after all

    killed(decide_two_of_three, tmp_path)
    found = [(ended, Event.from_line(line)) for ended, line in Worker(tmp_path).ledger.inherited()]
    assert [(ended, event.event_type, event.args) for ended, event in found] == [
        (True, EventType.PERFORM_FINISHED, [1]),
        (False, EventType.PERFORM_STARTED, [3]),
    ]
    assert list(tmp_path.glob("*.ledger")) == []


def test_what_is_decided_is_published_once_it_is_told_to_be(tmp_path: Path) -> None:
    worker = Worker(tmp_path)
    attempt = worker.begin()
    event = worker.lifecycle.outcome(attempt)
    worker.ledger.decide(attempt, event)
    assert worker.recorder.events[-1].event_type is EventType.PERFORM_STARTED
    worker.ledger.end(attempt, event)
    assert worker.recorder.events[-1] is event
    assert [line for _, line in Worker(tmp_path).ledger.inherited()] == []


def test_a_ledger_whose_stories_were_not_all_taken_stays(tmp_path: Path) -> None:
    first = Worker(tmp_path)
    killed(lambda: [first.begin(number) for number in (1, 2)], tmp_path)
    stories = Worker(tmp_path).ledger.inherited()
    next(stories)
    assert list(Worker(tmp_path).ledger.inherited()) == []  # somebody has it
    stories.close()
    assert len(list(Worker(tmp_path).ledger.inherited())) == 2


def test_what_another_process_has_told_the_end_of_is_struck_out(tmp_path: Path) -> None:
    """Also of one that is still alive, and soon will be no more."""
    other, here = Worker(tmp_path / "run"), Worker(tmp_path / "run")
    items: list[dict[str, Any]] = [
        {"class": "shop.charge", "args": [number], "job_id": str(number)} for number in (1, 2)
    ]
    for item in items:
        other.lifecycle.stamp("mail", item)

    def act() -> None:
        for item in items:
            attempt = other.lifecycle.dequeued("mail", item)
            other.lifecycle.perform_started(attempt)
            other.ledger.begin(attempt)
        (tmp_path / "begun").touch()
        signal.pause()

    pid = fork(act)
    wait_for((tmp_path / "begun").exists)
    attempt = here.lifecycle.attempt_of("mail", items[0])
    assert attempt is not None
    here.ledger.strike(attempt)
    os.kill(pid, signal.SIGKILL)
    exit_code(pid)
    here.ledger.settle()
    assert [event.args for event in here.recorder.events] == [[2]]


def test_nothing_is_believed_of_a_folder_that_others_may_write(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    killed(lambda: Worker(tmp_path / "run").begin(), tmp_path)
    (tmp_path / "run").chmod(0o777)
    here = Worker(tmp_path / "run")
    assert here.ledger.settle() == set()
    config = here.lifecycle.settings.config
    assert config is not None
    assert config.faults.counts == {"clues": 1}
    assert "stories of dead workers" in caplog.text
    assert str(tmp_path / "run") in caplog.text
    (tmp_path / "run").chmod(0o700)
    assert len(here.ledger.settle()) == 1


def test_a_slot_serves_one_job_after_another(tmp_path: Path) -> None:
    """Whether an end was decided, is of its job alone."""

    def act() -> None:
        here = Worker(tmp_path / "run")
        for number in (1, 2):
            attempt = here.begin(number)
            here.ledger.end(attempt, here.lifecycle.outcome(attempt))
        here.begin(3)
        here.ledger.decide(here.begin(4), None)  # nothing is decided by that

    killed(act, tmp_path)
    here = Worker(tmp_path / "run")
    here.ledger.settle()
    assert sorted((event.event_type, event.args) for event in here.recorder.events) == [
        ("failed", [3]),
        ("failed", [4]),
    ]


@pytest.mark.parametrize("size", [6_000, 15_000])
def test_a_job_that_carries_much(tmp_path: Path, size: int) -> None:
    """Events that take up several pages are told as others are."""
    limits = Sanitizer(limits=Limits(metadata=20_000))

    def act() -> None:
        here = Worker(tmp_path / "run", sanitizer=limits)
        here.begin(1, note="x" * size)
        decided = here.begin(2, note="y" * size)
        here.ledger.decide(decided, here.lifecycle.outcome(decided))

    killed(act, tmp_path)
    here = Worker(tmp_path / "run")
    here.ledger.settle()
    assert [(event.event_type, event.metadata["note"]) for event in here.recorder.events] == [
        ("failed", "x" * size),
        ("perform_finished", "y" * size),
    ]


def test_a_job_that_carries_too_much(tmp_path: Path) -> None:
    """Where caps were raised: it is not noted, and does no harm to what stands beside it."""

    def act() -> None:
        here = Worker(tmp_path / "run", sanitizer=Sanitizer(limits=Limits(metadata=1 << 20)))
        first = here.begin(1)
        here.begin(2)
        here.ledger.end(first, here.lifecycle.outcome(first))
        here.begin(3, note="x" * 100_000)

    killed(act, tmp_path)
    here = Worker(tmp_path / "run")
    here.ledger.settle()
    assert [event.args for event in here.recorder.events] == [[2]]


def test_a_process_that_leaves_with_a_job_leaves_its_story(tmp_path: Path) -> None:
    """For somebody else to tell."""

    def act() -> None:
        here = Worker(tmp_path / "run")
        here.begin()
        assert here.ledger.leave() is False

    assert forked(act) == 0
    assert len(Worker(tmp_path / "run").ledger.settle()) == 1


def test_a_place_of_any_bytes(tmp_path: Path) -> None:
    """As names of files and variables of the environment may hold."""
    killed(lambda: Worker(tmp_path / "run", place="redis://\udcff").begin(), tmp_path)
    assert Worker(tmp_path / "run").ledger.settle() == set()
    assert len(Worker(tmp_path / "run", place="redis://\udcff").ledger.settle()) == 1


def test_nobody_else_may_read_a_ledger(tmp_path: Path) -> None:
    """It holds arguments of jobs."""
    worker = Worker(tmp_path)
    worker.begin()
    (path,) = tmp_path.glob("*.ledger")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_daemon_that_has_no_standard_input(tmp_path: Path) -> None:
    """So that the ledger's descriptor is zero; nor does a child of such a one keep the ledger from being settled."""
    sign = tmp_path / "sign"

    def act() -> None:
        os.close(0)
        here = Worker(tmp_path / "run")
        here.begin(1)
        here.begin(2)
        sign.write_text(str(fork(signal.pause)))

    killed(act, tmp_path)
    here = Worker(tmp_path / "run")
    here.ledger.settle()
    os.kill(int(sign.read_text()), signal.SIGKILL)
    assert [event.args for event in here.recorder.events] == [[1], [2]]


def test_a_process_that_has_closed_everything_may_leave(tmp_path: Path) -> None:
    """Daemons do that when they begin; and a folder may be cleaned by others."""

    def act() -> None:
        here = Worker(tmp_path / "run")
        attempt = here.begin()
        here.ledger.end(attempt, here.lifecycle.outcome(attempt))
        for path in (tmp_path / "run").iterdir():
            path.unlink()
        os.closerange(3, 100)
        assert here.ledger.leave() is True

    assert forked(act) == 0


def test_a_disk_that_takes_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Memory without the disk's space behind it would kill the process; the log says what there was no space for."""
    worker = Worker(tmp_path)
    monkeypatch.setattr(os, "pwrite", lambda _fd, data, _place: len(data) // 2)
    attempt = worker.begin()
    worker.ledger.end(attempt, worker.lifecycle.outcome(attempt))
    assert worker.recorder.types[-1] == "perform_finished"
    assert os.strerror(errno.ENOSPC) in caplog.text
    assert "a job that is lost" in caplog.text
    assert str(next(tmp_path.glob("*.ledger"))) in caplog.text


def test_a_disk_that_is_full_for_what_is_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job runs on, and is counted."""
    worker = Worker(tmp_path)
    written = os.pwrite

    def full(fd: int, data: bytes, place: int) -> int:
        if len(data) > 5000:
            raise OSError(errno.ENOSPC, "no space")
        return written(fd, data, place)

    monkeypatch.setattr(os, "pwrite", full)
    attempt = worker.begin(1, note="x" * 6000)
    worker.ledger.end(attempt, worker.lifecycle.outcome(attempt))
    assert worker.recorder.types[-1] == "perform_finished"
    config = worker.lifecycle.settings.config
    assert config is not None
    assert config.faults.counts == {"clues": 2}


def test_a_full_disk_that_gets_room_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What can't be noted meanwhile is counted, each job; then jobs are noted again."""
    worker, now = Worker(tmp_path), 1000.0
    config = worker.lifecycle.settings.config
    assert config is not None
    monkeypatch.setattr(ledger, "time", SimpleNamespace(monotonic=lambda: now))

    def full(_fd: int, _data: bytes, _place: int) -> int:
        raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        worker.begin(1)
        worker.begin(2)
    worker.begin(3)
    assert config.faults.counts == {"clues": 3}
    now += 6.0
    worker.begin(4)
    assert config.faults.counts == {"clues": 3}
    (path,) = tmp_path.glob("*.ledger")
    with path.open("rb") as file:
        assert [Event.from_line(line).args for _, line in ledger._stories(file.fileno())] == [[4]]
