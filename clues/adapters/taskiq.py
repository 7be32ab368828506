"""taskiq: a middleware, ``broker.with_middlewares(CluesMiddleware())``, or ``install(broker)``, in the initializer.

- `enqueued`: the broker has taken the message; of ``schedule_by_time``, the schedule source has taken the schedule.
  What the scheduler makes of cron lines, intervals and labels is enqueued when it sends it.
- `dequeued`: the worker has taken it; `perform_started`: its function begins, after its dependencies, in its thread.
- `perform_finished` and `failed`: told when the receiver is done with the message: result saved, delivery acknowledged.

The metadata rides in one label, ``clues_metadata``, as JSON; a worker without clues passes it by. Each message that a
retry middleware or ``Context.requeue`` sends is the next attempt.

A worker process that is killed takes its jobs along where the broker has no acknowledgements (`ListQueueBroker`): the
next one on the host finds them in its ledger, and tells `failed`, ``lost``. What can't be known: how it died, what a
message says that can't be parsed, and whether a message is delivered anew, but from a Redis stream.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import copy
import functools
import inspect
import logging
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from clues.attempt import METADATA, Attempt
from clues.config import configure_from_environment
from clues.errors import ConfigError, MissingExtraError, TermException
from clues.event import Event, EventType, json_encoder
from clues.ledger import Ledger
from clues.lifecycle import Lifecycle, Performing
from clues.metadata import Failure, failure_of
from clues.plain import plain
from clues.runtime import JobContext

try:
    import anyio
    import taskiq
    import taskiq_dependencies
    from taskiq.acks import AckableMessage
    from taskiq.context import Context
    from taskiq.exceptions import NoResultError, TaskRejectedError
    from taskiq.kicker import AsyncKicker
    from taskiq.receiver import Receiver
    from taskiq.scheduler.created_schedule import CreatedSchedule
    from taskiq.utils import maybe_awaitable
except ImportError as error:
    raise MissingExtraError("clues.adapters.taskiq", "taskiq", "taskiq") from error

_decode: Callable[[str], Any]
try:  # the quicker one; it is at work for each message
    from orjson import loads as _decode  # type: ignore[assignment, unused-ignore]
except ImportError:
    from json import loads as _decode

log = logging.getLogger("clues")
lifecycle = Lifecycle(system="taskiq")

LABEL = METADATA
"""The message's label that holds the metadata."""

_DUE = "due "  # before the JSON of a schedule whose `enqueued` is told, and which is still to be sent
_NO_QUEUE = "taskiq"  # where a broker has no name for it, as InMemoryBroker
_OPENTELEMETRY = "taskiq.middlewares.opentelemetry_middleware"
_TRACE = ("traceparent", "tracestate")
_WRITTEN = "_clues_written"  # on an error from a process of the pool
_PATIENCE = 1.0  # seconds for asking Redis how often a message was delivered
_BACKWARDS = "reversed" in Receiver.run_task.__code__.co_names  # middlewares hear of errors; not in older ones
_CALLERS = (
    __file__,
    *(
        inspect.getfile(module).removesuffix("__init__.py")
        for module in (taskiq, taskiq_dependencies, anyio, asyncio, concurrent.futures, contextlib)
    ),
)


