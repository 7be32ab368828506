"""HUP: new code, one worker at a time; TTIN and TTOU: one worker more, or fewer."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

from tests.tree.trees import JOBS, tree
from tests.waiting import wait_for

NEW = JOBS.replace('note("begun", name)', 'note("new", name)')


def test_new_code(tmp_path: Path, redis_url: str) -> None:
    """The pid stays, the workers' code is new; the running job ends with the old code."""
    with tree(tmp_path / "app", redis_url, WORKER_COUNT="2", JOBS_PER_FORK="100") as made:
        made.begin("a")
        ids = made.client.workers()
        (made.folder / "jobs.py").write_text(NEW)
        made.send(signal.SIGHUP)
        wait_for(lambda: "its workers take over" in made.log())
        assert made.notes() == ["begun a"]
        made.let_go("a")
        wait_for(lambda: "all workers are the new mould's" in made.log())
        made.enqueue("Sleep", 0, "b")
        made.wait_for_note("new b")
        assert made.notes()[:2] == ["begun a", "ended a"]
        assert made.client.workers() == ids
        assert (made.failures(), made.end()) == ([], 0)


def test_new_code_that_fails(tmp_path: Path, redis_url: str) -> None:
    """The old mould stays, the log tells why; a later HUP with good code takes over."""
    with tree(tmp_path / "app", redis_url) as made:
        (made.folder / "jobs.py").write_text("raise RuntimeError('no such luck')")
        made.send(signal.SIGHUP)
        wait_for(lambda: "the old one stays" in made.log())
        assert "no such luck" in made.log()
        made.enqueue("Sleep", 0, "a")
        made.wait_for_note("ended a")
        (made.folder / "jobs.py").write_text(NEW)
        made.send(signal.SIGHUP)
        wait_for(lambda: "all workers are the new mould's" in made.log())
        made.enqueue("Sleep", 0, "b")
        made.wait_for_note("new b")
        assert made.end() == 0


def test_many_hups_are_two(tmp_path: Path, redis_url: str) -> None:
    """Those that come while new code is loaded are one more."""
    with tree(tmp_path / "app", redis_url, JOBS_PER_FORK="100") as made:
        (made.folder / "jobs.py").write_text(
            f"import os, time\nwhile not os.path.exists('go on'): time.sleep(0.01)\n{NEW}"
        )
        made.send(signal.SIGHUP)
        wait_for(lambda: made.find(": Loading"))
        for _ in range(5):
            made.send(signal.SIGHUP)
        (made.folder / "go on").touch()
        wait_for(lambda: made.log().count("its workers take over") == 2)
        made.enqueue("Sleep", 0, "b")
        made.wait_for_note("new b")
        wait_for(lambda: len(made.find(": Mould")) == 1)
        assert made.log().count("HUP: starting a new mould") == 2
        assert made.end() == 0


def test_newer_code_need_not_wait(tmp_path: Path, redis_url: str) -> None:
    """A HUP while an old worker is still at a long job takes newer code to all others at once."""
    with tree(tmp_path / "app", redis_url, WORKER_COUNT="2", JOBS_PER_FORK="100") as made:
        made.begin("a")
        for _ in range(3):
            turns = made.log().count("its workers take over")
            made.send(signal.SIGHUP)
            made.wait_for_log("its workers take over", turns + 1)
        assert made.notes() == ["begun a"]
        wait_for(lambda: len(made.find(": Mould")) <= 3, "the end of the moulds that nobody needs")
        made.let_go("a")
        wait_for(lambda: "all workers are the new mould's" in made.log())
        wait_for(lambda: len(made.find(": Mould")) == 1)
        assert (made.failures(), made.end()) == ([], 0)


def test_under_load(tmp_path: Path, redis_url: str) -> None:
    """No job is lost, and no look at the processes finds fewer workers than there should be, or more than one more."""
    count = 400
    with tree(
        tmp_path / "app",
        redis_url,
        ready=lambda made: len(made.workers()) == 3,
        WORKER_COUNT="3",
        JOBS_PER_FORK="50",
    ) as made:
        seen: list[int] = []
        done = threading.Event()

        def look() -> None:
            while not done.is_set():
                titles = made.titles()
                seen.append(sum(": Mould" not in title and "aster" not in title for title in titles.values()))
                time.sleep(0.01)

        made.enqueue("Sleep", 0.02, "a", times=count)
        looking = threading.Thread(target=look)
        looking.start()
        for turn in range(1, 4):
            made.send(signal.SIGHUP)
            made.wait_for_log("all workers are the new mould's", turn)
        wait_for(lambda: made.stats()[0] == count, "the end of the jobs", timeout=60)
        done.set()
        looking.join()
        assert min(seen) >= 3
        assert len(made.events("perform_finished")) == count
        assert (made.failures(), made.end()) == ([], 0)


def test_more_and_fewer(tmp_path: Path, redis_url: str) -> None:
    """TTIN adds a worker, TTOU takes one away after its job, down to none."""
    with tree(tmp_path / "app", redis_url, JOBS_PER_FORK="100") as made:
        made.send(signal.SIGTTIN)
        wait_for(lambda: len(made.workers()) == 2 and len(made.client.workers()) == 2)
        for turn in range(1, 4):
            made.send(signal.SIGTTOU)
            made.wait_for_log("received TTOU", turn)
        wait_for(lambda: made.workers() == [])
        made.enqueue("Sleep", 0, "a")
        wait_for(lambda: len(made.client.workers()) == 0)
        assert made.client.size("q") == 1
        made.send(signal.SIGTTIN)
        made.wait_for_note("ended a")
        assert made.end() == 0


def test_fewer_while_busy(tmp_path: Path, redis_url: str) -> None:
    """The one that goes finishes its job."""
    with tree(tmp_path / "app", redis_url, WORKER_COUNT="2", JOBS_PER_FORK="100") as made:
        made.enqueue("Sleep", 60, "a")
        made.enqueue("Sleep", 60, "b")
        made.wait_for_note("begun a")
        made.wait_for_note("begun b")
        made.send(signal.SIGTTOU)
        wait_for(lambda: "received TTOU" in made.log())
        assert len(made.workers()) == 2
        for name in "ab":
            (made.folder / f"end {name}").touch()
        wait_for(lambda: len(made.workers()) == 1 and len(made.client.workers()) == 1)
        assert (made.failures(), made.end()) == ([], 0)


def test_the_mould_dies_in_the_middle(tmp_path: Path, redis_url: str) -> None:
    """The roll-over is finished by the next one."""
    with tree(tmp_path / "app", redis_url, WORKER_COUNT="2", JOBS_PER_FORK="100") as made:
        made.begin("a")
        (made.folder / "jobs.py").write_text(NEW)
        made.send(signal.SIGHUP)
        wait_for(lambda: "its workers take over" in made.log())
        for pid in wait_for(made.moulds):
            os.kill(pid, signal.SIGKILL)
        made.let_go("a")
        made.wait_for_note("ended a")
        made.enqueue("Sleep", 0, "b", times=4)
        made.wait_for_note("ended b", times=4)
        wait_for(made.moulds)
        assert (made.failures(), made.end()) == ([], 0)
