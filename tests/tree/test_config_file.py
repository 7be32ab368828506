"""``clues start``: resque_starter's table, with real processes."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

from tests.tree.trees import tree
from tests.waiting import wait_for

CONFIG = """
app = "jobs"
queues = ["q"]
concurrency = 2
jobs_per_fork = 100
pid_file = "clues.pid"
status_file = "clues.stat"

def note(*words):
    with open("hooks", "a") as notes:
        print(*words, file=notes, flush=True)

def before_fork(starter, worker, nr):
    note("before", nr, worker.pid, starter.config["concurrency"], starter.config["dequeue_interval"])

def after_fork(starter, worker, nr):
    import os
    own = f"{starter.pid}:q" + (f",~{nr}.0" if nr else "")
    note("after", nr, worker.pid == os.getpid(), worker.id.endswith(f":{own}"))
"""

START = ("start", "-c", "c.py")


def started(folder: Path, url: str, config: str = CONFIG, **options: Any) -> Any:
    """A tree by a config file."""
    folder.mkdir()
    (folder / "c.py").write_text(config)
    options.setdefault("ready", lambda made: len(status(folder)) == 2)
    return tree(folder, url, command=options.pop("command", START), **options)


def status(folder: Path) -> dict[int, int]:
    """What the status file says: process id to number."""
    path = folder / "clues.stat"
    lines = path.read_text().splitlines()[2:] if path.exists() else []
    return {int(pid): int(number) for pid, number in (line.strip().split(":") for line in lines)}


def _is_replaced(folder: Path, pid: int) -> bool:
    return pid not in status(folder) and len(status(folder)) == 2


def hooks(folder: Path) -> list[str]:
    """What the hooks have noted."""
    return (folder / "hooks").read_text().splitlines()


def test_hooks_and_files(tmp_path: Path, redis_url: str) -> None:
    """before_fork where it forks, after_fork in the worker; both files are right, and gone at the end."""
    folder = tmp_path / "app"
    with started(folder, redis_url) as made:
        assert (folder / "clues.pid").read_text() == f"{made.pid}\n"
        assert sorted(status(folder).values()) == [0, 1]
        wait_for(lambda: set(status(folder)) == set(made.workers()))
        assert sorted(hooks(folder)) == sorted(
            [f"before {number} None 2 60.0" for number in (0, 1)] + [f"after {number} True True" for number in (0, 1)]
        )
        made.send(signal.SIGTTIN)
        wait_for(lambda: sorted(status(folder).values()) == [0, 1, 2])
        made.send(signal.SIGTTOU)
        wait_for(lambda: sorted(status(folder).values()) == [0, 1])
        assert (folder / "clues.pid").read_text() == f"{made.pid}\n"
        assert made.end() == 0
    assert not (folder / "clues.pid").exists()
    assert not (folder / "clues.stat").exists()


def test_a_worker_that_ends_by_itself(tmp_path: Path, redis_url: str) -> None:
    """The files stay right; it is replaced, with its number (the original removes both files)."""
    folder = tmp_path / "app"
    with started(folder, redis_url) as made:
        for number in (signal.SIGQUIT, signal.SIGKILL):
            pid, slot = next(iter(status(folder).items()))
            os.kill(pid, number)
            wait_for(partial(_is_replaced, folder, pid))
            assert sorted(status(folder).values()) == [0, 1], slot
            assert (folder / "clues.pid").exists()
        assert made.end() == 0


def test_new_settings(tmp_path: Path, redis_url: str) -> None:
    """HUP reads the config again: the number of workers; a broken one changes nothing."""
    folder = tmp_path / "app"
    with started(folder, redis_url) as made:
        (folder / "c.py").write_text(CONFIG.replace("concurrency = 2", "concurrency = 3"))
        made.send(signal.SIGHUP)
        wait_for(lambda: sorted(status(folder).values()) == [0, 1, 2])
        (folder / "c.py").write_text("concurrency = 'many'")
        made.send(signal.SIGHUP)
        wait_for(lambda: "the old one stays" in made.log())
        assert len(status(folder)) == 3
        assert (folder / "clues.pid").read_text() == f"{made.pid}\n"
        assert made.end() == 0


def test_without_hooks_and_queues(tmp_path: Path, redis_url: str) -> None:
    """Hooks are optional (the original demands both); queues come from QUEUES, else it ends with status 1."""
    with started(
        tmp_path / "queues", redis_url, 'app = "jobs"', ready=lambda made: bool(made.workers()), QUEUES="q"
    ) as made:
        made.enqueue("Sleep", 0, "a")
        made.wait_for_note("ended a")
        assert made.end() == 0
    with started(tmp_path / "none", redis_url, 'app = "jobs"', ready=lambda _: False) as made:
        assert made.program.wait(60) == 1
        assert "queue" in made.log()


def test_the_command_line_counts_first(tmp_path: Path, redis_url: str) -> None:
    """--queues before the config file's."""
    command = (*START, "--queues", "other")
    with started(tmp_path / "app", redis_url, command=command) as made:
        assert made.client.workers()[0].endswith(":other")
        assert made.end() == 0


def test_mistakes(tmp_path: Path, redis_url: str) -> None:
    """A broken config ends it with one clear line; a missing one too."""
    with started(tmp_path / "broken", redis_url, "concurrency = 'many'", ready=lambda _: False) as made:
        assert made.program.wait(60) == 2
        assert "concurrency must be" in made.log()
        assert "Traceback" not in made.log()
    with started(tmp_path / "none", redis_url, command=("start", "-c", "x.py"), ready=lambda _: False) as made:
        assert made.program.wait(60) == 2
        assert "no config file x.py" in made.log()
