"""Processes that die at once, trees that are found dead, and Redis that is away: nothing is lost, nothing spins."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from clues.resque import Resque
from tests.redis_server import private_server
from tests.tree.trees import JOBS, tree
from tests.waiting import wait_for


def test_workers_that_die_at_once(tmp_path: Path, redis_url: str) -> None:
    """Are tried again, each time later; when the cause is gone, work begins, and the jobs are still there."""
    config = """
import os

app = "jobs"
queues = ["q"]

def after_fork(starter, worker, nr):
    with open("tries", "a") as tries:
        print("x", file=tries)
    if not os.path.exists("well"):
        os._exit(9)
"""
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "clues.conf.py").write_text(config)

    def tries() -> int:
        return len((folder / "tries").read_text().split()) if (folder / "tries").exists() else 0

    with tree(folder, redis_url, command=("start",), ready=lambda _made: tries() > 3) as made:
        made.enqueue("Sleep", 0, "a")
        wait_for(lambda: "another one in" in made.log())
        (folder / "well").touch()
        made.wait_for_note("ended a")
        assert tries() < 12
        assert (made.failures(), made.end()) == ([], 0)


def test_a_tree_that_is_found_dead(tmp_path: Path, redis_url: str) -> None:
    """All its processes were killed at once: the next one on this host tells what became of its jobs."""
    with tree(tmp_path / "app", redis_url, THREAD_COUNT="2") as made:
        for name in ("a", "b"):
            made.enqueue("Sleep", 60, name)
        wait_for(lambda: len(made.notes()) == 2)
        os.killpg(made.pid, signal.SIGSTOP)  # lest some act on the death of others
        os.killpg(made.pid, signal.SIGKILL)
        made.program.wait(60)
    with tree(tmp_path / "app", redis_url) as made:
        wait_for(lambda: len(made.failures()) == 2)
        assert [event["metadata"]["_reason"] for event in made.events("failed")] == ["lost", "lost"]
        assert made.client.working() == {}
        wait_for(lambda: len(made.client.workers()) == 1)
        assert made.end() == 0


@pytest.mark.parametrize("threads", ["1", "2"])
def test_redis_is_away(tmp_path: Path, threads: str) -> None:
    """The job at hand goes on, ends meanwhile, and its outcome is told once Redis serves; nobody spins."""
    with (
        private_server("--appendonly", "yes", "--appendfsync", "always") as server,
        tree(tmp_path / "app", server.url, jobs=JOBS, THREAD_COUNT=threads) as made,
    ):
        made.begin("a")
        server.kill()
        made.let_go("a")
        made.wait_for_note("ended a")
        made.wait_for_log("Redis does not serve")
        before, at = _cpu(made.titles()), time.monotonic()
        wait_for(lambda: time.monotonic() > at + 1)
        assert _cpu(made.titles()) - before < 0.7 * (time.monotonic() - at)
        server.start()
        client = Resque(server.url)
        wait_for(lambda: client.stat("processed") == 1)
        made.enqueue("Sleep", 0, "b")
        made.wait_for_note("ended b")
        assert made.notes() == ["begun a", "ended a", "begun b", "ended b"]
        wait_for(lambda: len(made.events("perform_finished")) == 2)
        assert (made.failures(), made.end()) == ([], 0)


def _cpu(pids: object) -> float:
    """Seconds of processor time that these processes have used."""
    used = 0.0
    for pid in list(pids):  # type: ignore[call-overload]
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        used += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return used
