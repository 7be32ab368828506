"""Which processes of this host are Resque's; real ones, and what `ps` tells where there is no /proc."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from clues.resque import local_processes
from clues.resque.local_processes import gone
from tests.waiting import wait_for

NOBODY = 2**22 + 1  # more than the kernel ever gives


@contextmanager
def titled(title: str) -> Iterator[int]:
    """A process of this title."""
    code = f"import setproctitle; setproctitle.setproctitle({title!r}); print(flush=True); input()"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield process.pid
    finally:
        process.kill()
        process.stdin.close()
        process.stdout.close()
        process.wait()


@pytest.fixture(params=["proc", "ps"])
def source(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the titles come from."""
    if request.param == "ps":
        monkeypatch.setattr(local_processes, "_from_proc", lambda pids: local_processes._from_ps())


@pytest.mark.usefixtures("source")
@pytest.mark.parametrize(
    ("title", "is_resque"),
    [
        ("resque-3.0.0: Waiting for a,b", True),
        ("shop resque-0.1.0: Processing q since 1 [Job]", True),
        ("resque: Starting", True),
        ("rake resque:work QUEUE=*", True),
        ("resque-web", False),
        ("resque-web -p 5678 resque-3.0.0", False),
        ("resque-scheduler-4", False),
        ("python worker.py", False),
    ],
)
def test_titles(title: str, is_resque: bool) -> None:
    """As Ruby's pruner greps for them."""
    with titled(title) as pid:
        assert gone({pid, NOBODY}) == {NOBODY} | (set() if is_resque else {pid})


@pytest.mark.usefixtures("source")
def test_a_process_that_has_ended(source: None) -> None:
    """Is gone, also while nobody has waited for it."""
    child = os.fork()
    if child == 0:
        os._exit(0)
    wait_for(lambda: Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] == "Z", "the zombie")
    assert gone({child}) == {child}
    os.waitpid(child, 0)
    assert gone({child}) == {child}


def test_one_that_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another user's, whose title can't be read, may be anything: it is not gone."""

    def kill(pid: int, number: int) -> None:
        if pid == 7:
            raise PermissionError
        raise ProcessLookupError

    monkeypatch.setattr(os, "kill", kill)
    monkeypatch.setattr(local_processes, "_from_proc", lambda pids: {})
    assert gone({7, 8}) == {8}


def test_numbers_that_are_none() -> None:
    """Ids come from Redis."""
    assert gone({10**30}) == {10**30}
    assert gone(()) == set()
