"""Programs that are kept running, and the processes that they are."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

_AGAIN_AFTER = 0.5  # seconds between two starts


@dataclass(frozen=True)
class Process:
    """One process, as /proc shows it.

    Attributes:
        state: a letter; Z for one that is dead and not yet waited for.
    """

    pid: int
    parent: int
    session: int
    state: str
    started: int

    @property
    def title(self) -> str:
        """Its command line."""
        with suppress(OSError):
            return (
                Path(f"/proc/{self.pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
            )
        return ""


def all_processes() -> list[Process]:
    """Those there are."""
    found = []
    for entry in os.listdir("/proc"):  # noqa: PTH208 - names alone
        if entry.isdigit():
            with suppress(OSError, ValueError):
                rest = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
                found.append(Process(int(entry), int(rest[1]), int(rest[3]), rest[0], int(rest[19])))
    return found


@dataclass
class Program:
    """A program, in a session of its own, which is started again when it has ended.

    Attributes:
        name: what it is called in the account.
        command: what to start.
        environ: what it finds in its environment.
        folder: where it works; its output goes into a file there.
        spared: whether its processes are killed by nobody, so that they can be looked at for long.
        starts: how often it was started.
        statuses: how it ended, by exit status.
        wanted: whether it is to be started again.
    """

    name: str
    command: Sequence[str]
    environ: Mapping[str, str]
    folder: Path
    spared: bool = False
    starts: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    sessions: set[int] = field(default_factory=set)
    wanted: bool = True
    process: subprocess.Popen[bytes] | None = None
    _started: float = 0.0

    def keep(self) -> None:
        """Start it, if it does not run."""
        if self.process is not None and (status := self.process.poll()) is not None:
            self.statuses[status] += 1
            self.process = None
        if self.process is None and self.wanted and time.monotonic() > self._started + _AGAIN_AFTER:
            self.start()

    def start(self) -> None:
        """Start it."""
        self.starts += 1
        self._started = time.monotonic()
        with (self.folder / f"{self.name}.out").open("ab") as output:
            self.process = subprocess.Popen(
                [str(part) for part in self.command],
                env=dict(self.environ),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.sessions.add(self.process.pid)

    @property
    def pid(self) -> int:
        """Its first process; 0 while there is none."""
        return self.process.pid if self.process is not None and self.process.poll() is None else 0

    @property
    def age(self) -> float:
        """Seconds since its last start."""
        return time.monotonic() - self._started

    def processes(self) -> list[Process]:
        """All its processes that live, also those that have lost their parents."""
        return [one for one in all_processes() if one.session in self.sessions and one.state not in "ZX"]

    def role(self, one: Process) -> str:
        """What a process of it is."""
        if one.pid == self.pid:
            return f"{self.name}: main"
        title = one.title
        for word in ("Mould", "Shipper", "Clerk", "Loading"):
            if f": {word}" in title:
                return f"{self.name}: {word.lower()}"
        if self.name == "celery" and one.parent != self.pid:
            return "celery: shipper"
        return f"{self.name}: worker" if "resque-" in title or self.name == "celery" else f"{self.name}: other"

    def signal(self, number: int) -> None:
        """Send its first process a signal."""
        if self.pid:
            os.kill(self.pid, number)

    def kill_all(self) -> list[int]:
        """SIGKILL to all its processes; gives which they were."""
        killed = []
        while found := self.processes():
            for one in found:
                with suppress(ProcessLookupError):
                    os.kill(one.pid, signal.SIGKILL)
                    killed.append(one.pid)
            if self.process is not None:
                with suppress(subprocess.TimeoutExpired):
                    self.process.wait(0.02)
            time.sleep(0.005)
        return killed

    def stop(self, number: int, patience: float) -> int | None:
        """Stop it by a signal; gives its exit status, None if it had none within so many seconds."""
        self.wanted = False
        process = self.process
        if process is None:
            return 0
        if process.poll() is None:
            process.send_signal(number)
        try:
            return process.wait(patience)
        except subprocess.TimeoutExpired:
            return None
