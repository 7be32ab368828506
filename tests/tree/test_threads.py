"""Several jobs at a time in one process: what a signal, a timeout or a death does to each of them."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.tree.trees import JOBS, tree
from tests.waiting import wait_for

THREADS = {"THREAD_COUNT": "3", "JOBS_PER_FORK": "100"}
WHERE = (
    JOBS
    + """
import threading

class Where:
    queue = "q"

    @classmethod
    def perform(cls):
        note(threading.current_thread() is threading.main_thread())
"""
)


@pytest.mark.parametrize(("threads", "is_main"), [("1", "True"), ("2", "False")])
def test_where_jobs_run(tmp_path: Path, redis_url: str, threads: str, is_main: str) -> None:
    """With one thread in the process' main one, where libraries expect to be; else in threads of their own."""
    with tree(tmp_path / "app", redis_url, jobs=WHERE, THREAD_COUNT=threads) as made:
        made.enqueue("Where")
        made.wait_for_note(is_main)
        assert made.end() == 0


@pytest.mark.parametrize(
    ("environ", "failure"), [({}, "Resque::DirtyExit"), ({"TERM_CHILD": "1"}, "Resque::TermException")]
)
def test_stop_now(tmp_path: Path, redis_url: str, environ: dict[str, str], failure: str) -> None:
    """Each job ends by itself, with its own outcome; the one that could not begin stays."""
    with tree(tmp_path / "app", redis_url, **THREADS, **environ) as made:
        for name in "abcd":
            made.enqueue("Sleep", 60, name)
        wait_for(lambda: len(made.notes()) == 3)
        assert made.end(signal.SIGTERM) == 0
        assert [name for name, _ in made.failures()] == [failure] * 3
        events = made.events("failed")
        assert {event["metadata"]["_reason"] for event in events} == {"shutdown"}
        assert len({event["metadata"]["_event_hash"] for event in events}) == 3
        assert (made.client.size("q"), made.client.working(), made.client.workers()) == (1, {}, [])


def test_kill_the_running_jobs(tmp_path: Path, redis_url: str) -> None:
    """USR1 with TERM_CHILD raises in each thread at a job; the process and its idle threads go on."""
    with tree(tmp_path / "app", redis_url, TERM_CHILD="1", **THREADS) as made:
        for name in "ab":
            made.enqueue("Sleep", 60, name)
        wait_for(lambda: len(made.notes()) == 2)
        made.send(signal.SIGUSR1)
        wait_for(lambda: len(made.failures()) == 2)
        for _ in range(5):
            made.enqueue("Sleep", 0, "c")
        made.wait_for_note("ended c", 5)
        assert len({line.split()[0] for line in made.raw_notes()}) == 1
        assert made.failures() == [("Resque::TermException", "SIGTERM")] * 2
        assert made.end() == 0


@pytest.mark.parametrize(
    ("job", "arg", "reason"), [("Exit", 3, "exit:3"), ("Exit", 0, "exit:0"), ("Kill", 11, "killed:SIGSEGV")]
)
def test_a_job_that_takes_the_process_along(tmp_path: Path, redis_url: str, job: str, arg: int, reason: str) -> None:
    """All its jobs fail, and say how the process ended; another takes its place."""
    with tree(tmp_path / "app", redis_url, **THREADS) as made:
        for name in "ab":
            made.enqueue("Sleep", 60, name)
        wait_for(lambda: len(made.notes()) == 2)
        made.enqueue(job, arg)
        wait_for(lambda: len(made.failures()) == 3)
        made.enqueue("Sleep", 0, "c")
        made.wait_for_note("ended c")
        assert [event["metadata"]["_reason"] for event in made.events("failed")] == [reason] * 3
        assert len({line.split()[0] for line in made.raw_notes()}) == 2
        wait_for(lambda: made.stats()[0] == 4)
        assert made.end() == 0
