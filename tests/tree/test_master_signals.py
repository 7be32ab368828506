"""Signals to the master, as in the wire document (golden l*, i*, j*); deviations stand in docs/signals.md."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.tree.trees import Tree, tree
from tests.waiting import wait_for

KILLED = "Child process received unhandled signal pid"
BOTH = [signal.SIGTERM, signal.SIGINT]


def assert_finishes(made: Tree, number: signal.Signals) -> None:
    """A signal has the running job finish; then the tree ends."""
    made.begin("a")
    made.send(number)
    made.wait_for_log(f"received {number.name}")
    made.let_go("a")
    assert made.program.wait(60) == 0
    assert (made.notes(), made.stats()) == (["begun a", "ended a"], (1, 0))


@pytest.mark.parametrize("number", [*BOTH, signal.SIGQUIT])
def test_an_idle_tree_ends_at_once(tmp_path: Path, redis_url: str, number: signal.Signals) -> None:
    """Deviation from Resque: it does not sleep its interval (a minute here) out."""
    with tree(tmp_path / "app", redis_url) as made:
        assert made.end(number) == 0
        assert made.client.workers() == []
        assert made.client.store.client.keys("resque:worker*") == []


@pytest.mark.parametrize("number", BOTH)
def test_stop_now(tmp_path: Path, redis_url: str, number: signal.Signals) -> None:
    """l, l2: the job's process is killed, its job fails as DirtyExit; processed goes up, failed does not."""
    with tree(tmp_path / "app", redis_url) as made:
        made.enqueue("Sleep", 60, "a")
        made.enqueue("Sleep", 60, "b")
        made.wait_for_note("begun a")
        assert made.end(number) == 0
        ((exception, error),) = made.failures()
        assert (exception, error[: len(KILLED)], error[-18:]) == ("Resque::DirtyExit", KILLED, "SIGKILL (signal 9)")
        assert made.stats() == (1, 0)
        assert made.client.size("q") == 1
        (failed,) = made.events("failed")
        assert (failed["metadata"]["_reason"], failed["metadata"]["_reporter"]) == ("shutdown", "master")
        assert 0 < failed["metadata"]["_time_to_perform"] < 60


@pytest.mark.parametrize("number", BOTH)
def test_stop_now_with_term_child(tmp_path: Path, redis_url: str, number: signal.Signals) -> None:
    """l3: TermException is raised in the job."""
    with tree(tmp_path / "app", redis_url, TERM_CHILD="1") as made:
        made.begin("a")
        assert made.end(number) == 0
        assert made.failures() == [("Resque::TermException", "SIGTERM")]
        assert made.stats() == (1, 1)
        assert [event["metadata"]["_reason"] for event in made.events("failed")] == ["shutdown"]


def test_a_job_that_does_not_heed_it(tmp_path: Path, redis_url: str) -> None:
    """l10: after RESQUE_TERM_TIMEOUT its process is killed; the exception is raised once."""
    with tree(tmp_path / "app", redis_url, TERM_CHILD="1", RESQUE_TERM_TIMEOUT="0.5") as made:
        made.enqueue("Stubborn", 60, "a")
        made.wait_for_note("begun a")
        assert made.end(signal.SIGTERM) == 0
        assert made.notes() == ["begun a", "ignored a"]
        assert [exception for exception, _ in made.failures()] == ["Resque::DirtyExit"]
        assert [event["metadata"]["_reason"] for event in made.events("failed")] == ["shutdown"]


def test_time_to_finish(tmp_path: Path, redis_url: str) -> None:
    """l9: a job that ends within RESQUE_PRE_SHUTDOWN_TIMEOUT gets no exception."""
    environ = {"TERM_CHILD": "1", "RESQUE_PRE_SHUTDOWN_TIMEOUT": "30"}
    with tree(tmp_path / "app", redis_url, **environ) as made:
        assert_finishes(made, signal.SIGTERM)


def test_graceful_term(tmp_path: Path, redis_url: str) -> None:
    """l4: TERM lets the job finish, as QUIT does; INT does not."""
    with tree(tmp_path / "app", redis_url, GRACEFUL_TERM="1") as made:
        assert_finishes(made, signal.SIGTERM)
    with tree(tmp_path / "int", redis_url, GRACEFUL_TERM="1") as made:
        made.begin("b")
        assert made.end(signal.SIGINT) == 0
        assert [exception for exception, _ in made.failures()] == ["Resque::DirtyExit"]


def test_quit(tmp_path: Path, redis_url: str) -> None:
    """j2: the job finishes, the next one stays in its queue."""
    with tree(tmp_path / "app", redis_url) as made:
        made.enqueue("Sleep", 60, "a")
        made.enqueue("Sleep", 60, "b")
        made.wait_for_note("begun a")
        for _ in range(3):
            made.send(signal.SIGQUIT)
        wait_for(lambda: "received SIGQUIT" in made.log())
        made.let_go("a")
        assert made.program.wait(60) == 0
        assert (made.notes(), made.client.size("q"), made.stats()) == (["begun a", "ended a"], 1, (1, 0))


@pytest.mark.parametrize(
    ("environ", "failure"),
    [({}, "Resque::DirtyExit"), ({"TERM_CHILD": "1"}, "Resque::TermException")],
    ids=["l5", "l6"],
)
def test_usr1(tmp_path: Path, redis_url: str, environ: dict[str, str], failure: str) -> None:
    """The running job is killed, the tree goes on; an idle one is left alone."""
    with tree(tmp_path / "app", redis_url, **environ) as made:
        (before,) = made.workers()
        made.send(signal.SIGUSR1)
        wait_for(lambda: "received USR1" in made.log())
        assert made.workers() == [before]
        made.begin("a")
        made.send(signal.SIGUSR1)
        wait_for(made.failures)
        made.enqueue("Sleep", 0, "b")
        made.wait_for_note("ended b")
        assert [exception for exception, _ in made.failures()] == [failure]
        (failed,) = made.events("failed")
        assert failed["metadata"]["_reason"].startswith("killed:SIG")
        assert made.end() == 0


