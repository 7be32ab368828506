"""What a soak does to the suite: each disturbance is a small generator, which yields the seconds until its next step.

A disturbance begins, yields how long it lasts, and mends what it broke. It first takes what it breaks into `busy`, so
that nobody else breaks the same meanwhile.
"""

from __future__ import annotations

import gzip
import os
import random
import resource
import shutil
import signal
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.soak import shifted_clock
from tests.chaos.soak.enclosure import is_inside
from tests.chaos.soak.processes import Process, Program
from tests.chaos.soak.suite import Suite

Steps = Generator[float, None, None]


@dataclass
class Scene:
    """Where disturbances act.

    Attributes:
        chance: decides, by the seed.
        say: notes what was done.
        busy: what is broken just now.
        killed: the processes that were killed.
    """

    suite: Suite
    chance: random.Random
    say: Callable[[str], None]
    busy: set[str] = field(default_factory=set)
    killed: set[int] = field(default_factory=set)

    def free(self, names: Iterable[str]) -> list[str]:
        """Those that nobody has broken."""
        return sorted(set(names) - self.busy)

    def kill(self, one: Process, role: str) -> None:
        """SIGKILL to one process."""
        with suppress(ProcessLookupError):
            os.kill(one.pid, signal.SIGKILL)
            self.killed.add(one.pid)
            self.say(f"SIGKILL to {role} ({one.pid})")

    def under_fire(self) -> list[Program]:
        """The programs that are not spared, and are not only starting."""
        return [one for one in self.suite.programs.values() if not one.spared and one.pid and one.age > _STARTING]


@dataclass(frozen=True)
class Disturbance:
    """A kind of trouble.

    Attributes:
        name: for ``--only`` and ``--without``.
        act: its steps.
        weight: how often it comes, beside the others.
        lacking: says what this machine lacks for it; empty if nothing.
    """

    name: str
    act: Callable[[Scene], Steps]
    weight: float
    lacking: Callable[[], str] = lambda: ""

    @property
    def about(self) -> str:
        """What it does, in a line."""
        return (self.act.__doc__ or "").partition("\n")[0]


_STARTING = 3.0  # seconds in which a program isn't killed as a whole, or it would never be up
_SELDOM = {"main": 0.15, "mould": 0.5, "loading": 0.3}  # so that trees have their lives, too


def kill(scene: Scene) -> Steps:
    """SIGKILL of one process: a worker, a master, a mould, a clerk, a shipper, a producer, one of Celery's."""
    found = [(program.role(one), one) for program in scene.under_fire() for one in program.processes()]
    if found:
        weights = [_SELDOM.get(role.partition(": ")[2], 1.0) for role, _ in found]
        role, one = scene.chance.choices(found, weights)[0]
        scene.kill(one, role)
    yield 0.0


def massacre(scene: Scene) -> Steps:
    """SIGKILL of all processes of a program at once, as when a container dies."""
    found = [one for one in scene.under_fire() if one.name in {"storm", "celery"}]
    if found:
        program = scene.chance.choice(found)
        scene.killed.update(program.kill_all())
        scene.say(f"SIGKILL to all of {program.name}")
    yield 0.0


def redis_crash(scene: Scene) -> Steps:
    """SIGKILL of a Redis, which comes back after up to three seconds."""
    for name in scene.chance.sample(free := scene.free(("redis", "celery_redis")), min(1, len(free))):
        scene.busy.add(name)
        server = getattr(scene.suite, name)
        server.kill()
        away = scene.chance.uniform(0.1, 3.0)
        scene.say(f"{name} is killed for {away:.1f} s")
        yield away
        server.start()
        scene.busy.discard(name)


def redis_stall(scene: Scene) -> Steps:
    """SIGSTOP of a Redis for up to five seconds: connections stand, and nothing answers."""
    for name in scene.chance.sample(free := scene.free(("redis", "celery_redis")), min(1, len(free))):
        scene.busy.add(name)
        pid = getattr(scene.suite, name)._process.pid
        os.kill(pid, signal.SIGSTOP)
        stalled = scene.chance.uniform(0.5, 5.0)
        scene.say(f"{name} is stopped for {stalled:.1f} s")
        yield stalled
        os.kill(pid, signal.SIGCONT)
        scene.busy.discard(name)


