"""One signal after another; jobs that find their own stopping point, and put back the rest."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.tree.trees import JOBS, Tree, tree
from tests.waiting import wait_for

FORKING = "\nresque.before_fork(lambda job: None)\n"
LONG = (
    JOBS
    + """
class Long:
    queue = "q"

    @classmethod
    def perform(cls, *rest):
        note("begun", *rest)
        while not resque.stopping():
            time.sleep(0.01)
        resque.reenqueue(*rest[1:])
        note("stopped", *rest)
"""
)
WAYS = [
    pytest.param({}, signal.SIGQUIT, id="QUIT"),
    pytest.param({"GRACEFUL_TERM": "1"}, signal.SIGTERM, id="GRACEFUL_TERM"),
    pytest.param({"FORK_PER_JOB": "false"}, signal.SIGTERM, id="without-forking"),
    pytest.param({"TERM_CHILD": "1", "RESQUE_PRE_SHUTDOWN_TIMEOUT": "60"}, signal.SIGTERM, id="TERM_CHILD"),
    pytest.param(
        {"TERM_CHILD": "1", "RESQUE_PRE_SHUTDOWN_TIMEOUT": "60", "THREAD_COUNT": "2"}, signal.SIGINT, id="threads"
    ),
]


@pytest.mark.parametrize(("environ", "number"), WAYS)
@pytest.mark.parametrize("jobs", [LONG, LONG + FORKING], ids=["ahead", "before_fork"])
def test_the_rest(tmp_path: Path, redis_url: str, jobs: str, environ: dict[str, str], number: signal.Signals) -> None:
    """Is in the queue when the tree has ended, with this job for its parent."""
    with tree(tmp_path / "app", redis_url, jobs=jobs, **environ) as made:
        made.enqueue("Long", 1, 2, 3)
        made.wait_for_note("begun 1 2 3")
        assert made.end(number) == 0
        check(made)


def check(made: Tree) -> None:
    """The first job went well, and the rest waits; or a thread took that before it heard of the end, and so on."""
    notes = made.notes()
    runs = len(notes) // 2
    assert notes == [f"{word} {args}" for args in ("1 2 3", "2 3", "3")[:runs] for word in ("begun", "stopped")]
    assert (made.failures(), made.stats()) == ([], (runs, 0))
    finished = made.events("perform_finished")[-1]
    (rest,) = made.client.peek("q", 0, 2)
    assert (rest["class"], rest["args"]) == ("Long", [1, 2, 3][runs:])
    assert rest["clues_metadata"]["_parent_event_hash"] == finished["metadata"]["_event_hash"]
    assert rest["clues_metadata"]["_event_hash"] != finished["metadata"]["_event_hash"]


def leave(made: Tree) -> None:
    """Its one worker process is told to leave."""
    os.kill(int(made.raw_notes()[0].split()[0]), signal.SIGHUP)


def kill(made: Tree) -> None:
    """The master is gone."""
    made.send(signal.SIGKILL)


def scale(made: Tree) -> None:
    """There is to be no worker."""
    made.send(signal.SIGTTOU)


@pytest.mark.parametrize("how", [leave, kill, scale])
def test_whoever_tells_it(tmp_path: Path, redis_url: str, how: Any) -> None:
    """A worker process that is to leave is being stopped, for whatever reason."""
    with tree(tmp_path / "app", redis_url, jobs=LONG, JOBS_PER_FORK="100") as made:
        made.enqueue("Long", 1)
        made.wait_for_note("begun 1")
        made.client.pause()
        how(made)
        made.wait_for_note("stopped 1")
        wait_for(lambda: made.client.working() == {})
        assert made.client.peek("q")["args"] == []


def test_quit_then_term(tmp_path: Path, redis_url: str) -> None:
    """Who has waited long enough after QUIT sends TERM; QUIT again is no step back."""
    with tree(tmp_path / "app", redis_url) as made:
        made.enqueue("Sleep", 600, "a")
        made.wait_for_note("begun a")
        made.send(signal.SIGQUIT)
        made.wait_for_log("received SIGQUIT")
        made.send(signal.SIGTERM)
        made.send(signal.SIGQUIT)
        assert made.program.wait(60) == 0
        assert [name for name, _ in made.failures()] == ["Resque::DirtyExit"]
        (failed,) = made.events("failed")
        assert failed["metadata"]["_reason"] == "shutdown"


def test_graceful_term_then_int(tmp_path: Path, redis_url: str) -> None:
    """GRACEFUL_TERM leaves INT as it is."""
    with tree(tmp_path / "app", redis_url, GRACEFUL_TERM="1", TERM_CHILD="1") as made:
        made.enqueue("Sleep", 600, "a")
        made.wait_for_note("begun a")
        made.send(signal.SIGTERM)
        made.wait_for_log("received SIGTERM")
        made.send(signal.SIGINT)
        assert made.program.wait(60) == 0
        assert made.failures() == [("Resque::TermException", "SIGTERM")]


def test_what_holds_the_interpreter(tmp_path: Path, redis_url: str) -> None:
    """The process hears no signal: its master kills it."""
    jobs = (
        JOBS
        + """
import collections, itertools

class Holding:
    queue = "q"

    @classmethod
    def perform(cls):
        note("begun")
        collections.deque(itertools.repeat(0), maxlen=0)
"""
    )
    for environ in ({}, {"TERM_CHILD": "1", "RESQUE_TERM_TIMEOUT": "0.3"}):
        with tree(tmp_path / f"app{len(environ)}", redis_url, jobs=jobs, **environ) as made:
            made.enqueue("Holding")
            made.wait_for_note("begun")
            assert made.end(signal.SIGTERM) == 0
            (failed,) = made.events("failed")
            assert (failed["metadata"]["_reason"], failed["metadata"]["_reporter"]) == ("shutdown", "master")


@pytest.mark.parametrize(
    ("environ", "failures"), [({}, ["Resque::DirtyExit"]), ({"TERM_CHILD": "1"}, ["Resque::TermException"])]
)
def test_a_job_that_ends_in_the_same_moment(
    tmp_path: Path, redis_url: str, environ: dict[str, str], failures: list[str]
) -> None:
    """Has one outcome; what was not begun stays in its queue."""
    count = 300
    with tree(tmp_path / "app", redis_url, WORKER_COUNT="2", JOBS_PER_FORK="50", **environ) as made:
        made.enqueue("Sleep", 0, "a", times=count)
        made.wait_for_note("ended a", 20)
        assert made.end(signal.SIGTERM) == 0
        done, failed, left = len(made.events("perform_finished")), len(made.events("failed")), made.client.size("q")
        assert done + failed + left == count
        assert {name for name, _ in made.failures()} <= set(failures)
        assert made.client.failed.count() == failed
        assert made.stats()[0] == done + failed
        assert made.client.working() == {}
