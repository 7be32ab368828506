"""Huey: ``install(huey)`` beside the instance, in the application that enqueues and that the consumer imports.

- enqueued: the storage has taken the task. A task that is due later, and each retry, has one too, with the time it is
  due; the consumer's scheduler, which brings it to the queue then, adds none. Of periodic tasks the scheduler tells.
- dequeued: a worker has taken it to run it, or to find that it is revoked or expired.
- perform_started, perform_finished: the task's own function; pre- and post-execute hooks are not in its time.
- failed: what the function raised. Reasons: ``revoked``, ``expired``, ``cancelled`` (`CancelExecution`), ``rejected``
  (a lock or a rate limit kept it out), ``timeout``, ``shutdown``, ``unknown``, ``killed:SIGKILL`` (a worker process).

Metadata: Huey's message is a fixed tuple without a slot for more, but the task's keyword arguments are always in it. On
their way they are an `OrderedDict`, equal to the dict that they were, whose attribute ``clues_metadata`` pickle takes
along. A consumer without clues calls the task with it as ever, and this one with its messages. A serializer that is not
pickle drops the attribute: the task runs, and has events in its producer alone unless ``adopt_unstamped`` is set.

A consumer notes what its workers have in a ledger: of a worker process that was killed its main process tells, of a
consumer that was killed the next one on the host. What can't be known: tasks that `Huey.flush` removes, and those that
Redis hands to a worker that dies before it has read them.
"""

from __future__ import annotations

import functools
import os
import signal
from collections import OrderedDict
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from threading import Lock
from typing import Any
from weakref import WeakSet

from clues.companion import Beside, start_companion
from clues.config import Config, configure_from_environment
from clues.errors import MissingExtraError, let_through
from clues.event import Event
from clues.ledger import Ledger
from clues.lifecycle import Lifecycle, Performing
from clues.metadata import Failure, failure_of
from clues.runtime import current_job

try:
    import huey as library
    from huey.api import Huey, Task
except ImportError as error:
    raise MissingExtraError("clues.adapters.huey", "huey", "huey") from error

lifecycle = Lifecycle(system="huey")
if hasattr(library.exceptions, "TaskTimeout"):  # from 3.0
    let_through(library.exceptions.TaskTimeout)

_RUN, _HOOKS = "_clues_run", "_clues_hooks"  # attributes of a task, of an instance
_CALLERS = (os.path.dirname(library.__file__) + os.sep, __file__)  # noqa: PTH120 - as frames spell it
_HOOKED = (
    "enqueue", "add_schedule", "_requeue_task", "serialize_task", "deserialize_task", "dequeue", "read_schedule",
    "execute", "_emit", "create_consumer",
)  # fmt: skip
_NOT_RUN = {
    "revoked": Failure("Revoked", "the task was revoked before it ran"),
    "expired": Failure("Expired", "the task had expired before a worker took it"),
    "canceled": Failure("CancelExecution", "a pre-execute hook cancelled the task"),
}
_REASONS = {"canceled": "cancelled", "timeout": "timeout", "locked": "rejected", "rate-limited": "rejected"}
_HEARD = {"complete", "interrupted", *_NOT_RUN, *_REASONS}
_STOPPED = Failure("KeyboardInterrupt", "the consumer stopped while the task ran")

_instances: WeakSet[Any] = WeakSet()


def install(huey: Huey) -> None:
    """Have an instance's tasks told, where they are enqueued and where they run. Twice is once.

    Raises:
        ConfigError: clues is to be configured by the environment alone, and that is mistaken.
    """
    configure_from_environment()
    if _HOOKS not in huey.__dict__:
        huey.__dict__[_HOOKS] = _Hooks(huey)
        _instances.add(huey)


def uninstall(huey: Huey | None = None) -> None:
    """Give an instance its own methods back; without an argument, all of them."""
    for one in list(_instances) if huey is None else [huey]:
        if (hooks := one.__dict__.pop(_HOOKS, None)) is not None:
            hooks.remove()
            _instances.discard(one)


def hooked() -> list[str]:
    """The names of the instances that tell of their tasks in this process."""
    return sorted(f"huey {huey.name}" for huey in _instances)


