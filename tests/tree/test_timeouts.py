"""A class's timeout: JobTimeout is raised in the job; what does not heed it is killed with its process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tree.trees import JOBS, tree
from tests.waiting import wait_for

TIMED = (
    JOBS
    + """
class Timed(Sleep):
    timeout = 0.3

class Deaf(Stubborn):
    timeout = 0.3

    @classmethod
    def perform(cls, seconds, name=""):
        note("begun", name)
        while True:
            try:
                time.sleep(60)
            except BaseException:
                note("ignored", name)

class Holding:
    queue = "q"
    timeout = 0.3

    @classmethod
    def perform(cls, name):
        import ctypes
        note("begun", name)
        ctypes.PyDLL(None).sleep(60)
"""
)


@pytest.mark.parametrize("threads", ["1", "3"])
def test_one_that_heeds_it(tmp_path: Path, redis_url: str, threads: str) -> None:
    """The job fails with _reason timeout, in the main thread and in one of several; the process goes on."""
    with tree(tmp_path / "app", redis_url, jobs=TIMED, THREAD_COUNT=threads, JOBS_PER_FORK="100") as made:
        made.enqueue("Timed", 60, "a")
        made.enqueue("Timed", 0, "b")
        wait_for(made.failures)
        wait_for(lambda: made.events("failed"))
        assert made.failures() == [("clues.errors.JobTimeout", "the job ran longer than its timeout")]
        (failed,) = made.events("failed")
        assert failed["metadata"]["_reason"] == "timeout"
        made.enqueue("Timed", 0, "c")
        made.wait_for_note("ended c")
        assert len({line.split()[0] for line in made.raw_notes()}) == 1
        assert made.end() == 0


def test_one_that_does_not(tmp_path: Path, redis_url: str) -> None:
    """Its process is killed after RESQUE_TERM_TIMEOUT; the jobs of its other threads fail with it, as killed."""
    environ = {"RESQUE_TERM_TIMEOUT": "0.3", "THREAD_COUNT": "2", "JOBS_PER_FORK": "100"}
    with tree(tmp_path / "app", redis_url, jobs=TIMED, **environ) as made:
        made.enqueue("Deaf", 60, "a")
        made.enqueue("Sleep", 60, "b")
        wait_for(lambda: len(made.events("failed")) == 2, "two failures")
        reasons = {one["worker_class"]: one["metadata"]["_reason"] for one in made.events("failed")}
        assert reasons == {"Deaf": "timeout", "Sleep": "killed:SIGKILL"}
        made.enqueue("Sleep", 0, "c")
        made.wait_for_note("ended c")
        assert made.end() == 0


def test_one_that_holds_the_interpreter(tmp_path: Path, redis_url: str) -> None:
    """No exception can be raised in it: the master kills its process."""
    with tree(tmp_path / "app", redis_url, jobs=TIMED, RESQUE_TERM_TIMEOUT="0.3") as made:
        made.enqueue("Holding", "a")
        wait_for(lambda: made.events("failed"))
        (failed,) = made.events("failed")
        assert (failed["metadata"]["_reason"], failed["metadata"]["_reporter"]) == ("timeout", "master")
        made.enqueue("Sleep", 0, "c")
        made.wait_for_note("ended c")
        assert made.end() == 0
