"""Where job systems are measured: one Redis for all, emptied between them, and a folder for what they write."""

from __future__ import annotations

import json
import mmap
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Self

import redis

from benchmarks.contenders import OWN, Contender
from benchmarks.environments import PEERS, prepared
from benchmarks.programs import Program, ProgramError, cpu_of, output_of, running, wait_until
from benchmarks.run import Run
from benchmarks.snapshot import Snapshot
from clues.demo.redis_server import EmbeddedRedis

IN_WORKER = ("dequeued", "perform_started", "perform_finished")
"""The events of a job that succeeds, but for the one of its enqueueing."""

_SLOTS = 4096  # as in peers/shared/tally.py
_STALLED = 60.0
_LOOK = 0.005
_CHUNK = 1 << 24


@dataclass(frozen=True, slots=True)
class Drained:
    """What a drain took.

    Attributes:
        rate: jobs a second.
        cpu: CPU seconds of the workers for each job, user and system, Redis' left out.
    """

    rate: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Enqueued:
    """What enqueueing took, in its process.

    Attributes:
        rate: jobs a second.
        cpu: CPU seconds of the process for each job.
    """

    rate: float
    cpu: float


class Arena:
    """A Redis, a folder, and a tally of jobs in shared memory, for the time of a ``with`` block.

    Attributes:
        run: the run it is part of.
        url: of Redis.
        client: talks to it.
        folder: for files.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self._stack = ExitStack()
        self._filled: dict[tuple[object, ...], Snapshot] = {}

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="clues-bench-")))
            self.url = stack.enter_context(EmbeddedRedis()).url
            self.client: redis.Redis = stack.enter_context(redis.Redis.from_url(self.url))
            self._tally = self.folder / "tally"
            self._tally.write_bytes(bytes(8 * _SLOTS))
            file = stack.enter_context(self._tally.open("r+b"))
            self._counts = memoryview(mmap.mmap(file.fileno(), 0)).cast("Q")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def enqueue(self, contender: Contender, jobs: int) -> Enqueued:
        """Run a contender's script that enqueues; the jobs stay in Redis."""
        script = PEERS / contender.folder / contender.enqueue
        told = json.loads(output_of(self._program(contender, ["python", str(script), str(jobs)])))
        return Enqueued(told["jobs"] / told["seconds"], told["cpu"] / told["jobs"])

    def filled(self, contender: Contender, jobs: int) -> Snapshot:
        """Redis with its jobs enqueued; they are enqueued once."""
        key = (contender.folder, contender.enqueue, contender.log, jobs)
        if key not in self._filled:
            self.client.flushall()
            self.enqueue(contender, jobs)
            self._filled[key] = Snapshot.of(self.client)
        return self._filled[key]

    def drain(self, contender: Contender, jobs: int, *, measured: int = 0) -> Drained:
        """Start the workers on what Redis holds, and measure until the jobs are done.

        Args:
            contender: whose workers.
            jobs: how many there are.
            measured: how many to measure, where that is not all of them; the others are left.

        Raises:
            ProgramError: they are not done, or (clues) the log does not tell each of them.
        """
        with self.working(contender) as workers:
            found = self._watch(workers, measured or jobs)
            if contender.log and contender.folder != OWN:  # they are not waited for: they take what comes until killed
                wait_until(lambda: self._told() == dict.fromkeys(IN_WORKER, jobs), f"the events of {jobs} jobs")
        if not measured:
            self._check(contender, jobs)
        (self.folder / "clues.log").unlink(missing_ok=True)
        return found

    @contextmanager
    def working(self, contender: Contender) -> Iterator[Sequence[Popen[bytes]]]:
        """Its workers at work; those of clues end as they should, so that all of the log is written."""
        self._counts[:] = memoryview(bytes(8 * _SLOTS)).cast("Q")
        (self.folder / "clues.log").unlink(missing_ok=True)
        programs = [self._program(contender, command) for command in contender.workers]
        with running(programs, stop=signal.SIGQUIT if contender.folder == OWN else signal.SIGKILL) as workers:
            yield workers

    @property
    def performed(self) -> int:
        """How many jobs the workers have performed."""
        return sum(self._counts)

    def _watch(self, workers: Sequence[Popen[bytes]], jobs: int) -> Drained:
        first = self._until(jobs // 20, workers, 1.0)
        cpu = sum(cpu_of(worker.pid) for worker in workers)
        last = self._until(jobs, workers)
        cpu = sum(cpu_of(worker.pid) for worker in workers) - cpu
        done = last[1] - first[1]
        return Drained(done / (last[0] - first[0]), cpu / done)

    def _until(self, jobs: int, workers: Sequence[Popen[bytes]], longest: float = 3600.0) -> tuple[float, int]:
        """When so many are performed, or some for so long; the moment, and how many there are."""
        began: float | None = None
        count, moved = 0, time.monotonic()
        while True:
            count, before, now = self.performed, count, time.monotonic()
            if count and began is None:
                began = now
            if count >= jobs or (began is not None and now - began >= longest):
                return now, count
            if count != before:
                moved = now
            elif now - moved > _STALLED or any(worker.poll() is not None for worker in workers):
                raise ProgramError(f"{count} of {jobs} jobs are performed, and the workers ended or stall")
            time.sleep(_LOOK)

    def _check(self, contender: Contender, jobs: int) -> None:
        if self.performed != jobs:
            raise ProgramError(f"{contender.name}: {self.performed} jobs were performed, not {jobs}")
        if contender.log:
            told = self._told()
            if told != dict.fromkeys(IN_WORKER, jobs):
                raise ProgramError(f"{contender.name}: the log tells {told}, of {jobs} jobs")

    def _told(self) -> dict[str, int]:
        return events_in(self.folder / "clues.log")

    def _program(self, contender: Contender, command: Sequence[str]) -> Program:
        """A command in the contender's environment."""
        folder = PEERS / contender.folder
        path, log = [PEERS / "shared", folder], f"{self.folder}/clues.log"
        if contender.folder == OWN:
            program, path = sys.executable, [PEERS.parents[1], *path]
            own = {"CLUES_RUN_DIR": str(self.folder / "run")}
            if contender.log:
                own["CLUES_PUBLISHERS"] = f"log://{log}"
        else:
            place = prepared(contender.folder, self.run)
            assert place is not None
            program, own = str(place / command[0]), {}
            if contender.log:
                path, own = [PEERS.parents[1], *path], {"BENCH_LOG": log}
        environ = {
            "REDIS_URL": self.url,
            "BENCH_TALLY": str(self._tally),
            "PYTHONPATH": ":".join(map(str, path)),
            "PYTHONDONTWRITEBYTECODE": "1",
            **own,
            **contender.environ,
        }
        arguments = [part.replace("{url}", self.url) for part in command[1:]]
        return Program([program, *arguments], environ, folder)


def events_in(log: Path) -> dict[str, int]:
    """How many events of each of a worker's types a log holds; of others, as ``other``."""
    found = dict.fromkeys(IN_WORKER, 0)
    lines = 0
    marks = {name: f'{{"event_type":"{name}",'.encode() for name in found}
    with log.open("rb") as file:
        while chunk := file.read(_CHUNK) + file.readline():
            lines += chunk.count(b"\n")
            for name, mark in marks.items():
                found[name] += chunk.count(mark)
    other = lines - sum(found.values())
    return found | ({"other": other} if other else {})
