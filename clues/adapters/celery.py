"""Celery: ``clues.adapters.celery.install(app)``, where the application is made; for its producers and its workers.

What events mean here:

- ``enqueued``: the message has been sent, by ``apply_async``, ``send_task``, a chain, a chord, beat or a retry.
- ``dequeued`` and ``perform_started``: a process, thread or greenlet of the pool has accepted the task. A message that
  waits in the worker's memory, prefetched, before its ETA or for its rate limit, is still waiting: it goes back to its
  queue if the worker stops.
- ``perform_finished``: the task returned, and its result is stored; so too after ``raise Ignore()`` and ``replace()``.
- ``failed``: told by whoever knows: by the pool's process what the task raised; by the worker's main process time
  limits, revocation, expiry, messages that nobody can work, and processes that died.

A message that goes back to its queue (``Reject(requeue=True)``, ``reject_on_worker_lost``, late acknowledgement) keeps
its attempt, which has not ended; when it is delivered again, ``dequeued`` says ``_redelivered``. A retry is the next
attempt of the same hash. Signals are the process's, not an application's: all its applications are observed.

The pool's processes note what they run in ledgers: where a whole worker was killed, the next one on its host tells
`failed`, ``lost``, of tasks whose message was acknowledged when they began.
"""

from __future__ import annotations

import functools
import mmap
import os
import re
import signal as posix
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from clues.attempt import METADATA, Attempt, metadata_in
from clues.companion import Beside, start_companion
from clues.config import configure_from_environment
from clues.errors import MissingExtraError
from clues.event import Event
from clues.ledger import Ledger
from clues.lifecycle import Lifecycle, Performing
from clues.metadata import Failure, failure_of, read_attempt

try:
    import billiard
    import celery
    import kombu
    from celery import signals
    from celery._state import _task_stack
    from celery.app.task import Task
    from celery.exceptions import (
        NotRegistered,
        Reject,
        Retry,
        SoftTimeLimitExceeded,
        TaskRevokedError,
        Terminated,
        TimeLimitExceeded,
        WorkerLostError,
    )
    from celery.utils.time import maybe_make_aware
except ImportError as error:
    raise MissingExtraError("clues.adapters.celery", "celery", "Celery") from error

lifecycle = Lifecycle(system="celery")

_CALLERS = tuple(os.path.join(os.path.dirname(package.__file__), "") for package in (celery, billiard, kombu))  # noqa: PTH118, PTH120
_INSTRUMENTATION = "opentelemetry.instrumentation.celery"
_TRACE = ("traceparent", "tracestate")
_NOTHING: Mapping[str, Any] = {"exchange": None, "routing_key": None, "redelivered": False}
_DEATH = re.compile(r"signal (\d+)|exitcode (\d+)")

_apps: list[Any] = []
_patched: list[tuple[Any, str, Any]] = []
_beside: Beside | None = None
_main: int | None = None  # the worker's main process
_ledger: Ledger | None = None  # a worker's


def install(app: Any) -> None:
    """Observe an application's tasks: where they are sent, and where they are worked.

    Call it where the application is made, in the module that ``celery -A`` names. Unless clues is configured already,
    ``CLUES_PUBLISHERS`` in the environment does that.

    Raises:
        ConfigError: a variable's value is mistaken.
    """
    if any(one is app for one in _apps):
        return
    configure_from_environment()
    _apps.append(app)
    if len(_apps) == 1:
        for signal, handler in _HANDLERS:
            signal.connect(handler, weak=False)
        _patch((Task, "retry", _retrying))
        if "celery.worker.request" in sys.modules:
            _patch_worker()


def uninstall(app: Any = None) -> None:
    """Observe it no more; without an argument, none."""
    _apps[:] = [] if app is None else [one for one in _apps if one is not app]
    if not _apps:
        for signal, handler in _HANDLERS:
            signal.disconnect(handler)
        while _patched:
            owner, name, original = _patched.pop()
            setattr(owner, name, original)


