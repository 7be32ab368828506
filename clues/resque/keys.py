"""The names of Resque's keys in Redis; they stand nowhere else."""

from __future__ import annotations

from clues.errors import ConfigError


class Keys:
    """Key names under one namespace.

    Args:
        namespace: what stands before the first colon of every key; empty for no prefix at all.
    """

    __slots__ = (
        "failed",
        "failed_queues",
        "heartbeats",
        "namespace",
        "pause_all",
        "paused_queues",
        "prefix",
        "prune_lock",
        "queue_prefix",
        "queues",
        "sampling_lock",
        "trees",
        "workers",
    )

    def __init__(self, namespace: str = "resque") -> None:
        try:
            namespace.encode()
        except UnicodeEncodeError as error:
            msg = f"the namespace must be text that UTF-8 can hold, not {namespace!r}"
            raise ConfigError(msg) from error
        self.namespace: str = namespace
        prefix = f"{namespace}:" if namespace else ""
        self.prefix: str = prefix
        self.queues: str = f"{prefix}queues"
        self.queue_prefix: str = f"{prefix}queue:"
        self.workers: str = f"{prefix}workers"
        self.heartbeats: str = f"{prefix}workers:heartbeat"
        self.prune_lock: str = f"{prefix}pruning_dead_workers_in_progress"
        self.sampling_lock: str = f"{prefix}clues:sampling"
        self.pause_all: str = f"{prefix}pause-all-workers"
        self.paused_queues: str = f"{prefix}paused-queues"
        self.trees: str = f"{prefix}workers:tree"
        self.failed: str = f"{prefix}failed"
        self.failed_queues: str = f"{prefix}failed_queues"

    def __repr__(self) -> str:
        return f"Keys({self.namespace!r})"

    def queue(self, name: str) -> str:
        """Name the list of one queue's items."""
        return f"{self.queue_prefix}{name}"

    def worker(self, worker_id: str) -> str:
        """Name the string that holds what a worker is working on."""
        return f"{self.prefix}worker:{worker_id}"

    def worker_started(self, worker_id: str) -> str:
        """Name the string that holds when a worker started."""
        return f"{self.prefix}worker:{worker_id}:started"

    def worker_heartbeat(self, worker_id: str) -> str:
        """Name the key that runs out when a worker is dead.

        A tree's first worker has the very key of resque_worker_heartbeat, ``worker:<host>:<pid>:heartbeat``; the others
        append what tells their ids apart, ``,~<slot>.<thread>``.
        """
        host, pid, queues = (*worker_id.split(":", 2), "", "")[:3]
        _, mark, place = queues.rpartition(",~")
        return f"{self.prefix}worker:{host}:{pid}:heartbeat{mark}{place if mark else ''}"

    def worker_batch(self, worker_id: str) -> str:
        """Name the list of the leases of further jobs that a worker has taken together with the one under its key."""
        return f"{self.prefix}worker:{worker_id}:batch"

    def worker_ended(self, worker_id: str) -> str:
        """Name the string that holds a worker's latest committed outcomes until its next job, lest they go untold."""
        return f"{self.prefix}worker:{worker_id}:ended"

    def stat(self, name: str) -> str:
        """Name a total, ``processed`` or ``failed``."""
        return f"{self.prefix}stat:{name}"

    def stat_of(self, name: str, worker_id: str) -> str:
        """Name one worker's part of a total."""
        return f"{self.prefix}stat:{name}:{worker_id}"

    def failed_of(self, queue: str) -> str:
        """Name a queue's own list of failures, as Resque's multi-queue failure backend keeps them."""
        return f"{self.prefix}{queue}_failed"
