"""Memory: what each further worker process costs, with a large application loaded.

The application holds many small objects; each job touches a tenth of them, always the same one, or another each time.
What counts is the proportional set size (PSS) of all processes of the tree, so that what they share counts once.
"""

from __future__ import annotations

import json
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.programs import Program, family, running, wait_until
from benchmarks.run import Run
from benchmarks.timing import Figure, by_rounds
from clues.demo.redis_server import EmbeddedRedis
from clues.resque import Resque
from clues.resque.memory import pss

APP = """
import os
SIZE, WANDERS = int(os.environ["APP_BYTES"]), os.environ["APP_WANDERS"] == "1"
OBJECTS = []

def fill():
    with open("/proc/self/statm") as statm:
        start = int(statm.read().split()[1]) * 4096
    while True:
        OBJECTS.extend({"id": number, "name": f"row {number}"} for number in range(10_000))
        with open("/proc/self/statm") as statm:
            if int(statm.read().split()[1]) * 4096 - start >= SIZE:
                return

fill()
TENTH = len(OBJECTS) // 10

class Touch:
    queue = "q"

    @classmethod
    def perform(cls, number):
        place = number % 10 * TENTH if WANDERS else 0
        return sum(len(row["name"]) for row in OBJECTS[place:place + TENTH])
"""


_SIZE = 200 << 20


def measure(run: Run) -> list[Figure]:
    """The memory of trees of one process and of several, and what each further one adds to the first."""
    size, jobs, several = run.pick(_SIZE, 20 << 20), run.pick(1000, 50), run.pick(4, 2)
    figures = []
    for wanders, what in ((False, "the same tenth"), (True, "another tenth each time")):
        run.say(f"an application of {size >> 20} MB, each job touches {what}")
        cases = {count: partial(memory_of, size, count, jobs, wanders=wanders) for count in (1, several)}
        found = by_rounds({str(count): case for count, case in cases.items()}, rounds=run.rounds(2))
        further = [(more - first) / (several - 1) for first, more in zip(found["1"], found[str(several)], strict=True)]
        figures += [
            Figure.of(f"a tree of {several} processes, {what}", "B", found[str(several)]),
            Figure.of(f"each further process, {what}", "B", further),
            Figure.of(f"… of the application's size, {what}", "%", [100 * part / size for part in further]),
        ]
    return figures


def memory_of(size: int, processes: int, jobs: int, *, wanders: bool, jobs_per_fork: int = 0) -> int:
    """The memory of a tree in bytes, once each of its processes has worked its jobs."""
    with tempfile.TemporaryDirectory() as name, EmbeddedRedis() as redis:
        folder, client = Path(name), Resque(redis.url)
        (folder / "heavy.py").write_text(APP)
        environ = {
            "REDIS_URL": redis.url,
            "APP_BYTES": str(size),
            "APP_WANDERS": str(int(wanders)),
            "WORKER_COUNT": str(processes),
            "JOBS_PER_FORK": str(jobs_per_fork),
            "CLUES_RUN_DIR": str(folder / "run"),
        }
        command = [sys.executable, "-m", "clues", "work", "--app", "heavy", "--queues", "q"]
        with running([Program(command, environ, folder)]) as (tree,):
            wait_until(lambda: len(client.workers()) == processes, "workers")
            wait_until(lambda: len(family(tree.pid)) >= processes + 2, "worker processes")
            wanted = jobs * processes
            client.store.push_many({"q": [json.dumps({"class": "Touch", "args": [n]}).encode() for n in range(wanted)]})
            wait_until(lambda: client.stat("processed") == wanted, "the jobs", patience=300)
            return sum(pss(pid) or 0 for pid in family(tree.pid) if pid != tree.pid)
