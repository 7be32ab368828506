"""The ids of a tree's workers: each belongs to a slot of the tree, not to a process that changes with every fork."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


def base_id(hostname: str, master: int, queues: str) -> str:
    """Resque's stock id, ``host:pid:queues``: that of slot 0, thread 0."""
    return f"{hostname}:{master}:{queues}"


def worker_id(base: str, slot: int, thread: int) -> str:
    """The id of one thread of one slot; all but the first append ``,~<slot>.<thread>`` to the queues."""
    return base if slot == thread == 0 else f"{base},~{slot}.{thread}"


@dataclass(frozen=True, slots=True)
class Told:
    """What a worker of a tree tells of itself in Redis, for all to see.

    Attributes:
        host: where it is.
        master: its master's process id.
        slot: its process' slot.
        thread: which of the process' threads it is.
        process: the process that works there now; None while there is none.
        token: its tree's own.
        dead_after: seconds without a beat that make it dead.
        pss: the process' memory in bytes, its share of what is common to several included; None if nobody knows.
        paused: whether its tree takes no more jobs.
    """

    host: str
    master: int
    slot: int
    thread: int
    process: int | None
    token: str
    dead_after: int
    pss: int | None = None
    paused: bool = False

    def encode(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self))
