"""Scaling: more processes, more jobs waiting, more queues, larger arguments; every event in the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from benchmarks.arena import Arena, Drained
from benchmarks.contenders import Contender, own
from benchmarks.run import Run
from benchmarks.timing import Figure, by_rounds
from clues.resque.wire import encode

_PUSHED = 500  # items in a command
_SIZES = (("1 KB", 1_000, 10_000), ("10 KB", 10_000, 5_000), ("100 KB", 100_000, 2_000), ("1 MB", 1_000_000, 300))


@dataclass(frozen=True, slots=True)
class Case:
    """A drain.

    Attributes:
        contender: with which settings, and its name.
        jobs: how many jobs wait.
        measured: how many of them are measured.
        queues: in how many queues they wait.
        size: of each job's arguments, in bytes; 0 for ``(1, "two")``.
    """

    contender: Contender
    jobs: int
    measured: int
    queues: int = 1
    size: int = 0


def measure(run: Run) -> list[Figure]:
    """Each case in each round."""
    with Arena(run) as arena:
        cases = {case.contender.name: partial(_once, arena, case) for case in _cases(run)}
        found: dict[str, list[Drained]] = by_rounds(cases, rounds=run.rounds(3))
    return [
        *(Figure.of(name, "jobs/s", [one.rate for one in values]) for name, values in found.items()),
        *(Figure.of(f"{name}: CPU of a job", "s", [one.cpu for one in values]) for name, values in found.items()),
    ]


def _cases(run: Run) -> Iterator[Case]:
    fewer = run.pick(1, 10)
    for count in (1, 2, 4, 8, 16) if not run.quick else (1, 2):
        name = f"{count} process{'es' if count > 1 else ''}, BATCH_SIZE=64"
        yield _all(own(name, 200_000 // fewer, queues="*", WORKER_COUNT=count, BATCH_SIZE=64))
    for depth in (10_000, 1_000_000, 10_000_000)[: 1 if run.quick else 3 if run.deep else 2]:
        yield Case(own(f"{depth:,} jobs waiting", 0, queues="*"), depth, 10_000)
    for queues in (1, 10, 100, 500):
        yield _all(own(f"{queues} queue{'s' if queues > 1 else ''}", 10_000 // fewer, queues="*"), queues=queues)
    for name, size, jobs in _SIZES:
        yield _all(own(f"{name} of arguments", jobs // fewer, queues="*"), size=size)


def _all(contender: Contender, *, queues: int = 1, size: int = 0) -> Case:
    return Case(contender, contender.jobs, contender.jobs, queues, size)


def _once(arena: Arena, case: Case) -> Drained:
    _fill(arena, case)
    found = arena.drain(case.contender, case.jobs, measured=case.measured if case.measured < case.jobs else 0)
    arena.run.say(f"{case.contender.name}: {found.rate:,.0f} jobs/s, {found.cpu * 1e6:.0f} µs CPU a job")
    return found


def _fill(arena: Arena, case: Case) -> None:
    """Put stamped jobs into the queues, as `enqueue_many` would, but quickly: millions of them."""
    arena.client.flushall()
    name = "resque:queue:bench{}".format
    arena.client.sadd("resque:queues", *(f"bench{queue}" for queue in range(case.queues)))
    item = _item(case.size)
    pushed = max(1, _PUSHED if case.size < 10_000 else 1)
    for begin in range(0, case.jobs, pushed):
        numbers = range(begin, min(begin + pushed, case.jobs))
        if case.queues == 1:
            arena.client.rpush(name(0), *map(item, numbers))
        else:
            pipeline = arena.client.pipeline(transaction=False)
            for number in numbers:
                pipeline.rpush(name(number % case.queues), item(number))
            pipeline.execute()


def _item(size: int) -> Callable[[int], bytes]:
    args = [1, "x" * size] if size else [1, "two"]
    head = encode({"class": "Noop", "args": args})[:-1]
    known = b'"_attempt":1,"_hostname":"web-1","_process":4711,"_enqueued_time":1795267070.5945978}}'
    return lambda number: head + b',"clues_metadata":{"_event_hash":"%032x",' % number + known