class _Run:
    """A task while this process has it: on its way to the queue, taken from there, running.

    Attributes:
        metadata: what its message carries, or is to carry.
        moving: whether it is between queue, schedule and worker: pushed in this state it is no new job.
        retrying: whether Huey is about to push it for another attempt.
        at: when a worker took it.
        item: what the lifecycle is told of it; None until it is taken to be run.
        noted: whether the ledger holds it.
        executed: whether it was given to be run; ``begun``: whether its function was called.
        performing: while that runs.
        error: what that raised.
        reason: why, as Huey sees it.
        lock: taken for good by who tells the end: a consumer that stops does that from another thread.
    """

    retrying = False
    at: float | None = None
    item: dict[str, Any] | None = None
    attempt: Any = None
    noted = executed = begun = False
    performing: Performing | None = None
    error: BaseException | None = None
    reason: str | None = None

    def __init__(self, metadata: Any, *, moving: bool) -> None:
        self.metadata = metadata
        self.moving = moving
        self.lock = Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(None), ()  # whoever copies a task, or would pickle it, gets none of this


class _Own:
    """An instance's methods as they were, looked up when they are called, for others patch its class: unbound."""

    def __init__(self, huey: Huey) -> None:
        self._kind = type(huey)
        for name in _HOOKED:
            if name in huey.__dict__:  # somebody has patched the instance
                setattr(self, name, _unbound(huey.__dict__[name]))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kind, name)


def _unbound(method: Callable[..., Any]) -> Callable[..., Any]:
    return lambda _, *args, **kwargs: method(*args, **kwargs)


_executing: ContextVar[_Run | None] = ContextVar("clues_huey_executing", default=None)
_taking: ContextVar[bool] = ContextVar("clues_huey_taking", default=False)


