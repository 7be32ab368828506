"""RQ: `install()` in the application's initializer, or ``rq worker --worker-class clues.adapters.rq.CluesWorker``.

- enqueued: the job is in its queue, or in the registry of those that are due later; of one that depends on others once
  those have ended, of one that is rate limited when it begins to wait for its turn.
- dequeued: a worker has taken it; the worker says so, not its work horse.
- perform_started, perform_finished: the job's own function, in the work horse; callbacks are not in its time. The end
  is told once Redis has it: a result that can't be saved is a failure, as it is for RQ.
- failed: what the function raised, or the ``Retry`` that it returned. Reasons: ``timeout``; ``killed:SIGKILL`` and
  ``exit:3`` (the work horse; the worker says so); ``cancelled`` (the stop command); ``revoked`` (`Job.cancel` before it
  ran); ``lost`` (RQ's maintenance found that its worker has died); ``unknown`` (its function can't be imported);
  ``rejected`` (it can't be deserialised); ``shutdown``.
- destroyed: `Job.delete` before it ran.

Each retry and requeue is the next attempt under the same hash; a repetition after success is a job of its own.

Metadata rides in a field of the job's hash, ``clues_metadata``: `Job.meta` is the application's, which replaces it.

What can't be known: the end of jobs that Redis has forgotten, for their ``ttl`` was over or `Queue.empty` removed them.
"""

from __future__ import annotations

import functools
import logging
import mmap
import os
import signal
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any, ParamSpec, TypeVar

from clues import pickles
from clues.attempt import METADATA, Attempt, process_id
from clues.companion import Beside, start_companion
from clues.config import configure_from_environment
from clues.errors import MissingExtraError, interrupts, let_through
from clues.event import Event, json_encoder
from clues.lifecycle import Lifecycle
from clues.metadata import Failure, failure_of, read_attempt, users_own

_decode: Callable[[bytes], Any]
try:  # the quicker one; it is at work for each job
    from orjson import loads as _decode  # type: ignore[assignment, unused-ignore]
except ImportError:
    from json import loads as _decode

try:
    import rq.exceptions
    import rq.worker
    from rq.exceptions import DeserializationError, ShutDownImminentException
    from rq.job import UNEVALUATED, Job
    from rq.queue import Queue
    from rq.registry import BaseRegistry, StartedJobRegistry
    from rq.timeouts import BaseTimeoutException
    from rq.worker import BaseWorker, SimpleWorker, Worker
    from rq.worker_pool import WorkerPool
except ImportError as error:
    raise MissingExtraError("clues.adapters.rq", "rq", "rq") from error

lifecycle = Lifecycle(system="rq")
_StopRequested = getattr(rq.exceptions, "StopRequested", None) or rq.worker.StopRequested  # since 2.6 there
let_through(BaseTimeoutException, _StopRequested, ShutDownImminentException)

P = ParamSpec("P")
T = TypeVar("T")
Original = Callable[..., Any]  # RQ's method, not yet bound

_SpawnWorker: Any = getattr(rq.worker, "SpawnWorker", None)  # from 2.2 on
_CALLERS = (os.path.dirname(rq.__file__) + os.sep, __file__)  # noqa: PTH120 - as frames spell it
_FIELD = "clues_metadata"  # of a job's hash in Redis

# What hangs on a job: that field, whether it is to be saved, what this process knows of the job; an attempt that is
# stamped and not told, one whose job is run where it is enqueued; its status, where its own may be old.
_SLOT, _UNSAVED, _RUN = "_clues_slot", "_clues_unsaved", "_clues_run"
_READY, _INLINE, _STATUS = "_clues_ready", "_clues_inline", "_clues_status"
_WAITING, _JOB, _BOARD = "_clues_waiting", "_clues_job", "_clues_board"  # on a pipeline, on a worker

# Statuses; no sets, for the members of RQ's enumeration equal their values and have other hashes.
_TOLD = ("scheduled", "rate_limited")  # `enqueued` was told, and not yet
_NOT_TOLD = ("deferred", "ready_to_enqueue")
_ENDED = ("finished", "failed", "stopped", "canceled")
_IRREGULAR = (*_ENDED, "started", "scheduled")  # of a job that was just taken
_LONGEST = 1 << 18  # bytes of a job that a worker, which is not to run it, reads: what it read it would keep

_patched: list[tuple[type, str, Original, Original]] = []
_application: str | None = None
_inherited: _Board | None = None
_beside: Beside | None = None


