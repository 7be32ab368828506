"""The job system's states as samples: how much waits and since when, what is paused, who works."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from clues.event import Sample
from clues.resque import overview, waiting
from clues.resque.client import Resque
from clues.resque.overview import WorkerState
from clues.resque.store import shown
from clues.resque.waiting import Waiting, WaitingQueue

MOST_QUEUES = 200
"""Queues that have samples of their own: names come from Redis, and metric stores suffer from labels without bound."""

ELECTED_FOR = 40
"""Seconds after which another sampler takes over from one that looks no more; they look every 15 s."""

OTHER = "other"
"""What the queues beyond the deepest ones are summed under."""


class QueueSampler:
    """Looks at the queues and workers of one Redis: six round trips, and one for each further thousand of either.

    - ``clues.queue.depth``, ``clues.queue.oldest.age``, ``clues.queue.paused`` (0 or 1) by queue; the age is left out
      where nothing waits, or nobody knows;
    - ``clues.job.running.longest`` by queue: for how long the job runs that runs longest; left out where none does;
    - ``clues.worker.alive``, ``clues.worker.busy``, Ruby's included.

    Of more than 200 queues the deepest have samples of their own, the others together, as queue ``other``: their
    depths summed, the age of the oldest, paused if one of them is.
    """

    def __init__(self, client: Resque, *, most_queues: int = MOST_QUEUES, elected: str = "") -> None:
        """Look at this client's Redis.

        Args:
            client: where the queues are.
            most_queues: how many have samples of their own.
            elected: a name; then of all samplers with one only one looks, for as long as it goes on looking.
        """
        self._store = client.store
        self._most_queues = most_queues
        self._elected = elected

    def sample(self) -> Iterable[Sample]:
        """The states as they are now.

        Raises:
            RedisError: Redis can't be reached, or refuses.
        """
        if self._elected and not self._store.lock_sampling(self._elected, ELECTED_FOR):
            return []
        found = waiting.look(self._store)
        workers = [worker for worker in overview.look(self._store).workers if worker.alive]
        return [
            *_queue_samples(found, self._most_queues),
            *_longest(workers, {shown(queue.name) for queue in _deepest(found)[: self._most_queues]}),
            Sample("clues.worker.alive", len(workers), "{worker}"),
            Sample("clues.worker.busy", sum(worker.running is not None for worker in workers), "{worker}"),
        ]


def _queue_samples(found: Waiting, most: int) -> Iterator[Sample]:
    """Samples under labels that are each given once."""
    deepest = _deepest(found)
    own = {queue.name for queue in deepest[:most]}
    if len(deepest) > most:
        own.discard(OTHER)  # a queue of that name is one of the others then
    labels: dict[str, list[WaitingQueue]] = {}
    for queue in deepest:
        labels.setdefault(shown(queue.name) if queue.name in own else OTHER, []).append(queue)
    for label, queues in labels.items():
        yield from _of_one_label(label, Waiting(queues, found.paused))


def _deepest(found: Waiting) -> list[WaitingQueue]:
    lists = (queue for queue in found.queues if queue.depth is not None)
    return sorted(lists, key=lambda queue: -(queue.depth or 0))


def _longest(workers: Iterable[WorkerState], own: set[str]) -> Iterator[Sample]:
    longest: dict[str, float] = {}
    for worker in workers:
        if worker.running is not None and worker.running.seconds is not None:
            name = shown(worker.running.queue)
            label = name if name in own else OTHER
            longest[label] = max(longest.get(label, 0.0), worker.running.seconds)
    for label, seconds in longest.items():
        yield Sample("clues.job.running.longest", seconds, "s", {"queue": label})


def _of_one_label(label: str, found: Waiting) -> Iterator[Sample]:
    queue = {"queue": label}
    yield Sample("clues.queue.depth", found.depth, "{job}", queue)
    if found.oldest_age is not None:
        yield Sample("clues.queue.oldest.age", found.oldest_age, "s", queue)
    paused = found.paused.all or any(one.paused for one in found.queues)
    yield Sample("clues.queue.paused", int(paused), "1", queue)