def hooked() -> list[str]:
    """The applications that are observed in this process."""
    return [f"Celery app {app.main or '__main__'!r}" for app in _apps]


# What is told of an attempt by two processes is told once. Each end leaves its mark in this table, which the pool's
# processes share with the one that forked them; a mark can be overwritten by another's, seldom, and not soon.
_SLOTS = 1 << 16
_ended = memoryview(mmap.mmap(-1, 8 * _SLOTS)).cast("q")
_PROCESSES = 1024
_pool = memoryview(mmap.mmap(-1, 8 * _PROCESSES)).cast("q")  # the pool's processes, each written by itself


def _began(attempt: Attempt) -> None:
    mark = hash((attempt.event_hash, attempt.number))
    if _ended[mark % _SLOTS] == mark:  # its message was sent twice, by others than Celery
        _ended[mark % _SLOTS] = 0


def _finish(attempt: Attempt | None) -> None:
    if attempt is not None:
        mark = hash((attempt.event_hash, attempt.number))
        if _ended[mark % _SLOTS] != mark:
            _tell(attempt, lifecycle.outcome(attempt))
            _ended[mark % _SLOTS] = mark
        else:  # by another delivery of the same message
            _tell(attempt, None)


def _fail(attempt: Attempt | None, failure: Failure, reason: str | None = None, *, retrying: bool = False) -> None:
    if attempt is not None:
        mark = hash((attempt.event_hash, attempt.number))
        if _ended[mark % _SLOTS] != mark:
            _tell(attempt, lifecycle.outcome(attempt, failure, reason=reason, reporter="adapter", retrying=retrying))
            _ended[mark % _SLOTS] = mark
        else:
            _tell(attempt, None)


def _fail_elsewhere(
    attempt: Attempt | None, failure: Failure, reason: str | None = None, *, retrying: bool = False
) -> None:
    """End an attempt that runs, or ran, in another process: the next worker is not to tell it again."""
    _fail(attempt, failure, reason, retrying=retrying)
    if attempt is not None and _ledger is not None:
        _ledger.strike(attempt)


def _tell(attempt: Attempt, event: Event | None) -> None:
    if _ledger is None:
        lifecycle.publish(event)
    else:
        _ledger.end(attempt, event)


# Enqueueing.


class _Stamp(dict[str, Any]):
    """The metadata in a message that is being sent, with the attempt that it belongs to."""

    __slots__ = ("attempt",)
    attempt: Attempt | None


def _before_publish(
    body: Any = None,
    headers: Any = None,
    exchange: Any = None,
    routing_key: Any = None,
    declare: Any = None,
    **_: Any,
) -> None:
    config = lifecycle.settings.config
    if config is None:
        return
    try:
        if type(body) is tuple:
            told, args, kwargs = headers, body[0], body[1]
        else:  # protocol 1
            told, args, kwargs = body, body["args"], body["kwargs"]
        task_id, retries, known = told["id"], told["retries"], headers.get(METADATA)
        running = None
        if retries:
            running, carried = _retried(task_id)
            known = carried if known is None else known  # a retry may have headers of its own
            if running is not None and running.leaving:
                _fail_for_retry(running)
        item = _item(told["task"], args, kwargs, task_id)
        queue = _queue(exchange, routing_key, declare)
        attempt = _stamped(queue, item, headers, known=known, retries=retries, due=told["eta"] and _epoch(told["eta"]))
        headers[METADATA] = stamp = _Stamp(item[METADATA], _job_id=task_id)
        stamp.attempt = attempt
        if running is not None:
            running.next = attempt
        if "traceparent" in item:
            headers |= {key: item[key] for key in _TRACE if key in item and key not in headers}
        if _INSTRUMENTATION in sys.modules:
            _stay_last()
    except Exception as error:  # noqa: BLE001 - observing must not hurt the task
        config.faults.report("clues", error)


