"""The figures of all groups, and the file that keeps them: groups measured later join those of the same commit."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.timing import Figure


class MissingFigureError(LookupError):
    """A figure that this run did not measure; the message names it."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A group's figures.

    Attributes:
        figures: in order.
        seconds: how long it took to measure them.
        quick: whether they are a look only.
        notes: what readers should know.
    """

    figures: tuple[Figure, ...]
    seconds: float = 0.0
    quick: bool = False
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class Results:
    """All that is measured of one commit on one machine.

    Attributes:
        machine: what it was measured on.
        commit: of which commit.
        groups: the groups by name.
        versions: of the peers and libraries, by name.
    """

    machine: dict[str, str]
    commit: str
    groups: dict[str, Measured] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def figure(self, group: str, name: str) -> Figure:
        """One figure.

        Raises:
            MissingFigureError: this run did not measure it.
        """
        for found in self.groups[group].figures if group in self.groups else ():
            if found.name == name:
                return found
        msg = f"not measured: {group}, {name!r}"
        raise MissingFigureError(msg)

    def write(self, path: Path) -> None:
        """Keep them in a file."""
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")

    def join(self, earlier: Results) -> None:
        """Take up the groups of an earlier run of the same commit that this one did not measure."""
        self.groups = {**earlier.groups, **self.groups}
        self.versions = {**earlier.versions, **self.versions}


def read(path: Path) -> Results:
    """What a file keeps.

    Raises:
        OSError: it can't be read.
        ValueError: it keeps no figures.
    """
    try:
        told: dict[str, Any] = json.loads(path.read_text())
        groups = {name: _measured(group) for name, group in told["groups"].items()}
        return Results(told["machine"], told["commit"], groups, told["versions"])
    except (KeyError, TypeError, AttributeError) as error:
        msg = f"{path} holds no figures of these benchmarks"
        raise ValueError(msg) from error


def _measured(told: dict[str, Any]) -> Measured:
    figures = tuple(Figure.by(one) for one in told["figures"])
    return Measured(figures, told["seconds"], told["quick"], tuple(told["notes"]))
