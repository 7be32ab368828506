"""Who drains and enqueues: each peer as its documents set it up, with the settings that made it fastest here.

Results are switched off where a system would store them, logs are quiet, two processes work where it has processes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

OWN = "own"
"""The folder of clues' own jobs, which run in the environment of the benchmarks."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A job system with its settings.

    Attributes:
        name: for readers.
        folder: of its tasks, in ``benchmarks/peers``; its environment has the same name.
        workers: the commands that start its workers; ``{url}`` stands for Redis'.
        jobs: to drain in a full run, so that it takes some seconds; a twentieth in a quick one.
        enqueue: the script that enqueues them.
        environ: its settings.
        log: whether clues writes every event of these jobs into the log; of another system, by its adapter.
        light: whether it is part of quick runs.
    """

    name: str
    folder: str
    workers: tuple[tuple[str, ...], ...]
    jobs: int
    enqueue: str = "enqueue.py"
    environ: Mapping[str, str] = field(default_factory=dict)
    log: bool = False
    light: bool = False


CELERY = ("celery", "-A", "tasks", "worker", "-l", "ERROR", "--without-gossip", "--without-mingle",
           "--without-heartbeat", "--prefetch-multiplier", "64")  # fmt: skip
_RQ = ("rq", "worker", "--quiet", "--url", "{url}")
_TASKIQ = ("taskiq", "worker", "tasks:broker", "--workers", "2", "--log-level", "WARNING", "--no-parse",
           "--ack-type", "when_received")  # fmt: skip

PEERS = (
    Contender("Celery prefork", "celery", ((*CELERY, "-P", "prefork", "-c", "2"),), 5_000),
    Contender("Celery solo, 2 of them", "celery", tuple((*CELERY, "-P", "solo", "-n", name) for name in "ab"), 10_000),
    Contender("RQ fork", "rq", ((*_RQ, "bench"),) * 2, 300, "enqueue_many.py", light=True),
    Contender(
        "RQ SimpleWorker", "rq", ((*_RQ, "-w", "rq.worker.SimpleWorker", "bench"),) * 2, 2_000, "enqueue_many.py"
    ),
    Contender("Dramatiq", "dramatiq", (("dramatiq", "tasks", "--processes", "2"),), 20_000),
    Contender("Huey", "huey", (("huey_consumer", "tasks.huey", "-k", "process", "-w", "2", "-q"),), 20_000, light=True),
    Contender("taskiq", "taskiq", (_TASKIQ,), 20_000),
    Contender("SAQ", "saq", (("saq", "tasks.settings", "--workers", "2", "--quiet"),), 15_000),
    Contender("arq", "arq", (("arq", "tasks.WorkerSettings"),) * 2, 4_000, "enqueue_pipelined.py"),
)


def own(
    name: str, jobs: int, *, log: bool = True, light: bool = False, queues: str = "bench", **settings: object
) -> Contender:
    """Clues with some settings, such as ``BATCH_SIZE=64``; a process is never replaced unless they say so."""
    environ = {"WORKER_COUNT": "2", "JOBS_PER_FORK": "0", **{key: str(value) for key, value in settings.items()}}
    work = ("python", "-m", "clues", "work", "--app", "jobs", "--queues", queues)
    return Contender(name, OWN, (work,), jobs, "enqueue_many.py", environ, log, light)


CLUES = (
    own("clues, log, BATCH_SIZE=1", 40_000, light=True),
    own("clues, log, BATCH_SIZE=64", 300_000, BATCH_SIZE=64, light=True),
    own("clues, log, BATCH_SIZE=256", 300_000, BATCH_SIZE=256),
    own("clues, unconfigured, BATCH_SIZE=1", 40_000, log=False, light=True),
    own("clues, unconfigured, BATCH_SIZE=64", 300_000, log=False, BATCH_SIZE=64, light=True),
    own("clues, log, JOBS_PER_FORK=1", 2_000, JOBS_PER_FORK=1, light=True),
    own("clues, log, JOBS_PER_FORK=100", 40_000, JOBS_PER_FORK=100),
    own("clues, log, JOBS_PER_FORK=1000", 40_000, JOBS_PER_FORK=1000),
    own("clues, log, THREAD_COUNT=4", 40_000, THREAD_COUNT=4),
    own("clues, log, THREAD_COUNT=16", 40_000, THREAD_COUNT=16),
    own("clues, log, THREAD_COUNT=4, BATCH_SIZE=64", 300_000, THREAD_COUNT=4, BATCH_SIZE=64),
    own("clues, log, THREAD_COUNT=16, BATCH_SIZE=64", 300_000, THREAD_COUNT=16, BATCH_SIZE=64),
)
