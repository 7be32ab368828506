"""Trees of workers as programs, for tests: started, looked at by their processes and titles, and ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clues.resque import Resque
from tests.waiting import wait_for

JOBS = """
import os, signal, sys, time
import clues
from clues import resque
from clues.errors import TermException
from clues.publishers import LogPublisher

clues.configure(publisher=LogPublisher("events.log"))

def note(*words):
    with open("notes", "a") as notes:
        print(os.getpid(), *words, file=notes, flush=True)

class Sleep:
    queue = "q"

    @classmethod
    def perform(cls, seconds, name=""):
        note("begun", name)
        until = time.monotonic() + seconds
        while time.monotonic() < until and not os.path.exists(f"end {name}"):
            time.sleep(0.01)
        note("ended", name)

class Requeued(Sleep):
    requeue_on_shutdown = True

class Stubborn:
    queue = "q"

    @classmethod
    def perform(cls, seconds, name=""):
        note("begun", name)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                time.sleep(0.01)
            except TermException:
                note("ignored", name)

class Exit:
    queue = "q"

    @classmethod
    def perform(cls, status):
        os._exit(status)

class Kill:
    queue = "q"

    @classmethod
    def perform(cls, number):
        os.kill(os.getpid(), number)
        time.sleep(60)

class Noop:
    queue = "q"

    @classmethod
    def perform(cls, *args):
        pass
"""

_OWN = {"QUEUE", "QUEUES", "INTERVAL", "COUNT", "PIDFILE", "BACKGROUND", "TERM_CHILD", "GRACEFUL_TERM", "REDIS_URL"}


@dataclass
class Tree:
    """A running tree.

    Attributes:
        folder: where its application, notes, events and log are.
        program: its master.
        client: looks at its Redis.
    """

    folder: Path
    program: subprocess.Popen[bytes]
    client: Resque

    @property
    def pid(self) -> int:
        """The master's process id."""
        return self.program.pid

    def send(self, number: signal.Signals) -> None:
        """Send the master a signal."""
        self.program.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGQUIT) -> int:
        """Send the master a signal, and wait for its end; gives its status."""
        self.send(number)
        return self.program.wait(60)

    def titles(self) -> dict[int, str]:
        """The titles of its processes, by process id."""
        return {pid: title for pid in _session(self.pid) if (title := _title(pid))}

    def find(self, words: str) -> list[int]:
        """Its processes whose titles hold these words."""
        return [pid for pid, title in sorted(self.titles().items()) if words in title]

    def moulds(self) -> list[int]:
        """The processes that load the application and fork: a child that was just forked has its mould's title too."""
        return [pid for pid in self.find(": Mould") if _stat(pid)[1] == self.pid]

    def workers(self) -> list[int]:
        """The processes that work slots: those that wait, perform or are paused."""
        return sorted(
            pid
            for pid, title in self.titles().items()
            if pid != self.pid and any(word in title for word in (": Waiting", ": Processing", ": Paused"))
        )

    def notes(self) -> list[str]:
        """What its jobs have noted, without process ids."""
        return [line.partition(" ")[2].strip() for line in self.raw_notes()]

    def raw_notes(self) -> list[str]:
        """What its jobs have noted."""
        path = self.folder / "notes"
        return path.read_text().splitlines() if path.exists() else []

    def wait_for_note(self, note: str, times: int = 1) -> None:
        """Until its jobs have noted this so many times."""
        wait_for(lambda: self.notes().count(note) >= times, f"the note {note!r}; the log:\n{self.log()[-3000:]}")

    def wait_for_log(self, words: str, times: int = 1) -> None:
        """Until its log says this so many times."""
        wait_for(lambda: self.log().count(words) >= times, f"{words!r} in the log:\n{self.log()[-3000:]}")

    def events(self, event_type: str = "") -> list[dict[str, Any]]:
        """Its events, of one type if given."""
        path = self.folder / "events.log"
        found = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [event for event in found if event_type in ("", event["event_type"])]

    def failures(self) -> list[tuple[str, str]]:
        """Exceptions and errors of the failures that Redis keeps."""
        return [(entry["exception"], entry["error"]) for entry in self.client.failed.all(0, 1000)]

    def stats(self) -> tuple[int, int]:
        """How many were processed, and failed."""
        return self.client.stat("processed"), self.client.stat("failed")

    def log(self) -> str:
        """What it has logged."""
        return (self.folder / "log").read_text()

    def begin(self, name: str) -> None:
        """Enqueue a job that goes on until it is let go, for a minute at most, and wait until it has begun."""
        self.enqueue("Sleep", 60, name)
        self.wait_for_note(f"begun {name}")

    def let_go(self, name: str) -> None:
        """Have such a job end."""
        (self.folder / f"end {name}").touch()

    def enqueue(self, name: str, *args: object, times: int = 1) -> None:
        """Enqueue a job of its application, stamped as clues does."""
        for _ in range(times):
            item = {"class": name, "args": args, "clues_metadata": {"_event_hash": os.urandom(16).hex()}}
            self.client.store.push("q", json.dumps(item).encode())


@contextmanager
def tree(
    folder: Path,
    url: str,
    *,
    jobs: Any = JOBS,
    command: Any = ("work", "--app", "jobs", "--queues", "q"),
    ready: Any = None,
    without: Any = (),
    **environ: str,
) -> Iterator[Tree]:
    """A tree whose first workers are at work; nothing of it is left at the block's end.

    Args:
        folder: for its application, log and events.
        url: its Redis.
        jobs: the application's text.
        command: what to run; ``clues`` stands before it.
        ready: takes the tree, tells whether it is at work.
        without: environment variables that it is not to have, but for those in `environ`.
        environ: environment variables.
    """
    folder.mkdir(exist_ok=True)
    (folder / "jobs.py").write_text(jobs)
    inherited = {name: value for name, value in os.environ.items() if name not in _OWN}
    usual = {"REDIS_URL": url, "CLUES_RUN_DIR": str(folder / "run"), "VVERBOSE": "1", "INTERVAL": "60"}
    given = {name: value for name, value in {**inherited, **usual}.items() if name not in without}
    with (folder / "log").open("ab") as log:
        program = subprocess.Popen(
            [sys.executable, "-m", "clues", *command],
            cwd=folder,
            env={**given, **environ},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    made = Tree(folder, program, Resque(url))
    try:
        wanted = ready or (lambda made: bool(made.workers()))
        wait_for(lambda: wanted(made) or program.poll() is not None, f"the tree's start: {made.log()[-2000:]}")
        yield made
    finally:
        while left := _session(program.pid):
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                program.wait(0.05)
        program.wait(30)


def _session(number: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            state, _parent, session = _stat(int(entry.name))
            if state != "Z" and session == number:
                found.append(int(entry.name))
    return found


def _stat(pid: int) -> tuple[str, int, int]:
    """A process's state, parent and session; a dead one's that nobody has waited for, if it is gone."""
    with suppress(OSError, IndexError):
        state, parent, _group, session = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:4]
        return state, int(parent), int(session)
    return "Z", 0, 0


def _title(pid: int) -> str:
    with suppress(OSError):
        return (
            (Path("/proc") / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
        )
    return ""