class _Hooks:
    """An instance's methods, each around Huey's own of the same name. What is ours in them never raises."""

    def __init__(self, huey: Huey) -> None:
        self.huey = huey
        self.ledger = Ledger(lifecycle, _place(huey))
        self.consumes = False  # whether there is a consumer to keep it
        self._active = True
        self._before = {name: huey.__dict__[name] for name in _HOOKED if name in huey.__dict__}
        self._own: Any = _Own(huey) if self._before else type(huey)
        for name in _HOOKED:
            setattr(huey, name, getattr(self, name))

    def remove(self) -> None:
        """Take the hooks off; who has wrapped them meanwhile finds that they pass through."""
        self._active = False
        for name in _HOOKED:
            if self.huey.__dict__.get(name) == getattr(self, name):
                del self.huey.__dict__[name]
                if name in self._before:
                    setattr(self.huey, name, self._before[name])

    def _config(self) -> Config | None:
        return lifecycle.settings.config if self._active else None

    # Towards the queue.

    def enqueue(self, task: Any) -> Any:
        return self._push(self._own.enqueue, task)

    def add_schedule(self, task: Any) -> Any:
        return self._push(self._own.add_schedule, task, scheduled=True)

    def _push(self, push: Callable[..., Any], task: Any, *, scheduled: bool = False) -> Any:
        huey = self.huey
        if self._config() is None or not isinstance(task, Task):  # a group or a chord comes back with its tasks
            return push(huey, task)
        run = task.__dict__.get(_RUN)
        if run is not None and run.moving and (scheduled or not run.executed):
            return self._move(push, task, run)
        try:
            again = run is not None and run.retrying
            new, attempt, ended = self._next(run, task, scheduled=scheduled) if again else self._fresh(task)
        except Exception as error:  # noqa: BLE001 - observing must not hurt the job
            lifecycle.report(error)
            return push(huey, task)
        task.__dict__[_RUN] = new
        try:
            if huey.immediate:  # then the push is the run
                self._end(run, ended)
                lifecycle.enqueued(attempt)
                return push(huey, task)
            result = push(huey, task)
        except BaseException:
            if ended is not None and not huey.immediate:  # told it is not yet, and there is no other attempt
                run.attempt.ended = False
                run.lock.release()
            raise
        finally:
            if run is None:
                task.__dict__.pop(_RUN, None)
            else:
                task.__dict__[_RUN] = run
        self._end(run, ended)
        lifecycle.enqueued(attempt)
        return result

    def _move(self, push: Callable[..., Any], task: Task, run: _Run) -> Any:
        """From the queue to the schedule, or from there to the queue: no new job."""
        try:
            result = push(self.huey, task)
        except Exception as error:  # it was taken from where it was, and is lost
            self._broken(task, run, error)
            raise
        if run.noted:
            self.ledger.end(run.attempt, None)
            run.noted = False
        run.item = run.attempt = None
        return result

    def _fresh(self, task: Task) -> tuple[_Run, Any, Any]:
        item = _item(task)
        after = _executing.get()
        if after is not None and after.attempt is not None and current_job() is None:
            item["clues_metadata"] = {"_parent_event_hash": after.attempt.event_hash}  # a pipeline, a chord, a handler
        attempt = lifecycle.stamp(self.huey.name, item, scheduled_time=task.eta and self._epoch(task.eta))
        return _Run(item.get("clues_metadata"), moving=True), attempt, None

    def _next(self, run: _Run, task: Task, *, scheduled: bool) -> tuple[_Run, Any, Any]:
        run.retrying = False
        before = run.attempt
        if before is None or run.item is None:  # enqueued without clues
            return _Run(run.metadata, moving=True), None, None
        ended = None
        if run.lock.acquire(blocking=False):
            failure = _STOPPED if run.error is None else _failure(run.error)
            ended = lifecycle.outcome(before, failure, reason=run.reason, reporter="adapter", retrying=True)
        metadata = {**(run.metadata or {}), "_event_hash": before.event_hash, "_attempt": before.number + 1}
        item = {**run.item, "clues_metadata": metadata}
        due = self._epoch(task.eta) if scheduled and task.eta else None
        attempt = lifecycle.stamp(self.huey.name, item, preprocess=False, scheduled_time=due)
        return _Run(item["clues_metadata"], moving=True), attempt, ended

    def _epoch(self, eta: datetime) -> float:
        return (eta.replace(tzinfo=UTC) if self.huey.utc and eta.tzinfo is None else eta).timestamp()

    def _requeue_task(self, task: Task, *args: Any, **kwargs: Any) -> Any:
        run = task.__dict__.get(_RUN)
        if run is not None and self._config() is not None:
            run.retrying = True
        return self._own._requeue_task(self.huey, task, *args, **kwargs)

    # On the wire.

    def serialize_task(self, task: Task) -> Any:
        run = task.__dict__.get(_RUN)
        if run is None or run.metadata is None or type(task.kwargs) is not dict or self._config() is None:
            return self._own.serialize_task(self.huey, task)
        kwargs = task.kwargs
        task.kwargs = carrier = OrderedDict(kwargs)
        carrier.clues_metadata = run.metadata  # type: ignore[attr-defined]
        try:
            return self._own.serialize_task(self.huey, task)
        finally:
            task.kwargs = kwargs
            if len(carrier) < len(kwargs):  # before 3.0.2 Huey takes the task itself out, which context=True has put in
                kwargs.pop("task", None)

    def deserialize_task(self, data: Any) -> Any:
        config, taking = self._config(), _taking.get()
        try:
            task = self._own.deserialize_task(self.huey, data)
        except Exception as error:
            if config is not None and taking:
                self._unreadable(config, data, error)
            raise
        if config is not None:
            try:
                metadata = None
                if type(task.kwargs) is OrderedDict and "clues_metadata" in task.kwargs.__dict__:
                    found = task.kwargs.__dict__["clues_metadata"]
                    metadata = found if type(found) is dict else None
                    task.kwargs = dict(task.kwargs)
                task.__dict__[_RUN] = _Run(metadata, moving=taking)
            except Exception as error:  # noqa: BLE001 - observing must not hurt the job
                lifecycle.report(error)
        return task

    def _unreadable(self, config: Config, data: Any, error: Exception) -> None:
        """A message was taken, and no task could be made of it: mostly, of a name that nobody has registered here."""
        try:
            message = self.huey.serializer.deserialize(data)
            metadata = getattr(message.kwargs, "clues_metadata", None)
            item = _described(message.name, message.id, message.args, message.kwargs, metadata)
            reason = "unknown" if isinstance(error, library.exceptions.HueyException) else None
            run = _Run(metadata, moving=False)
            run.attempt = lifecycle.dequeued(self.huey.name, item, hold=True)
            self._tell(run, _failure(error), reason)
        except Exception as unreadable:  # noqa: BLE001 - it says nothing of whose it is; Huey logs that
            config.faults.report("clues", unreadable, "a message that can't be read has no events")

    def dequeue(self) -> Any:
        task = self._take(self._own.dequeue)
        if task is not None and self.consumes:
            self._note(task)
        return task

    def read_schedule(self, *args: Any, **kwargs: Any) -> Any:
        return self._take(self._own.read_schedule, *args, **kwargs)

    def _take(self, take: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        token = _taking.set(True)
        try:
            return take(self.huey, *args, **kwargs)
        finally:
            _taking.reset(token)

    def _note(self, task: Task) -> None:
        """From here on it is nowhere but in this process."""
        config, run = self._config(), task.__dict__.get(_RUN)
        try:
            if config is not None and run is not None and self.huey.ready_to_run(task):
                run.at = config.clock()
                self._taken(task, run)
                if run.attempt is not None:
                    self.ledger.begin(run.attempt)
                    run.noted = True
        except Exception as error:  # noqa: BLE001 - observing must not hurt the job
            lifecycle.report(error)

    # In the worker.

    def execute(self, task: Any, *args: Any, **kwargs: Any) -> Any:
        config = self._config()
        if config is None or not isinstance(task, Task):
            return self._own.execute(self.huey, task, *args, **kwargs)
        run = task.__dict__.get(_RUN)
        if run is None or run.executed:  # nobody has enqueued it, or it was executed before
            run = task.__dict__[_RUN] = _Run(None, moving=False)
        run.executed = True
        if run.item is None:
            run.at = config.clock()
        token = _executing.set(run)
        task.execute = functools.partial(self._perform, task, run, task.execute)
        broken = None
        try:
            return self._own.execute(self.huey, task, *args, **kwargs)
        except BaseException as error:
            broken = error
            raise
        finally:
            task.__dict__.pop("execute", None)  # it was not run
            _executing.reset(token)
            if broken is not None or run.error is not None:
                self._broken(task, run, broken)
                run.error = None  # its frames hold this one

    def _perform(self, task: Task, run: _Run, perform: Callable[[], Any]) -> Any:
        task.__dict__.pop("execute", None)  # in immediate mode the next attempt is executed within this one
        try:
            self._begin(task, run)
            return perform()
        except BaseException as error:
            run.error = error
            raise
        finally:
            self._leave(run)

    def _begin(self, task: Task, run: _Run) -> None:
        run.begun, run.moving = True, False
        try:
            self._taken(task, run)
            if self.consumes and not run.noted:
                self.ledger.begin(run.attempt)
                run.noted = True
            performing = lifecycle.performing(run.attempt, self.huey.name, run.item or {})
            performing.__enter__()
            run.performing = performing
        except Exception as error:  # noqa: BLE001 - observing must not hurt the job
            lifecycle.report(error)

    @staticmethod
    def _leave(run: _Run) -> None:
        performing, error = run.performing, run.error
        if performing is not None:
            performing.__exit__(error and type(error), error, error and error.__traceback__)  # type: ignore[arg-type]
            run.performing = None

    def _taken(self, task: Task, run: _Run) -> None:
        if run.item is None:
            run.item = _item(task, run.metadata)
            run.attempt = lifecycle.dequeued(self.huey.name, run.item, hold=True, at=run.at)

    def _emit(self, name: str, task: Any, *args: Any, **kwargs: Any) -> Any:
        if name in _HEARD and self._config() is not None:
            try:
                if (run := task.__dict__.get(_RUN)) is not None:
                    self._hear(name, task, run)
            except Exception as error:  # noqa: BLE001 - observing must not hurt the job
                lifecycle.report(error)
        return self._own._emit(self.huey, name, task, *args, **kwargs)

    def _hear(self, name: str, task: Task, run: _Run) -> None:
        if name == "complete":
            self._tell(run)
        elif name == "interrupted":
            self._taken(task, run)
            self._ended(run, run.error, "shutdown")
        elif name in _NOT_RUN and not run.begun:
            self._taken(task, run)
            self._tell(run, _NOT_RUN[name], _REASONS.get(name, name))
        elif name in _REASONS:
            run.reason = _REASONS[name]  # the exception is known; whether it is tried again will be

    def _broken(self, task: Task, run: _Run, error: BaseException | None) -> None:
        """The function has failed, or Huey itself with the task in its hands, and won't try it again."""
        try:
            self._leave(run)
            self._taken(task, run)
            stopped = isinstance(error, KeyboardInterrupt)
            self._ended(run, run.error or error, "shutdown" if stopped else run.reason)
        except Exception as fault:  # noqa: BLE001 - observing must not hurt the job
            lifecycle.report(fault)

    def _ended(self, run: _Run, error: BaseException | None, reason: str | None) -> None:
        self._tell(run, _STOPPED if error is None else _failure(error), reason)

    def _tell(self, run: _Run, failure: Failure | None = None, reason: str | None = None) -> None:
        attempt, run.moving = run.attempt, False
        if attempt is not None and run.lock.acquire(blocking=False):
            self._end(run, lifecycle.outcome(attempt, failure, reason=reason, reporter="adapter"))

    def _end(self, run: _Run | None, event: Event | None) -> None:
        if run is None or event is None:
            return
        held, run.attempt.held = run.attempt.held, None
        if not self.consumes:
            lifecycle.publish(held, event)
            return
        if held is not None:  # it was not run
            lifecycle.publish(held)
        self.ledger.end(run.attempt, event)

    # In the consumer's main process.

    def create_consumer(self, **options: Any) -> Any:
        consumer = self._own.create_consumer(self.huey, **options)
        config = self._config()
        if config is not None:
            try:
                _Crew(self, consumer)
            except Exception as error:  # noqa: BLE001 - observing must not hurt the consumer
                lifecycle.report(error)
        return consumer


class _Crew:
    """A consumer and its workers: has the shipper started before them, and tells of processes that died."""

    def __init__(self, hooks: _Hooks, consumer: Any) -> None:
        self._hooks = hooks
        self._consumer = consumer
        self._beside: Beside | None = None
        self._start, self._run = consumer.start, consumer.run
        consumer.start, consumer.run = self.start, self.run
        if consumer.worker_type == "process":
            self._check, self._stop, self._create = consumer.check_worker_health, consumer.stop, consumer._create_worker
            consumer.check_worker_health, consumer.stop, consumer._create_worker = self.check, self.stop, self.create
            for worker, _ in consumer.worker_threads:
                self._equip(worker)

    def start(self) -> Any:
        self._hooks.consumes = True
        try:
            self._beside = start_companion(lifecycle.settings)  # before there are threads
            self._hooks.ledger.settle()
        except Exception as error:  # noqa: BLE001 - observing must not hurt the consumer
            lifecycle.report(error)
        return self._start()

    def run(self) -> Any:
        try:
            return self._run()
        finally:
            self._hooks.ledger.leave()
            if self._beside is not None:
                self._beside.leave()

    def create(self) -> Any:
        worker = self._create()
        self._equip(worker)
        return worker

    def _equip(self, worker: Any) -> None:
        shutdown = worker.shutdown

        def leave() -> Any:  # in the worker process
            try:
                return shutdown()
            finally:
                self._hooks.ledger.leave()

        worker.shutdown = leave

    def check(self) -> Any:
        return self._around(self._check)

    def stop(self, *args: Any, **kwargs: Any) -> Any:
        return self._around(self._stop, *args, **kwargs)

    def _around(self, own: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Do what may replace dead workers, and tell of what they held."""
        workers = [*self._consumer.worker_threads]
        try:
            return own(*args, **kwargs)
        finally:
            try:
                for _, process in workers:
                    if process.exitcode is not None:
                        self._hooks.ledger.settle(process.pid, reason=_end_of(process.exitcode))
            except Exception as error:  # noqa: BLE001 - observing must not hurt the consumer
                lifecycle.report(error)


def _end_of(status: int) -> str:
    """How a process ended, as multiprocessing has it."""
    if status >= 0:
        return f"exit:{status}"
    known = {number.value: number.name for number in signal.Signals}
    return f"killed:{known.get(-status, -status)}"


def _item(task: Task, metadata: Any = None) -> dict[str, Any]:
    kind = type(task)
    return _described(f"{kind.__module__}.{kind.__name__}", task.id, task.args, task.kwargs, metadata)


def _described(name: str, job_id: Any, args: Any, kwargs: Any, metadata: Any) -> dict[str, Any]:
    told = [*args] if isinstance(args, tuple | list) else [args]  # Huey finds out when it runs
    if kwargs:
        told.append(dict(kwargs) if isinstance(kwargs, dict) else kwargs)
    item = {"class": name, "args": told, "job_id": job_id}
    if metadata is not None:
        item["clues_metadata"] = metadata
    return item


def _failure(error: BaseException) -> Failure:
    return failure_of(error, callers=_CALLERS)


def _place(huey: Huey) -> str:
    """What tells an instance's queue from those of others."""
    pool = getattr(huey.storage, "pool", None)  # Redis' alone has one
    where = getattr(pool, "connection_kwargs", None) or huey.storage_kwargs
    plain = {key: value for key, value in where.items() if isinstance(value, str | int)}
    return f"{type(huey.storage).__name__} {huey.name} {sorted(plain.items())}"
