"""Memory and descriptors of processes over time, and dead ones that nobody waits for."""

from __future__ import annotations

import os
import statistics
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from clues.publishers.shipper import holder
from tests.chaos.soak.processes import all_processes
from tests.chaos.soak.suite import Suite

_LONG = 300.0  # seconds that a process must have lived for a verdict on its memory
_GROWTH = 8.0  # MiB, or
_SHARE = 0.15  # of what it had, from its second quarter to its last
_DESCRIPTORS = 8
_ZOMBIE = 20.0  # seconds


@dataclass
class Life:
    """One process, as long as it did the same: with the first destination that it ships to it loads the clients.

    Attributes:
        role: what it was.
        spared: whether nobody was to kill it.
        samples: seconds, PSS in MiB, and descriptors.
    """

    role: str
    spared: bool
    samples: list[tuple[float, float, int]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """How long it was seen."""
        return self.samples[-1][0] - self.samples[0][0]

    def quarter(self, which: int, column: int) -> float:
        """The median in a quarter of its life."""
        size = len(self.samples)
        first = min(which * size // 4, size - 1)
        return statistics.median(
            sample[column] for sample in self.samples[first : max((which + 1) * size // 4, first + 1)]
        )

    @property
    def growth(self) -> float:
        """MiB, from the second quarter of its life to the last."""
        return self.quarter(3, 1) - self.quarter(1, 1)

    @property
    def more_descriptors(self) -> float:
        """The same of descriptors."""
        return self.quarter(3, 2) - self.quarter(1, 2)

    @property
    def is_flat(self) -> bool:
        """Whether it has not grown."""
        return self.growth <= max(_GROWTH, _SHARE * self.quarter(1, 1)) and self.more_descriptors <= _DESCRIPTORS


class Watch:
    """Looks every so many seconds."""

    def __init__(self, suite: Suite, every: float = 5.0) -> None:
        """Look at nothing yet."""
        self._suite = suite
        self._every = every
        self._next = 0.0
        self.lives: dict[tuple[int, int, bool], Life] = {}
        self._dead: dict[int, float] = {}
        self.zombies: dict[int, str] = {}
        self.most = 0

    def look(self) -> None:
        """Look, if it is time to."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + self._every
        seen, shipping = 0, self._shipping()
        for program in self._suite.programs.values():
            for one in program.processes():
                pss, descriptors = _pss(one.pid), _descriptors(one.pid)
                if pss:
                    seen += 1
                    ships = one.pid in shipping
                    life = self.lives.setdefault((one.pid, one.started, ships), Life("", program.spared))
                    role = program.role(one)  # a worker shows what it is when it is up
                    life.role = f"{role}, ships" if ships and not role.endswith("shipper") else role
                    life.samples.append((now, pss, descriptors))
        self.most = max(self.most, seen)
        self._look_for_dead(now)

    def _shipping(self) -> set[int]:
        """The processes that ship to a destination, each by its lock."""
        locks = (path for spool in self._suite.spools for path in (spool.folder / "destinations").glob("*.lock"))
        return {holder(path) for path in locks}

    def _look_for_dead(self, now: float) -> None:
        everybody = {one.pid: one for one in all_processes()}
        dead = {pid for pid, one in everybody.items() if one.state == "Z"}
        self._dead = {pid: self._dead.get(pid, now) for pid in dead}
        for pid, since in self._dead.items():
            if now - since > _ZOMBIE and pid not in self.zombies:
                parent = everybody.get(everybody[pid].parent)
                self.zombies[pid] = f"child of {parent.pid} {parent.title[:80]}" if parent else "?"

    def long_lives(self) -> list[Life]:
        """The longest life of each role, and all that were long."""
        best: dict[str, list[Life]] = defaultdict(list)
        for life in self.lives.values():
            best[life.role].append(life)
        return [max(lives, key=lambda life: life.seconds) for _, lives in sorted(best.items())]

    def problems(self) -> list[str]:
        """Who has grown."""
        return [
            f"{life.role} has grown by {life.growth:.1f} MiB and {life.more_descriptors:.0f} descriptors"
            for life in self.lives.values()
            if life.seconds >= _LONG and not life.is_flat
        ] + [f"nobody waits for a dead process: {what}" for what in self.zombies.values()]


def _pss(pid: int) -> float:
    with suppress(OSError, ValueError, IndexError):
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        return int(text.partition("\nPss:")[2].split()[0]) / 1024
    return 0.0


def _descriptors(pid: int) -> int:
    with suppress(OSError):
        return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208
    return 0
