"""Who works, at one moment: the trees of clues' workers, and Ruby's workers beside them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from clues.errors import DecodeError
from clues.resque import times
from clues.resque.lease import Lease
from clues.resque.pausing import Paused, paused
from clues.resque.records import Roster, Standing
from clues.resque.store import Store, batched
from clues.resque.wire import decode

EXPIRES = 300.0
"""Seconds without a heartbeat after which a worker without a key that runs out is dead (resque ``resque.rb``)."""

_LONG = 20  # digits of what is no process' id
_MOST = 1 << 63


@dataclass(frozen=True, slots=True)
class Running:
    """A job that a worker holds.

    Attributes:
        queue: where it came from.
        worker_class: its class; None where the item names none.
        seconds: for how long, by the worker's clock when it was taken; None where nobody knows.
        further: items that the worker holds beside this one.
    """

    queue: str
    worker_class: str | None
    seconds: float | None
    further: int


@dataclass(frozen=True, slots=True)
class WorkerState:
    """One worker: a thread of a slot of a tree, or a process of Ruby's.

    Attributes:
        id: as Resque knows it.
        host: where.
        master: the process of its tree that stays; Ruby's own process.
        queues: names and patterns, as in its id.
        ours: whether it is clues'.
        slot: which of its tree's processes.
        thread: which of their threads.
        process: the process that works for it now.
        running: the job that it holds.
        heartbeat_age: seconds since its last heartbeat.
        has_key: whether its key that runs out is there.
        registered: whether it is in Resque's set of workers.
        started: when, in epoch seconds.
        processed: jobs that it has ended.
        failed: those of them that failed.
        pss: its process' memory in bytes.
        paused: whether it was told to take no jobs.
    """

    id: str
    host: str
    master: str
    queues: str
    ours: bool
    slot: int
    thread: int
    process: int | None
    running: Running | None
    heartbeat_age: float | None
    has_key: bool
    registered: bool
    started: float | None
    processed: int
    failed: int
    pss: int | None
    paused: bool

    @property
    def alive(self) -> bool:
        """Whether it lives, as far as one can tell: Ruby's oldest workers have no heartbeats."""
        if self.ours or self.has_key:
            return self.has_key
        return self.heartbeat_age is None or self.heartbeat_age <= EXPIRES


@dataclass(frozen=True, slots=True)
class Tree:
    """The workers of one master; one of Ruby's is a tree of its own.

    Attributes:
        workers: by slot and thread; one at least.
    """

    workers: Sequence[WorkerState]

    @property
    def first(self) -> WorkerState:
        """The worker that tells what all have in common."""
        return self.workers[0]

    @property
    def slots(self) -> int:
        """How many processes work in it."""
        return len({worker.slot for worker in self.workers})

    @property
    def pss(self) -> int | None:
        """The memory of its workers' processes, in bytes; None where none is known."""
        sizes = {worker.slot: worker.pss for worker in self.workers if worker.pss is not None}
        return sum(sizes.values()) if sizes else None


@dataclass(frozen=True, slots=True)
class Overview:
    """Who works, and what is paused.

    Attributes:
        trees: the workers, by their masters.
        paused: the queues, or all workers.
    """

    trees: Sequence[Tree]
    paused: Paused

    @property
    def workers(self) -> list[WorkerState]:
        """All workers."""
        return [worker for tree in self.trees for worker in tree.workers]


def look(store: Store) -> Overview:
    """Look at all workers, in one round trip for each thousand of them and two more."""
    pauses, roster = paused(store), store.roster()
    ids = sorted({*roster.ids, *roster.trees})
    found = [
        _state(worker_id, standing, roster)
        for some in batched(ids)
        for worker_id, standing in zip(some, store.standings(some), strict=True)
    ]
    # What is left of a worker that a pruner of Ruby's has forgotten, which knows nothing of trees, is no worker.
    return Overview(_trees(state for state in found if state.registered or state.has_key), pauses)


def _trees(states: Iterable[WorkerState]) -> list[Tree]:
    ordered = sorted(states, key=lambda state: (not state.ours, *_place(state), state.slot, state.thread, state.id))
    return [Tree(list(those)) for _, those in groupby(ordered, key=lambda state: (state.ours, *_place(state)))]


def _place(state: WorkerState) -> tuple[str, str]:
    return state.host, state.master


def _state(worker_id: str, standing: Standing, roster: Roster) -> WorkerState:
    host, master, queues, slot, thread = _parts(worker_id)
    told = _told(roster.trees.get(worker_id))
    beat = times.parse_heartbeat(roster.heartbeats.get(worker_id, ""))
    ours = worker_id in roster.trees
    return WorkerState(
        id=worker_id,
        host=_text(told, "host") or host,
        master=str(_number(told, "master") or master),
        queues=queues,
        ours=ours,
        slot=_number(told, "slot") or slot,
        thread=_number(told, "thread") or thread,
        process=_number(told, "process") if ours else _digits(master),
        running=_running(standing, roster.now),
        heartbeat_age=None if beat is None else max(roster.now - beat, 0.0),
        has_key=standing.token is not None,
        registered=worker_id in roster.ids,
        started=times.parse_heartbeat(standing.started or ""),
        processed=standing.processed,
        failed=standing.failed,
        pss=_number(told, "pss"),
        paused=told.get("paused") is True,
    )


def _parts(worker_id: str) -> tuple[str, str, str, int, int]:
    """An id's host, process and queues; the slot and thread that all but a tree's first append to the queues."""
    host, master, queues = (*worker_id.split(":", 2), "", "")[:3]
    named, _, place = queues.rpartition(",~")
    slot, thread = map(_digits, (*place.split(".", 1), "")[:2])
    if not named or slot is None or thread is None:
        return host, master, queues, 0, 0
    return host, master, named, slot, thread


def _digits(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < _LONG else None


def _told(text: str | None) -> Mapping[str, Any]:
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _number(told: Mapping[str, Any], name: str) -> int | None:
    found = told.get(name)
    return found if isinstance(found, int) and not isinstance(found, bool) and 0 <= found < _MOST else None


def _text(told: Mapping[str, Any], name: str) -> str | None:
    found = told.get(name)
    return found if isinstance(found, str) else None


def _running(standing: Standing, now: float) -> Running | None:
    if standing.lease is None:
        return None
    lease = Lease.read(standing.lease)
    since = times.parse_heartbeat(lease.run_at)
    seconds = None if since is None else max(now - since, 0.0)
    return Running(lease.queue, _class_of(lease.payload), seconds, standing.further)


def _class_of(payload: bytes) -> str | None:
    try:
        item = decode(payload)
    except DecodeError:
        return None
    found = item.get("class") if isinstance(item, dict) else None
    return found if isinstance(found, str) else None
