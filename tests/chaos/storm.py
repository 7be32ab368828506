"""A tree of workers under fire: processes that are killed at random, a supervisor that starts the tree again."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clues.resque import Resque

APP = """
import os, time
import clues
from clues import resque
from clues.publishers import LogPublisher

HERE = os.path.dirname(os.path.abspath(__file__))
clues.configure(publisher=LogPublisher(os.path.join(HERE, "events.log")))
_ran = os.open(os.path.join(HERE, "ran"), os.O_WRONLY | os.O_APPEND | os.O_CREAT)

class Storm:
    queue = "storm"

    @classmethod
    def perform(cls, number, seconds):
        os.write(_ran, f"begun {number}\\n".encode())
        time.sleep(seconds)
        os.write(_ran, f"ended {number}\\n".encode())
"""


_STARTING = 2  # the master, and the process that loads the application


@dataclass
class Tree:
    """A supervised ``clues work``.

    Attributes:
        folder: where its application, its log and its events are.
        environ: what it is started with.
        killed: how many processes were killed, by what they were.
    """

    folder: Path
    environ: dict[str, str]
    sessions: set[int] = field(default_factory=set)
    master: subprocess.Popen[bytes] | None = None
    killed: Counter[str] = field(default_factory=Counter)
    starts: int = 0

    def start(self) -> None:
        """Start it, or start it again."""
        self.starts += 1
        environ = {**os.environ, **self.environ, "VVERBOSE": "1"}
        with (self.folder / "log").open("ab") as log:
            self.master = subprocess.Popen(
                [sys.executable, "-m", "clues", "work", "--app", "app", "--queues", "storm", "--interval", "1"],
                cwd=self.folder,
                env=environ,
                stderr=log,
                stdout=log,
                start_new_session=True,
            )
        self.sessions.add(self.master.pid)

    @property
    def pid(self) -> int:
        """The master's process id."""
        assert self.master is not None
        return self.master.pid

    def supervise(self) -> None:
        """Start it again if it has died."""
        if self.master is None or self.master.poll() is not None:
            self.start()

    def processes(self) -> list[int]:
        """All its processes, also those that have lost their master."""
        return [
            int(entry.name)
            for entry in Path("/proc").iterdir()
            if entry.name.isdigit() and _session(entry) in self.sessions
        ]

    def kill_one(self, chance: random.Random) -> None:
        """Kill a process of it, the master included; not while it is only starting, or it would never be up."""
        found = self.processes()
        if len(found) <= _STARTING:
            return
        pid = chance.choice(found)
        what = "master" if self.master is not None and pid == self.master.pid else _title(pid)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            self.killed[what] += 1

    def kill_all(self) -> None:
        """Kill the whole host's processes, as fast as they can be found."""
        while found := self.processes():
            for pid in found:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if self.master is not None:
                with suppress(subprocess.TimeoutExpired):
                    self.master.wait(0.05)

    def stop(self) -> int:
        """Stop it gracefully; gives its exit status."""
        assert self.master is not None
        self.master.send_signal(signal.SIGQUIT)
        return self.master.wait(60)


def _session(process: Path) -> int:
    """The session that a process belongs to; 0 for one that is gone, or is dead and not yet waited for."""
    with suppress(OSError, IndexError):
        state, _parent, _group, session = (process / "stat").read_text().rpartition(")")[2].split()[:4]
        return 0 if state == "Z" else int(session)
    return 0


def _title(pid: int) -> str:
    with suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").split()
        return words[1] if len(words) > 1 else "?"
    return "?"


@contextmanager
def tree(folder: Path, url: str, **environ: str) -> Iterator[Tree]:
    """A tree in a folder of its own; nothing of it is left at the block's end."""
    folder.mkdir(exist_ok=True)
    (folder / "app.py").write_text(APP)
    made = Tree(folder, {"REDIS_URL": url, "CLUES_RUN_DIR": str(folder / "run"), **environ})
    try:
        yield made
    finally:
        made.kill_all()