def install() -> None:
    """Have RQ's own classes tell, in this process and those it forks; a second time does nothing.

    Raises:
        ConfigError: clues is to be configured by the environment alone, and that is mistaken.
    """
    global _application  # noqa: PLW0603 - of the process, as RQ's classes are
    configure_from_environment()
    caller = sys._getframe(1).f_globals.get("__name__")
    if caller not in {__name__, "__main__"}:
        _application = caller
    for owner, name, hook in () if _patched else _hooks():
        if (original := owner.__dict__.get(name)) is not None:  # older releases lack some
            ours = _around(original, hook)
            setattr(owner, name, ours)
            _patched.append((owner, name, original, ours))


def uninstall() -> None:
    """Give RQ's classes their methods back; who has wrapped ours meanwhile finds that they pass through."""
    for owner, name, original, ours in _patched:
        if owner.__dict__.get(name) is ours:
            setattr(owner, name, original)
    _patched.clear()


def hooked() -> list[str]:
    """RQ's classes that tell in this process."""
    return sorted({f"{owner.__module__}.{owner.__qualname__}" for owner, *_ in _patched})


class _Installing:
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """As RQ's, once `install` was called."""
        install()
        super().__init__(*args, **kwargs)


class CluesQueue(_Installing, Queue):
    """RQ's queue; it calls `install`."""


class CluesWorker(_Installing, Worker):
    """RQ's worker, for ``rq worker --worker-class`` and ``rq worker-pool``; it calls `install`."""


class CluesSimpleWorker(_Installing, SimpleWorker):
    """RQ's worker without work horses; it calls `install`."""


if _SpawnWorker is not None:

    class CluesSpawnWorker(_Installing, _SpawnWorker):
        """RQ's worker whose work horses are fresh interpreters; it calls `install`."""