def outage(scene: Scene) -> Steps:
    """A back end is down, swallows all, is slow, or answers 5xx and 429, for up to fifteen seconds."""
    by_name = {one.name: one for one in scene.suite.back_ends if one.faults}
    for name in scene.chance.sample(free := scene.free(by_name), min(1, len(free))):
        scene.busy.add(name)
        fault = scene.chance.choice(sorted(by_name[name].faults))
        mend = by_name[name].faults[fault]()
        lasts = scene.chance.uniform(1.0, 15.0)
        scene.say(f"{name}: {fault} for {lasts:.1f} s")
        yield lasts
        mend()
        scene.busy.discard(name)


def disk(scene: Scene) -> Steps:
    """A disk is full for up to four seconds: the log's, the journal's, or the one of scoreboards and ledgers."""
    disks = {path.name: path for path in scene.suite.disks}
    for name in scene.chance.sample(free := scene.free(disks), min(1, len(free))):
        scene.busy.add(name)
        filler = disks[name] / ".filler"
        lasts = scene.chance.uniform(0.5, 4.0)
        _fill(filler)
        scene.say(f"the disk of {name} is full for {lasts:.1f} s")
        yield lasts / 2
        _fill(filler)  # what was removed meanwhile
        yield lasts / 2
        filler.unlink()
        scene.busy.discard(name)


def file_size(scene: Scene) -> Steps:
    """Files of one process can't grow, by RLIMIT_FSIZE, for up to four seconds: what a quota does, without root."""
    yield from _limited(scene, resource.RLIMIT_FSIZE, lambda _one: 1, "can write no file")


def descriptors(scene: Scene) -> Steps:
    """One process gets no more file descriptors, for up to four seconds."""
    yield from _limited(scene, resource.RLIMIT_NOFILE, lambda one: _highest(one) + 1, "gets no descriptor")


def clock(scene: Scene) -> Steps:
    """The clock of the tree under fire jumps by up to an hour, back or forth, for up to twenty seconds."""
    if "clock" not in scene.busy and scene.suite.clock is not None:
        scene.busy.add("clock")
        off = scene.chance.choice((-3600, -60, -1, 1, 60, 3600)) * scene.chance.random()
        lasts = scene.chance.uniform(2.0, 20.0)
        scene.suite.clock.shift(off)
        scene.say(f"the clock is off by {off:+.1f} s for {lasts:.1f} s")
        yield lasts
        scene.suite.clock.shift(0.0)
        scene.busy.discard("clock")


def rotate(scene: Scene) -> Steps:
    """The log is rotated: renamed and gzipped, or copied and truncated."""
    suite = scene.suite
    if "rotation" in scene.busy or not suite.events.exists() or "log" in scene.busy:
        return
    scene.busy.add("rotation")
    number = len(list((suite.folder / "old").iterdir()))
    kept = suite.folder / "old" / f"events.log.{number:06d}"
    if scene.chance.random() < 0.5:
        renamed = suite.events.with_suffix(".log.1")
        suite.events.rename(renamed)
        scene.say("the log is renamed")
        yield 2.0  # as `delaycompress` has it: who had it open may still write
        shutil.move(renamed, kept)
        packed = kept.with_suffix(kept.suffix + ".gz")
        with kept.open("rb") as plain, gzip.open(packed, "wb", 1) as into:
            shutil.copyfileobj(plain, into)
        kept.unlink()
    else:
        # What is written between the copy and the truncation is lost, whoever writes: nobody does.
        with _Held(suite):
            shutil.copyfile(suite.events, kept)
            os.truncate(suite.events, 0)
        scene.say("the log is copied and truncated")
    scene.busy.discard("rotation")


def hup(scene: Scene) -> Steps:
    """HUP to the tree: new code, one worker at a time."""
    _signal(scene, signal.SIGHUP)
    yield 0.0


def scale(scene: Scene) -> Steps:
    """TTIN, and some seconds later TTOU."""
    _signal(scene, signal.SIGTTIN)
    yield scene.chance.uniform(1.0, 6.0)
    _signal(scene, signal.SIGTTOU)


def pause(scene: Scene) -> Steps:
    """USR2, and some seconds later CONT."""
    if "pause" not in scene.busy:
        scene.busy.add("pause")
        _signal(scene, signal.SIGUSR2)
        yield scene.chance.uniform(0.5, 4.0)
        _signal(scene, signal.SIGCONT)
        scene.busy.discard("pause")


