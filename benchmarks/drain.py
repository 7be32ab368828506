"""Drain throughput: how fast two processes work a full queue of jobs that do nothing, clues and its peers."""

from __future__ import annotations

from functools import partial

from benchmarks.arena import Arena, Drained
from benchmarks.contenders import CLUES, OWN, PEERS, Contender
from benchmarks.environments import prepared
from benchmarks.programs import ProgramError
from benchmarks.run import Run
from benchmarks.timing import Figure, by_rounds


def measure(run: Run) -> list[Figure]:
    """Every contender in each round."""
    with Arena(run) as arena:
        return drained(arena, present(run, (*PEERS, *CLUES)), rounds=run.rounds(3))


def present(run: Run, contenders: tuple[Contender, ...]) -> list[Contender]:
    """Those that take part: the light ones in a quick run, and who can be installed."""
    wanted = [one for one in contenders if one.light or not run.quick]
    return [one for one in wanted if one.folder == OWN or prepared(one.folder, run) is not None]


def drained(arena: Arena, contenders: list[Contender], *, rounds: int) -> list[Figure]:
    """Rates of draining, then the CPU that each job took."""
    left_out: dict[str, str] = {}
    cases = {one.name: partial(_once, arena, one, left_out) for one in contenders}
    found = {name: [one for one in values if one] for name, values in by_rounds(cases, rounds=rounds).items()}
    whole = {name: values for name, values in found.items() if name not in left_out}
    return [
        *(Figure.of(name, "jobs/s", [one.rate for one in values]) for name, values in whole.items()),
        *(Figure.of(f"{name}: CPU of a job", "s", [one.cpu for one in values]) for name, values in whole.items()),
    ]


def _once(arena: Arena, contender: Contender, left_out: dict[str, str]) -> Drained | None:
    if contender.name in left_out:
        return None
    jobs = contender.jobs // arena.run.pick(1, 10)
    try:
        arena.filled(contender, jobs).lay(arena.client)
        found = arena.drain(contender, jobs)
    except ProgramError as error:
        if contender.folder == OWN:
            raise
        left_out[contender.name] = str(error)
        arena.run.note(f"{contender.name} is left out: {str(error).splitlines()[0]}")
        return None
    arena.run.say(f"{contender.name}: {found.rate:,.0f} jobs/s, {found.cpu * 1e6:.0f} µs CPU a job")
    return found