def _after_publish(headers: Any = None, **_: Any) -> None:
    stamp = headers.get(METADATA)
    if type(stamp) is _Stamp and stamp.attempt is not None:
        attempt, stamp.attempt = stamp.attempt, None
        lifecycle.enqueued(attempt)


def _item(name: Any, args: Any, kwargs: Any, task_id: Any) -> dict[str, Any]:
    return {"class": name, "args": [*args, kwargs] if kwargs else list(args or ()), "job_id": task_id}


def _stamped(
    queue: str, item: dict[str, Any], headers: Mapping[str, Any], *, known: Any, retries: Any, due: float | None
) -> Attempt | None:
    """Stamp a new job, or the next attempt of the one whose metadata is known."""
    again = False
    if known is not None and isinstance(known, Mapping):
        again = "_event_hash" in known and known.get("_job_id") == item["job_id"]
        if again:
            item[METADATA] = {**known, "_attempt": max(read_attempt(known), retries or 0) + 1}
        elif "_event_hash" not in known:  # the caller's own fields; another job's are not this one's
            item[METADATA] = {**known}
    if "traceparent" in headers and isinstance(headers["traceparent"], str):
        carried = {key: headers[key] for key in _TRACE if key in headers}
        item |= carried
        item[METADATA] = {**item.get(METADATA, {}), **{f"_{key}": value for key, value in carried.items()}}
    attempt = lifecycle.stamp(queue, item, preprocess=not again, scheduled_time=due or None)
    if _INSTRUMENTATION in sys.modules and attempt is not None and _is_instrumented():
        attempt.times["_traced_by"] = "opentelemetry"
    return attempt


def _queue(exchange: Any, routing_key: Any, declare: Any = None) -> str:
    """The queue's name, which is the routing key where the exchange is the queue's own."""
    if not exchange:
        return str(routing_key)
    if declare:
        return str(declare[0].name)
    return _queue_behind(str(getattr(exchange, "name", exchange)), str(routing_key))


@functools.lru_cache(1024)
def _queue_behind(exchange: str, routing_key: str) -> str:
    queues = [queue for app in _apps for queue in app.amqp.queues.values() if queue.exchange.name == exchange]
    exact = [queue.name for queue in queues if queue.routing_key == routing_key]
    return str((exact or [queue.name for queue in queues if len(queues) == 1] or [routing_key])[0])


def _epoch(eta: Any) -> float:
    due = datetime.fromisoformat(eta) if isinstance(eta, str) else eta
    return float((due if due.tzinfo else maybe_make_aware(due, _apps[0].timezone)).timestamp())


def _retried(task_id: str) -> tuple[_Running | None, Any]:
    """The task that is performed here, if it is the one that is sent again, and the metadata that it came with."""
    task = _task_stack.top
    request = task and task.request_stack.top
    if not request or request.id != task_id:
        return None, None
    running, known = request.__dict__.get("_clues"), _metadata_of(request)
    if known is None and running is not None and running.attempt is not None:  # it was adopted
        attempt = running.attempt
        known = {"_event_hash": attempt.event_hash, "_attempt": attempt.number, "_job_id": task_id}
    return running, known


def _metadata_of(request: Any) -> Any:
    """What a task's request carries: a header is an attribute; by protocol 1 and in eager tasks it is in `headers`."""
    found = getattr(request, METADATA, None)
    return (request.headers or {}).get(METADATA) if found is None else found


def _is_instrumented() -> bool:
    """Whether OpenTelemetry's own instrumentation of Celery is active in this process: its spans are the ones."""
    module = sys.modules.get(_INSTRUMENTATION)
    return module is not None and bool(module.CeleryInstrumentor().is_instrumented_by_opentelemetry)


def _stay_last() -> None:
    """Be called after those who write headers, the instrumentation among them, from the next message on."""
    receivers = signals.before_task_publish.receivers
    if receivers and receivers[-1][1] is not _before_publish:
        signals.before_task_publish.disconnect(_before_publish)
        signals.before_task_publish.connect(_before_publish, weak=False)


