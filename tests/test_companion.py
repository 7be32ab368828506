"""The companion beside a foreign worker program, in real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.publishers.receivers import Packets
from tests.waiting import wait_for

PROGRAM = """
import os, signal, sys, time
from pathlib import Path
import clues
from clues.companion import start_companion
from clues.testing import RecordingPublisher

place = Path(sys.argv[1])

class Companion:
    def run(self, lifeline, samplers=()):
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        (place / f"companion-{os.getpid()}").write_text(str(os.getppid()))
        os.read(lifeline, 1)
        (place / "delivered").touch()

class Publisher(RecordingPublisher):
    def companion(self):
        return Companion()

clues.configure(Publisher())
beside = start_companion()
pid = os.fork()
if not pid:
    time.sleep(60)  # a worker, which inherits what its parent has open
    os._exit(0)
(place / "worker").write_text(str(pid))
print("ready", flush=True)
sys.stdin.read()
beside.leave()
"""


class Parent:
    """A program that starts a companion, and forks a worker after it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(PROGRAM), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    def companions(self) -> list[int]:
        """Those that have begun, the newest last."""
        found = sorted(self.folder.glob("companion-*"), key=lambda path: path.stat().st_mtime_ns)
        return [int(path.name.rpartition("-")[2]) for path in found if path.read_text()]

    def companion(self, other_than: int = 0) -> int:
        return wait_for(lambda: next((pid for pid in self.companions() if pid != other_than), 0), "a companion")

    def close(self) -> None:
        os.kill(int((self.folder / "worker").read_text()), signal.SIGKILL)
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[Parent]:
    made = Parent(tmp_path)
    assert made.process.stdout is not None
    assert made.process.stdout.readline() == b"ready\n"
    yield made
    made.close()


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_it_delivers_and_leaves_when_told(parent: Parent) -> None:
    pid = parent.companion()
    assert parent.process.stdin is not None
    parent.process.stdin.close()
    wait_for((parent.folder / "delivered").exists, "the delivery")
    wait_for(lambda: is_gone(pid), "the companion's end")
    parent.process.stdin = None


def test_it_delivers_and_leaves_when_its_parent_is_killed_though_workers_live_on(parent: Parent) -> None:
    pid = parent.companion()
    keeper = int((parent.folder / f"companion-{pid}").read_text())
    parent.process.kill()
    wait_for((parent.folder / "delivered").exists, "the delivery")
    wait_for(lambda: is_gone(pid) and is_gone(keeper), "the end of both")


def test_term_to_the_whole_group_does_not_end_it(parent: Parent) -> None:
    """As platforms stop a program: events are still to come."""
    pid = parent.companion()
    keeper = int((parent.folder / f"companion-{pid}").read_text())
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        for one in (pid, keeper):
            if (one, number) != (pid, signal.SIGHUP):  # the stand-in ignores but two of them
                os.kill(one, number)
    assert not is_gone(pid)
    parent.process.kill()
    wait_for((parent.folder / "delivered").exists, "the delivery")


def test_one_that_dies_is_followed_by_another(parent: Parent) -> None:
    first = parent.companion()
    os.kill(first, signal.SIGKILL)
    second = parent.companion(other_than=first)
    assert not is_gone(second)


@pytest.mark.parametrize("fails", [1, 2])
def test_where_there_is_no_process_for_it_the_program_goes_on_once(fails: int, tmp_path: Path) -> None:
    """Each of the two forks may fail: no child ever goes on with its parent's program, and no descriptor is left."""
    few = f"""
fork, forks = os.fork, [1]
def scarce():
    if len(forks) == {fails}:
        raise BlockingIOError(11, "Resource temporarily unavailable")
    forks.append(1)
    return fork()
os.fork = scarce
before = os.listdir("/proc/self/fd")
try:
    start_companion()
except OSError as error:
    assert os.listdir("/proc/self/fd") == before
    (place / "refused").open("a").write(f"{{os.getpid()}}: {{error}}\\n")
    sys.exit()
"""
    head, _, _ = PROGRAM.partition("beside =")
    with subprocess.Popen([sys.executable, "-c", head + few, str(tmp_path)], stdin=subprocess.DEVNULL) as program:
        assert program.wait(60) == 0
    refused = (tmp_path / "refused").read_text().splitlines()
    assert [line.partition(":")[0] for line in refused] == [str(program.pid)]
    assert "unavailable" in refused[0] or "no process could be started" in refused[0]


@pytest.mark.parametrize(
    "configured",
    [
        "",
        "clues.configure(lambda event: None)",
        "from clues.publishers import StatsdPublisher; clues.configure(StatsdPublisher('127.0.0.1', 9))",
    ],
)
def test_where_nothing_ships_nothing_is_started(configured: str) -> None:
    program = (
        f"import clues\nfrom clues.companion import start_companion\n{configured}\nassert start_companion() is None"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_states_that_are_known_are_told() -> None:
    """A publisher that takes states, and ships nothing, has a companion where there is a sampler."""
    program = """
import sys
import clues
from clues.companion import start_companion
from clues.event import Sample
from clues.publishers import StatsdPublisher

class Queues:
    def sample(self):
        return [Sample("clues.queue.depth", 3, attributes={"queue": "mail"})]

clues.configure(StatsdPublisher("127.0.0.1", int(sys.argv[1])), samplers=[Queues()])
beside = start_companion()
sys.stdin.read()
"""
    with Packets() as daemon:
        running = subprocess.Popen([sys.executable, "-c", program, str(daemon.port)], stdin=subprocess.PIPE)
        assert daemon.next() == b"clues.queue.depth.mail:3|g"
        running.communicate(timeout=60)
    assert running.returncode == 0
