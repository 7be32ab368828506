"""What waits in the queues: how many jobs, since when, and whether anybody takes them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from clues.attempt import METADATA
from clues.errors import DecodeError
from clues.metadata import read_enqueued_time
from clues.resque.pausing import Paused, paused
from clues.resque.store import Store, batched
from clues.resque.wire import decode


@dataclass(frozen=True, slots=True)
class WaitingQueue:
    """A queue at one moment.

    Attributes:
        name: its name.
        depth: how many jobs wait; None where another program keeps something else under its key.
        oldest_age: for how many seconds the oldest has waited; None where none waits, or its item doesn't say.
        paused: whether this very queue is paused.
    """

    name: str
    depth: int | None
    oldest_age: float | None
    paused: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """All queues at one moment, by name; those that are paused and not known are among them.

    Attributes:
        queues: the queues.
        paused: what is paused.
    """

    queues: Sequence[WaitingQueue]
    paused: Paused

    @property
    def depth(self) -> int:
        """How many jobs wait in all."""
        return sum(queue.depth or 0 for queue in self.queues)

    @property
    def oldest_age(self) -> float | None:
        """For how many seconds the oldest job of all has waited."""
        return max((queue.oldest_age for queue in self.queues if queue.oldest_age is not None), default=None)


def look(store: Store, *, clock: Callable[[], float] = time.time) -> Waiting:
    """Look at all queues, in one round trip for each thousand of them and two more."""
    pauses = paused(store)
    names = store.queues()
    names += [name for name in pauses.queues if name not in set(names)]
    now = clock()
    queues = [
        WaitingQueue(name, depth, _age(head, now), name in pauses.queues)
        for some in batched(names)
        for name, (depth, head) in zip(some, store.waiting(some), strict=True)
    ]
    return Waiting(queues, pauses)


def _age(head: bytes | None, now: float) -> float | None:
    """How long an item has waited, by its stamp; never less than nothing, as clocks differ."""
    try:
        item = None if head is None else decode(head)
    except DecodeError:
        return None
    metadata = item.get(METADATA) if isinstance(item, dict) else None
    at = read_enqueued_time(metadata) if isinstance(metadata, dict) else None
    return None if at is None else max(now - at, 0.0)
