"""The ids of a tree's workers: each belongs to a slot of the tree, not to a process that changes with every fork."""

from __future__ import annotations


def base_id(hostname: str, master: int, queues: str) -> str:
    """Resque's stock id, ``host:pid:queues``: that of slot 0, thread 0."""
    return f"{hostname}:{master}:{queues}"


def worker_id(base: str, slot: int, thread: int) -> str:
    """The id of one thread of one slot; all but the first append ``,~<slot>.<thread>`` to the queues."""
    return base if slot == thread == 0 else f"{base},~{slot}.{thread}"
