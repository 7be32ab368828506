"""The groups of figures, in the order in which they are measured and shown.

A group is a function ``measure(run: Run) -> list[Figure]`` in a module of its own, imported when it is wanted. It
interleaves its cases (`benchmarks.timing`), tells what it is doing by ``run.say``, and by ``run.note`` what readers of
its figures must know. What it starts it ends, whatever happens: it may be interrupted at any moment. To add one: the
module, and a line below.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.run import Run
from benchmarks.timing import Figure


@dataclass(frozen=True, slots=True)
class Group:
    """A group of figures.

    Attributes:
        title: what they are of, for readers.
        module: where its ``measure`` is.
    """

    title: str
    module: str

    def measure(self, run: Run) -> list[Figure]:
        """Measure it."""
        function: Callable[[Run], list[Figure]] = importlib.import_module(self.module).measure
        return function(run)


GROUPS = {
    "drain": Group("Draining a queue of jobs that do nothing, by two processes", "benchmarks.drain"),
    "enqueue": Group("Enqueueing jobs, from one process", "benchmarks.enqueue"),
    "adapters": Group("What an adapter adds to a job: CPU, beside the bare system", "benchmarks.adapters"),
    "scaling": Group("Scaling: processes, jobs waiting, queues, size of the arguments", "benchmarks.scaling"),
    "latency": Group("From push to start", "benchmarks.latency"),
    "core": Group("Importing, hooks, and an event in its caller", "benchmarks.core"),
    "publishing": Group("An event in its caller, by publisher, beside other libraries", "benchmarks.publishing"),
    "memory": Group("Memory for each further worker process", "benchmarks.memory"),
    "delivery": Group("Delivery by the shipper", "benchmarks.delivery"),
}
"""By the names that users select them by."""
