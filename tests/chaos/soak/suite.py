"""All of clues at work at once: two worker trees, Celery, producers, shippers, every publisher, two Redis servers."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py

from clues.publishers.health import Health
from clues.publishers.spool import Spool
from clues.resque import Resque
from tests.chaos.soak import shifted_clock
from tests.chaos.soak.back_ends import BackEnd, all_of_them
from tests.chaos.soak.enclosure import small_disk
from tests.chaos.soak.processes import Program
from tests.chaos.soak.shifted_clock import ShiftedClock
from tests.conformance.environments import ROOT, python_of
from tests.redis_server import RedisServer, private_server

_KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR")
_DURABLE = ("--appendonly", "yes", "--appendfsync", "always")
SHAPES = (
    {"WORKER_COUNT": "2", "THREAD_COUNT": "3", "JOBS_PER_FORK": "50"},
    {"WORKER_COUNT": "2", "THREAD_COUNT": "2", "JOBS_PER_FORK": "100", "BATCH_SIZE": "16"},
    {"WORKER_COUNT": "2"},
)
"""What the tree under fire is started as, one after the other."""
_LADDER = {"TERM_CHILD": "1", "RESQUE_PRE_SHUTDOWN_TIMEOUT": "0.5", "RESQUE_TERM_TIMEOUT": "2"}
_SOON = {"HEARTBEAT_INTERVAL_SECONDS": "1", "HEARTBEATS_BEFORE_DEAD": "20"}


@dataclass
class Suite:
    """Everything that is at work.

    Attributes:
        folder: on the machine's own disk: marks, notes, output, old logs.
        log: the folder of the event log, a small disk where that can be had; so too `spool` and `run`.
        redis: of clues' own jobs; `celery_redis` of Celery's.
        back_ends: where events go.
        storm: the tree under fire; `calm`: the one that is spared.
        disks: the folders that are small disks.
        rate: jobs a second.
        lacks: what can't be had here, and why.
        clock: of the tree under fire; None where it can't be shifted.
    """

    folder: Path
    seed: int
    redis: RedisServer
    celery_redis: RedisServer
    back_ends: list[BackEnd]
    disks: list[Path]
    clock: ShiftedClock | None
    rate: float
    lacks: dict[str, str] = field(default_factory=dict)
    programs: dict[str, Program] = field(default_factory=dict)
    _shape: int = 0

    @property
    def events(self) -> Path:
        """The event log."""
        return self.folder / "log" / "events.log"

    @property
    def spools(self) -> list[Spool]:
        """Those of the programs under fire, which they share, and of the tree that is spared."""
        return [Spool(self.folder / "spool" / "storm"), Spool(self.folder / "calm" / "spool")]

    @property
    def storm(self) -> Program:
        """The tree under fire."""
        return self.programs["storm"]

    def environ(self, **more: str) -> dict[str, str]:
        """What all programs find in their environment."""
        publishers = [f"log://{self.events}", *(one.url for one in self.back_ends)]
        own = {
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "HOME": str(self.folder),
            "SOAK_FOLDER": str(self.folder),
            "SOAK_CELERY_REDIS": self.celery_redis.url,
            "REDIS_URL": self.redis.url,
            "CLUES_PUBLISHERS": ",".join(publishers),
            "CLUES_SPOOL": str(self.spools[0].folder),
            "CLUES_RUN_DIR": str(self.folder / "run"),
        }
        return {name: os.environ[name] for name in _KEPT if name in os.environ} | own | more

    def make(self) -> None:
        """Say what programs there are."""
        python = sys.executable
        work = [python, "-m", "clues", "work", "--app", "tests.chaos.soak.resque_app", "--interval", "1", "--queues"]
        storm = self.environ(
            **SHAPES[0], **_LADDER, **_SOON, **(self.clock.environ if self.clock else {}), VVERBOSE="1"
        )
        calm = self.environ(
            WORKER_COUNT="1", THREAD_COUNT="2", JOBS_PER_FORK="0", BATCH_SIZE="4", VVERBOSE="1", **_SOON
        ) | {"CLUES_SPOOL": str(self.spools[1].folder)}
        # Their journal is the same as the others', so all back ends get Celery's events, too.
        tcp = next(one.url for one in self.back_ends if one.name == "tcp")
        direct = [one.url for one in self.back_ends if not one.held]
        celery = self.environ(CLUES_PUBLISHERS=",".join([f"log://{self.events}", tcp, *direct]))
        ship = [python, "-m", "clues", "ship", "--follow", str(self.spools[0].folder)]
        for one in self.back_ends:
            ship += ["--to", one.url] if one.held else []
        produce = ["-m", "tests.chaos.soak.producer"]
        rates = str(self.rate), str(self.rate / 4)
        seed = str(self.seed)
        self._program("storm", [*work, "storm"], storm)
        self._program("calm", [*work, "calm"], calm, spared=True)
        self._program("ship", ship, self.environ())
        worker = ["worker", "--loglevel", "WARNING", "--concurrency", "2", "--without-gossip", "--without-mingle"]
        self._program("resque-producer", [python, *produce, "resque", rates[0], seed], self.environ())
        try:
            celery_python = python_of("celery-newest")
        except pytest.skip.Exception as reason:
            self.lacks["celery"] = str(reason)
            return
        self._program("celery", [celery_python, "-m", "celery", "-A", "tests.chaos.soak.celery_app", *worker], celery)
        self._program("celery-producer", [celery_python, *produce, "celery", rates[1], seed], celery)

    def _program(self, name: str, command: list[Any], environ: dict[str, str], *, spared: bool = False) -> None:
        self.programs[name] = Program(name, command, environ, self.folder, spared)

    def keep(self) -> None:
        """Start again what has ended; the tree under fire in its next shape."""
        for program in self.programs.values():
            starts = program.starts
            program.keep()
            if program.name == "storm" and program.starts > starts:
                self._shape += 1
                shape = SHAPES[self._shape % len(SHAPES)]
                known = {key for one in SHAPES for key in one}
                program.environ = {key: value for key, value in program.environ.items() if key not in known} | shape

    def pids(self) -> set[int]:
        """The processes that somebody here waits for."""
        servers = [server._process for server in (self.redis, self.celery_redis)]
        mine = [program.process for program in self.programs.values()]
        return {process.pid for process in (*servers, *mine) if process is not None}

    def hashes(self) -> set[tuple[int, str]]:
        """The numbers of jobs, with their hashes, as back ends have seen them."""
        return set().union(*(one.hashes() for one in self.back_ends))

    # what is left to do

    def client(self) -> Resque:
        """A client of clues' own."""
        return Resque(self.redis.url)

    def left(self) -> dict[str, int]:
        """What is still to be worked and delivered, by what it is; empty if nothing is."""
        client = self.client()
        found = {"waiting": client.size("storm") + client.size("calm"), "running": len(client.working())}
        found["batches"] = sum(1 for _ in client.store.client.scan_iter(match="*worker:*:batch"))
        with redis_py.Redis.from_url(self.celery_redis.url, socket_timeout=5) as celery:
            found["celery waiting"] = int(celery.llen("celery"))
            found["celery unacknowledged"] = int(celery.hlen("unacked"))
        for spool in self.spools:
            for progress in Health(spool).progress():
                found[f"for {progress.name} in {spool.folder.parent.name}"] = progress.lag_events
        return {what: count for what, count in found.items() if count}

    def stop(self) -> dict[str, int | None]:
        """Stop all programs in order; gives their exit statuses."""
        signals = {"storm": signal.SIGQUIT, "calm": signal.SIGQUIT}
        found = {}
        for name in ("resque-producer", "celery-producer", "celery", "storm", "calm", "ship"):
            program = self.programs.get(name)
            if program is not None and program.starts:
                found[name] = program.stop(signals.get(name, signal.SIGTERM), 60)
        return found

    def stop_producing(self) -> None:
        """End the producers."""
        for name, program in self.programs.items():
            if name.endswith("-producer"):
                program.stop(signal.SIGTERM, 60)

    def kill(self) -> None:
        """End everything, at once."""
        for program in self.programs.values():
            program.wanted = False
            program.kill_all()