class CluesMiddleware(taskiq.TaskiqMiddleware):  # type: ignore[misc, unused-ignore]
    """Tells of a broker's jobs. Best the first of its middlewares, but after taskiq's OpenTelemetryMiddleware."""

    _asked = False  # whether the environment was, for a configuration
    _ledger: Ledger | None = None  # a worker's

    def set_broker(self, broker: Any) -> None:
        """Called by the broker when it gets the middleware."""
        super().set_broker(broker)
        _brokers.add(broker)
        _patch()

    def startup(self) -> None:
        """Tell of what dead workers ran."""
        self._configure()
        lifecycle.safely(_listen_first, self.broker)
        if self.broker.is_worker_process and self._ledger is None:
            self._ledger = lifecycle.safely(_ledger_of, self.broker)

    async def shutdown(self) -> None:
        """The broker ends: what still runs, and nobody will be given again, has failed."""
        for _ in range(3):
            await asyncio.sleep(0)  # what a thread has finished meanwhile is told by its own callback
        for run in [run for run in _running if run.broker is self.broker]:
            lifecycle.safely(_stopped, run)
        ledger, self._ledger = self._ledger, None
        if ledger is not None:
            lifecycle.safely(ledger.leave)

    def _configure(self) -> None:
        """By the environment alone, where the application has not done it by the time that it matters."""
        self._asked = True
        try:
            configure_from_environment()
        except ConfigError as error:
            log.error("clues is not configured: %s", error)  # noqa: TRY400 - its message says all

    def pre_send(self, message: Any) -> Any:
        """Stamp a message."""
        if lifecycle.settings.config is None and not self._asked:
            self._configure()
        if lifecycle.settings.config is not None:
            lifecycle.safely(_stamp_message, self.broker, message)
        return message

    def post_send(self, message: Any) -> None:
        """The broker has it."""
        stamp = message.labels.get(LABEL)
        if type(stamp) is _Stamp:
            lifecycle.safely(stamp.sent)

    def pre_execute(self, message: Any) -> Any:
        """A worker is about to run it."""
        run = _run.get()
        if run is not None and run.message is None:
            lifecycle.safely(run.take, message)
        return message

    def on_error(self, message: Any, result: Any, exception: BaseException) -> None:  # noqa: ARG002 - its signature
        """It has failed; whether it is retried is known later."""
        run = _run.get()
        if run is not None and run.error is None:
            lifecycle.safely(run.fail, exception)


class _Listener(taskiq.TaskiqMiddleware):  # type: ignore[misc, unused-ignore]
    """Hears of errors before the retry middlewares do, wherever ours stands."""

    on_error = CluesMiddleware.on_error


def install(broker: Any) -> None:
    """Put the middleware into a broker, unless it is there: before all others, but after OpenTelemetry's."""
    if _clues_of(broker) is None:
        middleware = CluesMiddleware()
        middleware.set_broker(broker)
        traced = [index for index, one in enumerate(broker.middlewares) if _traces(one)]
        broker.middlewares.insert(traced[-1] + 1 if traced else 0, middleware)


def uninstall(broker: Any = None) -> None:
    """Take the middleware out of a broker, of all without an argument; taskiq is as it was when that was the last."""
    for one in list(_brokers) if broker is None else [broker]:
        one.middlewares[:] = [each for each in one.middlewares if not isinstance(each, (CluesMiddleware, _Listener))]
        _brokers.discard(one)
    if not _brokers:
        _unpatch()


def hooked() -> list[str]:
    """The brokers of this process that have the middleware."""
    return sorted(f"{type(broker).__name__} {_queue(broker, {})}" for broker in _brokers if _clues_of(broker))


class _Stamp(str):
    """The label's text, which remembers its attempt until the message is sent. To all who serialise it a string."""

    __slots__ = ("attempt", "run")

    attempt: Attempt | None
    run: _Run | None

    def __reduce__(self) -> tuple[type, tuple[str]]:
        return str, (str.__str__(self),)

    def sent(self) -> None:
        """Tell it, once."""
        attempt, self.attempt = self.attempt, None
        if attempt is not None:
            if self.run is not None:
                self.run.follow()
            lifecycle.enqueued(attempt)


_NO_THREADS: set[Any] = set()  # always empty


