"""The soak's command line."""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.chaos.soak import enclosure
from tests.chaos.soak.account import Account, account, left_behind
from tests.chaos.soak.disturbances import ALL, Disturbance, Scene, Steps
from tests.chaos.soak.suite import Suite, suite
from tests.chaos.soak.watch import Watch
from tests.conformance.environments import ROOT

_EXAMPLES = """\
Disturbances:

{disturbances}

Examples:

  make chaos ARGS="--minutes 5"
  make chaos ARGS="--minutes 1 --only kill,hup --seed 4711"
  make chaos ARGS="--minutes 60 --without clock --json soak.json --folder /var/tmp/soak"

Ctrl-C ends the disturbances, and the account is that of what was done so far. Exit status: 0 everything is accounted
for, and nothing has grown or was left behind; 1 something is not."""

_TICK = 0.1
_PATIENCE = 240.0  # seconds for everything to be worked and delivered, when nothing is disturbed any more
_FOR_START = 60.0


def main(arguments: list[str]) -> int:
    """Run; gives the exit status."""
    given = _parser().parse_args(arguments)
    enclosure.enter(arguments)
    enclosure.adopt()
    chosen = _chosen(given.only, given.without)
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(1_000_000)
    folder = Path(given.folder or tempfile.mkdtemp(prefix="clues-soak-")).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    console = Console(stderr=True)
    console.print(f"seed {seed}; all that is written is in {folder}", highlight=False)
    for one in ALL:
        if one.lacking() and (not given.only or one.name in given.only):
            console.print(f"left out: {one.name}: {one.lacking()}", highlight=False)
    with suite(folder, seed, given.rate) as made:
        for name, reason in made.lacks.items():
            console.print(f"left out: {name}: {reason}", highlight=False)
        for name in given.spare:
            if name in made.programs:
                made.programs[name].spared = True
        run = Run(made, seed, chosen, given.minutes * 60, given.every, console)
        found = run.through()
    found.figures["the run"] = {
        "seed": seed, "minutes": round(run.lasted / 60, 1), "commit": _commit(), "python": sys.version.split()[0],
        "disturbances": sum(run.done.values()), **{f"  {name}": count for name, count in sorted(run.done.items())},
        **run.starts,
    }  # fmt: skip
    _show(found, Console())
    if given.json:
        told = {"figures": found.figures, "memory": found.memory, "problems": found.problems}
        Path(given.json).write_text(json.dumps(told, indent=2) + "\n")
    if not found.problems and not given.folder:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if found.problems else 0