def _around(original: Original, hook: Original) -> Original:
    @functools.wraps(original)
    def hooked(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        if not _patched:
            return original(self, *args, **kwargs)
        return hook(original, self, *args, **kwargs)

    return hooked


class _Board:
    """Memory that a worker shares with its horse: how far telling the job's end has come.

    A horse that is killed after Redis had the end, and before it was told, leaves that to its worker.
    """

    SIZE = 1 << 16
    NOTHING, DECIDED, TOLD = 0, 1, 2

    def __init__(self, fd: int = -1) -> None:
        self.fd = fd
        self._memory = mmap.mmap(fd, self.SIZE)

    @property
    def state(self) -> int:
        return self._memory[0]

    @state.setter
    def state(self, state: int) -> None:
        self._memory[0] = state

    @property
    def line(self) -> bytes:
        return self._memory[5 : 5 + int.from_bytes(self._memory[1:5], "big")]

    def decide(self, line: bytes) -> None:
        if len(line) <= self.SIZE - 5:
            self._memory[1 : 5 + len(line)] = len(line).to_bytes(4, "big") + line
            self.state = self.DECIDED


class _Run:
    """What a process knows of a job that it runs, or has a horse run, or whose end it tells.

    Attributes:
        at: when it was dequeued.
        told: whether that was told.
        extra: whether its status says that it runs, or has ended: RQ may push a job twice.
        worker: the process id of who took it.
        board: shared with the process that runs it, or that it runs in.
        item: what the lifecycle is told of it; None until clues is configured.
        attempt: None for a job that has no events.
        number: of the last attempt that is known of.
        rough: whether its arguments were read without their classes.
        error: what was raised.
        failure: what is to be told in its place.
        reason: of the failure.
        finished: whether it has ended well.
        event: its end, until that is told.
    """

    told = rough = finished = False
    item: dict[str, Any] | None = None
    attempt: Attempt | None = None
    number = 0
    error: BaseException | None = None
    failure: Failure | None = None
    reason: str | None = None
    event: Event | None = None

    def __init__(self, job: Job, *, at: float | None = None, board: _Board | None = None) -> None:
        self.at = at
        self.worker = process_id()
        self.board = board
        status = job._status
        self.extra = status != "queued" and status in _IRREGULAR

    def next(self, known: dict[str, Any]) -> dict[str, Any]:
        """The metadata of what follows it: a repetition, else another attempt."""
        if self.finished or self.attempt is None:
            return users_own(known)
        number = max(self.attempt.number, self.number) + 1
        return {**known, "_event_hash": self.attempt.event_hash, "_attempt": number}

    def publish(self) -> None:
        """Tell its end: Redis has it."""
        event, self.event = self.event, None
        if event is not None:
            lifecycle.publish(event)
            if self.board is not None:
                self.board.state = _Board.TOLD

    def take_back(self) -> None:
        """What was its end is none: Redis does not have it."""
        self.finished, self.failure = False, None
        if self.event is not None and self.attempt is not None:
            self.event, self.attempt.ended = None, False
            if self.board is not None:
                self.board.state = _Board.NOTHING


# What a job is.


def _item(job: Job, stranger: _Run | None = None) -> dict[str, Any]:
    """A job as the lifecycle has it.

    Args:
        job: the job.
        stranger: the run, in a process that is not to run it: then its arguments are read without importing anything.
    """
    name, instance, args, kwargs = _call(job, stranger)
    if instance is not None:
        owner = instance if isinstance(instance, type) else type(instance)
        name = f"{owner.__module__}.{owner.__qualname__}.{name}"
    item = {"class": name, "args": [*args, kwargs] if kwargs else list(args), "job_id": job.id}
    if (metadata := _metadata(job)) is not None:
        item[METADATA] = metadata
    return item


def _call(job: Job, stranger: _Run | None) -> tuple[Any, ...]:
    try:
        if stranger is not None and len(job.data) > _LONGEST:
            stranger.rough = True
            return (job.description or "").partition("(")[0] or None, None, (), {}
        if (
            stranger is None or job._func_name is not UNEVALUATED or job.data[:1] != b"\x80"
        ):  # what a pickle begins with
            return job.func_name, job.instance, job.args, job.kwargs
        (name, instance, args, kwargs), stranger.rough = pickles.read(job.data)  # RQ's horses get the newest code
        if type(name) is str and type(args) in {tuple, list} and type(kwargs) is dict:
            return name, instance, args, kwargs
    except interrupts():
        raise
    except Exception:  # noqa: BLE001, S110 - it can't be read so; who is to run it will read it, or say why not
        pass
    if stranger is not None:
        stranger.rough = True
    return (job.description or "").partition("(")[0] or None, None, (), {}


def _metadata(job: Job) -> dict[str, Any] | None:
    """What a job has of ours, if it has."""
    slot = job.__dict__.get(_SLOT)
    if type(slot) is bytes:
        try:
            slot = _decode(slot)
        except ValueError:  # somebody else's
            slot = None
        job.__dict__[_SLOT] = slot = slot if type(slot) is dict else None
    return slot


def _restore(original: Original, job: Job, raw: Any) -> Any:
    done = original(job, raw)
    job.__dict__[_SLOT] = raw.get(b"clues_metadata") if isinstance(raw, dict) else None
    return done


def _to_dict(original: Original, job: Job, *args: Any, **kwargs: Any) -> Any:
    done = original(job, *args, **kwargs)
    if _UNSAVED in job.__dict__:  # else an old copy of a job that is saved would overwrite a later attempt's
        done[_FIELD] = json_encoder()(job.__dict__[_SLOT])
    return done


# Enqueueing.


@lifecycle.guarded
def _stamp(queue: Queue, job: Job, due: float | None = None) -> Attempt | None:
    """Write the metadata of a job that is about to be pushed; gives the attempt of which `enqueued` is to be told.

    RQ pushes everything by the same methods: new jobs, those that are due or whose dependencies have ended, retries,
    repetitions, what operators bring back. Which it is, its status says, and what this process knows of it.
    """
    state = job.__dict__
    if (ready := state.pop(_READY, None)) is not None:
        return ready
    status = state.pop(_STATUS, None) or job._status
    known = _metadata(job)
    new, tell = False, True
    if (run := state.get(_RUN)) is not None and run.attempt is not None:
        known = run.next(known or {})
    elif known is None:
        if _SLOT in state and status is not None and status != "created":
            return None  # enqueued without clues
        new = True
    elif status in _TOLD:
        if due is None:
            return None
        tell = False
    elif status not in _NOT_TOLD:
        known = {**known, "_attempt": read_attempt(known) + 1}
    item = _item(job)
    if known is not None:
        item[METADATA] = known
    attempt = lifecycle.stamp(queue.name, item, preprocess=new, scheduled_time=due)
    if attempt is None:
        return None
    state[_SLOT] = item[METADATA]
    state[_UNSAVED] = True
    return attempt if tell else None


def _unstamp(job: Job, before: Any) -> None:
    """It could not be pushed."""
    if before is _NOTHING:
        job.__dict__.pop(_SLOT, None)
    else:
        job.__dict__[_SLOT] = before


_NOTHING = object()


def _push(queue: Queue, job: Job, pipeline: Any, due: float | None, push: Callable[[], T]) -> T:
    state = job.__dict__
    before = state.get(_SLOT, _NOTHING)
    attempt = _stamp(queue, job, due)
    inline = due is None and not queue._is_async
    if inline:
        state[_INLINE] = attempt
    try:
        done = push()
    except BaseException:
        _unstamp(job, before)
        raise
    finally:
        state.pop(_UNSAVED, None)
    if attempt is not None and not inline:
        if pipeline is None:
            lifecycle.enqueued(attempt)
        else:
            _after(pipeline, job, attempt)
    return done


def _enqueue_job(original: Original, queue: Queue, job: Job, pipeline: Any = None, *args: Any, **kwargs: Any) -> Any:
    return _push(queue, job, pipeline, None, lambda: original(queue, job, pipeline, *args, **kwargs))


def _schedule_job(
    original: Original, queue: Queue, job: Job, datetime: Any, pipeline: Any = None, *args: Any, **kwargs: Any
) -> Any:
    try:
        due = float(int(datetime.timestamp()))  # RQ keeps whole seconds
    except (AttributeError, ValueError, OverflowError, OSError):  # which RQ will say
        due = None
    unique = args[0] if args else kwargs.get("unique")
    if due is None or (unique and job._id is None):  # RQ refuses that; to ask for the id would make one
        return original(queue, job, datetime, pipeline, *args, **kwargs)
    return _push(queue, job, pipeline, due, lambda: original(queue, job, datetime, pipeline, *args, **kwargs))


def _setup_dependencies(original: Original, queue: Queue, job: Job, pipeline: Any = None) -> Any:
    """A job that depends on others is stamped where it is deferred: there the preprocessors know their request."""
    if not job._dependency_ids:
        return original(queue, job, pipeline)
    state = job.__dict__
    before = state.get(_SLOT, _NOTHING)
    attempt = _stamp(queue, job)
    try:
        done = original(queue, job, pipeline)
    except BaseException:
        state.pop(_UNSAVED, None)
        _unstamp(job, before)
        raise
    if job._status == "deferred":
        state.pop(_UNSAVED, None)
    elif attempt is not None:
        state[_READY] = attempt
    return done


def _create_job(original: Original, queue: Queue, *args: Any, **kwargs: Any) -> Any:
    job = original(queue, *args, **kwargs)
    if kwargs.get("status") == "deferred":  # as enqueue_many does, which saves it so
        _stamp(queue, job)
    return job


def _requeue(original: Original, registry: BaseRegistry, job_or_id: Any, *args: Any, **kwargs: Any) -> Any:
    if isinstance(job_or_id, Job):  # it may be an old copy
        job_or_id.__dict__[_STATUS] = _refresh(job_or_id)
        job_or_id.__dict__.pop(_RUN, None)
    return original(registry, job_or_id, *args, **kwargs)


@lifecycle.guarded
def _refresh(job: Job) -> str | None:
    """Read our field as Redis has it now; gives the job's status."""
    status, job.__dict__[_SLOT] = job.connection.hmget(job.key, "status", _FIELD)
    return status.decode() if isinstance(status, bytes) else status


def _cancel(original: Original, job: Job, pipeline: Any = None, *args: Any, **kwargs: Any) -> Any:
    run = _not_begun(job)
    done = original(job, pipeline, *args, **kwargs)
    if run is not None:
        failure = Failure("Canceled", "the job was cancelled before it ran")
        run.event = lifecycle.outcome(run.attempt, failure, reason="revoked", reporter="adapter")
        if pipeline is None:
            run.publish()
        else:
            _after(pipeline, job, run=run)
    return done


def _delete(
    original: Original, job: Job, pipeline: Any = None, remove_from_queue: bool = True, *args: Any, **kwargs: Any
) -> Any:
    run = _not_begun(job) if remove_from_queue and pipeline is None else None
    done = original(job, pipeline, remove_from_queue, *args, **kwargs)
    if run is not None and run.item is not None:
        lifecycle.destroyed(job.origin, run.item)
    return done


@lifecycle.guarded
def _not_begun(job: Job) -> _Run | None:
    """A job that waits, if it does."""
    status = _refresh(job)
    if status != "queued" and status not in _TOLD and status not in _NOT_TOLD:
        return None
    run = _Run(job)
    _look(run, job, running=False)
    return None if run.attempt is None else run


# Events that wait until a pipeline is executed.


@lifecycle.guarded
def _after(pipeline: Any, job: Job, attempt: Attempt | None = None, run: _Run | None = None) -> None:
    waiting = pipeline.__dict__.get(_WAITING)
    if waiting is None:
        waiting = pipeline.__dict__[_WAITING] = ({}, {})
        pipeline.execute = functools.partial(_execute_pipeline, pipeline, pipeline.execute, waiting)
        pipeline.reset = functools.partial(_reset_pipeline, pipeline, pipeline.reset)
    if run is None:
        run = job.__dict__.get(_RUN)
    if run is not None and run.event is not None:  # an attempt's end is told before the next one's beginning
        waiting[0][job.id] = run
    if attempt is not None:
        waiting[1][job.id] = attempt


def _reset_pipeline(pipeline: Any, reset: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """What it was filled with is never pushed."""
    _forget(pipeline)
    return reset(*args, **kwargs)


def _forget(pipeline: Any) -> None:
    for name in (_WAITING, "execute", "reset"):
        pipeline.__dict__.pop(name, None)


def _execute_pipeline(pipeline: Any, execute: Callable[..., T], waiting: Any, *args: Any, **kwargs: Any) -> T:
    # Whether it succeeds or not, the pipeline is empty then, and may be filled again.
    _forget(pipeline)
    done = execute(*args, **kwargs)
    for run in waiting[0].values():
        run.publish()
    if waiting[1]:
        lifecycle.enqueued(*waiting[1].values())
    return done


# Running.


@lifecycle.guarded
def _look(run: _Run, job: Job, *, running: bool = True, here: bool = False) -> None:
    """Find out which attempt a job is at; tell that it was dequeued, if that was not told.

    Args:
        run: where that is noted.
        job: the job.
        running: whether it runs, or is about to.
        here: whether it does in this process.
    """
    item = _item(job, None if here else run)
    if running and run.extra and (known := item.get(METADATA)) is not None:
        item[METADATA] = {**known, "_attempt": read_attempt(known) + 1}
    run.item = item
    if run.told or not running:
        run.attempt = lifecycle.attempt_of(job.origin, item)
    else:
        run.told = True
        run.attempt = lifecycle.dequeued(job.origin, item, hold=here, at=run.at)


def _prepare_execution(original: Original, worker: BaseWorker, job: Job) -> Any:
    """A worker has taken a job."""
    run = job.__dict__[_RUN] = _Run(job, at=time.time())
    worker.__dict__[_JOB] = job
    here = isinstance(worker, SimpleWorker)
    if not here:
        run.board = _board(worker)
    _look(run, job, here=here)
    return original(worker, job)


@lifecycle.guarded
def _board(worker: BaseWorker) -> _Board:
    board: _Board | None = worker.__dict__.get(_BOARD)
    if board is None:
        fd = -1
        if _SpawnWorker is not None and isinstance(worker, _SpawnWorker):
            fd = os.memfd_create("clues-rq", 0)
            os.ftruncate(fd, _Board.SIZE)
        board = worker.__dict__[_BOARD] = _Board(fd)
    board.state = _Board.NOTHING
    return board


def _perform_job(original: Original, worker: BaseWorker, job: Job, *args: Any, **kwargs: Any) -> Any:
    state = job.__dict__
    run = state.get(_RUN)
    if run is None:  # in a spawned horse
        run = state[_RUN] = _Run(job, at=time.time(), board=_inherited)
        run.told, run.worker = _inherited is not None, os.getppid()
    state["_execute"] = functools.partial(_execute, job, run, job._execute)
    try:
        return original(worker, job, *args, **kwargs)
    finally:
        state.pop("_execute", None)


def _execute(job: Job, run: _Run, execute: Callable[[], T]) -> T:
    """The job's own code."""
    if type(job)._execute is _plain_execute and not _is_imported(job):
        try:
            job.func  # noqa: B018 - it is imported, which is the first that RQ does
        except Exception as error:
            run.error = error
            run.reason = None if isinstance(error, interrupts()) else "unknown"
            raise
    if run.item is None:  # what was imported just now may have configured clues
        _look(run, job, here=True)
    elif run.rough:
        _look_closely(run, job)
    with lifecycle.performing(run.attempt, job.origin, run.item or {}):
        try:
            return execute()
        except BaseException as error:
            run.error = error
            raise


_plain_execute = Job._execute


def _is_imported(job: Job) -> bool:
    module, _, name = (job.func_name or "").rpartition(".")
    return name in getattr(sys.modules.get(module), "__dict__", ())


@lifecycle.guarded
def _look_closely(run: _Run, job: Job) -> None:
    """The arguments as they are, now that their classes are here."""
    before = run.attempt
    if before is not None and run.item is not None:
        run.item = {**_item(job), METADATA: run.item.get(METADATA)}
        run.attempt = lifecycle.attempt_of(job.origin, run.item)
        if run.attempt is not None:
            run.attempt.times = before.times


def _run_job(original: Original, queue: Queue, job: Job) -> Any:
    """A job that is run by the process that enqueues it."""
    state = job.__dict__
    lifecycle.enqueued(state.pop(_INLINE, None))
    run = state[_RUN] = _Run(job, at=time.time())
    run.extra = False  # its status says already that it runs
    _look(run, job, here=True)
    state["_execute"] = functools.partial(_execute, job, run, job._execute)
    try:
        done = original(queue, job)
        run.finished = True
        return done
    except BaseException as error:
        run.error = run.error or error
        raise
    finally:
        state.pop("_execute", None)
        _decide(run, job)
        run.publish()


# Ends.


@lifecycle.guarded
def _decide(run: _Run, job: Job, text: str = "", *, retrying: bool = False) -> None:
    """What the end is; it is told once Redis has it."""
    if run.item is None:
        _look(run, job, here=True)
    attempt = run.attempt
    if attempt is None:
        return
    if process_id() != run.worker != os.getppid() and _has_ended(job, run):
        attempt.ended = True  # its worker has died, and was found
    if attempt.held is not None:
        held, attempt.held = attempt.held, None
        lifecycle.publish(held)
    if run.finished:
        run.event = lifecycle.outcome(attempt)
    else:
        failure = run.failure
        if failure is None and run.error is not None:
            failure = failure_of(run.error, callers=_CALLERS)
        if failure is None:
            failure = Failure("clues.errors.DirtyExit", text)
        run.event = lifecycle.outcome(attempt, failure, reason=run.reason, reporter="adapter", retrying=retrying)
    if run.event is not None and run.board is not None:
        run.board.decide(run.event.line)


def _handle_exception(original: Original, worker: BaseWorker, job: Job, *exc_info: Any) -> Any:
    run = job.__dict__.get(_RUN)
    if run is not None and run.error is None and len(exc_info) > 1:
        run.error = exc_info[1]
    return original(worker, job, *exc_info)


def _handle_job_success(original: Original, worker: BaseWorker, job: Job, *args: Any, **kwargs: Any) -> Any:
    run = job.__dict__.get(_RUN)
    if run is None:
        return original(worker, job, *args, **kwargs)
    alone = run.board is None and not getattr(job, "repeats_left", None)
    run.finished = True
    if not alone:  # the end is decided first, for whoever may have to tell it, and before what follows
        _decide(run, job)
    try:
        done = original(worker, job, *args, **kwargs)
    except BaseException:
        run.take_back()
        raise
    if alone and run.item is not None:
        lifecycle.perform_finished(run.attempt)
    else:
        run.publish()
    return done


def _handle_job_retry(
    original: Original, worker: BaseWorker, job: Job, queue: Any, retry: Any, *args: Any, **kwargs: Any
) -> Any:
    """The job has returned a `Retry`."""
    run = job.__dict__.get(_RUN)
    if run is None:
        return original(worker, job, queue, retry, *args, **kwargs)
    run.failure = Failure("rq.job.Retry", f"the job returned Retry(max={retry.max})")
    if not job.number_of_retries or job.number_of_retries < retry.max:
        _decide(run, job, retrying=True)
    try:
        return original(worker, job, queue, retry, *args, **kwargs)
    except BaseException:
        run.take_back()
        raise


def _handle_job_failure(original: Original, worker: BaseWorker, job: Job, *args: Any, **kwargs: Any) -> Any:
    _fail(worker, job, str(kwargs.get("exc_string", "")))
    done = original(worker, job, *args, **kwargs)
    _make_sure(job)
    return done


@lifecycle.guarded
def _make_sure(job: Job) -> None:
    """RQ does not say whether Redis has a failure; where it has no answer, maintenance will find the job."""
    run: _Run | None = job.__dict__.get(_RUN)
    if run is not None and run.event is not None and _has_ended(job, run):
        run.publish()


@lifecycle.guarded
def _fail(worker: BaseWorker, job: Job, text: str) -> None:
    run: _Run | None = job.__dict__.get(_RUN)
    if run is None:  # the worker that took it died before it could say so
        run = job.__dict__[_RUN] = _Run(job)
        run.reason = "lost"
        _look(run, job, running=False)
    stopped = worker._stopped_job_id == job.id
    if stopped:
        run.reason = "cancelled"
    elif run.reason is None:
        run.reason = _reason(worker, run.error)
    _decide(run, job, text, retrying=not stopped and _is_left(job))


def _is_left(job: Job) -> bool:
    return bool(job.retries_left and job.retries_left > 0)


def _reason(worker: BaseWorker, error: BaseException | None) -> str | None:
    if isinstance(error, BaseTimeoutException):
        return "timeout"
    if isinstance(error, DeserializationError):
        return "rejected"
    stopping = isinstance(error, SystemExit) and worker._shutdown_requested_date is not None
    return "shutdown" if stopping or isinstance(error, ShutDownImminentException) else None


def _cleanup_execution(
    original: Original, worker: BaseWorker, job: Job, pipeline: Any, *args: Any, **kwargs: Any
) -> Any:
    """Failures come by here, with the pipeline that brings them to Redis; RQ says nothing if it can't."""
    done = original(worker, job, pipeline, *args, **kwargs)
    run = job.__dict__.get(_RUN)
    if run is not None and not run.finished:
        if run.failure is not None and run.event is None:
            _decide(run, job)
        if run.event is not None:
            _after(pipeline, job, run=run)
    return done


# Ends that the job's own process did not tell.


def _handle_work_horse_killed(original: Original, worker: BaseWorker, job: Job, *died: Any) -> Any:
    run = job.__dict__.get(_RUN)
    if run is not None:
        run.reason = _manner(died[1], job, run)
    return original(worker, job, *died)


def _manner(status: int | None, job: Job, run: _Run) -> str:
    """How a horse went."""
    if status is None:  # RQ has killed it, or somebody else was told
        limit = job.timeout or 0
        return "timeout" if run.at is not None and 0 < limit < time.time() - run.at else "lost"
    if not os.WIFSIGNALED(status):
        return f"exit:{os.WEXITSTATUS(status)}"
    try:
        return f"killed:{signal.Signals(os.WTERMSIG(status)).name}"
    except ValueError:  # a real-time signal
        return f"killed:{os.WTERMSIG(status)}"


def _wait_for_horse(original: Original, worker: BaseWorker) -> Any:
    found = original(worker)
    if found[1] and (job := worker.__dict__.get(_JOB)) is not None:
        _horse_died(job)
    return found


@lifecycle.guarded
def _horse_died(job: Job) -> None:
    """A horse that was killed may have told the job's end, or have had no more than that left to do."""
    run: _Run | None = job.__dict__.get(_RUN)
    if run is None or run.attempt is None or run.board is None or run.board.state == _Board.NOTHING:
        return
    if run.board.state == _Board.DECIDED:
        if not _has_ended(job, run):
            return
        lifecycle.retell(run.board.line)
    else:
        _has_ended(job, run)
    run.attempt.ended = True


def _has_ended(job: Job, run: _Run) -> bool:
    """Whether Redis says so; notes which attempt the job is at."""
    own = job.__dict__.get(_SLOT)
    status, later = _refresh(job), _metadata(job) or {}
    job.__dict__[_SLOT] = own
    if run.attempt is None or not later:
        return status is None or status in _ENDED
    run.number = read_attempt(later)
    moved = later.get("_event_hash") != run.attempt.event_hash or run.number > run.attempt.number
    return moved or status is None or status in _ENDED


def _clean_started(
    original: Original, registry: StartedJobRegistry, timestamp: Any = None, exception_handlers: Any = None
) -> Any:
    """RQ's maintenance ends what is said to run, and nobody has been heard of."""
    if lifecycle.settings.config is None:
        return original(registry, timestamp, exception_handlers)
    runs: list[_Run] = []

    def abandoned(job: Job, *_exc_info: Any) -> None:
        _abandon(job, runs)

    done = original(registry, timestamp, [abandoned, *(exception_handlers or [])])
    for run in runs:
        run.publish()
    return done


@lifecycle.guarded
def _abandon(job: Job, runs: list[_Run]) -> None:
    if job._status in _ENDED:  # older releases don't mind
        return
    run = job.__dict__[_RUN] = _Run(job)
    _look(run, job, running=False)
    run.reason = "lost"
    run.failure = Failure("rq.exceptions.AbandonedJobError", f"nobody has heard of its worker {job.worker_name or ''}")
    _decide(run, job, retrying=_is_left(job))
    runs.append(run)


# Processes.


def _work(original: Original, parent: Any, *args: Any, **kwargs: Any) -> Any:
    """A worker works, or a pool of them: the shipper runs beside the first process that does, not its children."""
    global _beside  # noqa: PLW0603 - of the process, and those it forks
    own = None
    if _beside is None:
        own = _beside = lifecycle.guarded(start_companion)()
    try:
        return original(parent, *args, **kwargs)
    finally:
        if own is not None:
            _beside = None
            own.leave()


def _spawn_work_horse(original: Original, worker: BaseWorker, *args: Any, **kwargs: Any) -> Any:
    """A spawned horse is a fresh interpreter: it hooks RQ first."""
    module: Any = sys.modules[original.__module__]
    board: _Board | None = worker.__dict__.get(_BOARD)
    module.os = _Spawning(
        _BEGIN.format(path=sys.path, application=_application, fd=None if board is None else board.fd)
    )
    try:
        return original(worker, *args, **kwargs)
    finally:
        module.os = os


_BEGIN = """
import sys
_path, sys.path[:] = sys.path[:], {path!r}
import clues.adapters.rq
clues.adapters.rq._begin({application!r}, {fd!r})
sys.path[:] = _path
"""


class _Spawning:
    """The module ``os``, for RQ: the program that it spawns begins with ours."""

    def __init__(self, begin: str) -> None:
        self._begin = begin

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def posix_spawn(self, path: str, argv: list[str], *args: Any, **kwargs: Any) -> int:
        """As RQ does from 3.0 on."""
        return os.posix_spawn(path, [*argv[:-1], self._begin + argv[-1]], *args, **kwargs)

    def spawnv(self, mode: int, path: str, argv: list[str]) -> int:
        """As RQ did before."""
        return os.spawnv(mode, path, [*argv[:-1], self._begin + argv[-1]])  # noqa: S606 - RQ's call


def _begin(application: str | None, fd: int | None) -> None:
    """In a spawned horse: as in its worker.

    Args:
        application: the module that called `install` there.
        fd: of the board, if clues is configured there.
    """
    global _inherited  # noqa: PLW0603 - of the process
    install()
    if fd is not None:
        _inherited = _Board(fd)
    if application is not None:
        try:
            import_module(application)
        except Exception:  # RQ would not have imported it
            logging.getLogger("clues").warning("a spawned work horse can't import %s", application, exc_info=True)


def _hooks() -> list[tuple[Any, str, Original]]:
    """Whose methods are hooked, and by what; each is given RQ's method, and what that is given."""
    spawning = [(_SpawnWorker, "fork_work_horse", _spawn_work_horse)] if _SpawnWorker is not None else []
    of_workers: dict[str, Original] = {
        "work": _work,
        "prepare_execution": _prepare_execution,
        "perform_job": _perform_job,
        "handle_exception": _handle_exception,
        "handle_job_success": _handle_job_success,
        "handle_job_retry": _handle_job_retry,
        "handle_job_failure": _handle_job_failure,
        "cleanup_execution": _cleanup_execution,
        "handle_work_horse_killed": _handle_work_horse_killed,
        "wait_for_horse": _wait_for_horse,
    }
    return [
        (Job, "restore", _restore),
        (Job, "to_dict", _to_dict),
        (Job, "cancel", _cancel),
        (Job, "delete", _delete),
        (Queue, "create_job", _create_job),
        (Queue, "setup_dependencies", _setup_dependencies),
        (Queue, "_enqueue_job", _enqueue_job),
        (Queue, "_enqueue_rate_limited_job", _enqueue_job),
        (Queue, "schedule_job", _schedule_job),
        (Queue, "run_job", _run_job),
        (BaseRegistry, "requeue", _requeue),
        (StartedJobRegistry, "cleanup", _clean_started),
        (WorkerPool, "start", _work),
        *((owner, name, hook) for owner in (BaseWorker, Worker) for name, hook in of_workers.items()),
        *spawning,
    ]
