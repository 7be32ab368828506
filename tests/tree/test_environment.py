"""Resque's environment variables, as in the wire document's table; those of signals stand in their tests."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clues.errors import ConfigError
from clues.resque import Resque
from clues.resque.options import Options
from tests.tree.trees import JOBS, tree
from tests.waiting import wait_for


def over(made: object) -> bool:
    """Whether a tree has ended, or done something."""
    return made.program.poll() is not None or bool(made.raw_notes())  # type: ignore[attr-defined]


def test_interval_0(tmp_path: Path, redis_url: str) -> None:
    """It ends when nothing was found, with status 0, however many processes there are."""
    with tree(tmp_path / "none", redis_url, ready=over, INTERVAL="0") as made:
        assert made.program.wait(60) == 0
        assert "nothing waits, stopping" in made.log()
        assert "received" not in made.log()
    with tree(tmp_path / "some", redis_url, ready=over, INTERVAL="0", WORKER_COUNT="2") as made:
        made.enqueue("Sleep", 0, "a", times=5)
        assert made.program.wait(60) == 0
        assert made.client.workers() == []


def test_counts(tmp_path: Path, redis_url: str) -> None:
    """COUNT is WORKER_COUNT; a process is replaced after JOBS_PER_FORK jobs."""
    environ = {"COUNT": "2", "JOBS_PER_FORK": "2"}
    with tree(tmp_path / "app", redis_url, ready=lambda made: len(made.workers()) == 2, **environ) as made:
        made.enqueue("Sleep", 0, "a", times=8)
        made.wait_for_note("ended a", 8)
        pids = [line.split()[0] for line in made.raw_notes() if "begun" in line]
        assert {pids.count(pid) for pid in pids} <= {1, 2}
        assert made.end() == 0


@pytest.mark.parametrize(("fork", "processes"), [("true", 3), ("0", 3), ("false", 1)])
def test_fork_per_job(tmp_path: Path, redis_url: str, fork: str, processes: int) -> None:
    """Only the exact word false turns forking off."""
    with tree(tmp_path / "app", redis_url, FORK_PER_JOB=fork) as made:
        for number in range(1, 4):
            made.enqueue("Sleep", 0, "a")
            made.wait_for_note("ended a", number)
        assert len({line.split()[0] for line in made.raw_notes()}) == processes
        assert made.end() == 0


def test_threads(tmp_path: Path, redis_url: str) -> None:
    """THREAD_COUNT jobs run at a time in a process; Redis shows each under its own id."""
    with tree(tmp_path / "app", redis_url, THREAD_COUNT="3", JOBS_PER_FORK="100") as made:
        for name in "abcd":
            made.enqueue("Sleep", 60, name)
        wait_for(lambda: len(made.notes()) == 3)
        assert len(made.client.working()) == 3
        assert len({line.split()[0] for line in made.raw_notes()}) == 1
        for name in "abcd":
            (made.folder / f"end {name}").touch()
        wait_for(lambda: made.stats() == (4, 0))
        assert made.end() == 0


def test_pid_file(tmp_path: Path, redis_url: str) -> None:
    """PIDFILE: the master's process id without a newline, there before work, left behind."""
    pid_file = tmp_path / "pid"
    with tree(tmp_path / "app", redis_url, PIDFILE=str(pid_file)) as made:
        assert pid_file.read_text() == str(made.pid)
        assert made.end() == 0
    assert pid_file.exists()


def test_background(tmp_path: Path, redis_url: str) -> None:
    """BACKGROUND: the command returns, the tree works on; the pid file names it."""
    pid_file = tmp_path / "pid"
    with tree(tmp_path / "app", redis_url, ready=over, PIDFILE=str(pid_file), BACKGROUND="yes") as made:
        assert made.program.wait(60) == 0
        wait_for(lambda: pid_file.exists() and pid_file.read_text())
        pid = int(pid_file.read_text())
        made.enqueue("Sleep", 0, "a")
        made.wait_for_note("ended a")
        os.kill(pid, signal.SIGQUIT)
        wait_for(lambda: not Path(f"/proc/{pid}").exists(), "its end")
        assert made.client.workers() == []


AT_EXIT = JOBS + "\nimport atexit\natexit.register(lambda: note('at exit'))\n"


