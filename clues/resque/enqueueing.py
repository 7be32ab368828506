"""A job on its way into a queue: who it is, its hooks, its item's bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from clues.attempt import METADATA, Attempt
from clues.errors import ConfigError, EncodeError, NoClassError, NoQueueError, NoRunningJobError, UnknownJobError
from clues.event import json_encoder
from clues.lifecycle import Lifecycle
from clues.metadata import users_own
from clues.plain import plain
from clues.resque.hooks import Hooks
from clues.resque.queues import check_name
from clues.resque.registry import JobDefinition, Registry
from clues.resque.wire import encode, join, members
from clues.runtime import current_job

JobLike = type | Callable[..., Any] | str
"""A job class, a function under ``@resque.job``, or a wire name such as ``"Billing::Invoice"``."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What enqueueing gives.

    Attributes:
        queue: where the job went.
        event_hash: the job's hash, by which its events are found; None while clues is unconfigured.
    """

    queue: str
    event_hash: str | None = None


class Call:
    """One job on its way into a queue.

    Attributes:
        definition: the job.
        queue: where it goes.
        args: its arguments.
        carried: metadata of the user's own that it comes with.
        attempt: what clues knows of it, once it is prepared.
        raw: its item's bytes, once it is prepared.
    """

    def __init__(self, definition: JobDefinition, queue: str, args: list[Any]) -> None:
        self.definition = definition
        self.queue = queue
        self.args = args
        self.carried: dict[str, Any] = {}
        self.attempt: Attempt | None = None
        self.raw: bytes = b""

    def vetoed(self) -> bool:
        """Whether a before_enqueue hook won't have it."""
        return not self.definition.hooks.run_before_enqueue(self.args)

    def prepare(self, lifecycle: Lifecycle) -> bytes:
        """Stamp it, and give its item's bytes."""
        item: dict[str, Any] = {"class": self.definition.name, "args": list(self.args)}
        if self.carried:
            item[METADATA] = dict(self.carried)
        self.raw, self.attempt = stamped(lifecycle, self.queue, item)
        return self.raw

    def after(self) -> None:
        """Run the after_enqueue hooks."""
        self.definition.hooks.run_after_enqueue(self.args)

    @property
    def receipt(self) -> Receipt:
        """What whoever enqueued it gets."""
        return Receipt(self.queue, None if self.attempt is None else self.attempt.event_hash)


def call_of(registry: Registry, queue: str | None, job: JobLike, args: tuple[Any, ...]) -> Call:
    """A job that is to be enqueued.

    Raises:
        NoClassError: its name is empty.
        NoQueueError: it has no queue, and none was given.
    """
    definition = definition_of(registry, job)
    queue = definition.queue if queue is None else queue
    if not definition.name:
        msg = "Jobs must be given a class: its name is empty"
        raise NoClassError(msg)
    if not queue:
        msg = (
            f"Jobs must be placed onto a queue. No queue could be inferred for class {definition.name}: "
            "give it one (queue = …), or use enqueue_to"
        )
        raise NoQueueError(msg)
    return Call(definition, check_name(queue), list(args))


def call_again(registry: Registry, args: tuple[Any, ...]) -> Call:
    """The running job with other arguments, to the queue that it came from, with the metadata of the user's own.

    Raises:
        NoRunningJobError: no job runs here.
        UnknownJobError: the one that runs is another job system's.
    """
    running = current_job()
    if running is None:
        msg = "reenqueue puts the running job's class into its queue again, and no job runs here; use enqueue"
        raise NoRunningJobError(msg)
    registry.find(running.worker_class or "")
    call = call_of(registry, running.queue, running.worker_class or "", args)
    carried = plain(users_own(running.known))
    call.carried = carried if isinstance(carried, dict) else {}
    return call


def definition_of(registry: Registry, job: JobLike) -> JobDefinition:
    """A job by its class, function or wire name; a name that is not registered here is another program's job."""
    if not isinstance(job, str):
        return registry.definition_of(job)
    try:
        return replace(registry.find(job), name=job)
    except UnknownJobError:  # another program's job: it has no hooks here, and its queue must be said
        return JobDefinition(name=job, target=job, perform=_not_here, hooks=Hooks())


def _not_here(*args: Any) -> None:  # noqa: ARG001 - any job's signature
    msg = "this job is known by its name only; register it to perform it here"
    raise UnknownJobError(msg)


def stamped(lifecycle: Lifecycle, queue: str, item: dict[str, Any]) -> tuple[bytes, Attempt | None]:
    """The bytes of an item with its metadata, as the preprocessors left it.

    Raises:
        EncodeError: JSON can't hold what the caller gave. What a preprocessor does to an item keeps no job out.
    """
    raw = encode(item)
    if item.get("args") is None:
        item["args"] = []
    elif METADATA not in item and not lifecycle.preprocesses:
        attempt = lifecycle.stamp(queue, item)
        return (raw, None) if attempt is None else (_spliced(raw, item[METADATA]), attempt)
    attempt = lifecycle.stamp(queue, item)
    if attempt is None and METADATA not in item:
        return raw, None
    try:
        return encode(item), attempt
    except EncodeError:
        left = plain(item.get(METADATA))
        return join(members(raw) | {METADATA: encode(left if isinstance(left, dict) else {})}), attempt


def _spliced(raw: bytes, metadata: dict[str, Any]) -> bytes:
    """An item's bytes with its metadata, where that is all that was added."""
    try:
        told = json_encoder()(metadata)  # the bytes of what clues itself has written are nobody's to match
    except (TypeError, ValueError):
        told = encode(plain(metadata))
    return b'%s,"clues_metadata":%s}' % (raw[:-1], told)


def checked_call(given: Any) -> tuple[Any, tuple[Any, ...]]:
    """A call of `enqueue_many`: its job and its arguments.

    Raises:
        ConfigError: it is none.
    """
    if isinstance(given, tuple | list) and given:
        return given[0], tuple(given[1:])
    msg = f"enqueue_many takes (job, *args) tuples, such as (PdfGeneration, 42), not {given!r:.100}"
    raise ConfigError(msg)