@contextmanager
def suite(folder: Path, seed: int, rate: float) -> Iterator[Suite]:
    """A suite in a folder; nothing of it runs any more at the block's end."""
    disks = []
    for name, megabytes in (("log", 64), ("spool", 64), ("run", 32)):
        (folder / name).mkdir(mode=0o700, exist_ok=True)
        if small_disk(folder / name, megabytes):
            disks.append(folder / name)
    (folder / "old").mkdir(exist_ok=True)
    (folder / "calm").mkdir(exist_ok=True)
    clock = None if shifted_clock.lacking() else ShiftedClock(folder)
    with ExitStack() as stack:
        servers = [stack.enter_context(private_server(*_DURABLE)) for _ in range(2)]
        back_ends = stack.enter_context(all_of_them(folder, seed))
        stack.enter_context(_hearing(folder / "told", folder / "marks"))
        made = Suite(folder, seed, servers[0], servers[1], back_ends, disks, clock, rate)
        made.make()
        try:
            yield made
        finally:
            made.kill()
            for path in disks:  # they vanish with us
                shutil.copytree(path, folder / "kept" / path.name, dirs_exist_ok=True)
            for server in servers:  # one that was stopped hears no TERM
                with suppress(AttributeError, ProcessLookupError):
                    os.kill(server._process.pid, signal.SIGCONT)  # type: ignore[union-attr]


@contextmanager
def _hearing(pipe: Path, into: Path) -> Iterator[None]:
    """Write down what jobs tell."""
    os.mkfifo(pipe)
    fd = os.open(pipe, os.O_RDWR)
    over = b"over\n"

    def hear() -> None:
        with into.open("ab", buffering=0) as file:
            while not (data := os.read(fd, 1 << 16)).endswith(over):
                file.write(data)
            file.write(data.removesuffix(over))

    thread = threading.Thread(target=hear)
    thread.start()
    try:
        yield
    finally:
        os.write(fd, over)
        thread.join()
        os.close(fd)
