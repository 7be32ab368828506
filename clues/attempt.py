"""One attempt of one job as clues knows it, and the events that tell of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from clues.config import Config
from clues.event import Event, EventType, new_event
from clues.metadata import (
    END_OF_TIME,
    ID_ENDS,
    hash_of,
    read_attempt,
    read_enqueued_time,
    read_hash,
    read_scheduled_time,
    timestamp,
    users_own,
)
from clues.runtime import JobContext

METADATA = "clues_metadata"
"""The item's key that holds its metadata, as in resque-clues."""


class Attempt:
    """One attempt of one job, as clues knows it. Job systems hold it and hand it back.

    Attributes:
        queue: the job's queue.
        worker_class: its class, as the item names it.
        event_hash: the job's hash, the same through all its attempts.
        number: which attempt this is, from 1 up.
        enqueued_time: epoch seconds, or None where nobody knows.
        scheduled_time: when it is due, in epoch seconds; None for a job that is due at once.
        elapsed: seconds that perform took on the monotonic clock, None where it has not begun or not ended.
        ended: whether its terminal event was published.
        begun: its perform_started, once its code runs.
        held: an event that is to be published together with the next one.
    """

    __slots__ = (
        "_common",
        "_id",
        "args",
        "begun",
        "carried",
        "context",
        "cut",
        "elapsed",
        "ended",
        "enqueued_time",
        "event_hash",
        "held",
        "number",
        "queue",
        "scheduled_time",
        "times",
        "worker_class",
    )

    def __init__(  # noqa: PLR0913 - what job systems know differs
        self,
        config: Config,
        queue: str,
        item: Mapping[str, Any],
        known: Mapping[str, Any],
        *,
        event_hash: str | None = None,
        system: str | None = None,
    ) -> None:
        """Read an item and its metadata; they are sanitised here once, for all events of the attempt.

        Args:
            config: who sanitises, and where this is.
            queue: the job's queue.
            item: the item.
            known: its metadata.
            event_hash: the job's hash, where it was read already.
            system: the job system's name, unless it is our own; then the item has its ``job_id`` beside class and args.
        """
        sanitizer = config.sanitizer
        self.queue: str | None = sanitizer.name(queue)
        self.worker_class: str | None = sanitizer.name(item.get("class"))
        self.event_hash: str = event_hash or read_hash(known) or config.new_hash()
        self.number: int = read_attempt(known)
        enqueued = known.get("_enqueued_time")
        # Ours, mostly; else read with care.
        self.enqueued_time: float | None = (
            enqueued if type(enqueued) is float and 0 < enqueued < END_OF_TIME else read_enqueued_time(known)
        )
        self.scheduled_time: float | None = read_scheduled_time(known) if "_scheduled_time" in known else None
        self.args: list[Any]
        self.args, args_cut = sanitizer.args(self.worker_class, item.get("args"))
        self.carried: dict[str, Any] = {}
        self.cut: list[str] = ["args"] if args_cut else []
        if own := users_own(known):
            self.carried, metadata_cut = sanitizer.metadata(own)
            self.cut += ["metadata"] * metadata_cut
        self.times: dict[str, Any] = {}
        self.context: JobContext | None = None
        self.elapsed: float | None = None
        self.ended: bool = False
        self.begun: Event | None = None
        self.held: Event | None = None
        # What its events have in common, in their order; the id and the process are each event's own.
        self._id = f"{self.event_hash}:{self.number}:"
        self._common = {
            "_event_hash": self.event_hash, "_event_id": "", "_attempt": self.number, "_hostname": config.hostname,
            "_process": 0,
        }  # fmt: skip
        if system is not None:
            self._common["_system"] = system
            if (job_id := item.get("job_id")) is not None:
                self._common["_job_id"] = sanitizer.id(job_id)
        if self.enqueued_time is not None:
            self._common["_enqueued_time"] = self.enqueued_time
        if self.scheduled_time is not None:
            self._common["_scheduled_time"] = self.scheduled_time
        if self.carried:
            self._common.update(self.carried)

    def event(self, config: Config, event_type: EventType, at: float, told: Mapping[str, Any] | None = None) -> Event:
        """The event that this happened to it.

        Args:
            config: in whose words.
            event_type: what.
            at: when, in epoch seconds.
            told: what is to be said besides; no key that is there already.
        """
        metadata = self._common.copy()
        metadata["_event_id"] = self._id + ID_ENDS[event_type]
        metadata["_process"] = _process
        if self.times:
            metadata.update(self.times)
        if told:
            for key, value in told.items():
                metadata.setdefault(key, value)
        if self.cut:
            metadata["_truncated"] = [*self.cut]
        at_text = timestamp(at)
        return new_event(event_type, at_text, self.queue, metadata, self.worker_class, self.args, config.marshaller)


_process = os.getpid()


def process_id() -> int:
    """This process' id; asked of the system once in each."""
    return _process


def _forked() -> None:
    global _process  # noqa: PLW0603 - asked for at every event, where a system call counts
    _process = os.getpid()


os.register_at_fork(after_in_child=_forked)


def metadata_in(item: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """An item's metadata, if it has any."""
    found = item.get(METADATA)
    return found if type(found) is dict or (found is not None and isinstance(found, Mapping)) else None


def recognise(config: Config, queue: str, item: Mapping[str, Any], system: str | None = None) -> Attempt | None:
    """The attempt that an item from a queue is; None for one that was enqueued without clues and is not adopted."""
    known = item.get(METADATA)
    if type(known) is not dict:
        known = metadata_in(item)
    event_hash = None if known is None else read_hash(known)
    if event_hash is None:
        if not config.adopt_unstamped:
            return None
        if system is not None and (job_id := item.get("job_id")) is not None:
            # The processes that tell of a job (Celery has two) must agree on its hash.
            event_hash = hash_of(system, str(job_id))
    known = known or {}
    if "traceparent" in item:
        known = _with_trace(item, known)
    return Attempt(config, queue, item, known, event_hash=event_hash, system=system)


def _with_trace(item: Mapping[str, Any], known: Mapping[str, Any]) -> Mapping[str, Any]:
    """The metadata with the trace context that Ruby's instrumentation of Resque writes beside class and args."""
    if "_traceparent" in known or not isinstance(item["traceparent"], str):
        return known
    carried = {f"_{key}": item[key] for key in ("traceparent", "tracestate") if isinstance(item.get(key), str)}
    return {**known, **carried}
