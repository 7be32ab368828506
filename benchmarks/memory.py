"""``python -m benchmarks.memory``: what each further worker process costs in memory, with a large application loaded.

The application holds many small objects; each job touches a tenth of them, always the same one, or another each time.
What counts is the proportional set size (PSS) of all processes of the tree, so that what they share counts once.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

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


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--megabytes", type=int, default=200, help="size of the application")
    parser.add_argument("--jobs", type=int, default=1000, help="jobs that each process works before it is measured")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4], help="worker processes; 1 comes first")
    parser.add_argument("--jobs-per-fork", type=int, default=0, help="jobs after which a process is replaced; 0: never")
    options = parser.parse_args()
    per_fork = f"JOBS_PER_FORK={options.jobs_per_fork}"
    print(f"an application of {options.megabytes} MB, {options.jobs} jobs a process, {per_fork}")
    for wanders in (False, True):
        first = 0
        for count in options.processes:
            total = measure(options.megabytes << 20, count, options.jobs, options.jobs_per_fork, wanders=wanders)
            first = first or total
            more = (total - first) / (count - 1) / (options.megabytes << 20) if count > 1 else 0.0
            what = "another tenth each time" if wanders else "the same tenth"
            print(f"  {what:<24} {count} processes  {total / 2**20:7.1f} MB in all  {more:6.1%} for each further one")


def measure(size: int, processes: int, jobs: int, jobs_per_fork: int, *, wanders: bool) -> int:
    """The memory of a tree in bytes, once each of its processes has worked its jobs."""
    with tempfile.TemporaryDirectory() as name, EmbeddedRedis() as redis:
        folder, client = Path(name), Resque(redis.url)
        (folder / "heavy.py").write_text(APP)
        environ = {
            **os.environ,
            "REDIS_URL": redis.url,
            "APP_BYTES": str(size),
            "APP_WANDERS": str(int(wanders)),
            "WORKER_COUNT": str(processes),
            "JOBS_PER_FORK": str(jobs_per_fork),
            "CLUES_RUN_DIR": str(folder / "run"),
        }
        command = [sys.executable, "-m", "clues", "work", "--app", "heavy", "--queues", "q"]
        tree = subprocess.Popen(command, cwd=folder, env=environ, start_new_session=True)
        try:
            wait(lambda: len(client.workers()) == processes)
            wait(lambda: len(family(tree.pid)) >= processes + 2)
            wanted = jobs * processes
            client.store.push_many({"q": [json.dumps({"class": "Touch", "args": [n]}).encode() for n in range(wanted)]})
            wait(lambda: client.stat("processed") == wanted)
            return sum(pss(pid) or 0 for pid in family(tree.pid) if pid != tree.pid)
        finally:
            tree.send_signal(signal.SIGQUIT)
            tree.wait(60)


def family(session: int) -> list[int]:
    """The processes of a session."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] != "Z" and int(fields[3]) == session:
                found.append(int(entry.name))
    return found


def wait(condition: object) -> None:
    """Until it holds."""
    while not condition():  # type: ignore[operator]
        time.sleep(0.05)


if __name__ == "__main__":
    main()
