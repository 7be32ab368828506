"""Enqueue throughput: how fast one process puts jobs into a queue, one at a time and many at once."""

from __future__ import annotations

from functools import partial

from benchmarks.arena import Arena, Enqueued
from benchmarks.contenders import OWN, Contender
from benchmarks.drain import present
from benchmarks.programs import ProgramError
from benchmarks.run import Run
from benchmarks.timing import Figure, by_rounds

CONTENDERS = (
    Contender("Celery", "celery", (), 5_000),
    Contender("RQ", "rq", (), 5_000, light=True),
    Contender("Dramatiq", "dramatiq", (), 20_000),
    Contender("Huey", "huey", (), 30_000, light=True),
    Contender("taskiq", "taskiq", (), 8_000),
    Contender("SAQ", "saq", (), 8_000),
    Contender("arq", "arq", (), 5_000),
    Contender("clues, log", OWN, (), 20_000, log=True, light=True),
    Contender("clues, unconfigured", OWN, (), 20_000, light=True),
    Contender("RQ enqueue_many", "rq", (), 20_000, "enqueue_many.py", light=True),
    Contender("arq gathered", "arq", (), 6_000, "enqueue_gathered.py"),
    Contender("arq pipelined", "arq", (), 30_000, "enqueue_pipelined.py"),
    Contender("clues enqueue_many, log", OWN, (), 100_000, "enqueue_many.py", log=True, light=True),
    Contender("clues enqueue_many, unconfigured", OWN, (), 100_000, "enqueue_many.py", light=True),
)


def measure(run: Run) -> list[Figure]:
    """Every contender in each round."""
    contenders = present(run, CONTENDERS)
    with Arena(run) as arena:
        left_out: set[str] = set()
        cases = {one.name: partial(_once, arena, one, left_out) for one in contenders}
        found = {
            name: [one for one in values if one] for name, values in by_rounds(cases, rounds=run.rounds(5)).items()
        }
    whole = {name: values for name, values in found.items() if name not in left_out}
    return [
        *(Figure.of(name, "jobs/s", [one.rate for one in values]) for name, values in whole.items()),
        *(Figure.of(f"{name}: CPU of a job", "s", [one.cpu for one in values]) for name, values in whole.items()),
    ]


def _once(arena: Arena, contender: Contender, left_out: set[str]) -> Enqueued | None:
    if contender.name in left_out:
        return None
    arena.client.flushall()
    try:
        found = arena.enqueue(contender, contender.jobs // arena.run.pick(1, 10))
    except ProgramError as error:
        if contender.folder == OWN:
            raise
        left_out.add(contender.name)
        arena.run.note(f"{contender.name} is left out: {str(error).splitlines()[0]}")
        return None
    (arena.folder / "clues.log").unlink(missing_ok=True)
    arena.run.say(f"{contender.name}: {found.rate:,.0f} jobs/s, {found.cpu * 1e6:.0f} µs CPU a job")
    return found