# Performing, in the pool's process, thread or greenlet.


class _Running:
    """A task that is being performed; its request holds it.

    Attributes:
        attempt: which attempt it is; None for one without events.
        performing: the time in which its code runs.
        around: an exception that was being handled where the task was called; it is not the task's.
        cause: why it asked for a retry.
        leaving: whether its code ends with that.
        next: the attempt that it asked for.
    """

    __slots__ = ("around", "attempt", "cause", "leaving", "next", "performing")

    def __init__(self, attempt: Attempt | None, performing: Performing) -> None:
        self.attempt = attempt
        self.performing = performing
        self.around = sys.exception()
        self.cause: BaseException | None = None
        self.leaving = False
        self.next: Attempt | None = None


def _prerun(sender: Any = None, task_id: Any = None, args: Any = None, kwargs: Any = None, **_: Any) -> None:
    config = lifecycle.settings.config
    if config is None:
        return
    try:
        request = sender.request_stack.top
        item = _item(sender.name, args, kwargs, task_id)
        if request.is_eager:
            queue, redelivered = _enqueued_here(sender, request, item), False
        else:
            delivery = request.delivery_info or _NOTHING
            queue, redelivered = _queue(delivery["exchange"], delivery["routing_key"]), delivery["redelivered"]
            _carry(item, _metadata_of(request), request.retries)
            if (context := getattr(request, "traceparent", None)) is not None:
                item["traceparent"] = context
        attempt = lifecycle.dequeued(queue, item, hold=True, redelivered=bool(redelivered))
        if attempt is not None:
            if METADATA not in item:
                _began(attempt)
            if _INSTRUMENTATION in sys.modules and _is_instrumented():  # its span is the current one, and stays so
                attempt.times["_traced_by"] = "opentelemetry"
                known = {key: value for key, value in item.get(METADATA, {}).items() if key != "_traceparent"}
                item = _item(sender.name, args, kwargs, task_id) | {METADATA: known}
        if _ledger is not None and not sender.acks_late and not request.is_eager:
            _ledger.begin(attempt)  # else its message would be delivered again
        performing = lifecycle.performing(attempt, queue, item)
        performing.__enter__()
        request._clues = _Running(attempt, performing)
    except Exception as error:  # noqa: BLE001 - observing must not hurt the task
        config.faults.report("clues", error)


def _carry(item: dict[str, Any], known: Any, retries: Any) -> None:
    """Give an item the metadata that its message has."""
    if known is not None:
        item[METADATA] = known
    if retries and type(retries) is int:
        found = metadata_in(item) or {}
        if read_attempt(found) <= retries:  # a worker without clues has retried it
            item[METADATA] = {**found, "_attempt": retries + 1}


def _enqueued_here(task: Any, request: Any, item: dict[str, Any]) -> str:
    """A task that runs where it is called was never sent, so its story begins here; gives its queue."""
    routed = task.app.amqp.router.route({}, task.name, request.args, request.kwargs)
    queue = str(getattr(routed.get("queue"), "name", None) or task.app.conf.task_default_queue)
    headers = request.headers or {}
    attempt = _stamped(queue, item, headers, known=headers.get(METADATA), retries=request.retries, due=None)
    if attempt is not None:
        request.headers = {**headers, METADATA: {**item[METADATA], "_job_id": item["job_id"]}}  # for its retries
        lifecycle.enqueued(attempt)
    return queue


def _postrun(sender: Any = None, task_id: Any = None, retval: Any = None, state: Any = None, **_: Any) -> None:
    config = lifecycle.settings.config
    if config is None:
        return
    try:
        running = sender.request_stack.top.__dict__.pop("_clues", None)
        if running is None:
            return
        attempt = running.attempt
        if attempt is not None and attempt.ended:
            _after_retry(running, retval, state)
            return
        running.performing.__exit__(None, None, None)
        escaped = sys.exception()
        if state == "SUCCESS" and escaped is running.around:
            _finish(attempt)
        else:
            escaped = None if escaped is running.around else escaped
            _over(sender, running, task_id, retval, state=state, escaped=escaped)
    except Exception as error:  # noqa: BLE001 - observing must not hurt the task
        config.faults.report("clues", error)