class Run:
    """The time line: start, disturb, let it settle, stop, account."""

    def __init__(
        self, made: Suite, seed: int, chosen: list[Disturbance], seconds: float, every: float, console: Console
    ) -> None:
        """Prepare.

        Args:
            made: the suite.
            seed: decides what is done when.
            chosen: the disturbances.
            seconds: how long to disturb.
            every: seconds between two disturbances, in the mean.
            console: where progress is shown.
        """
        self._suite = made
        self._chance = random.Random(seed)
        self._chosen = chosen
        self._seconds = seconds
        self._every = every
        self._console = console
        self._notes = (made.folder / "disturbances").open("a", buffering=1)
        self._scene = Scene(made, self._chance, self._say)
        self._watch = Watch(made)
        self._going: list[tuple[float, Steps]] = []
        self._interrupted = 0
        self._began = time.monotonic()
        self._next_word = 0.0
        self.done: Counter[str] = Counter()
        self.lasted = 0.0
        self.starts: dict[str, str] = {}

    def through(self) -> Account:
        """All of it; gives the account."""
        signal.signal(signal.SIGINT, self._interrupt)
        signal.signal(signal.SIGTERM, self._interrupt)
        problems = []
        try:
            self._until_all_work()
            self._disturb()
        finally:
            self._mend()
        self._suite.stop_producing()
        left = self._settle()
        if left:
            problems.append(f"not worked or delivered {_PATIENCE:.0f} s after the last disturbance: {left}")
        self.starts = {
            f"starts of {name}": f"{program.starts}, ended by {dict(program.statuses) or 'nothing'}"
            for name, program in self._suite.programs.items()
        }
        for name, status in self._suite.stop().items():
            if status != 0:
                problems.append(f"{name} ended with status {status}")
        problems += self._left_processes()
        problems += [f"left behind: {path}" for path in left_behind(self._suite)]
        self._keep_what_came()
        found = account(self._suite, self._scene, self._watch)
        found.problems += problems
        return found

    def _keep_what_came(self) -> None:
        """What back ends and Redis have got, and what was seen of memory, should the account itself be wrong."""
        lives = [{"role": life.role, "samples": life.samples} for life in self._watch.long_lives()]
        failed = [entry for _, entry in self._suite.client().failed.each()]
        kept = {one.name: one.counts() for one in self._suite.back_ends} | {"lives": lives, "failed": failed}
        (self._suite.folder / "came.json").write_text(json.dumps(kept))

    def _until_all_work(self) -> None:
        marks = self._suite.folder / "marks"
        deadline = time.monotonic() + _FOR_START
        while not (marks.exists() and marks.stat().st_size > 200) and not self._interrupted:
            self._tick("starting")
            if time.monotonic() > deadline:
                msg = f"the suite does not come up; see {self._suite.folder}"
                raise RuntimeError(msg)

    def _disturb(self) -> None:
        begin = time.monotonic()
        next_one = begin + self._chance.expovariate(1 / self._every)
        while time.monotonic() < begin + self._seconds and not self._interrupted:
            self._tick("disturbing")
            now = time.monotonic()
            if now >= next_one and self._chosen:
                next_one = now + self._chance.expovariate(1 / self._every)
                one = self._chance.choices(self._chosen, [one.weight for one in self._chosen])[0]
                self.done[one.name] += 1
                self._going.append((now, one.act(self._scene)))
        self.lasted = time.monotonic() - begin

    def _mend(self) -> None:
        """End what is going on: each is mended at once."""
        for _, steps in self._going:
            for _seconds in steps:
                pass
        self._going.clear()
        self._say("no more disturbances")

    def _settle(self) -> dict[str, int]:
        deadline = time.monotonic() + _PATIENCE
        left: dict[str, int] = {"": 1}
        while left and time.monotonic() < deadline and self._interrupted < 2:
            self._tick(f"settling: {left}")
            with suppress(Exception):
                left = self._suite.left()
        return left

    def _tick(self, what: str) -> None:
        """One look at everything."""
        self._suite.keep()
        enclosure.reap(self._suite.pids())
        now = time.monotonic()
        going, self._going = self._going, []
        for at, steps in going:
            if now < at:
                self._going.append((at, steps))
            elif (seconds := next(steps, None)) is not None:
                self._going.append((now + seconds, steps))
        self._watch.look()
        self._show_progress(what, now)
        time.sleep(_TICK)

    def _show_progress(self, what: str, now: float) -> None:
        if now >= self._next_word:
            self._next_word = now + (1.0 if self._console.is_terminal else 30.0)
            killed, done = len(self._scene.killed), sum(self.done.values())
            line = (
                f"{now - self._began:5.0f} s {what}: {done} disturbances, {killed} kills, {self._watch.most} processes"
            )
            self._console.print(line, end="\r" if self._console.is_terminal else "\n", highlight=False)

    def _left_processes(self) -> list[str]:
        """Which processes are still there when all should have ended, ten seconds later."""
        deadline = time.monotonic() + 10
        while (found := self._alive()) and time.monotonic() < deadline:
            enclosure.reap(self._suite.pids())
            time.sleep(0.1)
        return [f"left running: {line}" for line in found]

    def _alive(self) -> list[str]:
        return [
            f"{program.role(one)} ({one.pid}) {one.title[:100]}"
            for program in self._suite.programs.values()
            for one in program.processes()
        ]

    def _say(self, text: str) -> None:
        self._notes.write(f"{time.time():.3f} {text}\n")

    def _interrupt(self, *_: object) -> None:
        self._interrupted += 1


def _parser() -> argparse.ArgumentParser:
    names = "\n".join(f"  {one.name:<12} {one.about}" for one in ALL)
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos.soak",
        description="Run the whole suite under fire for some minutes, and account for every job and event of it.",
        epilog=_EXAMPLES.format(disturbances=names),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=5.0, help="how long to disturb (5)")
    parser.add_argument("--seed", type=int, help="decides what is done when; printed, and in the account")
    parser.add_argument("--only", type=_names, metavar="NAMES", help="these disturbances alone, comma-separated")
    parser.add_argument("--without", type=_names, default=[], metavar="NAMES", help="not these")
    spared = "programs that nobody kills: storm, ship, celery, resque-producer, celery-producer"
    parser.add_argument("--spare", type=lambda text: text.split(","), default=[], metavar="NAMES", help=spared)
    parser.add_argument("--every", type=float, default=1.5, help="seconds between two, in the mean (1.5)")
    parser.add_argument("--rate", type=float, default=8.0, help="jobs a second for clues, a quarter for Celery (8)")
    parser.add_argument("--json", metavar="FILE", help="write the account there, too")
    parser.add_argument("--folder", help="where all is kept; left out, one that is removed if all is well")
    return parser


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    known = [one.name for one in ALL]
    for name in names:
        if name not in known:
            msg = f"{name!r} is none of {', '.join(known)}"
            raise argparse.ArgumentTypeError(msg)
    return names


def _chosen(only: list[str] | None, without: list[str]) -> list[Disturbance]:
    wanted = [one for one in ALL if (only is None or one.name in only) and one.name not in without]
    return [one for one in wanted if not one.lacking()]


def _commit() -> str:
    done = subprocess.run(
        ["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def _show(found: Account, console: Console) -> None:
    for section, figures in found.figures.items():
        table = Table(title=section, title_justify="left", show_header=False)
        table.add_column()
        table.add_column(justify="right")
        for what, count in figures.items():
            table.add_row(what, f"{count:,}" if isinstance(count, int) else str(count))
        console.print(table)
    if found.memory:
        table = Table(
            *found.memory[0], title="the longest life of each, in memory (PSS) and descriptors", title_justify="left"
        )
        for row in found.memory:
            table.add_row(*map(str, row.values()))
        console.print(table)
    console.print(
        "\n".join(["UNACCOUNTED:", *found.problems]) if found.problems else "everything is accounted for",
        highlight=False,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