@pytest.mark.parametrize(("environ", "times"), [({}, 0), ({"RUN_AT_EXIT_HOOKS": "1"}, 1)])
def test_at_exit_hooks(tmp_path: Path, redis_url: str, environ: dict[str, str], times: int) -> None:
    """Worker processes leave without, unless RUN_AT_EXIT_HOOKS is there."""
    with tree(tmp_path / "app", redis_url, jobs=AT_EXIT, **environ) as made:
        made.enqueue("Sleep", 0, "a")
        made.wait_for_note("ended a")
        pid = made.raw_notes()[0].split()[0]
        wait_for(lambda: not Path(f"/proc/{pid}").exists(), "the process' end")
        assert made.raw_notes().count(f"{pid} at exit") == times
        assert made.end() == 0


def test_titles(tmp_path: Path, redis_url: str) -> None:
    """RESQUE_PROCLINE_PREFIX stands before them; a busy worker's names queue and class."""
    with tree(tmp_path / "app", redis_url, RESQUE_PROCLINE_PREFIX="shop ") as made:
        titles = made.titles().values()
        assert titles
        assert all(title.startswith("shop resque-") for title in titles)
        made.enqueue("Sleep", 60, "a")
        wait_for(lambda: made.find(": Processing q since "))
        (title,) = (title for title in made.titles().values() if "Processing" in title)
        assert title.endswith("[Sleep]")
        made.let_go("a")
        assert made.end() == 0


def test_the_pause_key(tmp_path: Path, redis_url: str) -> None:
    """i2: pause-all-workers holds everybody, whoever wrote it; a single queue's pause only that queue (ours)."""
    with tree(tmp_path / "app", redis_url, command=("work", "--app", "jobs", "--queues", "q,r")) as made:
        redis = made.client.store.client
        redis.set("resque:pause-all-workers", " True ")
        made.enqueue("Sleep", 0, "a")
        wait_for(lambda: made.find(": Paused"))
        assert made.client.size("q") == 1
        made.client.resume()
        made.wait_for_note("ended a")
        made.client.pause("q")
        made.enqueue("Sleep", 0, "b")
        made.client.store.push("r", b'{"class":"Sleep","args":[0,"c"]}')
        made.wait_for_note("ended c")
        assert made.client.size("q") == 1
        made.client.resume("q")
        made.wait_for_note("ended b")
        assert made.end() == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [("WORKER_COUNT", "0"), ("THREAD_COUNT", "x"), ("BATCH_SIZE", "1001"), ("RESQUE_TERM_TIMEOUT", "-1")],
)
def test_mistakes_are_named(name: str, value: str) -> None:
    """Before anything is started."""
    with pytest.raises(ConfigError, match=name):
        Options.from_environment({name: value})


@pytest.fixture
def polling_url(redis: Any, redis_url: str) -> Iterator[str]:
    """The URL for a user whom Redis does not tell of pushes, so that workers have to look."""
    redis.execute_command("ACL", "SETUSER", "poller", "on", ">secret", "~*", "&*", "+@all", "-client")
    yield redis_url.replace("redis://", "redis://poller:secret@")
    redis.execute_command("ACL", "DELUSER", "poller")


def test_intervals(tmp_path: Path, polling_url: str) -> None:
    """After a job the wait is MIN_INTERVAL; each look that finds nothing adds BACKOFF_INTERVAL, up to MAX_INTERVAL."""
    slow = {"INTERVAL": "600", "MIN_INTERVAL": "0.01", "MAX_INTERVAL": "600", "BACKOFF_INTERVAL": "600"}
    quick = {"INTERVAL": "600", "MAX_INTERVAL": "0.05", "JOBS_PER_FORK": "0"}
    with (
        tree(tmp_path / "slow", polling_url, command=("work", "--app", "jobs", "--queues", "r"), **slow) as sleeping,
        tree(tmp_path / "quick", polling_url, **quick) as made,
    ):
        sleeping.wait_for_log("looking at the queues at least every 600 s instead")
        sleeping.client.store.push("r", b'{"class":"Sleep","args":[0,"r"]}')
        for number in range(1, 11):
            made.enqueue("Sleep", 0, "a")
            made.wait_for_note("ended a", number)
        assert sleeping.notes() == []
        assert (made.end(), sleeping.end()) == (0, 0)
        assert sleeping.client.size("r") == 1


