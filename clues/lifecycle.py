"""The one door for job systems: each tells here what happens to its jobs, and never hears an exception back.

The way of a job through it::

    attempt = lifecycle.stamp(queue, item)              # before the push: hash, metadata, preprocessors
    lifecycle.enqueued(attempt)                         # after the push has succeeded
    ---
    attempt = lifecycle.dequeued(queue, item)           # None: the job is worked without events
    with lifecycle.performing(attempt, queue, item):    # perform_started; clues_metadata is bound
        perform()
    lifecycle.perform_finished(attempt)                 # or failed(attempt, failure), once that is committed
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import replace
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

from clues.attempt import Attempt, metadata_in, recognise
from clues.config import Config, Settings, default
from clues.event import Event, EventType, json_encoder
from clues.metadata import Failure, read_hash
from clues.plugs import Item, name_of
from clues.runtime import JobContext
from clues.stamping import stamped

_AT_ONCE = 100  # events that are published together: some ten kilobytes

P = ParamSpec("P")
T = TypeVar("T")


def _hook(method: Callable[Concatenate[Lifecycle, Config, P], T]) -> Callable[Concatenate[Lifecycle, P], T | None]:
    """A method of Lifecycle that does nothing while clues is unconfigured, and whose own errors never reach a job."""

    @functools.wraps(method)
    def guarded(self: Lifecycle, /, *args: P.args, **kwargs: P.kwargs) -> T | None:
        config = self.settings.config
        if config is None:
            return None
        try:
            return method(self, config, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - observing must not hurt the job
            config.faults.report("clues", error)
            return None

    return guarded


class Lifecycle:
    """Turns what a job system tells into events, and gives them to the configured publisher.

    Attributes:
        settings: where the configuration is looked up, at every call: it may come after the job system.
        system: the job system's name in events, ``celery`` for instance; None for clues' own.
    """

    def __init__(self, settings: Settings = default, *, system: str | None = None) -> None:
        """Publish as these settings say."""
        self.settings = settings
        self.system = system

    def guarded(self, function: Callable[P, T]) -> Callable[P, T | None]:
        """A function of a job system's that does nothing while clues is unconfigured, and whose errors reach no job."""

        @functools.wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> T | None:
            config = self.settings.config
            if config is None:
                return None
            try:
                return function(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - observing must not hurt the job
                config.faults.report("clues", error)
                return None

        return guarded

    def safely(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T | None:
        """Call a function for a job system: what it raises is counted, and reaches no job; gives None then."""
        try:
            return function(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - observing must not hurt the job
            self.report(error)
            return None

    def report(self, error: BaseException, consequence: str = "the job goes on") -> None:
        """Count an error that a job system's own observing has made.

        Raises:
            BaseException: the error itself, where it is meant for the job's code: see `clues.faults.Faults.report`.
        """
        if (config := self.settings.config) is not None:
            config.faults.report("clues", error, consequence)

    @property
    def preprocesses(self) -> bool:
        """Whether `stamp` does more to an item than to write its ``clues_metadata``."""
        config = self.settings.config
        return config is not None and (bool(config.item_preprocessors) or config.propagator is not None)

    def stamp(
        self, queue: str, item: Item, *, preprocess: bool = True, scheduled_time: float | None = None
    ) -> Attempt | None:
        """Write the metadata into an item that is about to be pushed, and run the item preprocessors.

        An item that has a hash already keeps it, and its attempt's number: it is the same job.

        Args:
            queue: where it will be pushed.
            item: ``{"class": …, "args": […]}``; gets ``clues_metadata``. One of another job system has that system's
                ``job_id`` as well.
            preprocess: whether to run the preprocessors; not for the second attempt of a job.
            scheduled_time: when the job is due, in epoch seconds; None for at once.

        Returns:
            The attempt, for `enqueued`.
        """
        config = self.settings.config
        if config is None:
            return None
        try:
            return stamped(config, queue, item, preprocess, scheduled_time, self.system)
        except Exception as error:  # noqa: BLE001 - observing must not hurt the job
            config.faults.report("clues", error)
            return None

    def enqueued(self, *attempts: Attempt | None) -> None:
        """The push has succeeded, of one job or of several."""
        config = self.settings.config
        if config is None:
            return
        try:
            events = []
            for attempt in attempts:
                if attempt is not None:
                    at = config.clock() if attempt.enqueued_time is None else attempt.enqueued_time
                    events.append(attempt.event(config, EventType.ENQUEUED, at))
            if len(events) == 1:  # mostly
                _give(config, config.publisher.publish, events[0])
            else:
                _publish_many(config, events)
        except Exception as error:  # noqa: BLE001 - observing must not hurt the job
            config.faults.report("clues", error)

    def dequeued(
        self,
        queue: str,
        item: Mapping[str, Any],
        *,
        hold: bool = False,
        at: float | None = None,
        redelivered: bool = False,
    ) -> Attempt | None:
        """A worker has taken an item.

        Args:
            queue: where from.
            item: what it holds.
            hold: whether perform_started follows at once: then the two events are published together.
            at: when that was, in epoch seconds; None for now.
            redelivered: whether a worker had it before, and has not ended it: ``_redelivered`` says so.

        Returns:
            The attempt, or None for an item that was enqueued without clues and is not adopted: then there are no
            events, as in resque-clues.
        """
        config = self.settings.config
        if config is None:
            return None
        try:
            attempt = recognise(config, queue, item, self.system)
            if attempt is not None:
                _take(config, attempt, hold, at, redelivered)
        except Exception as error:  # noqa: BLE001 - observing must not hurt the job
            config.faults.report("clues", error)
            return None
        return attempt

    @_hook
    def attempt_of(self, config: Config, queue: str, item: Mapping[str, Any]) -> Attempt | None:
        """The attempt that an item is, to go on with its story: another process may have begun it. No event of its own.

        Returns:
            The attempt; None for an item that was enqueued without clues and is not adopted.
        """
        return recognise(config, queue, item, self.system)

    def performing(self, attempt: Attempt | None, queue: str, item: Mapping[str, Any]) -> Performing:
        """A context manager around the job's own code: publishes perform_started, binds ``clues_metadata``, times.

        It binds ``clues_metadata`` without an attempt too, so that a job's code acts the same with clues unconfigured.
        """
        return Performing(self, attempt, queue, item)

    def perform_started(self, attempt: Attempt | None) -> None:
        """The job's code is about to run; `performing` says it where that can wrap the code."""
        config = self.settings.config
        if attempt is None or config is None:
            return
        try:
            event = attempt.begun = attempt.event(config, EventType.PERFORM_STARTED, config.clock())
            held = attempt.held
            if held is None:
                _give(config, config.publisher.publish, event)
            else:
                attempt.held = None
                _publish_many(config, [held, event])
        except Exception as error:  # noqa: BLE001 - observing must not hurt the job
            config.faults.report("clues", error)

    def perform_finished(self, attempt: Attempt | None) -> None:
        """The job has ended well, and that is committed."""
        config = self.settings.config
        if attempt is None or config is None or attempt.ended:
            return
        try:
            _give(config, config.publisher.publish, _ending(config, attempt, EventType.PERFORM_FINISHED))
        except Exception as error:  # noqa: BLE001 - observing must not hurt the job
            config.faults.report("clues", error)

    def failed(
        self,
        attempt: Attempt | None,
        failure: Failure,
        *,
        reason: str | None = None,
        reporter: str = "worker",
        retrying: bool = False,
    ) -> None:
        """The job has failed, and that is committed; the arguments are those of `outcome`."""
        self.publish(self.outcome(attempt, failure, reason=reason, reporter=reporter, retrying=retrying))

    def outcome(
        self,
        attempt: Attempt | None,
        failure: Failure | None = None,
        *,
        reason: str | None = None,
        reporter: str = "worker",
        retrying: bool = False,
    ) -> Event | None:
        """The event that ends an attempt, to be given to `publish` once that is committed.

        Args:
            attempt: the attempt that has ended.
            failure: what was raised; None if it ended well.
            reason: where the job did not fail by itself: ``killed:SIGKILL``, ``exit:3``, ``lost``, ``timeout``,
                ``shutdown``; of other systems also ``revoked`` (withdrawn before it ran), ``cancelled`` (while it ran),
                ``expired``, ``rejected``, ``unknown`` (no worker knows such a job), ``retries_exhausted``.
            reporter: who found out, when there is a reason: ``worker``, ``master``, ``pruner``, ``adapter``.
            retrying: whether another attempt follows by itself: ``_retrying`` says so.

        Returns:
            The event; None without an attempt, or where it had its outcome before.
        """
        config = self.settings.config
        if attempt is None or config is None or attempt.ended:
            return None
        try:
            if failure is None:
                return _ending(config, attempt, EventType.PERFORM_FINISHED)
            return _failed(config, attempt, failure, reason, reporter, retrying)
        except Exception as error:  # noqa: BLE001 - observing must not hurt the job
            config.faults.report("clues", error)
            return None

    def publish(self, *events: Event | None) -> None:
        """Publish what `outcome` gave, once or several times."""
        config = self.settings.config
        if config is None:
            return
        try:
            if len(events) == 1 and events[0] is not None:  # mostly
                _give(config, config.publisher.publish, events[0])
            else:
                _publish_many(config, [event for event in events if event is not None])
        except Exception as error:  # noqa: BLE001 - observing must not hurt the job
            config.faults.report("clues", error)

    @_hook
    def retell(self, config: Config, line: bytes) -> None:
        """Publish an event by its standard line: whoever should have has died. Readers know it by its ``_event_id``."""
        _give(config, config.publisher.publish, replace(Event.from_line(line), marshaller=config.marshaller))

    @_hook
    def destroyed(self, config: Config, queue: str, item: Mapping[str, Any]) -> None:
        """An item was removed from its queue without being worked."""
        attempt = recognise(config, queue, item, self.system)
        if attempt is not None:
            attempt.ended = True
            _give(config, config.publisher.publish, attempt.event(config, EventType.DESTROYED, config.clock()))

    @_hook
    def activate(self, config: Config, item: Mapping[str, Any]) -> AbstractContextManager[object] | None:
        """Make the item's trace context the current one, where a propagator is configured."""
        if config.propagator is None:
            return None
        manager = config.propagator.activate(item)
        manager.__enter__()
        return manager

    @_hook
    def deactivate(
        self,
        config: Config,  # noqa: ARG002 - a hook's signature
        manager: AbstractContextManager[object],
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the trace context that `activate` entered."""
        manager.__exit__(kind, error, trace)


class Performing:
    """The time in which the job's own code runs. Its own errors never reach the job, the job's pass through."""

    __slots__ = ("_activated", "_attempt", "_context", "_item", "_lifecycle", "_queue", "_started")

    def __init__(self, lifecycle: Lifecycle, attempt: Attempt | None, queue: str, item: Mapping[str, Any]) -> None:
        """Prepare; nothing is published until it is entered."""
        self._lifecycle = lifecycle
        self._attempt = attempt
        self._queue = queue
        self._item = item
        self._activated: AbstractContextManager[object] | None = None

    def __enter__(self) -> JobContext:
        """Publish perform_started, bind the job's context, and start its clock."""
        attempt = self._attempt
        self._lifecycle.perform_started(attempt)
        item = self._item
        known = dict(metadata_in(item) or {})
        if attempt is None:
            context = JobContext(read_hash(known), self._queue, item.get("class"), known)
        else:
            known.update(attempt.times)
            context = JobContext(attempt.event_hash, self._queue, item.get("class"), known)
            attempt.context = context
        self._context = context
        config = self._lifecycle.settings.config
        if config is not None and config.propagator is not None and "_traced_by" not in known:  # else theirs is current
            self._activated = self._lifecycle.activate(item)
        context.bind()
        self._started = None if config is None else config.monotonic()
        return context

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the clock and give the context back."""
        config = self._lifecycle.settings.config
        if config is not None and self._attempt is not None and self._started is not None:
            self._attempt.elapsed = config.monotonic() - self._started
        self._context.unbind()
        if self._activated is not None:
            self._lifecycle.deactivate(self._activated, kind, error, trace)


def _take(config: Config, attempt: Attempt, hold: bool, at: float | None, redelivered: bool) -> None:
    """Tell that a worker has taken an attempt."""
    now = config.clock() if at is None else at
    enqueued, scheduled = attempt.enqueued_time, attempt.scheduled_time
    if enqueued is not None:
        waited = passed = now - enqueued
        if scheduled is not None and scheduled > enqueued:
            waited = now - scheduled  # a delay that was asked for is no time in queue
        attempt.times["_time_in_queue"] = waited if waited >= 0 else 0.0
        if passed < 0:
            attempt.times["_clock_skew"] = -passed
    if redelivered:
        attempt.times["_redelivered"] = True
    event = attempt.event(config, EventType.DEQUEUED, now)
    if hold:
        attempt.held = event
    else:
        _give(config, config.publisher.publish, event)


def _failed(  # noqa: PLR0913, PLR0917 - as `outcome`
    config: Config, attempt: Attempt, failure: Failure, reason: str | None, reporter: str, retrying: bool
) -> Event:
    message, message_cut = config.sanitizer.message(failure.message)
    backtrace, backtrace_cut = config.sanitizer.backtrace(failure.backtrace)
    told: dict[str, Any] = {
        "_exception": config.sanitizer.name(failure.exception),
        "_message": message,
        "_backtrace": backtrace,
    }
    if reason is not None:
        told |= {"_reason": reason, "_reporter": reporter}
    if retrying:
        told["_retrying"] = True
    attempt.cut += ["_message"] * message_cut + ["_backtrace"] * backtrace_cut
    return _ending(config, attempt, EventType.FAILED, told)


def _ending(config: Config, attempt: Attempt, event_type: EventType, told: dict[str, Any] | None = None) -> Event:
    attempt.ended = True
    if attempt.elapsed is not None:
        took = {"_time_to_perform": attempt.elapsed}
        told = took if told is None else took | told
    if attempt.context is not None and attempt.context.written:
        spent = len(json_encoder()(attempt.carried)) if attempt.carried else 0
        written, written_cut = config.sanitizer.metadata(attempt.context.written, spent=spent)
        attempt.cut += ["metadata"] * (written_cut and "metadata" not in attempt.cut)
        told = {**(told or {}), **written}
    return attempt.event(config, event_type, config.clock(), told)


def _publish_many(config: Config, events: list[Event]) -> None:
    publish_many = getattr(config.publisher, "publish_many", None) if len(events) > 1 else None
    if publish_many is None:
        for event in events:
            _give(config, config.publisher.publish, event)
    elif len(events) <= _AT_ONCE:
        _give(config, publish_many, events)
    else:
        for start in range(0, len(events), _AT_ONCE):
            _give(config, publish_many, events[start : start + _AT_ONCE])


def _give(config: Config, publish: Callable[[T], object], told: T) -> None:
    if _publishing.get():
        error = RecursionError("a publisher caused this event; it is not published")
        config.faults.report(name_of(config.publisher), error)
        return
    before = _publishing.set(True)
    try:
        publish(told)
    except BaseException as error:  # noqa: BLE001 - even one that exits must not take the job with it
        one = isinstance(told, Event)
        lost = "the event is lost to it, the job goes on" if one else "the events are lost to it, the jobs go on"
        config.faults.report(name_of(config.publisher), error, lost, events=1 if one else len(told))  # type: ignore[arg-type]
    finally:
        _publishing.reset(before)


# Whether we are inside a publisher: what a publisher causes is not published, or it would never end. Each greenlet
# has a context of its own, also where clues was imported before gevent has patched `threading.local`.
_publishing: ContextVar[bool] = ContextVar("clues_publishing", default=False)
