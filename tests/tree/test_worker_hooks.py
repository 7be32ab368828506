"""Hooks of the worker, as the wire document's table has them: in which process, when, with what."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.tree.trees import JOBS, tree
from tests.waiting import wait_for

HOOKS = (
    JOBS
    + """
from clues import resque

@resque.before_first_fork
def first():
    note("before_first_fork")

@resque.before_first_fork
def second():
    note("before_first_fork again")

@resque.after_fork
def forked(job):
    note("after_fork", job.worker_class)

@resque.before_job
def beginning(job):
    note("before_job", job.worker_class)

@resque.before_pause
def pausing(worker):
    note("before_pause", worker.paused)

@resque.after_pause
def paused(worker):
    note("after_pause", worker.paused)

@resque.queue_empty
def empty():
    note("queue_empty")

@resque.shutdown
def stopping():
    note("shutdown")

@resque.worker_exit
def over():
    note("worker_exit")
"""
)
FORKING = (
    HOOKS
    + """
@resque.before_fork
def forking(job):
    if job.args and job.args[0] == "refused":
        raise RuntimeError("not this one")
    note("before_fork", job.worker_class)
"""
)


def test_their_order(tmp_path: Path, redis_url: str) -> None:
    """In order of registration; those of the parent in the mould, those of the child in the worker's process."""
    with tree(tmp_path / "app", redis_url, jobs=HOOKS) as made:
        made.wait_for_note("before_first_fork again")
        assert "queue_empty" not in made.notes()  # not on a start with empty queues
        made.enqueue("Sleep", 0, "a")
        made.wait_for_note("queue_empty")
        made.send(signal.SIGUSR2)
        made.wait_for_note("before_pause True")
        made.send(signal.SIGCONT)
        made.wait_for_note("after_pause False")
        (mould,) = made.moulds()
        assert made.end() == 0
        assert made.notes() == [
            "before_first_fork",
            "before_first_fork again",
            "after_fork Sleep",
            "before_job Sleep",
            "begun a",
            "ended a",
            "queue_empty",
            "before_pause True",
            "after_pause False",
            "shutdown",
            "worker_exit",
        ]
        pids = {line.partition(" ")[2].strip(): int(line.split()[0]) for line in made.raw_notes()}
        assert {pids[note] for note in pids if note.split()[0] not in _CHILDS} == {mould}
        assert pids["after_fork Sleep"] == pids["begun a"] != mould


_CHILDS = {"after_fork", "before_job", "begun", "ended", "queue_empty"}


def test_before_fork(tmp_path: Path, redis_url: str) -> None:
    """With it, a worker takes the job, runs the hook, and forks; the child runs after_fork, and the job."""
    with tree(tmp_path / "app", redis_url, jobs=FORKING) as made:
        made.enqueue("Sleep", 0, "a")
        made.enqueue("Sleep", 0, "b")
        made.wait_for_note("ended b")
        assert [note for note in made.notes()[2:] if note != "queue_empty"] == [
            *("before_fork Sleep", "after_fork Sleep", "before_job Sleep", "begun a", "ended a"),
            *("before_fork Sleep", "after_fork Sleep", "before_job Sleep", "begun b", "ended b"),
        ]
        pids = [int(line.split()[0]) for line in made.raw_notes()[2:]]
        assert pids[0] == pids[5]
        assert len({pids[0], pids[1], pids[6]}) == 3
        assert pids[1] == pids[2] == pids[3]
        wait_for(lambda: made.stats() == (2, 0))
        wait_for(lambda: len(made.events("perform_finished")) == 2)
        assert made.end() == 0


def test_before_fork_that_raises(tmp_path: Path, redis_url: str) -> None:
    """It fails the job, stat:failed stays, and the worker process ends; it is replaced."""
    with tree(tmp_path / "app", redis_url, jobs=FORKING) as made:
        made.enqueue("Noop", "refused")
        wait_for(made.failures)
        assert made.failures() == [("RuntimeError", "not this one")]
        made.enqueue("Sleep", 0, "a")
        made.wait_for_note("ended a")
        wait_for(lambda: made.stats() == (2, 0))
        assert made.end() == 0