class _Run:
    """A delivery that a receiver works."""

    __slots__ = (
        "acked", "attempt", "broker", "data", "early", "error", "item", "ledger", "message", "performing", "queue",
        "redelivered", "retrying", "threads", "timeout",
    )  # fmt: skip

    def __init__(self, broker: Any, message: Any, ledger: Ledger | None) -> None:
        self.broker = broker
        self.ledger = ledger
        self.attempt: Attempt | None = None
        self.item: dict[str, Any] = {}
        self.queue = ""
        self.message: Any = None
        self.performing: Performing | None = None
        self.early: JobContext | None = None
        self.threads: set[_Run] = _NO_THREADS
        self.error: BaseException | None = None
        self.retrying = False
        self.redelivered = False
        self.timeout = False
        self.acked = True  # gone from the broker: nobody will get it again
        self.data = message
        if isinstance(message, AckableMessage):
            self.acked = False
            self.data = message.data
            message.ack = functools.partial(self._ack, message.ack)

    async def _ack(self, ack: Callable[[], Any]) -> None:
        await maybe_awaitable(ack())
        self.acked = True

    def take(self, message: Any, *, hold: bool = True) -> None:
        """The message is understood: it is an attempt, or of a producer without clues."""
        self.message = message
        self.queue = _queue(self.broker, message.labels)
        self.item = _item(message.task_name, message.args, message.kwargs, message.task_id)
        self.item[METADATA] = _read(message.labels.get(LABEL))[1]
        self.timeout = message.labels.get("timeout") is not None
        sending = _sending.get()
        if sending is not None and sending.attempt is not None and sending.run is not self:
            _sent_inline(sending, self.item[METADATA])
        self.item |= _trace_in(message.labels)
        self.attempt = lifecycle.dequeued(self.queue, self.item, hold=hold, redelivered=self.redelivered)
        if self.attempt is not None:
            _running.add(self)
            if _is_instrumented(self.broker):  # its span is the current one, and stays so
                self.attempt.times["_traced_by"] = "opentelemetry"

    def end(self, error: BaseException | None) -> None:
        """Tell the attempt's end.

        Args:
            error: what the receiver itself has raised, if it has.
        """
        _running.discard(self)
        attempt, raised = self.attempt, self.error
        if attempt is None or attempt.ended:
            return
        if error is not None:
            if not self.acked:
                return  # it is delivered again, as this attempt
            raised = raised or error
        self.release(attempt)
        if raised is None or (isinstance(raised, NoResultError) and not self.retrying):
            self._tell(attempt, lifecycle.outcome(attempt))
            return
        failure = failure_of(raised, callers=_CALLERS)
        reason = _reason(raised, failure, timeout=self.timeout)
        self._tell(
            attempt,
            lifecycle.outcome(attempt, failure, reason=reason, reporter="adapter", retrying=self.retrying),
        )

    def wait(self) -> None:
        """It is ours, but its code does not run yet; its dependencies may write into ``clues_metadata``."""
        attempt, config = self.attempt, lifecycle.settings.config
        known = self.item[METADATA]
        event_hash = None if attempt is None else attempt.event_hash
        self.early = JobContext(event_hash, self.queue, self.item["class"], known)
        self.early.bind()
        if attempt is None or config is None:
            return
        attempt.context = self.early
        self.release(attempt)
        if self.ledger is not None and self.acked:
            attempt.begun = attempt.event(config, EventType.PERFORM_STARTED, config.clock())  # not told yet
            self.ledger.begin(attempt)

    def release(self, attempt: Attempt) -> None:
        """Tell of its dequeueing, if that has not been done together with its beginning."""
        if attempt.held is not None:
            held, attempt.held = attempt.held, None
            lifecycle.publish(held)

    def start(self) -> JobContext:
        """Its code is about to run. If nobody will be given the message again, our ledger has it."""
        attempt = self.attempt if self.attempt is None or not self.attempt.ended else None  # it waited for too long
        if self.early is None and self.ledger is not None and self.acked:
            self.ledger.begin(attempt)
        self.performing = lifecycle.performing(attempt, self.queue, self.item)
        context = self.performing.__enter__()
        if self.early is not None:
            context.written = self.early.written
        return context

    def perform(self, target: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run a sync task, in its thread."""
        lifecycle.safely(self.start)
        try:
            return target(*args, **kwargs)
        finally:
            self.threads.discard(self)
            lifecycle.safely(self.stop)

    async def perform_async(self, target: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run an async task whose dependencies are there."""
        lifecycle.safely(self.start)
        try:
            return await target(*args, **kwargs)
        finally:
            lifecycle.safely(self.stop)

    def stop(self) -> None:
        """Its code has run."""
        performing, self.performing = self.performing, None
        if performing is not None:
            performing.__exit__(None, None, None)

    def leave(self) -> None:
        """Its dependencies are done, too."""
        if self.performing is None:
            self.threads.discard(self)  # else its thread goes on
        self.stop()
        if self.early is not None:
            self.early.unbind()

    def write(self, written: Mapping[str, Any]) -> None:
        """Take over what the job wrote in a process of the pool."""
        if self.attempt is not None and self.attempt.context is not None:
            self.attempt.context.written.update(written)

    def fail(self, error: BaseException) -> None:
        """Its code has raised."""
        self.error = error
        if hasattr(error, _WRITTEN):
            self.write(error.__dict__.pop(_WRITTEN))
        self.stop()

    def follow(self) -> None:
        """The next attempt is enqueued. This one has ended, unless it was the job's own code that did it."""
        self.retrying = True
        if self.error is not None:
            self.end(None)

    def _tell(self, attempt: Attempt, event: Event | None) -> None:
        if self.ledger is None:
            lifecycle.publish(event)
        else:
            self.ledger.end(attempt, event)


_brokers: WeakSet[Any] = WeakSet()
_running: set[_Run] = set()
_threads: WeakKeyDictionary[Any, set[_Run]] = WeakKeyDictionary()
_run: contextvars.ContextVar[_Run | None] = contextvars.ContextVar("clues_taskiq_run", default=None)
_sending: contextvars.ContextVar[_Stamp | None] = contextvars.ContextVar("clues_taskiq_sending", default=None)


def _clues_of(broker: Any) -> CluesMiddleware | None:
    for middleware in broker.middlewares:
        if isinstance(middleware, CluesMiddleware):
            return middleware
    return None


def _watched(broker: Any) -> bool:
    return lifecycle.settings.config is not None and _clues_of(broker) is not None


def _queue(broker: Any, labels: Mapping[str, Any]) -> str:
    """The name of a message's queue: its own label, or the broker's only one."""
    name = labels.get("queue_name") or getattr(broker, "queue_name", None)
    return name if type(name) is str else _NO_QUEUE


def _item(task: str, args: Any, kwargs: Mapping[str, Any], task_id: str | None) -> dict[str, Any]:
    item = {"class": task, "args": [*args, kwargs] if kwargs else list(args)}
    return item if task_id is None else {**item, "job_id": task_id}


def _read(label: Any) -> tuple[bool, dict[str, Any]]:
    """What a label holds: whether it is of a schedule, and the metadata; none in a foreign or damaged one."""
    if not isinstance(label, str):
        return False, {}
    due = label.startswith(_DUE)
    try:
        found = _decode(label[len(_DUE) :] if due else label)
    except (ValueError, RecursionError):
        return False, {}
    return due, found if type(found) is dict else {}


def _trace_in(labels: Mapping[str, Any]) -> dict[str, str]:
    """The trace context that taskiq's own instrumentation has written."""
    if "traceparent" not in labels:
        return {}
    return {key: labels[key] for key in _TRACE if isinstance(labels.get(key), str)}


def _is_instrumented(broker: Any) -> bool:
    """Whether taskiq's own OpenTelemetryMiddleware is there: then its spans are the ones."""
    return _OPENTELEMETRY in sys.modules and any(_traces(middleware) for middleware in broker.middlewares)


def _traces(middleware: Any) -> bool:
    module = sys.modules.get(_OPENTELEMETRY)
    return module is not None and isinstance(middleware, module.OpenTelemetryMiddleware)


# Enqueueing.


def _stamp_message(broker: Any, message: Any) -> None:
    labels = message.labels
    label = labels.get(LABEL)
    if type(label) is _Stamp:
        return  # another of our middlewares did it
    due, known = _read(label)
    if message.labels_types:
        message.labels_types.pop(LABEL, None)  # that of what was there
    if due:
        known["_job_id"] = message.task_id
        labels[LABEL] = json_encoder()(known).decode()
        return
    item = _item(message.task_name, message.args, message.kwargs, message.task_id)
    stamp = _stamp(broker, labels, known, item)
    if stamp is not None:
        labels[LABEL] = stamp
        _sending.set(stamp)


def _stamp(
    broker: Any, labels: Mapping[str, Any], known: dict[str, Any], item: dict[str, Any], due: float | None = None
) -> _Stamp | None:
    """The label for a message that is to be sent: of a new job, or of the next attempt of the one that has this id."""
    job_id = item.get("job_id")
    run = _run.get()
    follows = run is not None and run.item.get("job_id") == job_id and job_id is not None
    if follows and run is not None:
        if run.attempt is None:
            return None  # a job without events has none when it is retried
        item[METADATA] = {
            **run.item[METADATA],
            "_event_hash": run.attempt.event_hash,
            "_attempt": run.attempt.number + 1,
        }
    elif known and known.get("_job_id") == job_id and job_id is not None:
        item[METADATA] = {**known, "_attempt": known.get("_attempt", 0) + 1}
    first = METADATA not in item
    if carried := _trace_in(labels):
        item |= carried
        item[METADATA] = {**item.get(METADATA, {}), **{f"_{key}": value for key, value in carried.items()}}
    attempt = lifecycle.stamp(_queue(broker, labels), item, preprocess=first, scheduled_time=due)
    if attempt is None:
        return None
    if _is_instrumented(broker):
        attempt.times["_traced_by"] = "opentelemetry"
    metadata = item[METADATA]
    if job_id is not None:
        metadata["_job_id"] = job_id
    text = json_encoder()(metadata).decode()
    stamp = _Stamp(text if due is None else _DUE + text)
    stamp.attempt = attempt
    stamp.run = run if follows else None
    return stamp


def _sent_inline(stamp: _Stamp, known: Mapping[str, Any]) -> None:
    """InMemoryBroker may run a job before its sending has returned."""
    if stamp.attempt is not None and stamp.attempt.event_hash == known.get("_event_hash"):
        stamp.sent()


def _schedule_by_time(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def schedule_by_time(self: Any, source: Any, time: datetime, *args: Any, **kwargs: Any) -> Any:
        marked = lifecycle.safely(_marked, self, time, args, kwargs) if _watched(self.broker) else None
        if marked is None:
            return await original(self, source, time, *args, **kwargs)
        created = await original(marked, source, time, *args, **kwargs)
        created.kicker = self
        lifecycle.safely(marked.labels[LABEL].sent)
        return created

    return schedule_by_time


def _marked(kicker: Any, time: datetime, args: Any, kwargs: Any) -> Any:
    """A copy of a kicker, whose schedule is stamped: users may use the kicker again."""
    prepared = [kicker._prepare_arg(arg) for arg in args]
    named = {name: kicker._prepare_arg(arg) for name, arg in kwargs.items()}
    item = _item(kicker.task_name, prepared, named, kicker.custom_task_id)
    due = (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    known = _read(kicker.labels.get(LABEL))[1]
    stamp = _stamp(kicker.broker, kicker.labels, known, item, due)
    if stamp is None:
        return None
    marked = copy.copy(kicker)
    marked.labels = {**kicker.labels, LABEL: stamp}
    return marked


def _unschedule(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def unschedule(self: Any) -> None:
        await original(self)
        if _watched(self.kicker.broker):
            lifecycle.safely(_revoked, self.kicker.broker, self.task)

    return unschedule


def _revoked(broker: Any, task: Any) -> None:
    due, known = _read(task.labels.get(LABEL))
    if not due or known.get("_scheduled_time", 0) <= datetime.now(UTC).timestamp():
        return  # it may have been sent
    item = _item(task.task_name, task.args, task.kwargs, known.get("_job_id")) | {METADATA: known}
    attempt = lifecycle.attempt_of(_queue(broker, task.labels), item)
    why = Failure("taskiq.exceptions.ScheduledTaskCancelledError", "the schedule was withdrawn before it was due")
    lifecycle.failed(attempt, why, reason="revoked", reporter="adapter")


def _requeue(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def requeue(self: Any) -> None:
        stamp = lifecycle.safely(_restamped, self) if _watched(self.broker) else None
        try:
            await original(self)
        except NoResultError as error:
            if stamp is not None and stamp.run is not None:
                lifecycle.safely(stamp.run.fail, error)
            if stamp is not None:
                lifecycle.safely(stamp.sent)
            raise

    return requeue


def _restamped(context: Any) -> _Stamp | None:
    message = context.message
    item = _item(message.task_name, message.args, message.kwargs, message.task_id)
    stamp = _stamp(context.broker, message.labels, {}, item)
    if stamp is not None:
        message.labels[LABEL] = stamp
        if message.labels_types:
            message.labels_types.pop(LABEL, None)
    return stamp


# The worker.


def _callback(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def callback(self: Any, message: Any, *args: Any, **kwargs: Any) -> Any:
        broker = self.broker
        middleware = _clues_of(broker)
        if middleware is None:
            return await original(self, message, *args, **kwargs)
        redelivered = not isinstance(message, bytes) and await _redelivered(broker, message)
        run = _Run(broker, message, middleware._ledger)
        run.redelivered = redelivered
        token = _run.set(run)
        try:
            returned = await original(self, message, *args, **kwargs)
        except BaseException as error:
            lifecycle.safely(_over, run, error)
            raise
        else:
            lifecycle.safely(_over, run, None)
            return returned
        finally:
            with contextlib.suppress(ValueError):  # another context: the loop was closed before we were done
                _run.reset(token)

    return callback


def _over(run: _Run, error: BaseException | None) -> None:
    if run.message is None and run.acked:
        run.error = _unseen(run)
    run.end(error)


def _unseen(run: _Run) -> BaseException | None:
    """Our middleware has not heard of it: no such task, a message that can't be parsed, or one before us has raised."""
    if lifecycle.settings.config is None:
        return None
    try:
        message = run.broker.formatter.loads(message=run.data)
        message.parse_labels()
    except Exception as error:  # noqa: BLE001 - it was logged by taskiq
        message = _damaged(run)
        if message is None:
            return None
        run.take(message, hold=False)
        return _UnknownMessage(f"the message can't be parsed: {error}")
    run.take(message, hold=False)
    if run.broker.find_task(message.task_name) is not None:
        return None
    return _UnknownMessage(f"task {message.task_name!r} is not found")


def _damaged(run: _Run) -> Any:
    """What is left of a message that taskiq can't parse, if that has our label."""
    try:
        found = run.broker.serializer.loadb(run.data)
        labels = found["labels"]
        if not _read(labels[LABEL])[1]:
            return None
    except Exception:  # noqa: BLE001 - anything may stand in a queue
        return None
    args, kwargs = found.get("args"), found.get("kwargs")
    return SimpleNamespace(
        task_name=str(found.get("task_name")),
        args=args if isinstance(args, list) else [],
        kwargs=kwargs if isinstance(kwargs, dict) else {},
        task_id=str(found.get("task_id")),
        labels=labels,
    )


class _UnknownMessage(Exception):  # noqa: N818 - never raised; its name is told
    """A message that no task takes."""


_UnknownMessage.__module__, _UnknownMessage.__qualname__ = "taskiq.exceptions", "UnknownTaskError"


def _listen_first(broker: Any) -> None:
    others = [one for one in broker.middlewares if not isinstance(one, _Listener)]
    first = others[-1] if _BACKWARDS else others[0]
    if len(others) == len(broker.middlewares) and not isinstance(first, CluesMiddleware):
        broker.middlewares.insert(len(others) if _BACKWARDS else 0, _Listener())


def _ledger_of(broker: Any) -> Ledger:
    options = getattr(getattr(broker, "connection_pool", None), "connection_kwargs", {})
    where = [str(options.get(name)) for name in ("host", "port", "path", "db")]
    ledger = Ledger(lifecycle, " ".join([type(broker).__name__, _queue(broker, {}), *where]))
    ledger.settle()
    return ledger


def _stopped(run: _Run) -> None:
    if run.acked:
        run.error = TermException("the worker has stopped while the job ran")
        run.end(None)


_REASONS: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((TermException, KeyboardInterrupt, GeneratorExit), "shutdown"),
    ((asyncio.CancelledError,), "cancelled"),
    ((BrokenProcessPool,), "lost"),
    ((TaskRejectedError,), "rejected"),
    ((_UnknownMessage,), "unknown"),
)


def _reason(error: BaseException, failure: Failure, *, timeout: bool) -> str | None:
    for kinds, reason in _REASONS:
        if isinstance(error, kinds):
            return reason
    if timeout and isinstance(error, TimeoutError):
        # taskiq's own has no frame of the task's code; what it comes from has, the cancellation.
        foreign = not failure.backtrace or failure.backtrace[0].startswith("caused by asyncio.exceptions.Cancelled")
        return "timeout" if foreign else None
    return None


def _run_task(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def run_task(self: Any, target: Any, message: Any, *args: Any, **kwargs: Any) -> Any:
        run = _run.get()
        if run is None or run.message is None:
            return await original(self, target, message, *args, **kwargs)
        target = lifecycle.safely(_watched_target, self, run, target) or target
        try:
            result = await original(self, target, message, *args, **kwargs)
            if type(result.return_value) is _Returned:
                lifecycle.safely(run.write, result.return_value.written)
                result.return_value = result.return_value.value
        finally:
            lifecycle.safely(run.leave)
        return result

    return run_task


def _watched_target(receiver: Any, run: _Run, target: Callable[..., Any]) -> Callable[..., Any] | None:
    """The task's function, as one that tells when it begins; None if it begins now.

    It begins later in a thread, and where its dependencies come before it.
    """
    name = run.message.task_name
    if name not in receiver.known_tasks:
        receiver._prepare_task(name, target)  # of the function itself
    depends = not receiver.dependency_graphs[name].is_empty()
    if _is_coroutine_function(target):
        if not depends:
            run.start()
            return None
        run.wait()
        return functools.partial(run.perform_async, target)
    if isinstance(receiver.executor, ProcessPoolExecutor):
        return _Pooled(target, run.start())
    run.threads = threads = _threads.setdefault(receiver.executor, set()) if receiver.executor else set()
    if depends or len(threads) >= getattr(receiver.executor, "_max_workers", 0):
        run.wait()  # for a thread, or for what it depends on
    threads.add(run)
    return functools.partial(run.perform, target)


_is_coroutine_function = functools.lru_cache(1024)(
    asyncio.iscoroutinefunction if sys.version_info <= (3, 13) else inspect.iscoroutinefunction  # as taskiq has it
)


class _Pooled:
    """A task for a process of the pool: what it writes into ``clues_metadata`` comes back with its result."""

    def __init__(self, target: Callable[..., Any], context: JobContext) -> None:
        self.target = target
        self.told = (context.event_hash, context.queue, context.worker_class, context.known)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        context = JobContext(*self.told)
        context.bind()
        try:
            return _Returned(self.target(*args, **kwargs), plain(context.written))
        except BaseException as error:
            with contextlib.suppress(Exception):
                setattr(error, _WRITTEN, plain(context.written))
            raise
        finally:
            context.unbind()


class _Returned:
    def __init__(self, value: Any, written: Any) -> None:
        self.value = value
        self.written = written


async def _redelivered(broker: Any, message: Any) -> bool:
    """Whether a message from a Redis stream was delivered before; asked of Redis if it is old enough for that."""
    config = lifecycle.settings.config
    if config is None or not isinstance(message, AckableMessage) or not hasattr(broker, "idle_timeout"):
        return False
    try:
        ack = message.ack
        cells = dict(zip(ack.__code__.co_freevars, (cell.cell_contents for cell in ack.__closure__ or ()), strict=True))
        number = cells["id"]
        sent = int((number.decode() if isinstance(number, bytes) else number).partition("-")[0])
        if config.clock() * 1000 - sent < broker.idle_timeout:
            return False
        return await asyncio.wait_for(
            _delivered_before(broker, cells.get("queue_name", broker.queue_name), number), _PATIENCE
        )
    except Exception as error:  # noqa: BLE001 - brokers of others have an idle_timeout too
        config.faults.report("clues", error)
        return False


async def _delivered_before(broker: Any, stream: Any, number: Any) -> bool:
    from redis.asyncio import Redis  # noqa: PLC0415 - that broker's library

    async with Redis(connection_pool=broker.connection_pool) as client:
        pending = await client.xpending_range(stream, broker.consumer_group_name, min=number, max=number, count=1)
    # One that nobody is waiting for any more was acknowledged by whoever had it before.
    return not pending or any(int(one["times_delivered"]) > 1 for one in pending)


# What is put into taskiq. It acts on brokers that have the middleware alone.

_PATCHES: tuple[tuple[Any, str, Callable[[Any], Any]], ...] = (
    (Receiver, "callback", _callback),
    (Receiver, "run_task", _run_task),
    (AsyncKicker, "schedule_by_time", _schedule_by_time),
    (CreatedSchedule, "unschedule", _unschedule),
    (Context, "requeue", _requeue),
)
_originals: dict[tuple[Any, str], tuple[Any, Any]] = {}


def _patch() -> None:
    for owner, name, make in _PATCHES:
        if (owner, name) not in _originals:
            original = getattr(owner, name)
            ours = make(original)
            _originals[owner, name] = (original, ours)
            setattr(owner, name, ours)


def _unpatch() -> None:
    for (owner, name), (original, ours) in list(_originals.items()):
        if getattr(owner, name) is ours:  # else somebody has wrapped it since, and ours passes on
            setattr(owner, name, original)
            del _originals[owner, name]