def stuck(scene: Scene) -> Steps:
    """USR1: the running jobs are ended, and work goes on."""
    _signal(scene, signal.SIGUSR1)
    yield 0.0


def one_worker(scene: Scene) -> Steps:
    """QUIT, HUP, TERM or USR1 to one worker process."""
    workers = [one for one in scene.suite.storm.processes() if scene.suite.storm.role(one).endswith("worker")]
    if workers:
        one = scene.chance.choice(workers)
        number = scene.chance.choice((signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1))
        with suppress(ProcessLookupError):
            os.kill(one.pid, number)
            scene.say(f"{number.name} to a worker process ({one.pid})")
    yield 0.0


def platform(scene: Scene) -> Steps:
    """TERM to all processes of the tree or of Celery, as platforms do; SIGKILL to what is left after ten seconds."""
    found = [one for one in scene.under_fire() if one.name in {"storm", "celery"} and one.name not in scene.busy]
    if found:
        program = scene.chance.choice(found)
        scene.busy.add(program.name)
        everyone = program.processes()
        scene.say(f"TERM to all of {program.name}")
        for one in everyone:
            with suppress(ProcessLookupError):
                os.kill(one.pid, signal.SIGTERM)
        yield 10.0
        left = {(one.pid, one.started) for one in everyone}
        for one in program.processes():
            if (one.pid, one.started) in left:
                scene.kill(one, program.role(one))
        scene.busy.discard(program.name)


ALL = (
    Disturbance("kill", kill, 8.0),
    Disturbance("massacre", massacre, 0.6),
    Disturbance("redis-crash", redis_crash, 1.0),
    Disturbance("redis-stall", redis_stall, 1.0),
    Disturbance("outage", outage, 3.0),
    Disturbance("disk", disk, 1.5, lambda: "" if is_inside() else "no mounts of our own here; see file-size"),
    Disturbance("file-size", file_size, 1.0),
    Disturbance("descriptors", descriptors, 1.5),
    Disturbance("clock", clock, 1.0, shifted_clock.lacking),
    Disturbance("rotate", rotate, 1.0),
    Disturbance("hup", hup, 0.7),
    Disturbance("scale", scale, 0.7),
    Disturbance("pause", pause, 0.7),
    Disturbance("stuck", stuck, 0.4),
    Disturbance("one-worker", one_worker, 1.5),
    Disturbance("platform", platform, 0.5),
)  # fmt: skip
"""By their names."""


def _signal(scene: Scene, number: signal.Signals) -> None:
    tree = scene.suite.storm
    if tree.pid and tree.age > _STARTING and "resque-" in Process(tree.pid, 0, 0, "", 0).title:
        tree.signal(number)
        scene.say(f"{number.name} to the tree")


def _fill(path: Path) -> None:
    with path.open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1 << 6, 1):
            with suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass


def _limited(scene: Scene, kind: int, limit: Callable[[Process], int], what: str) -> Steps:
    found = [(program, one) for program in scene.under_fire() for one in program.processes()]
    if not found:
        return
    program, one = scene.chance.choice(found)
    name = f"limits of {one.pid}"
    if name in scene.busy:
        return
    scene.busy.add(name)
    with suppress(OSError):
        soft, hard = resource.prlimit(one.pid, kind)
        resource.prlimit(one.pid, kind, (limit(one), hard))
        lasts = scene.chance.uniform(0.5, 4.0)
        scene.say(f"{program.role(one)} ({one.pid}) {what} for {lasts:.1f} s")
        yield lasts
        # And those that it has forked meanwhile.
        for other in program.processes():
            with suppress(OSError):
                if resource.prlimit(other.pid, kind) != (soft, hard):
                    resource.prlimit(other.pid, kind, (soft, hard))
    scene.busy.discard(name)


def _highest(one: Process) -> int:
    return max((int(name) for name in os.listdir(f"/proc/{one.pid}/fd")), default=3)  # noqa: PTH208


class _Held:
    """Has all programs stand still for a block."""

    def __init__(self, suite: Suite) -> None:
        self._suite = suite
        self._stopped: set[int] = set()

    def __enter__(self) -> None:
        while (
            fresh := {one.pid for program in self._suite.programs.values() for one in program.processes()}
            - self._stopped
        ):
            for pid in fresh:  # one may be forked while we go
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
            self._stopped |= fresh

    def __exit__(self, *_: object) -> None:
        for pid in self._stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
