"""Signals to one worker process act on that one; what is left over is docs/signals.md's list of deviations."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.tree.trees import tree
from tests.waiting import wait_for

HYBRID = {"WORKER_COUNT": "2", "JOBS_PER_FORK": "100"}


@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGHUP])
def test_leave_after_the_job(tmp_path: Path, redis_url: str, number: signal.Signals) -> None:
    """QUIT and HUP: the job finishes, the process is replaced, the other one goes on."""
    with tree(tmp_path / "app", redis_url, ready=lambda made: len(made.workers()) == 2, **HYBRID) as made:
        made.begin("a")
        pid = int(made.raw_notes()[0].split()[0])
        other = next(one for one in made.workers() if one != pid)
        os.kill(pid, number)
        made.let_go("a")
        wait_for(lambda: len(made.workers()) == 2 and pid not in made.workers(), "the replacement")
        assert other in made.workers()
        assert (made.notes(), made.failures()) == (["begun a", "ended a"], [])
        assert made.end() == 0


@pytest.mark.parametrize(
    ("environ", "failure"),
    [({}, "Resque::DirtyExit"), ({"TERM_CHILD": "1"}, "Resque::TermException")],
    ids=["killed", "TERM_CHILD"],
)
def test_stop_one_now(tmp_path: Path, redis_url: str, environ: dict[str, str], failure: str) -> None:
    """TERM to one: its jobs end, it is replaced; the other one's job goes on."""
    with tree(tmp_path / "app", redis_url, **HYBRID, **environ) as made:
        made.enqueue("Sleep", 60, "a")
        made.enqueue("Sleep", 60, "b")
        made.wait_for_note("begun a")
        made.wait_for_note("begun b")
        pid = next(int(line.split()[0]) for line in made.raw_notes() if line.endswith(" a"))
        os.kill(pid, signal.SIGTERM)
        wait_for(made.failures)
        made.let_go("b")
        made.wait_for_note("ended b")
        assert [exception for exception, _ in made.failures()] == [failure]
        assert made.end() == 0


def test_pause_one(tmp_path: Path, redis_url: str) -> None:
    """USR2 to one: the other works on; CONT has it go on."""
    with tree(tmp_path / "app", redis_url, ready=lambda made: len(made.workers()) == 2, **HYBRID) as made:
        first, _ = made.workers()
        os.kill(first, signal.SIGUSR2)
        wait_for(lambda: made.find(": Paused") == [first])
        made.enqueue("Sleep", 0, "a", times=3)
        made.wait_for_note("ended a", times=3)
        assert first not in {int(line.split()[0]) for line in made.raw_notes()}
        os.kill(first, signal.SIGCONT)
        wait_for(lambda: made.find(": Paused") == [])
        assert made.end() == 0


def test_the_master_is_killed(tmp_path: Path, redis_url: str) -> None:
    """Its workers finish their jobs and leave; what was taken and not begun goes back."""
    with tree(tmp_path / "app", redis_url, **HYBRID, BATCH_SIZE="3") as made:
        for name in ("a", "b", "c", "d", "e", "f", "g"):
            made.enqueue("Sleep", 60, name)
        wait_for(lambda: len(made.notes()) == 2)
        made.send(signal.SIGKILL)
        wait_for(lambda: made.client.size("q") == 5, "the rest of the batches in the queue")
        for name in "abcdefg":
            (made.folder / f"end {name}").touch()
        wait_for(lambda: not made.titles(), "the end of the orphans")
        assert sorted(note.split()[0] for note in made.notes()) == ["begun", "begun", "ended", "ended"]
        assert (made.client.size("q"), made.client.working(), made.failures()) == (5, {}, [])
        assert len(made.events("perform_finished")) == 2
        assert made.client.workers() == []


def test_the_mould_is_killed(tmp_path: Path, redis_url: str) -> None:
    """Workers go on, with their jobs and with the next; another mould is started."""
    with tree(tmp_path / "app", redis_url) as made:
        made.begin("a")
        (mould,) = wait_for(made.moulds)
        os.kill(mould, signal.SIGKILL)
        wait_for(lambda: made.moulds() not in ([], [mould]), "another mould")
        made.let_go("a")
        made.wait_for_note("ended a")
        made.enqueue("Sleep", 0, "b")
        made.wait_for_note("ended b")
        assert (made.failures(), made.end()) == ([], 0)


def test_titles_are_what_ruby_looks_for(tmp_path: Path, redis_url: str) -> None:
    """The process id in every id is a live one with a title that Ruby's pruning takes for Resque's."""
    environ = {"WORKER_COUNT": "2", "THREAD_COUNT": "2"}
    with tree(tmp_path / "app", redis_url, ready=lambda made: len(made.client.workers()) == 4, **environ) as made:
        base, *others = made.client.workers()
        assert base.split(":")[1:] == [str(made.pid), "q"]
        assert others == [f"{base},~0.1", f"{base},~1.0", f"{base},~1.1"]
        assert made.titles()[made.pid].startswith("resque-")
        assert made.end() == 0