def test_min_interval(tmp_path: Path, polling_url: str) -> None:
    """A worker that has worked looks again soon, however long it waits otherwise."""
    environ = {"INTERVAL": "600", "MIN_INTERVAL": "0.05", "BACKOFF_INTERVAL": "0", "JOBS_PER_FORK": "0"}
    with tree(tmp_path / "app", polling_url, **environ) as made:
        for number in range(1, 4):
            made.enqueue("Sleep", 0, "a")
            made.wait_for_note("ended a", number)
        assert made.end() == 0


def test_interval_0_ends_when_paused(tmp_path: Path, redis_url: str) -> None:
    """Paused is as good as empty; the jobs stay."""
    client = Resque(redis_url)
    client.store.push("q", b'{"class":"Sleep","args":[0,"a"]}')
    client.pause()
    with tree(tmp_path / "app", redis_url, ready=over, INTERVAL="0") as made:
        assert made.program.wait(60) == 0
        assert (made.notes(), client.size("q")) == ([], 1)


def test_set_means_present(tmp_path: Path, redis_url: str) -> None:
    """An empty TERM_CHILD is set, as is one of 0."""
    for number, value in enumerate(("", "0"), start=1):
        with tree(tmp_path / f"app{number}", redis_url, TERM_CHILD=value) as made:
            made.begin("a")
            assert made.end(signal.SIGTERM) == 0
            assert made.failures() == [("Resque::TermException", "SIGTERM")] * number


def test_timeouts_need_term_child(tmp_path: Path, redis_url: str) -> None:
    """Without it, nobody waits for RESQUE_PRE_SHUTDOWN_TIMEOUT and RESQUE_TERM_TIMEOUT."""
    environ = {"RESQUE_PRE_SHUTDOWN_TIMEOUT": "600", "RESQUE_TERM_TIMEOUT": "600"}
    with tree(tmp_path / "app", redis_url, **environ) as made:
        made.enqueue("Sleep", 600, "a")
        made.wait_for_note("begun a")
        assert made.end(signal.SIGTERM) == 0
        assert [exception for exception, _ in made.failures()] == ["Resque::DirtyExit"]


def test_failure_backend(tmp_path: Path, redis_url: str, redis: Any) -> None:
    """f5: redis_multi_queue keeps the failures of each queue in a list of its own, those of dead processes too."""
    with tree(tmp_path / "app", redis_url, FAILURE_BACKEND="redis_multi_queue") as made:
        made.enqueue("Unknown")
        made.enqueue("Exit", 3)
        wait_for(lambda: redis.llen("resque:q_failed") == 2)
        assert redis.smembers("resque:failed_queues") == {b"q_failed"}
        assert not redis.exists("resque:failed")
        assert made.end() == 0
    with tree(tmp_path / "other", redis_url, ready=over, FAILURE_BACKEND="mysql") as made:
        assert made.program.wait(60) == 2
        assert "FAILURE_BACKEND must be redis or redis_multi_queue, not 'mysql'" in made.log()


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("VERBOSE", r"^\*\*\* done Noop$"),
        ("LOGGING", r"^\*\*\* done Noop$"),
        ("VVERBOSE", r"^\*\* \[\d\d:\d\d:\d\d \d{4}-\d\d-\d\d\] \d+: done Noop$"),
    ],
    ids=["VERBOSE", "LOGGING", "VVERBOSE"],
)
def test_logging(tmp_path: Path, redis_url: str, name: str, line: str) -> None:
    """Set means present, here too."""
    Resque(redis_url).store.push("q", b'{"class":"Noop","args":[]}')
    environ = {name: "", "INTERVAL": "0"}
    with tree(tmp_path / "app", redis_url, ready=over, without=("VVERBOSE",), **environ) as made:
        assert made.program.wait(60) == 0
        assert re.search(line, made.log(), re.MULTILINE)


def test_no_logging(tmp_path: Path, redis_url: str) -> None:
    """Nothing is logged but what is wrong."""
    client = Resque(redis_url)
    client.store.push("q", b'{"class":"Noop","args":[]}')
    with tree(tmp_path / "quiet", redis_url, ready=over, without=("VVERBOSE",), INTERVAL="0") as made:
        assert made.program.wait(60) == 0
        assert (made.log(), client.stat("processed")) == ("", 1)
