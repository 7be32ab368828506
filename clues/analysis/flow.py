"""Whether events flow: which job systems wrote the last ones of a log, and when."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from clues.analysis.backwards import end_of_whole_lines, lines_backwards
from clues.event import Event

OWN = "resque"
"""The system of events that name none: clues' own."""

_LAST = 20_000  # lines that are looked at


@dataclass(slots=True)
class Flow:
    """The last events of one system.

    Attributes:
        last: the newest one's time.
        types: how many there are of each type.
    """

    last: str = ""
    types: dict[str, int] = field(default_factory=dict)


def flows(log: Path) -> dict[str, Flow]:
    """The last events of a log, by the system that they are from.

    Raises:
        OSError: it can't be read.
    """
    found: dict[str, Flow] = {}
    with log.open("rb") as stream:
        for number, line in enumerate(lines_backwards(stream, end_of_whole_lines(stream))):
            if number == _LAST:
                break
            try:
                event = Event.from_line(line)
            except ValueError:
                continue  # not ours
            flow = found.setdefault(str(event.metadata.get("_system", OWN)), Flow())
            flow.last = max(flow.last, event.timestamp)
            flow.types[event.event_type.value] = flow.types.get(event.event_type.value, 0) + 1
    return found
