"""What the store is given, and what it gives: jobs that are taken and ended, workers as Redis knows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Taken(NamedTuple):
    """What an attempt to take a job gave.

    Attributes:
        leases: of the jobs that the worker holds now, as they stand in Redis; more than one in a batch.
        payloads: those jobs' items.
        queue: the queue that they were taken from; None if they had been taken before, or there are none.
        paused: whether all workers are paused.
    """

    leases: Sequence[bytes] = ()
    payloads: Sequence[bytes] = ()
    queue: str | None = None
    paused: bool = False


class Wanted(NamedTuple):
    """Which jobs to take.

    Attributes:
        queues: where from: the first of these that has some.
        run_at: when, as Resque writes it.
        most: the most jobs to take.
    """

    queues: Sequence[str]
    run_at: str
    most: int = 1


class Ending(NamedTuple):
    """How the jobs that a worker has performed ended, to be committed in one step.

    Attributes:
        ended: how many.
        lease: the first one's lease, as it was read; None where somebody has removed it alone, and these followed it.
        processed: how many to count as processed.
        failed: how many to count as failed; not those of dead processes (resque ``worker.rb``).
        entries: the failures to store.
        failed_list: the key of the list that they go to; empty for Resque's ``failed``.
        failed_queue: the name to put into the set of failure lists; empty for none.
        outcomes: what to keep in Redis until the worker's next job; empty for nothing.
    """

    ended: int
    lease: bytes | None
    processed: int = 0
    failed: int = 0
    entries: Sequence[bytes] = ()
    failed_list: str = ""
    failed_queue: str = ""
    outcomes: bytes = b""


@dataclass(frozen=True, slots=True)
class Registration:
    """What makes a worker known.

    Attributes:
        worker_id: the worker.
        token: tells its process from another of the same id.
        dead_after: seconds without a beat.
        started: when it started, as Resque writes it.
        tree: what is known of it, as JSON.
    """

    worker_id: str
    token: str
    dead_after: int
    started: str
    tree: str


@dataclass(frozen=True, slots=True)
class Roster:
    """Who is known to work, as it was at one moment.

    Attributes:
        now: the server's clock, in epoch seconds.
        ids: the registered workers, sorted.
        heartbeats: when workers last beat, as they wrote it, by id.
        trees: what the workers of trees tell of themselves, as JSON, by id.
    """

    now: float
    ids: Sequence[str]
    heartbeats: Mapping[str, str]
    trees: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Standing:
    """What Redis holds of one worker.

    Attributes:
        lease: of the job that it works on, or None.
        further: items that it has taken beside that one.
        token: what its key that runs out holds, or None if that is not there.
        started: when it started, as it wrote it.
        processed: jobs that it has ended.
        failed: those of them that failed.
    """

    lease: bytes | None
    further: int
    token: bytes | None
    started: str | None
    processed: int
    failed: int