def test_a_forked_job_that_dies(tmp_path: Path, redis_url: str) -> None:
    """Its parent settles it: a DirtyExit with its reason, told by the worker."""
    with tree(tmp_path / "app", redis_url, jobs=FORKING) as made:
        made.enqueue("Exit", 3)
        made.enqueue("Kill", 9)
        made.enqueue("Sleep", 0, "a")
        made.wait_for_note("ended a")
        wait_for(lambda: len(made.events("failed")) == 2)
        reasons = [(one["metadata"]["_reason"], one["metadata"]["_reporter"]) for one in made.events("failed")]
        assert reasons == [("exit:3", "worker"), ("killed:SIGKILL", "worker")]
        assert made.end() == 0


def test_stopping_a_forked_job(tmp_path: Path, redis_url: str) -> None:
    """TERM kills the child, with TERM_CHILD it gets the exception; the group's TERM changes nothing."""
    for environ, failure in (({}, "Resque::DirtyExit"), ({"TERM_CHILD": "1"}, "Resque::TermException")):
        with tree(tmp_path / failure.rpartition(":")[2], redis_url, jobs=FORKING, **environ) as made:
            made.client.failed.clear()
            made.begin("a")
            os.killpg(made.pid, signal.SIGTERM)
            assert made.program.wait(60) == 0
            assert [exception for exception, _ in made.failures()] == [failure]
            assert [one["metadata"]["_reason"] for one in made.events("failed")] == ["shutdown"]


def test_a_hook_that_keeps_the_tree_from_starting(tmp_path: Path, redis_url: str) -> None:
    """before_first_fork that raises: the tree ends with status 1, and says why."""
    jobs = HOOKS.replace('note("before_first_fork again")', 'raise RuntimeError("no")')
    with tree(tmp_path / "app", redis_url, jobs=jobs) as made:
        assert made.program.wait(60) == 1
        assert "RuntimeError: no" in made.log()


def test_before_each_job(tmp_path: Path, redis_url: str) -> None:
    """Each job of a process that lives longer has it; a hook that raises is logged, and harms no job."""
    jobs = (
        JOBS
        + """
from clues import resque

@resque.before_job
def broken(job):
    raise ValueError

@resque.before_job
def beginning(job):
    note("before_job", job.args[1])
"""
    )
    with tree(tmp_path / "app", redis_url, jobs=jobs, JOBS_PER_FORK="2") as made:
        made.enqueue("Sleep", 0, "a")
        made.enqueue("Sleep", 0, "b")
        made.wait_for_note("ended b")
        assert made.notes() == ["before_job a", "begun a", "ended a", "before_job b", "begun b", "ended b"]
        wait_for(lambda: made.stats() == (2, 0))
        assert made.end() == 0


SCARCE = (
    FORKING
    + """
enough = os.fork

def scarce():
    if os.path.exists("no process"):
        note("no process")
        raise BlockingIOError(11, "Resource temporarily unavailable")
    return enough()

@resque.before_fork
def short(job):
    os.fork = scarce
"""
)


def test_where_no_process_can_be_forked_for_a_job_it_waits(tmp_path: Path, redis_url: str) -> None:
    """As in a container that has reached its number of them: the job is run once that is over."""
    with tree(tmp_path / "app", redis_url, jobs=SCARCE) as made:
        (made.folder / "no process").touch()
        made.enqueue("Sleep", 0, "a")
        made.wait_for_note("no process")
        (made.folder / "no process").unlink()
        made.wait_for_note("ended a")
        wait_for(lambda: made.stats() == (1, 0))
        assert made.end() == 0
        assert made.notes().count("begun a") == 1
        assert "no process for a job (Resource temporarily unavailable)" in made.log()
        assert "Redis does not serve" not in made.log()


def test_who_waits_for_a_process_for_its_job_stops_when_told_to(tmp_path: Path, redis_url: str) -> None:
    """And the job, which was never begun, is in its queue again."""
    with tree(tmp_path / "app", redis_url, jobs=SCARCE) as made:
        (made.folder / "no process").touch()
        made.enqueue("Sleep", 0, "a")
        made.wait_for_note("no process")
        assert made.end() == 0
        assert (made.client.size("q"), made.stats()) == (1, (0, 0))