def _after_retry(running: _Running, retval: Any, state: Any) -> None:
    """An attempt was ended when the next one was to be sent; if that failed, there is none, and it says so."""
    if state == "REJECTED":
        _fail(running.next, _described(_cause_of(retval)), "rejected")


def _over(
    task: Any, running: _Running, task_id: Any, retval: Any, *, state: Any, escaped: BaseException | None
) -> None:
    """A task has ended, and not simply well; what escaped is an exception that Celery has not caught yet."""
    attempt, eager = running.attempt, task.request_stack.top.is_eager
    if attempt is None:
        return
    if state == "SUCCESS":
        _here.unfinished = (task_id, attempt)  # its result could not be stored: task_internal_error follows
    elif state == "IGNORED":
        _finish(attempt)
    elif state == "FAILURE":
        _fail_by(attempt, retval)
    elif state == "RETRY":
        _fail_by(attempt, _cause_of(retval), retrying=eager or running.next is not None)
    elif state == "REJECTED":
        # A message goes back to its queue unless it was acknowledged when the task began; then it is the same attempt.
        if not retval.requeue or not task.acks_late or eager:
            _fail(attempt, _described(_cause_of(retval)), "rejected")
    elif escaped is not None:
        _left(attempt, escaped, eager=eager)


def _retrying(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def retry(
        self: Any, args: Any = None, kwargs: Any = None, exc: Any = None, throw: bool = True, **options: Any
    ) -> Any:
        request = self.request_stack.top
        running = request.__dict__.get("_clues") if request is not None else None
        if running is not None:
            running.cause = exc if isinstance(exc, BaseException) else sys.exception()
            running.leaving = throw
        return original(self, args, kwargs, exc, throw, **options)

    return retry


def _fail_for_retry(running: _Running) -> None:
    """End an attempt whose code is at its end, before the next one is sent: another process may work that at once."""
    attempt = running.attempt
    if attempt is not None and not attempt.ended:
        running.performing.__exit__(None, None, None)
        _fail_by(attempt, running.cause or Retry(), retrying=True)


def _left(attempt: Attempt, error: BaseException, *, eager: bool) -> None:
    """The task's code was left by an exception that Celery doesn't catch. Its main process tells what it knows of."""
    kind = type(error).__name__
    if kind in {"GreenletExit", "Timeout"} and _ledger is not None:
        _ledger.end(attempt, None)
    if kind in {"GreenletExit", "Timeout"} or (not eager and _main != os.getpid()):
        return
    if kind in {"WorkerShutdown", "WorkerTerminate"}:
        _fail(attempt, _described(error), "shutdown")
    else:
        _fail_by(attempt, error)


def _fail_by(attempt: Attempt | None, error: BaseException, *, retrying: bool = False) -> None:
    reason = None
    if isinstance(error, SoftTimeLimitExceeded):
        reason = "timeout"
    elif isinstance(error, SystemExit):
        reason = _exit(error.code)
    _fail(attempt, _described(error), reason, retrying=retrying)


def _cause_of(error: BaseException) -> BaseException:
    """What a task had met when it asked for a retry, or rejected its message."""
    told = error.exc if isinstance(error, Retry) else getattr(error, "reason", None)
    return told if isinstance(told, BaseException) else error.__cause__ or error.__context__ or error


def _described(error: BaseException) -> Failure:
    return failure_of(error, callers=_CALLERS)


@lifecycle.guarded
def _internal_error(
    sender: Any = None, task_id: Any = None, request: Any = None, exception: Any = None, **kwargs: Any
) -> None:
    """Celery failed outside of the task's code: it could not store the result, or not read the arguments."""
    unfinished, _here.unfinished = _here.unfinished, None
    if unfinished is not None and unfinished[0] == task_id:
        _fail_by(unfinished[1], exception)
    elif not request.get("is_eager"):
        item = _item(sender.name, kwargs.get("args"), kwargs.get("kwargs"), task_id)
        _carry(item, request.get(METADATA), request.get("retries"))
        _fail_by(lifecycle.attempt_of(_queue_of(request.get("delivery_info")), item), exception)


class _Here(threading.local):
    """What this thread, or greenlet, is about.

    Attributes:
        unfinished: the task that returned, and the attempt that it is, while its result is not stored.
    """

    unfinished: tuple[Any, Attempt | None] | None = None


_here = _Here()


# In the worker's main process: what the pool's processes can't tell.


@lifecycle.guarded
def _revoked(
    sender: Any = None, request: Any = None, *, terminated: Any = False, expired: Any = False, **_: Any
) -> None:
    reason = "expired" if expired else "cancelled" if terminated else "revoked"
    error = TaskRevokedError("terminated" if terminated else reason)
    _fail_elsewhere(_attempt_of(sender, request), _described(error), reason)


@lifecycle.guarded
def _retry(sender: Any = None, request: Any = None, reason: Any = None, **_: Any) -> None:
    watched = _watched.get(request.id)
    if watched is not None:
        watched.add("retry")
    elif reason is None and not sender.acks_late:  # cancelled by a cold shutdown, and acknowledged long ago
        _fail_elsewhere(_attempt_of(sender, request), _described(Terminated("the worker shut down")), "shutdown")


@lifecycle.guarded
def _failure(task_id: Any = None, **_: Any) -> None:
    watched = _watched.get(task_id)
    if watched is not None:
        watched.add("failure")


@lifecycle.guarded
def _unknown(message: Any = None, name: Any = None, id: Any = None, **_: Any) -> None:  # noqa: A002 - Celery's word
    _fail_message(message, name, id, NotRegistered(name), "unknown")


@lifecycle.guarded
def _rejected(message: Any = None, exc: Any = None, **_: Any) -> None:
    error = exc if isinstance(exc, BaseException) else Reject("not a task's message")
    headers = message.headers or {}
    _fail_message(message, headers.get("task"), headers.get("id"), error, "rejected")


def _fail_message(message: Any, name: Any, task_id: Any, error: BaseException, reason: str) -> None:
    """A message that no task was made of."""
    headers = message.headers or {}
    try:
        payload = message.payload
        args, kwargs = (payload["args"], payload["kwargs"]) if isinstance(payload, dict) else payload[:2]
        args = list(args)
    except Exception:  # noqa: BLE001 - unreadable, which may be why
        args, kwargs = [], None
    item = _item(name, args, kwargs, task_id)
    _carry(item, headers.get(METADATA), headers.get("retries"))
    _fail(lifecycle.attempt_of(_queue_of(message.delivery_info), item), _described(error), reason)


def _queue_of(delivery: Any) -> str:
    found = delivery if isinstance(delivery, Mapping) else _NOTHING
    return _queue(found.get("exchange"), found.get("routing_key"))


def _attempt_of(task: Any, request: Any) -> Attempt | None:
    """The attempt that a request is; of Celery's main process, or of a task."""
    told = request.__dict__ if not hasattr(request, "request_dict") else request.request_dict
    known = told.get(METADATA)
    if known is None:
        known = (told.get("headers") or {}).get(METADATA)
    item = _item(task.name, request.args, request.kwargs, request.id)
    _carry(item, known, told.get("retries"))
    return lifecycle.attempt_of(_queue_of(request.delivery_info), item)


_watched: dict[Any, set[str]] = {}
"""What signals told of requests whose end is being handled, by task id."""


def _on_failure(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def on_failure(self: Any, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> Any:
        if return_ok or lifecycle.settings.config is None:  # the pool's process has told
            return original(self, exc_info, send_failed_event, return_ok)
        error = exc_info.exception
        watched = _watched[self.id] = set()
        try:
            return original(self, exc_info, send_failed_event, return_ok)
        finally:
            _watched.pop(self.id, None)
            _ended_by_itself(self, getattr(error, "exc", None) or error, watched)

    return on_failure


@lifecycle.guarded
def _ended_by_itself(request: Any, error: BaseException, watched: set[str]) -> None:
    """A request whose process gave no result. Celery tried it again, put it back, found its result, or failed it."""
    if isinstance(error, Terminated) or getattr(request, "_already_cancelled", False) or request._already_revoked:
        return
    if getattr(request, "_clues_goes_back", False):
        return
    _bury()
    attempt = _attempt_of(request.task, request)
    if isinstance(error, WorkerLostError | SystemExit | KeyboardInterrupt):
        if watched:
            _fail_elsewhere(attempt, _described(error), _death(error), retrying="retry" in watched)
        else:
            _finish(attempt)
    elif isinstance(error, TimeLimitExceeded):
        _timed_out(attempt, request, error)
    elif isinstance(error, Reject):
        _fail(attempt, _described(_cause_of(error)), "rejected")
    elif watched:
        _fail(attempt, _described(error))


def _timed_out(attempt: Attempt | None, request: Any, error: BaseException) -> None:
    if attempt is not None:
        if request.time_start:
            attempt.elapsed = max(0.0, time.time() - request.time_start)
        _fail_elsewhere(attempt, _described(error), "timeout")


def _death(error: BaseException) -> str:
    """Why a process died, as the pool words it."""
    if isinstance(error, SystemExit):
        return _exit(error.code)
    found = _DEATH.search(str(error))
    if found is None:
        return "lost"
    if found[2]:
        return f"exit:{found[2]}"
    try:
        return f"killed:{posix.Signals(int(found[1])).name}"
    except ValueError:
        return f"killed:{found[1]}"


def _exit(code: Any) -> str:
    return f"exit:{code if type(code) is int else 0 if code is None else 1}"


def _on_timeout(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def on_timeout(self: Any, soft: bool, timeout: Any) -> Any:
        try:
            return original(self, soft, timeout)
        finally:
            if not soft:
                _overrun(self, timeout)

    return on_timeout


@lifecycle.guarded
def _overrun(request: Any, timeout: Any) -> None:
    if not getattr(request, "_clues_goes_back", False):
        _timed_out(_attempt_of(request.task, request), request, TimeLimitExceeded(timeout))


def _reject(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def reject(self: Any, requeue: bool = False) -> Any:
        if requeue and not self.acknowledged:
            self._clues_goes_back = True
        return original(self, requeue)

    return reject


def _on_decode_error(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def on_decode_error(self: Any, message: Any, exc: Any) -> Any:
        try:
            return original(self, message, exc)
        finally:
            _rejected(message=message, exc=exc)

    return on_decode_error


def _terminate(original: Callable[..., Any]) -> Callable[..., Any]:
    """A cold shutdown: what the pool was at is over, unless it was not acknowledged yet."""

    @functools.wraps(original)
    def terminate(self: Any, in_sighandler: bool = False) -> Any:
        from celery.worker.state import active_requests  # noqa: PLC0415 - in workers alone

        # Threads can't be ended: Python waits for them.
        active = () if type(self.pool).__module__.endswith(".thread") else tuple(active_requests)
        try:
            return original(self, in_sighandler)
        finally:
            for request in active:
                if request.acknowledged and request in active_requests:
                    _shut_down(request)
            _close()

    return terminate


@lifecycle.guarded
def _bury(**_: Any) -> None:
    """Remove the ledgers of dead processes of the pool: Celery has failed what they were at, or begun it again.

    An end that stands in one was decided there, and is told.
    """
    if _ledger is None or _main != os.getpid():
        return
    for pid in filter(None, _pool.tolist()):
        if not _is_alive(pid):
            _pool[pid % _PROCESSES] = 0
            for ended, line in _ledger.inherited(pid):
                if ended:
                    _retell(line)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _retell(line: bytes) -> None:
    known = Event.from_line(line).metadata
    mark = hash((known["_event_hash"], known["_attempt"]))
    if _ended[mark % _SLOTS] != mark:
        lifecycle.retell(line)
        _ended[mark % _SLOTS] = mark


@lifecycle.guarded
def _shut_down(request: Any) -> None:
    _fail_elsewhere(_attempt_of(request.task, request), _described(Terminated("the worker shut down")), "shutdown")


# The worker program.


def _patch(*patches: tuple[Any, str, Callable[[Any], Any]]) -> None:
    for owner, name, wrap in patches:
        original = owner.__dict__[name]
        if (owner, name) not in [known[:2] for known in _patched]:
            _patched.append((owner, name, original))
            setattr(owner, name, wrap(original))


def _patch_worker() -> None:
    """Hook into what has no signal; only in processes that work, for they have these modules."""
    from celery.worker import WorkController  # noqa: PLC0415
    from celery.worker.consumer import Consumer  # noqa: PLC0415
    from celery.worker.request import Request  # noqa: PLC0415

    _patch(
        (Request, "on_failure", _on_failure),
        (Request, "on_timeout", _on_timeout),
        (Request, "reject", _reject),
        (Consumer, "on_decode_error", _on_decode_error),
        (WorkController, "terminate", _terminate),
    )


def _worker_init(sender: Any = None, **_: Any) -> None:
    """Before the pool is made: the shipper is started beside the worker."""
    global _main, _beside, _ledger  # noqa: PLW0603 - of this process
    from celery.apps.worker import Worker  # noqa: PLC0415

    _patch_worker()
    _main = os.getpid()
    # Not for workers inside of other programs, such as tests: their process ships itself.
    if isinstance(sender, Worker) and _beside is None:
        _beside = start_companion()
        _ledger = Ledger(lifecycle, f"{sender.app.conf.broker_url} {sender.app.main}")
        _ledger.settle()


def _process_init(**_: Any) -> None:
    pid = os.getpid()
    if _ledger is not None and pid != _main:
        _pool[pid % _PROCESSES] = pid


def _process_shutdown(**_: Any) -> None:
    """A process of the pool leaves, after so many tasks for instance."""
    if _ledger is not None and _main != os.getpid() and _ledger.leave():  # else the main process buries it
        _pool[os.getpid() % _PROCESSES] = 0


@lifecycle.guarded
def _close() -> None:
    """The worker is at its end: what it was at is told."""
    if _ledger is not None and _main == os.getpid():
        _bury()
        _ledger.forget()
        for _ in _ledger.inherited(_main):  # its own, where it has no processes
            pass


def _worker_shutdown(**_: Any) -> None:
    global _beside  # noqa: PLW0603
    _bury()
    if _ledger is not None and _main == os.getpid():
        _ledger.leave()
    if _beside is not None:
        _beside.leave()
        _beside = None


_HANDLERS = (
    (signals.before_task_publish, _before_publish),
    (signals.after_task_publish, _after_publish),
    (signals.task_prerun, _prerun),
    (signals.task_postrun, _postrun),
    (signals.task_internal_error, _internal_error),
    (signals.task_failure, _failure),
    (signals.task_retry, _retry),
    (signals.task_revoked, _revoked),
    (signals.task_unknown, _unknown),
    (signals.task_rejected, _rejected),
    (signals.worker_init, _worker_init),
    (signals.worker_before_create_process, _bury),
    (signals.worker_process_init, _process_init),
    (signals.worker_process_shutdown, _process_shutdown),
    (signals.worker_shutdown, _worker_shutdown),
)
