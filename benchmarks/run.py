"""One run of the benchmarks, as the groups see it: how much to measure, and whom to tell."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field


@dataclass(slots=True)
class Run:
    """What each group is given.

    Attributes:
        quick: a look, no figures to quote: few rounds, small numbers, the light peers alone.
        asked_rounds: rounds that the user asked for; None for each group's own choice.
        deep: with what takes minutes and gigabytes too.
        notes: what readers of the figures should know: who was left out, and why.
        versions: of the peers and libraries that were measured, by name.
        missing: environments that can't be had, and why; shared by all groups of a run.
    """

    quick: bool = False
    asked_rounds: int | None = None
    deep: bool = False
    notes: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def rounds(self, full: int, quick: int = 1) -> int:
        """How many rounds to measure."""
        return self.asked_rounds or self.pick(full, quick)

    def pick(self, full: int, quick: int) -> int:
        """A number for a full run, or the one for a quick one."""
        return quick if self.quick else full

    def say(self, what: str) -> None:
        """Tell the user what is going on."""
        print(f"  … {what}", file=sys.stderr, flush=True)

    def note(self, what: str) -> None:
        """Tell the user, and the readers of the figures."""
        self.say(what)
        if what not in self.notes:
            self.notes.append(what)
