"""Signals to the process that performs a job (signal-experiments); deviation `child-signals` of docs/signals.md.

A process that was forked ahead of need is a worker: it obeys. One that a worker has forked for its job, as with a
before_fork hook, leaves signals to its worker.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.tree.trees import JOBS, Tree, tree
from tests.waiting import wait_for

FORKING = JOBS + "\nresque.before_fork(lambda job: None)\n"
LASTING = {"JOBS_PER_FORK": "100"}
TERM_CHILD = pytest.mark.parametrize("environ", [{}, {"TERM_CHILD": "1"}], ids=["killed", "TERM_CHILD"])


def performing(made: Tree) -> int:
    """The process that has begun the latest job."""
    return int([line for line in made.raw_notes() if "begun" in line][-1].split()[0])


@TERM_CHILD
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_now(tmp_path: Path, redis_url: str, environ: dict[str, str], number: signal.Signals) -> None:
    """Its job ends as one that is cut off when the tree is stopped; another process takes its place."""
    with tree(tmp_path / "app", redis_url, **LASTING, **environ) as made:
        made.begin("a")
        pid = performing(made)
        os.kill(pid, number)
        made.enqueue("Sleep", 0, "b")
        made.wait_for_note("ended b")
        assert performing(made) != pid
        ((exception, error),) = made.failures()
        if environ:
            assert (exception, error) == ("Resque::TermException", "SIGTERM")
        else:
            assert exception == "Resque::DirtyExit"
        (failed,) = wait_for(lambda: made.events("failed"))
        assert failed["metadata"]["_reason"] == "shutdown"
        assert made.end() == 0


@TERM_CHILD
def test_kill_the_job(tmp_path: Path, redis_url: str, environ: dict[str, str]) -> None:
    """USR1: only this process' job; with TERM_CHILD the process itself goes on, as the other one always does."""
    with tree(tmp_path / "app", redis_url, WORKER_COUNT="2", **LASTING, **environ) as made:
        made.begin("other")
        made.begin("a")
        pid = performing(made)
        os.kill(pid, signal.SIGUSR1)
        made.enqueue("Sleep", 0, "b")
        made.wait_for_note("ended b")
        assert (performing(made) == pid) is bool(environ)
        assert len(made.failures()) == 1
        (failed,) = wait_for(lambda: made.events("failed"))
        assert failed["args"] == [60, "a"]
        assert failed["metadata"]["_reason"] == ("killed:SIGUSR1" if environ else "killed:SIGKILL")
        made.let_go("other")
        made.wait_for_note("ended other")
        assert made.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP])
def test_an_idle_one_leaves(tmp_path: Path, redis_url: str, number: signal.Signals) -> None:
    """At once, and is replaced."""
    with tree(tmp_path / "app", redis_url) as made:
        (pid,) = made.workers()
        os.kill(pid, number)
        wait_for(lambda: made.workers() not in ([], [pid]), "its successor")
        made.enqueue("Sleep", 0, "a")
        made.wait_for_note("ended a")
        assert made.end() == 0


def test_what_an_idle_one_ignores(tmp_path: Path, redis_url: str) -> None:
    """There is no job for USR1 to kill; TTIN and TTOU are the master's."""
    with tree(tmp_path / "app", redis_url) as made:
        (pid,) = made.workers()
        for number in (signal.SIGUSR1, signal.SIGTTIN, signal.SIGTTOU):
            os.kill(pid, number)
        made.enqueue("Sleep", 0, "a")
        made.wait_for_note("ended a")
        assert performing(made) == pid
        assert made.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_one_that_stands_by_leaves(tmp_path: Path, redis_url: str, number: signal.Signals) -> None:
    """It holds nothing; another one stands by in its place, and the running job goes on."""
    with tree(tmp_path / "app", redis_url) as made:
        made.begin("a")
        (pid,) = wait_for(lambda: made.find(": Starting"), "its successor")
        os.kill(pid, number)
        wait_for(lambda: made.find(": Starting") not in ([], [pid]), "another one")
        made.let_go("a")
        made.enqueue("Sleep", 0, "b")
        made.wait_for_note("ended b")
        assert (made.failures(), made.end()) == ([], 0)


@TERM_CHILD
def test_a_forked_child(tmp_path: Path, redis_url: str, environ: dict[str, str]) -> None:
    """It swallows them all, as Resque's does without TERM_CHILD."""
    with tree(tmp_path / "app", redis_url, jobs=FORKING, **environ) as made:
        made.begin("a")
        for name in ("TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "CONT", "TTIN", "TTOU"):
            os.kill(performing(made), getattr(signal, f"SIG{name}"))
        made.let_go("a")
        made.wait_for_note("ended a")
        wait_for(lambda: made.stats() == (1, 0))
        assert (made.failures(), made.end()) == ([], 0)


@TERM_CHILD
def test_its_worker_kills_it(tmp_path: Path, redis_url: str, environ: dict[str, str]) -> None:
    """USR1 to the worker ends the child's job, and the worker goes on, as in Resque (l5, l6)."""
    with tree(tmp_path / "app", redis_url, jobs=FORKING, **environ) as made:
        (worker,) = made.workers()
        made.begin("a")
        assert performing(made) != worker
        os.kill(worker, signal.SIGUSR1)
        made.enqueue("Sleep", 0, "b")
        made.wait_for_note("ended b")
        wait_for(lambda: made.stats()[0] == 2)
        assert [name for name, _ in made.failures()] == ["Resque::TermException" if environ else "Resque::DirtyExit"]
        wait_for(lambda: made.workers() == [worker])
        name = made.client.workers()[0]
        assert made.client.stat(f"processed:{name}") == 2
        assert made.client.stat(f"failed:{name}") == len(environ)
        assert made.end() == 0


def test_a_stubborn_forked_child(tmp_path: Path, redis_url: str) -> None:
    """l10: the exception is raised once, then the child is killed."""
    environ = {"TERM_CHILD": "1", "RESQUE_TERM_TIMEOUT": "0.3"}
    with tree(tmp_path / "app", redis_url, jobs=FORKING, **environ) as made:
        made.enqueue("Stubborn", 60, "a")
        made.wait_for_note("begun a")
        assert made.end(signal.SIGTERM) == 0
        assert made.notes() == ["begun a", "ignored a"]
        assert [name for name, _ in made.failures()] == ["Resque::DirtyExit"]
        (failed,) = made.events("failed")
        assert failed["metadata"]["_reason"] == "shutdown"