def test_usr2_and_cont(tmp_path: Path, redis_url: str) -> None:
    """i: after the running job no more are taken, until CONT; no key is written."""
    with tree(tmp_path / "app", redis_url) as made:
        made.begin("a")
        made.send(signal.SIGUSR2)
        wait_for(lambda: "received USR2" in made.log())
        made.enqueue("Sleep", 0, "b")
        made.let_go("a")
        made.wait_for_note("ended a")
        wait_for(lambda: made.find(": Paused"), "the title")
        assert not made.client.store.client.exists("resque:pause-all-workers")
        assert made.client.size("q") == 1
        made.send(signal.SIGCONT)
        made.wait_for_note("ended b")
        made.send(signal.SIGUSR2)
        wait_for(lambda: made.log().count("received USR2") == 2)
        assert made.end() == 0


def test_stop_new_wait_kill_the_stuck_ones_go_on(tmp_path: Path, redis_url: str) -> None:
    """Action Verb's recipe: USR2, wait for the good ones, USR1 kills the stuck ones and takes jobs again."""
    with tree(tmp_path / "app", redis_url, WORKER_COUNT="2", JOBS_PER_FORK="10") as made:
        made.enqueue("Sleep", 60, "stuck")
        made.enqueue("Sleep", 60, "good")
        made.wait_for_note("begun stuck")
        made.wait_for_note("begun good")
        made.send(signal.SIGUSR2)
        wait_for(lambda: "received USR2" in made.log())
        made.enqueue("Sleep", 0, "later")
        made.let_go("good")
        made.wait_for_note("ended good")
        assert made.client.size("q") == 1
        made.send(signal.SIGUSR1)
        made.wait_for_note("ended later")
        wait_for(made.failures)
        assert len(made.failures()) == 1
        assert made.end() == 0


def test_without_forking(tmp_path: Path, redis_url: str) -> None:
    """l7: FORK_PER_JOB=false, TERM lets the job run to its end."""
    with tree(tmp_path / "app", redis_url, FORK_PER_JOB="false") as made:
        assert_finishes(made, signal.SIGTERM)


def test_without_forking_with_term_child(tmp_path: Path, redis_url: str) -> None:
    """l8."""
    with tree(tmp_path / "app", redis_url, FORK_PER_JOB="false", TERM_CHILD="1") as made:
        made.begin("a")
        assert made.end(signal.SIGTERM) == 0
        assert made.failures() == [("Resque::TermException", "SIGTERM")]


@pytest.mark.parametrize("environ", [{}, {"TERM_CHILD": "1"}], ids=["killed", "TERM_CHILD"])
def test_requeue_on_shutdown(tmp_path: Path, redis_url: str, environ: dict[str, str]) -> None:
    """A job whose class says so goes back to the head of its queue, in place of failing."""
    with tree(tmp_path / "app", redis_url, **environ) as made:
        made.enqueue("Requeued", 60, "a")
        made.enqueue("Noop")
        made.wait_for_note("begun a")
        assert made.end(signal.SIGTERM) == 0
        assert made.client.peek("q")["class"] == "Requeued"
        assert (made.client.size("q"), made.failures(), made.stats()) == (2, [], (0, 0))
        assert made.events("failed") == []


def test_term_to_the_whole_group(tmp_path: Path, redis_url: str) -> None:
    """As platforms send it: to master, mould and workers at once. Nothing is lost."""
    environ = {"TERM_CHILD": "1", "RESQUE_PRE_SHUTDOWN_TIMEOUT": "0.2", "WORKER_COUNT": "2", "THREAD_COUNT": "2"}
    with tree(tmp_path / "app", redis_url, JOBS_PER_FORK="100", **environ) as made:
        for name in "abcd":
            made.enqueue("Sleep", 60, name)
        made.enqueue("Noop")
        for name in "abcd":
            made.wait_for_note(f"begun {name}")
        os.killpg(made.pid, signal.SIGTERM)
        assert made.program.wait(60) == 0
        assert made.failures() == [("Resque::TermException", "SIGTERM")] * 4
        assert {event["metadata"]["_reason"] for event in made.events("failed")} == {"shutdown"}
        assert made.client.size("q") == 1
        assert made.client.workers() == []


@pytest.mark.parametrize(
    ("job", "arg", "reason", "error"),
    [("Exit", 0, "exit:0", "exit 0"), ("Exit", 3, "exit:3", "exit 3"), ("Kill", 9, "killed:SIGKILL", "(signal 9)")],
)
def test_abnormal_ends(tmp_path: Path, redis_url: str, job: str, arg: int, reason: str, error: str) -> None:
    """g, f6: each is a failure with its reason (Ruby's ignores exit statuses)."""
    with tree(tmp_path / "app", redis_url) as made:
        made.enqueue(job, arg)
        made.enqueue("Sleep", 0, "next")
        made.wait_for_note("ended next")
        wait_for(lambda: made.stats() == (2, 0))
        ((exception, message),) = made.failures()
        assert exception == "Resque::DirtyExit"
        assert message.endswith(error)
        wait_for(lambda: made.events("failed"))
        assert made.events("failed")[0]["metadata"]["_reason"] == reason
        assert made.end() == 0
