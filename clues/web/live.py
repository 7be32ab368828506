"""What Redis tells: queues, workers, running jobs, figures at a glance."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from clues.attempt import METADATA
from clues.errors import DecodeError
from clues.metadata import read_enqueued_time, read_hash
from clues.resque import overview, times, waiting
from clues.resque.client import Resque
from clues.resque.lease import Lease
from clues.resque.overview import WorkerState
from clues.resque.pausing import Paused
from clues.resque.store import batched, shown
from clues.resque.wire import decode
from clues.web.job import as_json

PAGE = 25
"""Items of a queue's page."""


class Live:
    """Looks at one Redis; each look is a few round trips, whatever there is."""

    def __init__(self, client: Resque) -> None:
        """Look with this client."""
        self._client = client

    def glance(self) -> dict[str, Any]:
        """Figures at a glance."""
        found, queues = overview.look(self._client.store), waiting.look(self._client.store)
        alive = [worker for worker in found.workers if worker.alive]
        return {
            "redis": self._client.store.describe(),
            "queues": len(queues.queues),
            "depth": queues.depth,
            "oldest_age": queues.oldest_age,
            "alive": len(alive),
            "busy": sum(worker.running is not None for worker in alive),
            "dead": len(found.workers) - len(alive),
            "processed": self._client.stat("processed"),
            "failed": self._client.stat("failed"),
            "failures": sum(failed.count() for failed in self._client.failed_lists()),
            "paused": _paused(queues.paused),
        }

    def queues(self) -> dict[str, Any]:
        """All queues."""
        found = waiting.look(self._client.store)
        rows = [
            {"name": shown(queue.name), "depth": queue.depth, "oldest_age": queue.oldest_age, "paused": queue.paused}
            for queue in found.queues
        ]
        return {"queues": rows, "paused": _paused(found.paused)}

    def items(self, queue: str, start: int) -> dict[str, Any]:
        """A page of what waits in a queue, the next one first."""
        store = self._client.store
        raws = store.peek(queue, start, PAGE)
        return {
            "name": shown(queue),
            "depth": store.size(queue),
            "start": start,
            "items": [_item(raw) for raw in raws],
            "paused": self._client.paused().holds(queue),
        }

    def workers(self) -> dict[str, Any]:
        """The trees of workers."""
        found = overview.look(self._client.store)
        trees = [
            {
                "name": shown(f"{tree.first.host}:{tree.first.master}"),
                "queues": shown(tree.first.queues),
                "ours": tree.first.ours,
                "slots": tree.slots,
                "pss": tree.pss,
                "workers": [_worker(worker) for worker in tree.workers],
            }
            for tree in found.trees
        ]
        return {"trees": trees, "paused": _paused(found.paused)}

    def running(self) -> dict[str, Any]:
        """The jobs that run now, the longest first."""
        store = self._client.store
        workers = {worker.id: worker for worker in overview.look(store).workers if worker.running is not None}
        rows = [
            _running(workers[worker_id], raw)
            for some in batched(workers)
            for worker_id, raw in store.leases(some).items()
        ]
        rows.sort(key=lambda row: -(row["seconds"] or 0))
        return {"running": rows}

    def pause(self, queue: str | None, *, on: bool) -> dict[str, Any]:
        """Pause a queue, or all workers, or end that."""
        names = [] if queue is None else [queue]
        return _paused(self._client.pause(*names) if on else self._client.resume(*names))


def _paused(found: Paused) -> dict[str, Any]:
    return {"all": found.all, "queues": [shown(name) for name in found.queues]}


def _worker(worker: WorkerState) -> dict[str, Any]:
    told: dict[str, Any] = asdict(worker)
    told |= {key: shown(value) for key, value in told.items() if isinstance(value, str)}
    if worker.running is not None:
        told["running"]["queue"] = shown(worker.running.queue)
    return told | {"alive": worker.alive}


def _running(worker: WorkerState, raw: bytes) -> dict[str, Any]:
    lease = Lease.read(raw)
    held = worker.running
    return {
        **_item(lease.payload),
        "queue": shown(lease.queue),
        "worker": shown(worker.id),
        "host": shown(worker.host),
        "process": worker.process,
        "seconds": held.seconds if held is not None else None,
        "since": times.parse_heartbeat(lease.run_at),
        "further": held.further if held is not None else 0,
        "alive": worker.alive,
    }


def _item(raw: bytes) -> dict[str, Any]:
    """A job's item; one that is none as its text."""
    try:
        found = decode(raw)
    except DecodeError:
        found = raw.decode("utf-8", "backslashreplace")
    item = found if isinstance(found, dict) else {}
    metadata = item.get(METADATA)
    known = metadata if isinstance(metadata, dict) else {}
    name = item.get("class")
    return {
        "class": name if isinstance(name, str) else None,
        "hash": read_hash(known),
        "enqueued": read_enqueued_time(known),
        "args": as_json(item.get("args", found))[:20_000],
    }
