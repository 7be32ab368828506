"""Which events are wanted."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from clues.analysis.facts import hash_of
from clues.event import Event, EventType


@dataclass(frozen=True, slots=True)
class Selection:
    """Chooses events; what is left empty chooses all.

    Attributes:
        types: what happened, any of these.
        queues: in which queue.
        classes: to a job of which class.
        hash_prefix: how the job's hash begins.
    """

    types: Collection[EventType] = ()
    queues: Collection[str] = ()
    classes: Collection[str] = ()
    hash_prefix: str = ""

    def wants(self, event: Event) -> bool:
        """Whether the event is one of those."""
        return (
            (not self.types or event.event_type in self.types)
            and (not self.queues or event.queue in self.queues)
            and (not self.classes or event.worker_class in self.classes)
            and (hash_of(event) or "").startswith(self.hash_prefix)
        )
