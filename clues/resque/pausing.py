"""Pausing workers: all of them, which Ruby's obey too, or single queues, which only ours know."""

from __future__ import annotations

from dataclasses import dataclass

from clues.resque.queues import check_name
from clues.resque.store import Store


@dataclass(frozen=True, slots=True)
class Paused:
    """What is paused; true if anything is.

    Attributes:
        all: whether all workers are, whatever their queues.
        queues: the queues that no worker of ours takes from, sorted.
    """

    all: bool = False
    queues: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.all or bool(self.queues)

    def holds(self, queue: str) -> bool:
        """Whether nothing is taken from a queue, for whichever reason."""
        return self.all or queue in self.queues


def pause(store: Store, *queues: str) -> Paused:
    """Pause these queues; without any, all workers. Gives what is paused then.

    Jobs that run go on to their end.

    Raises:
        QueueNameError: a name that Resque's keys can't hold.
    """
    names = [check_name(queue) for queue in queues]
    if names:
        store.pause_queues(names)
    else:
        store.pause_all()
    return paused(store)


def resume(store: Store, *queues: str) -> Paused:
    """End the pause of these queues; without any, that of all workers. Gives what stays paused."""
    if queues:
        store.resume_queues(queues)
    else:
        store.resume_all()
    return paused(store)


def paused(store: Store) -> Paused:
    """What is paused now."""
    everything, queues = store.pauses()
    return Paused(everything.strip().lower() == b"true", tuple(queues))
