"""What an adapter adds to a job of the system that it observes: CPU in enqueueing and in the worker, round by round.

Each round runs a system bare, then observed, one right after the other, and takes the difference of these two: what the
machine does besides changes both. A system's jobs are enqueued by one process, and drained by one worker.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from benchmarks.arena import Arena
from benchmarks.contenders import CELERY, Contender
from benchmarks.delivery import back_ends
from benchmarks.drain import present
from benchmarks.run import Run
from benchmarks.timing import Figure, by_rounds

OPENTELEMETRY = "opentelemetry-instrumentation-celery"

BARE = (
    Contender("Celery", "celery", ((*CELERY, "-P", "solo"),), 4_000),
    Contender(
        "RQ", "rq", (("rq", "worker", "--quiet", "--url", "{url}", "-w", "tasks.Worker", "bench"),), 1_000,
        light=True,
    ),
    Contender(
        "Dramatiq", "dramatiq", (("dramatiq", "tasks", "--processes", "1", "--threads", "1"),), 6_000,
        # By default a thread has two messages beside it, and mostly waits for more.
        environ={"dramatiq_queue_prefetch": "64"},
    ),
    Contender("Huey", "huey", (("huey_consumer", "tasks.huey", "-k", "thread", "-w", "1", "-q"),), 8_000, light=True),
    Contender("arq", "arq", (("arq", "tasks.WorkerSettings"),), 2_000),
    Contender(
        "taskiq", "taskiq",
        (("taskiq", "worker", "tasks:broker", "--workers", "1", "--log-level", "WARNING", "--no-parse"),), 6_000,
    ),
)  # fmt: skip
"""The systems as they are: one worker, which does one job after the other, or (arq, taskiq) many in one event loop."""


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds of a job.

    Attributes:
        enqueue: in the process that enqueues.
        worker: in all processes of the worker.
    """

    enqueue: float
    worker: float


def measure(run: Run) -> list[Figure]:
    """Every system, bare and observed, in each round."""
    run.note("adapters: clues writes every event into a log; OpenTelemetry's SDK sends spans over HTTP, or drops them")
    with Arena(run) as arena, back_ends(arena.folder) as ports:
        collector = f"http://127.0.0.1:{ports['otlp']}"
        systems = {one.name: _contenders(run, one, collector) for one in present(run, BARE)}
        cases = {one.name: partial(_once, arena, one) for some in systems.values() for one in some}
        found = by_rounds(cases, rounds=run.rounds(7))
    return [
        figure
        for bare, *observed in systems.values()
        for one in observed
        for figure in added_figures(one.name, found[bare.name], found[one.name])
    ]


def _contenders(run: Run, bare: Contender, collector: str) -> list[Contender]:
    """A system bare, with clues, and with OpenTelemetry's instrumentation where there is an official one."""
    found = [bare, replace(bare, name=f"clues on {bare.name}", log=True)]
    if bare.name == "Celery":
        official = replace(bare, name=f"OpenTelemetry on {bare.name}", folder=OPENTELEMETRY)
        told = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector}
        drops = f"{official.name}, spans dropped"
        found += present(run, (replace(official, environ=told), replace(official, name=drops)))
    return found


def _once(arena: Arena, contender: Contender) -> Cost:
    jobs = contender.jobs // arena.run.pick(1, 10)
    arena.client.flushall()
    enqueue = arena.enqueue(contender, jobs).cpu
    worker = arena.drain(contender, jobs).cpu
    arena.run.say(f"{contender.name}: {enqueue * 1e6:.1f} µs to enqueue, {worker * 1e6:.1f} µs in the worker")
    return Cost(enqueue, worker)


def added_figures(name: str, bare: Sequence[Cost], observed: Sequence[Cost]) -> list[Figure]:
    """What it adds to enqueueing and to the worker; beside it, what there is without and with it."""
    costs = {
        "enqueue": ([one.enqueue for one in bare], [one.enqueue for one in observed]),
        "worker": ([one.worker for one in bare], [one.worker for one in observed]),
    }
    found = []
    for where, (without, with_it) in costs.items():
        added = [after - before for before, after in zip(without, with_it, strict=True)]
        found += [
            Figure.of(f"{name}, {where}", "s", added),
            Figure.of(f"{name}, {where}: bare", "s", without),
            Figure.of(f"{name}, {where}: observed", "s", with_it),
        ]
    return found
