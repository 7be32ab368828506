"""From push to start: how long a job waits that is pushed to idle workers, or to ones that are busy most of the time.

The wait is the job's own clock when it starts, less the pusher's when it calls `enqueue`, stamped and logged. Under
load, jobs that sleep for some milliseconds come at random moments, so many that two workers are busy for 80 % of the
time; what two perfect workers would make of the same moments is shown beside.
"""

from __future__ import annotations

import heapq
import mmap
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.arena import Arena
from benchmarks.contenders import own
from benchmarks.programs import wait_until
from benchmarks.run import Run
from benchmarks.timing import Figure, by_rounds
from clues.config import Config, Settings
from clues.lifecycle import Lifecycle
from clues.publishers import LogPublisher
from clues.resque import Resque

_BUSY = 0.005  # seconds that a job sleeps, under load
_LOAD = 0.8
_MOST = 10_000
_WARM = 20


def measure(run: Run) -> list[Figure]:
    """Each case in each round."""
    with Arena(run) as arena:
        cases: dict[str, Callable[[], dict[str, list[float]]]] = {
            "idle": partial(_idle, arena, "idle", run.pick(300, 30), 0, (0.005, 0.03)),
            "forked": partial(_idle, arena, "idle, a fork for each job", run.pick(150, 15), 1, (0.04, 0.1)),
            "loaded": partial(_loaded, arena, run.pick(2000, 200)),
        }
        found = by_rounds(cases, rounds=run.rounds(3))
    return [
        Figure.of(f"{name}, {label}", "s", [quantile(waits[name], part) for waits in rounds])
        for rounds in found.values()
        for name in rounds[0]
        for label, part in (("p50", 0.5), ("p99", 0.99))
    ]


def quantile(values: Sequence[float], part: float) -> float:
    """The smallest value that at least this part of them does not exceed."""
    return sorted(values)[max(0, -int(-len(values) * part // 1) - 1)]


def perfect_waits(arrivals: Sequence[float], service: float, workers: int = 2) -> list[float]:
    """How long jobs wait that come at these moments and take so long each, if taking them costs nothing."""
    free = [0.0] * workers
    waits = []
    for moment in arrivals:
        start = max(moment, heapq.heappop(free))
        heapq.heappush(free, start + service)
        waits.append(start - moment)
    return waits


def _idle(arena: Arena, name: str, pushes: int, per_fork: int, pause: tuple[float, float]) -> dict[str, list[float]]:
    chance = random.Random(1)
    with _tree(arena, per_fork) as tree:
        for _ in range(pushes):
            time.sleep(chance.uniform(*pause))
            tree.push()
            tree.wait()
    waits = tree.waits()
    arena.run.say(f"{name}: p50 {quantile(waits, 0.5) * 1e3:.2f} ms, p99 {quantile(waits, 0.99) * 1e3:.2f} ms")
    return {name: waits}


def _loaded(arena: Arena, pushes: int) -> dict[str, list[float]]:
    chance = random.Random(2)
    with _tree(arena, 0) as tree:
        rate = _LOAD * _capacity(tree, pushes // 5)
        tree.forget()
        moments, moment = [], time.time()
        for _ in range(pushes):
            moment += chance.expovariate(rate)
            time.sleep(max(0.0, moment - time.time()))
            tree.push(_BUSY)
            moments.append(moment)
        tree.wait()
    waits = tree.waits()
    arena.run.say(f"80 % load: p50 {quantile(waits, 0.5) * 1e3:.2f} ms, p99 {quantile(waits, 0.99) * 1e3:.2f} ms")
    perfect = perfect_waits(moments, 2 * _LOAD / rate)
    return {"80 % load": waits, "80 % load, two perfect workers": perfect}


def _capacity(tree: _Tree, jobs: int) -> float:
    """Jobs a second that the workers can do when there are always some."""
    for _ in range(jobs):
        tree.push(_BUSY)
    tree.wait()
    return (jobs - 1) / (max(tree.started()) - min(tree.started()))


class _Tree:
    """Workers, and the moments of what is pushed to them and started."""

    def __init__(self, client: Resque, starts: memoryview[float]) -> None:
        self._client = client
        self._starts = starts
        self._first = 0
        self._pushed: list[float] = []

    def push(self, busy: float = 0.0) -> None:
        number = self._first + len(self._pushed)
        self._pushed.append(time.time())
        self._client.enqueue_to("bench", "Started", number, busy)

    def wait(self) -> None:
        """Until all that was pushed has started."""
        last = range(self._first, self._first + len(self._pushed))
        wait_until(lambda: self._starts[last[-1]] and all(self._starts[one] for one in last), "jobs to start")

    def started(self) -> list[float]:
        return [self._starts[self._first + place] for place in range(len(self._pushed))]

    def waits(self) -> list[float]:
        return [start - push for start, push in zip(self.started(), self._pushed, strict=True)]

    def forget(self) -> None:
        """Count from here on."""
        self._first += len(self._pushed)
        self._pushed = []


@contextmanager
def _tree(arena: Arena, per_fork: int) -> Iterator[_Tree]:
    """Two workers at work that have had some jobs, and a client that logs."""
    arena.client.flushall()
    place = arena.folder / "moments"
    contender = own("latency", 0, JOBS_PER_FORK=per_fork, BENCH_MOMENTS=place)
    with _zeros(place) as starts, arena.working(contender):
        log = LogPublisher(arena.folder / "pushed.log")
        client = Resque(arena.url, lifecycle=Lifecycle(Settings(Config(log))))
        tree = _Tree(client, starts)
        wait_until(lambda: len(client.workers()) == 2, "workers")
        for _ in range(_WARM):
            tree.push()
            tree.wait()
        tree.forget()
        yield tree
        log.close()


@contextmanager
def _zeros(place: Path) -> Iterator[memoryview[float]]:
    place.write_bytes(bytes(8 * _MOST))
    with place.open("r+b") as file:
        yield memoryview(mmap.mmap(file.fileno(), 0)).cast("d")
