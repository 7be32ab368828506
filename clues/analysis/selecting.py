"""Which job attempts are meant, as conditions in SQL."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Chosen:
    """Chooses job attempts; what is left empty chooses all.

    An attempt belongs to the time of its last event: its end, if it has one.

    Attributes:
        since: not before then, in epoch seconds.
        until: before then.
        queues: in any of these queues.
        classes: of any of these classes.
        systems: of any of these job systems.
    """

    since: float | None = None
    until: float | None = None
    queues: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    systems: tuple[str, ...] = ()

    def sql(self) -> str:
        """The condition for rows of `jobs`."""
        conditions = [
            *([] if self.since is None else [f"last_at >= {at(self.since)}"]),
            *([] if self.until is None else [f"last_at < {at(self.until)}"]),
            *_any_of("queue", self.queues),
            *_any_of("worker_class", self.classes),
            *_any_of(SYSTEM, self.systems),
        ]
        return " AND ".join(conditions) or "true"

    def as_dict(self) -> dict[str, object]:
        """What was chosen, as plain JSON values."""
        return {
            "since": None if self.since is None else moment_text(self.since),
            "until": None if self.until is None else moment_text(self.until),
            "queues": list(self.queues),
            "classes": list(self.classes),
            "systems": list(self.systems),
        }


SYSTEM = "coalesce(system, 'resque')"
"""A job's system; events that name none are of clues' own, or Ruby's Resque."""


def text(value: str) -> str:
    """A string in SQL."""
    return "'" + value.replace("'", "''") + "'"


def at(seconds: float) -> str:
    """A moment in SQL, from epoch seconds."""
    return f"make_timestamp({round(seconds * 1_000_000)})"


def moment_text(seconds: float) -> str:
    """A moment as ISO 8601."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def like(column: str, pattern: str) -> str:
    """A condition: ``*`` stands for any text."""
    if "*" not in pattern:
        return f"{column} = {text(pattern)}"
    escaped = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_").replace("*", "%")
    return f"{column} LIKE {text(escaped)} ESCAPE '\\'"


def _any_of(column: str, values: Iterable[str]) -> list[str]:
    conditions = [like(column, value) for value in values]
    return [f"({' OR '.join(conditions)})"] if conditions else []