def enqueue(client: Resque, folder: Path, count: int, chance: random.Random) -> None:
    """Enqueue jobs of 1 to 50 ms, stamped as the application does."""
    sys.path.insert(0, str(folder))
    code = (
        "import app, json, sys\n"
        "from clues import resque\n"
        "resque.enqueue_many((app.Storm, n, s) for n, s in json.load(sys.stdin))\n"
    )
    sys.path.remove(str(folder))
    calls = [(number, chance.randint(1, 50) / 1000) for number in range(count)]
    environ = {**os.environ, "REDIS_URL": client.store.describe()}
    subprocess.run([sys.executable, "-c", code], cwd=folder, env=environ, input=json.dumps(calls).encode(), check=True)


@dataclass
class Account:
    """What became of every job."""

    begun: Counter[int]
    ended: Counter[int]
    failed: Counter[int]
    outcomes: dict[str, set[str]]
    terminal_ids: set[str]
    hashes: dict[int, str]

    def problems(self, count: int) -> list[str]:
        """Whatever is not as promised; empty if all is well."""
        numbers = range(count)
        twice = [n for n in numbers if self.begun[n] > 1]
        lost = [n for n in numbers if not self.ended[n] and not self.failed[n]]
        doubled = [n for n in numbers if self.failed[n] > 1]
        contradicting = [key for key, kinds in self.outcomes.items() if len(kinds) > 1]
        untold = [n for n in numbers if f"{self.hashes.get(n)}:1:end" not in self.terminal_ids]
        both = [
            n
            for n in numbers
            if self.failed[n] and "perform_finished" in self.outcomes.get(f"{self.hashes.get(n)}:1:end", ())
        ]
        found: dict[str, list[Any]] = {
            "ran twice": twice,
            "neither ran to its end nor failed": lost,
            "failed twice": doubled,
            "two kinds of outcome": contradicting,
            "no terminal event": untold,
            "failed, and told as finished": both,
            "terminal events of nobody": sorted(self.terminal_ids - {f"{one}:1:end" for one in self.hashes.values()}),
        }
        return [f"{what}: {len(which)} {which[:5]}" for what, which in found.items() if which]


def account(client: Resque, folder: Path) -> Account:
    """Read what the jobs, Redis and the events tell."""
    begun: Counter[int] = Counter()
    ended: Counter[int] = Counter()
    for noted in (folder / "ran").read_text().splitlines():
        what, number = noted.split()
        (begun if what == "begun" else ended)[int(number)] += 1
    failed = Counter(entry["payload"]["args"][0] for _, entry in client.failed.each())
    outcomes: dict[str, set[str]] = {}
    terminal_ids: set[str] = set()
    hashes: dict[int, str] = {}
    for line in (folder / "events.log").read_bytes().splitlines():
        event: dict[str, Any] = json.loads(line)
        hashes[event["args"][0]] = event["metadata"]["_event_hash"]
        if event["event_type"] in {"perform_finished", "failed", "destroyed"}:
            terminal_ids.add(event["metadata"]["_event_id"])
            outcomes.setdefault(event["metadata"]["_event_id"], set()).add(event["event_type"])
    return Account(begun, ended, failed, outcomes, terminal_ids, hashes)


def is_drained(client: Resque) -> bool:
    """Whether no job waits, and nobody holds one."""
    return client.size("storm") == 0 and not client.working() and not _batches(client)


def _batches(client: Resque) -> bool:
    return any(client.store.client.scan_iter(match="*worker:*:batch"))


def rage(
    made: Tree, client: Resque, chance: random.Random, *, every: float = 0.2, also: Callable[[], None] = lambda: None
) -> None:
    """Kill one process after another until all jobs are taken; restart the tree when its master is dead."""
    patience = time.monotonic() + max(150.0, client.size("storm") / 8)
    while time.monotonic() < patience:
        made.supervise()
        time.sleep(every)
        with suppress(Exception):  # Redis may be down just now
            if client.size("storm") == 0:
                break
        made.kill_one(chance)
        also()
    made.supervise()
