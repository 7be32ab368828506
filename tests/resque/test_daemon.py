"""Going to the background, with real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from clues.resque.daemon import daemonize
from tests.forks import forked
from tests.waiting import wait_for

PROGRAM = '''
import atexit, json, os, sys, time
from clues.resque.daemon import daemonize

def libraries():
    """Some builds of libffi keep themselves open from when they are loaded on; that is no stream of ours."""
    for number in os.listdir("/proc/self/fd"):
        try:
            if ".so" in os.readlink(f"/proc/self/fd/{number}"):
                yield int(number)
        except OSError:
            pass

atexit.register(lambda: open("at_exit", "a").write(f"{os.getpid()}\\n"))
sys.stdout.write("said once,")
daemonize()
print("said to nobody", file=sys.stderr)
print("said to nobody")
facts = {
    "pid": os.getpid(),
    "parent": os.getppid(),
    "session": os.getsid(0),
    "group": os.getpgid(0),
    "folder": os.getcwd(),
    "standard": [os.readlink(f"/proc/self/fd/{number}") for number in (0, 1, 2)],
    "open": sorted(number for number in map(int, os.listdir("/proc/self/fd")) if number not in libraries()),
    "input": sys.stdin.read(),
}
with open("facts.part", "w") as file:
    json.dump(facts, file)
os.rename("facts.part", "facts")
while os.path.exists("facts"):
    time.sleep(0.01)
'''


@contextmanager
def daemon(folder: Path, program: str = PROGRAM) -> Iterator[tuple[subprocess.CompletedProcess[str], dict[str, Any]]]:
    """Runs a program that goes to the background until the block's end.

    Gives how the process that was started ended, and the other's facts.
    """
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
    told = folder / "facts"
    wait_for(told.exists, f"going to the background ({done.stderr})")
    try:
        yield done, json.loads(told.read_text())
    finally:
        told.unlink()


def test_in_the_background(tmp_path: Path) -> None:
    """The started process has ended well, its output is complete and closed; the other is on its own."""
    with daemon(tmp_path) as (done, facts):
        assert (done.returncode, done.stdout, done.stderr) == (0, "said once,", "")
        assert facts["standard"] == ["/dev/null"] * 3
        assert len(facts["open"]) == 4, facts  # the fourth is the listing's own
        assert facts["input"] == ""
        assert facts["folder"] == str(tmp_path)
        assert facts["session"] == facts["group"]
        assert facts["pid"] != facts["session"] != os.getsid(0)
        assert facts["parent"] != os.getpid()
        assert not (tmp_path / "at_exit").exists()
    wait_for((tmp_path / "at_exit").exists, "the daemon's own end")
    assert wait_for((tmp_path / "at_exit").read_text) == f"{facts['pid']}\n"


@pytest.mark.parametrize("closed", ["os.close(0)", "os.closerange(0, 3)", "sys.stdout = sys.stderr = None"])
def test_without_standard_streams(tmp_path: Path, closed: str) -> None:
    """Those that were closed are /dev/null too, and no descriptor is left over."""
    program = PROGRAM.replace('sys.stdout.write("said once,")', closed)
    with daemon(tmp_path, program) as (done, facts):
        assert done.returncode == 0
        assert facts["standard"] == ["/dev/null"] * 3
        assert len(facts["open"]) == 4, facts


def test_not_beside_threads() -> None:
    """They would be lost, so they are named."""
    go_on = threading.Event()
    thread = threading.Thread(target=go_on.wait, args=(60,), name="heartbeat")
    thread.start()
    try:
        with pytest.raises(RuntimeError, match="daemonize before any thread is started; these run: heartbeat"):
            daemonize()
    finally:
        go_on.set()
        thread.join()


def test_after_a_fork(tmp_path: Path) -> None:
    """A forked child has none of its parent's threads, and may."""
    go_on = threading.Event()
    thread = threading.Thread(target=go_on.wait, args=(60,))
    thread.start()
    there = tmp_path / "there"

    def child() -> None:
        daemonize()
        there.write_text(str(os.getsid(0)))

    try:
        assert forked(child) == 0
        assert int(wait_for(lambda: there.exists() and there.read_text())) != os.getsid(0)
    finally:
        go_on.set()
        thread.join()
