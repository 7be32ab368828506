"""Tells clues what happens to the jobs of a tinyq: ``install(queue)`` beside the queue."""

from contextvars import ContextVar

from clues.config import configure_from_environment
from clues.ledger import Ledger
from clues.lifecycle import Lifecycle
from clues.metadata import failure_of

lifecycle = Lifecycle(system="tinyq")
_running = ContextVar("tinyq_clues_running", default=None)


def install(queue):
    """Hook a queue's own methods, where it is enqueued to and where it is worked."""
    configure_from_environment()
    hooks = _Hooks(queue)
    for name in ("push", "perform", "call", "work"):
        setattr(queue, name, getattr(hooks, name))


class _Hooks:
    def __init__(self, queue):
        self.name = queue.name
        self.own_push, self.own_perform = queue.push, queue.perform
        self.own_call, self.own_work = queue.call, queue.work
        self.ledger = Ledger(lifecycle, queue.key)

    def push(self, message):
        """Stamp, push, and only then tell."""
        item, before = _item(message), _running.get()
        retried = before is not None and before.event_hash == item["clues_metadata"].get("_event_hash")
        if retried:
            item["clues_metadata"]["_attempt"] = before.number + 1
        attempt = lifecycle.stamp(self.name, item, preprocess=not retried)
        self.own_push({**message, "clues_metadata": item["clues_metadata"]})
        lifecycle.enqueued(attempt)

    def perform(self, message):
        """All that the system does with one message; what the job raises is the system's to handle."""
        attempt = lifecycle.dequeued(self.name, _item(message), hold=True)
        self.ledger.begin(attempt)
        token = _running.set(attempt)
        failure = None
        try:
            self.own_perform(message)
        except BaseException as error:
            failure = failure_of(error)
            raise
        finally:
            _running.reset(token)
            retrying = failure is not None and bool(message["retries"])
            self.ledger.end(attempt, lifecycle.outcome(attempt, failure, retrying=retrying))

    def call(self, message):
        """The job's own code, and nothing else: perform_started, clues_metadata, and the clock."""
        with lifecycle.performing(_running.get(), self.name, _item(message)):
            self.own_call(message)

    def work(self):
        """The worker program: first the stories of workers that were killed."""
        self.ledger.settle()
        try:
            self.own_work()
        finally:
            self.ledger.leave()


def _item(message):
    """The message as clues knows items."""
    return {
        "class": message["job"],
        "args": list(message["args"]),
        "job_id": message["id"],
        "clues_metadata": dict(message.get("clues_metadata") or {}),
    }
