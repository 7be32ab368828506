"""arq: hooks into its ``ArqRedis`` and ``Worker``.

One line, where the application's initializer has configured clues, in producers and in the module of WorkerSettings::

    import clues.adapters.arq

    clues.adapters.arq.install()

What the events mean here:

- `enqueued`: ``enqueue_job`` has pushed the job (the worker's own, for cron jobs, too). None where a job of this id
  exists and arq answers None. Of a further attempt: arq has left the job in its queue.
- `dequeued`: a worker has taken the job; published with `perform_started`, when its coroutine begins, which is after
  ``on_job_start``.
- `perform_finished`, `failed`: the job has ended, and that stands in Redis; after ``on_job_end``.

A job's metadata are one field more in the dict that arq serialises: workers without clues don't look at it. Beside
jobs that are to be run again, and those with ``_expires``, a record lies in Redis, ``arq:clues:<job id>``: it says
whether the end of the attempt before was told, and what has expired when the job itself is gone. It expires, and goes
with its job.

What can't be known: that a job has expired by arq's default of a day, if its id was the user's own: nothing is left of
it. An attempt that a worker without clues had, and that is then run again, is told as lost.
"""

from __future__ import annotations

import asyncio
import atexit
import copy
import functools
import json
import os
import pickle
import re
import time
import zlib
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any

from clues.attempt import METADATA, Attempt, metadata_in
from clues.config import configure_from_environment
from clues.errors import MissingExtraError
from clues.event import Event, json_encoder
from clues.ledger import Ledger
from clues.lifecycle import Lifecycle, Performing
from clues.metadata import Failure, failure_of, hash_of, read_attempt, read_hash, users_own

try:
    import arq
    from arq import connections, worker
    from arq.connections import ArqRedis
    from arq.constants import in_progress_key_prefix, job_key_prefix, retry_key_prefix
    from arq.jobs import SerializationError
    from arq.utils import to_ms, to_unix_ms
    from arq.worker import Retry, RetryJob, Worker
    from redis.exceptions import WatchError
except ImportError as error:
    raise MissingExtraError("clues.adapters.arq", "arq", "arq") from error

lifecycle = Lifecycle(system="arq")

_RECORD = "arq:clues:"
_EXPIRES = "clues_expires"  # in a job's dict: a record lies beside it
_DAY = 86_400_000  # milliseconds; what arq gives a job that waits
_LOOK = 5.0  # seconds between two looks for ledgers of dead workers
_PATIENCE = 2.0  # seconds that a question to Redis of our own may hold up a job
_CALLERS = (os.path.dirname(arq.__file__) + os.sep, __file__)  # noqa: PTH120 - as code objects have it
_UNKNOWN = "<unknown>"  # arq's own word
_LOST = Failure("clues.errors.DirtyExit", "its worker died while it ran, or left it without a word")

_NONE: Mapping[str, Any] = {}

_bare = SimpleNamespace()
_pushing: ContextVar[_Push | None] = ContextVar("clues_arq_pushing", default=None)
_running: ContextVar[_Run | None] = ContextVar("clues_arq_running", default=None)
_beside: ContextVar[Callable[[Any], object] | None] = ContextVar("clues_arq_beside", default=None)


def install() -> None:
    """Hook into arq, for all of this process' pools and workers; a second time does nothing.

    Raises:
        ConfigError: clues is to be configured by the environment alone, and that is mistaken.
    """
    configure_from_environment()
    if not hooked():
        for owner, name, hook in _HOOKS:
            setattr(_bare, name, getattr(owner, name))
            setattr(owner, name, hook)


def uninstall() -> None:
    """Take the hooks out again; jobs that run at that moment have no end told."""
    for owner, name, hook in _HOOKS:
        if getattr(owner, name) is hook:
            if name in vars(owner.__base__ if isinstance(owner, type) else object):
                delattr(owner, name)
            else:
                setattr(owner, name, getattr(_bare, name))


def hooked() -> list[str]:
    """What is hooked in this process."""
    return [f"{owner.__name__}.{name}" for owner, name, _ in _HOOKS if _is_hook(getattr(owner, name))]


def _is_hook(function: Any) -> bool:
    return any(function is hook for _, _, hook in _HOOKS)


# Enqueueing.


class _Push:
    """A job on its way into its queue."""

    __slots__ = ("attempt", "expires", "item", "known", "options", "queue")

    def __init__(self, redis: Any, options: dict[str, Any]) -> None:
        self.queue = options.get("_queue_name") or redis.default_queue_name
        self.options = options
        self.expires = to_ms(options.get("_expires")) if options.get("_expires") else None
        self.known: dict[str, Any] = {}
        self.item: dict[str, Any] = {}
        self.attempt: Attempt | None = None
        if not options.get("_job_id"):
            options["_job_id"] = self.known["_event_hash"] = _new_id()
        if options.get("_job_try"):
            self.known["_attempt"] = options["_job_try"]

    def stamp(self, function: str, args: Any, kwargs: Any, now: int) -> None:
        """Just before the push, when it is known that there is no such job."""
        self.item = {
            "class": function,
            "args": [*args, kwargs] if kwargs else list(args),
            "job_id": self.options["_job_id"],
        }
        if self.known:
            self.item[METADATA] = self.known
        due = None
        if self.options.get("_defer_until") is not None:
            due = to_unix_ms(self.options["_defer_until"])
        elif self.options.get("_defer_by"):
            due = now + to_ms(self.options["_defer_by"])
        scheduled = due / 1000 if due is not None and due > now else None
        self.attempt = lifecycle.stamp(self.queue, self.item, scheduled_time=scheduled)

    def beside(self, pipe: Any) -> None:
        """Have the record of a job that may expire written in the transaction that pushes it."""
        multi = pipe.multi

        def with_record() -> None:
            multi()
            lifecycle.safely(self._add_record, pipe)

        pipe.multi = with_record

    def _add_record(self, pipe: Any) -> None:
        if self.attempt is not None and self.expires is not None:
            record = _record(self.attempt, self.item)
            pipe.psetex(_RECORD + self.options["_job_id"], self.expires + _DAY, record)


async def _enqueue_job(self: Any, function: str, *args: Any, **options: Any) -> Any:
    if lifecycle.settings.config is None:
        return await _bare.enqueue_job(self, function, *args, **options)
    push = lifecycle.safely(_Push, self, options)
    _pushing.set(push)
    if push is not None and push.expires is not None:
        _beside.set(push.beside)
    try:
        job = await _bare.enqueue_job(self, function, *args, **options)
    finally:
        _pushing.set(None)
        _beside.set(None)
    if job is not None and push is not None:
        lifecycle.enqueued(push.attempt)
    return job


def _serialize_job(
    function_name: str, args: Any, kwargs: Any, job_try: Any, enqueue_time_ms: int, *, serializer: Any = None
) -> Any:
    push = _pushing.get()
    if push is not None:
        lifecycle.safely(push.stamp, function_name, args, kwargs, enqueue_time_ms)
        if push.attempt is not None:
            serializer = _with_metadata(push, pickle.dumps if serializer is None else serializer)
    return _bare.serialize_job(function_name, args, kwargs, job_try, enqueue_time_ms, serializer=serializer)


def _with_metadata(push: _Push, serialize: Callable[[dict[str, Any]], bytes]) -> Callable[[dict[str, Any]], bytes]:
    def both(data: dict[str, Any]) -> bytes:
        more = {METADATA: push.item[METADATA]}
        if push.expires is not None:
            more[_EXPIRES] = True
        try:
            return serialize({**data, **more})
        except Exception as error:  # noqa: BLE001 - one of the user's own, which may be strict
            refused = error
        body = serialize(data)  # where it is the job's own fault, this raises as ever
        push.attempt = None
        lifecycle.report(refused, "the job is enqueued without its metadata, and has no events")
        return body

    return both


def _pipeline(self: Any, *args: Any, **options: Any) -> Any:
    pipe = _bare.pipeline(self, *args, **options)
    if (add := _beside.get()) is not None:
        _beside.set(None)  # it is for this one
        lifecycle.safely(add, pipe)
    return pipe


def _new_id() -> str:
    """A job's id, which is its hash too: 32 hex digits, of which the last show that it was made here.

    When the job has expired, its id is all that is left of it.
    """
    digits = os.urandom(13).hex()
    return digits + _check(digits)


def _check(digits: str) -> str:
    return f"{zlib.crc32(digits.encode()) & 0xFFFFFF:06x}"


def _is_ours(job_id: str) -> bool:
    return len(job_id) == 32 and job_id[26:] == _check(job_id[:26])  # noqa: PLR2004 - hex digits, see above


# Working.


class _Run:
    """An attempt in a worker, from `Worker.run_job` to the end."""

    aborted = False
    asked = False  # to be cancelled
    attempt: Attempt | None = None
    beside = False  # whether there is a record
    body: bytes | None = None  # as it was in Redis
    ending = False  # arq is told
    error: BaseException | None = None
    final: tuple[int, BaseException] | None = None  # the try, and what arq makes of it
    item: dict[str, Any] | None = None
    lost: Mapping[str, str] = _NONE  # attempts of which that was told, and by whom
    over = False  # the job's code
    performing: Performing | None = None

    def __init__(self, worker: Any, job_id: str, score: int, at: float) -> None:
        self.worker = worker
        self.job_id = job_id
        self.queue: str = worker.queue_name
        self.score = score
        self.at: float | None = at
        self.task = asyncio.current_task()
        self.ledger: Ledger = worker.__dict__.get("_clues_ledger") or _ledger_of(worker)

    @property
    def redis(self) -> Any:
        return self.worker.pool

    # Taking.

    def read(self, found: Mapping[str, Any], function: str, args: Any, kwargs: Any) -> None:
        """The job was deserialised."""
        metadata = found.get(METADATA)
        self.item = {
            "class": function,
            "args": [*args, kwargs] if kwargs else list(args),
            "job_id": self.job_id,
            METADATA: metadata if isinstance(metadata, dict) else {},
        }
        if _EXPIRES in found:
            self.beside = True
        functions = self.worker.functions
        known = functions.get(function)
        if known is not None and not hasattr(known.coroutine, "clues_observes"):
            functions[function] = observed = copy.copy(known)
            observed.coroutine = _observed(known.coroutine)

    def start(self) -> None:
        """The job's coroutine begins."""
        item = self.item or self._known
        self.attempt = lifecycle.dequeued(self.queue, item, hold=True, at=self.at)
        self.ledger.begin(self.attempt)
        self.performing = lifecycle.performing(self.attempt, self.queue, item)
        self.performing.__enter__()

    def stop(self, error: BaseException | None) -> None:
        """It is over."""
        self.over = True
        if error is not None:
            self.error = error
            if isinstance(error, asyncio.CancelledError):
                task = asyncio.current_task()
                self.asked = task is not None and task.cancelling() > 0
                self.aborted = self.job_id in self.worker.aborting_tasks
        if self.performing is not None:
            self.performing.__exit__(None, None, None)

    @property
    def _known(self) -> dict[str, Any]:
        if self.item is None:
            self.item = {"class": _UNKNOWN, "args": [], "job_id": self.job_id, METADATA: {}}
        return self.item

    async def catch_up(self, number: object) -> None:
        """For a further attempt: what the record has of it, and the end of the one before, if nobody told it."""
        if type(number) is not int or number <= read_attempt(self._known[METADATA]):
            return
        item = self._known
        self.beside = True
        try:
            async with asyncio.timeout(_PATIENCE):
                raw = await self.redis.get(_RECORD + self.job_id)
                if (record := _read(raw, item)) is not None:
                    item[METADATA] = record[METADATA]
                    self.lost = _lost(record)
                if read_attempt(item[METADATA]) < number:
                    self.at = None  # the attempt is put into its queue here and now
                    item[METADATA], self.lost = await _tell_lost(self.worker, self.queue, item, number, raw)
        finally:
            if read_attempt(item[METADATA]) < number:
                item[METADATA] = {**item[METADATA], "_attempt": number}

    # Ending.

    async def finish(self, commit: Awaitable[None], *, finish: bool, delay: int | None) -> None:
        """Around `Worker.finish_job`: the attempt's end is told once it stands in Redis."""
        event = following = None
        try:
            if self.performing is None:  # it never began
                await self.catch_up(await self._number())
                self.attempt = lifecycle.dequeued(self.queue, self._known, at=self.at)
            if finish and self.error is None and self.final is None:
                event = lifecycle.outcome(self.attempt)
            else:
                event = self._failure(finish=finish)
            if not finish and self.attempt is not None:
                due = (self.score + delay) / 1000 if delay else None
                following, record = _next(self.queue, self._known, self.attempt, due, lost=self.lost)
                _beside.set(lambda pipe: pipe.psetex(_RECORD + self.job_id, _DAY + (delay or 0), record))
            elif self.beside and not self.lost:  # else the ledger of the dead one may still be found
                _beside.set(lambda pipe: pipe.delete(_RECORD + self.job_id))
            self.ledger.decide(self.attempt, event)
        except Exception as error:  # noqa: BLE001 - observing must not hurt the job
            lifecycle.report(error)
        self.error = None
        try:
            await commit
        except BaseException:
            self.ledger.end(self.attempt, None)  # the job is run again, or it is not: whoever takes it tells
            raise
        self.ledger.end(self.attempt, event)
        lifecycle.enqueued(following)

    def _failure(self, *, finish: bool) -> Event | None:
        error = self.error
        if error is None and self.final is not None:  # it returned what has no repr, or never began
            error = self.final[1]
        reason = None if isinstance(error, (Retry, RetryJob)) else self._reason(error, finish=finish)
        failure = failure_of(error if error is not None else asyncio.CancelledError(), callers=_CALLERS)
        if reason == "timeout":
            failure = Failure("TimeoutError", f"it ran for longer than {self._limit():g} s", failure.backtrace)
        return lifecycle.outcome(self.attempt, failure, reason=reason, reporter="adapter", retrying=not finish)

    def _reason(self, error: BaseException | None, *, finish: bool) -> str | None:
        if finish and not isinstance(error, asyncio.CancelledError):
            return None
        if finish and self.aborted:
            return "cancelled"
        if self.task is not None and self.task.cancelling():  # the worker cancels what is not the job alone
            return "shutdown"
        return "timeout" if finish and self.asked else "cancelled"

    def _limit(self) -> float:
        own = self.worker.functions[self._known["class"]].timeout_s
        limit: float = self.worker.job_timeout_s if own is None else own
        return limit

    async def refuse(self, commit: Awaitable[None]) -> None:
        """Around `Worker.finish_failed_job`: arq ends a job without running it."""
        event = None
        try:
            event = await self._refusal()
            self.ledger.decide(self.attempt, event)
        except Exception as error:  # noqa: BLE001 - observing must not hurt the job
            lifecycle.report(error)
        try:
            await commit
        except BaseException:
            self.ledger.end(self.attempt, None)
            raise
        self.ledger.end(self.attempt, event)

    async def _refusal(self) -> Event | None:
        if self.final is None:
            return None
        number, error = self.final
        read = self.item is not None
        if not read:
            await self._find()
        await self.catch_up(number)
        self.attempt = lifecycle.dequeued(self.queue, self._known, at=self.at)
        if self.beside and not self.lost:
            _beside.set(lambda pipe: pipe.delete(_RECORD + self.job_id))
        if isinstance(error, asyncio.CancelledError):
            reason = "revoked"
        elif isinstance(error, SerializationError):
            reason = "rejected"
        elif not read:
            reason = "expired"
        else:
            reason = "retries_exhausted" if self._known["class"] in self.worker.functions else "unknown"
        failure = failure_of(error, callers=_CALLERS)
        return lifecycle.outcome(self.attempt, failure, reason=reason, reporter="adapter")

    async def _find(self) -> None:
        """What is known of a job that can't be read, or is gone."""
        async with asyncio.timeout(_PATIENCE):
            raw = await self.redis.get(_RECORD + self.job_id)
        try:
            record = json.loads(raw or b"")
        except (ValueError, RecursionError):
            record = None
        if isinstance(record, dict) and metadata_in(record) is not None:
            self.beside = True
            self.item = {**record, "job_id": self.job_id}
            return
        written = re.search(rb"_event_hash.{2,5}?([0-9a-f]{32})", self.body or b"", re.DOTALL)
        if written is not None:
            self._known[METADATA]["_event_hash"] = written[1].decode()
        elif _is_ours(self.job_id):
            self._known[METADATA]["_event_hash"] = self.job_id

    async def leave(self, error: BaseException) -> None:
        """The attempt is left behind: ``on_job_start`` has raised, or the job exits. It will be run again."""
        if self.ending or self.item is None:
            return
        number = await self._number()
        await self.catch_up(number)
        self.attempt = self.attempt or lifecycle.dequeued(self.queue, self._known, at=self.at)
        if self.attempt is None:
            return
        reason = f"exit:{_status(error)}" if isinstance(error, SystemExit) else None
        if isinstance(error, (asyncio.CancelledError, KeyboardInterrupt)):
            reason = "shutdown"
        failure = failure_of(error, callers=_CALLERS)
        event = lifecycle.outcome(self.attempt, failure, reason=reason, reporter="adapter", retrying=True)
        self.ledger.decide(self.attempt, event)
        try:
            async with asyncio.timeout(_PATIENCE):
                left = await self.redis.pttl(in_progress_key_prefix + self.job_id)
                due = time.time() + max(left, 0) / 1000
                following, record = _next(self.queue, self._known, self.attempt, due, lost=self.lost)
                await self.redis.psetex(_RECORD + self.job_id, _DAY, record)
        except BaseException:
            self.ledger.end(self.attempt, None)  # whoever takes it next tells
            raise
        self.ledger.end(self.attempt, event)
        lifecycle.enqueued(following)

    async def _number(self) -> int:
        if self.final is not None:
            return self.final[0]
        async with asyncio.timeout(_PATIENCE):
            return int(await self.redis.get(retry_key_prefix + self.job_id) or 1)


async def _run_job(self: Any, job_id: str, score: int) -> None:
    config = lifecycle.settings.config
    if config is None:
        await _bare.run_job(self, job_id, score)
        return
    run = lifecycle.safely(_Run, self, job_id, score, config.clock())
    _running.set(run)
    try:
        await _bare.run_job(self, job_id, score)
    except (Exception, asyncio.CancelledError, SystemExit, KeyboardInterrupt) as error:
        if run is not None:
            await _awaited(run.leave(error))
        raise
    finally:
        _running.set(None)


def _deserialize_job_raw(r: bytes, *, deserializer: Any = None) -> Any:
    run = _running.get()
    if run is None:
        return _bare.deserialize_job_raw(r, deserializer=deserializer)
    found: list[Any] = []

    def keep(body: bytes) -> Any:
        found.append((pickle.loads if deserializer is None else deserializer)(body))
        return found[0]

    run.body = r
    job = _bare.deserialize_job_raw(r, deserializer=keep)
    try:
        run.read(found[0], job[0], job[1], job[2])
    except Exception as error:  # noqa: BLE001 - observing must not hurt the job
        lifecycle.report(error)
    return job


def _observed(coroutine: Callable[..., Awaitable[Any]]) -> Callable[..., Coroutine[Any, Any, Any]]:
    @functools.wraps(coroutine)
    async def observed(ctx: dict[Any, Any], /, *args: Any, **kwargs: Any) -> Any:
        run = _running.get()
        if run is None or run.over or run.performing is not None:
            return await coroutine(ctx, *args, **kwargs)
        if (number := ctx.get("job_try")) != 1:
            await _awaited(run.catch_up(number))
        try:
            run.start()
        except Exception as error:  # noqa: BLE001 - observing must not hurt the job
            lifecycle.report(error)
        try:
            result = await coroutine(ctx, *args, **kwargs)
        except BaseException as error:
            lifecycle.safely(run.stop, error)
            raise
        try:
            run.stop(None)
        except Exception as error:  # noqa: BLE001 - observing must not hurt the job
            lifecycle.report(error)
        return result

    observed.clues_observes = True  # type: ignore[attr-defined]
    return observed


def _serialize_result(  # noqa: PLR0917 - arq's own signature
    function: Any, args: Any, kwargs: Any, job_try: int, enqueue_time_ms: int, success: bool, result: Any, *rest: Any,
    **more: Any,
) -> Any:  # fmt: skip
    run = _running.get()
    if run is not None and not success:
        run.final = (job_try, result)
    return _bare.serialize_result(function, args, kwargs, job_try, enqueue_time_ms, success, result, *rest, **more)


def _finish_job(  # noqa: PLR0917 - arq's own signature
    self: Any, job_id: str, finish: bool, result_data: Any, result_timeout_s: Any, keep_result_forever: Any,
    incr_score: int | None, *rest: Any, **more: Any,
) -> Awaitable[None]:  # fmt: skip
    commit = _bare.finish_job(
        self, job_id, finish, result_data, result_timeout_s, keep_result_forever, incr_score, *rest, **more
    )
    run = _running.get()
    if run is None or run.item is None or run.job_id != job_id:
        return commit
    run.ending = True
    return run.finish(commit, finish=finish, delay=incr_score)


def _finish_failed_job(self: Any, job_id: str, result_data: Any) -> Awaitable[None]:
    commit = _bare.finish_failed_job(self, job_id, result_data)
    run = _running.get()
    if run is None or run.job_id != job_id:
        return commit
    run.ending = True
    return run.refuse(commit)


# Attempts that were lost.


async def _heart_beat(self: Any) -> None:
    await _bare.heart_beat(self)
    if lifecycle.settings.config is not None:
        await _awaited(_look_for_lost(self))


async def _look_for_lost(worker: Any) -> None:
    """Finish the stories of workers that have died on this host, now and then."""
    now = time.monotonic()
    if now < worker.__dict__.get("_clues_look", now):
        return
    worker._clues_look = now + _LOOK
    for ended, line in _ledger_of(worker).inherited():
        async with asyncio.timeout(_PATIENCE):
            await _settle(worker, line, ended=ended)


async def _settle(worker: Any, line: bytes, *, ended: bool) -> None:
    try:
        event = Event.from_line(line)
        known = event.metadata
        job_id, event_hash, number = known["_job_id"], known["_event_hash"], known["_attempt"]
    except (ValueError, KeyError):  # its worker died while it wrote
        return
    async with worker.pool.pipeline(transaction=True) as pipe:
        pipe.get(_RECORD + job_id).zscore(event.queue, job_id).pttl(in_progress_key_prefix + job_id)
        pipe.get(job_key_prefix + job_id)
        raw, waiting, left, body = await pipe.execute()
    record = _read(raw, {METADATA: {"_event_hash": event_hash}})
    if record is not None and read_attempt(record[METADATA]) > number:  # its end was committed, with the next attempt
        teller = _lost(record).get(str(number))  # none: it was its worker's own commit
        if ended and teller == (_teller(known) if known.get("_reason") == "lost" else None):
            lifecycle.retell(line)
            if read_attempt(record[METADATA]) == number + 1:
                following = lifecycle.attempt_of(event.queue or "", {**record, "job_id": job_id})
                lifecycle.enqueued(following)
        return
    own = body is None or event_hash.encode() in body or event_hash == hash_of("arq", job_id)
    if ended and (waiting is None or not own):
        lifecycle.retell(line)  # it was committed
        return
    metadata = {**users_own(known), "_event_hash": event_hash, "_attempt": number}
    for key in ("_enqueued_time", "_scheduled_time"):
        if key in known:
            metadata[key] = known[key]
    queue = event.queue or ""
    item = {"class": event.worker_class, "args": event.args, "job_id": job_id, METADATA: metadata}
    if waiting is None:
        attempt = lifecycle.attempt_of(queue, item)
        lifecycle.failed(attempt, _LOST, reason="lost", reporter="adapter")
    else:
        due = time.time() + left / 1000 if left > 0 else None
        await _tell_lost(worker, queue, item, number + 1, raw, due)


async def _tell_lost(  # noqa: PLR0917 - what it takes
    worker: Any, queue: str, item: dict[str, Any], number: int, raw: bytes | None, due: float | None = None
) -> tuple[dict[str, Any], Mapping[str, str]]:
    """Tell that an attempt was lost, unless somebody else does; gives the next one's metadata, and which were lost.

    Args:
        worker: who does.
        queue: the job's.
        item: with the metadata of the attempt that was lost.
        number: of the attempt that follows.
        raw: the record as it was.
        due: when that is; None for at once.
    """
    attempt = lifecycle.attempt_of(queue, item)
    if attempt is None:
        return {"_attempt": number}, _NONE
    event = lifecycle.outcome(attempt, _LOST, reason="lost", reporter="adapter", retrying=True)
    lost = dict(_lost(_read(raw, item) or _NONE))
    if event is not None:
        lost[str(attempt.number)] = _teller(event.metadata)
    following, told = _next(queue, item, attempt, due, number=number, lost=lost)
    redis, ledger, key = worker.pool, _ledger_of(worker), _RECORD + item["job_id"]
    ledger.decide(attempt, event)
    try:
        async with redis.pipeline(transaction=True) as pipe:
            await pipe.watch(key)
            if (now := await pipe.get(key)) == raw:
                pipe.multi()
                pipe.psetex(key, _DAY, told)
                await pipe.execute()
                now = told
    except WatchError:
        now = await redis.get(key)
    except BaseException:
        ledger.end(attempt, None)
        raise
    ledger.end(attempt, event if now is told else None)
    if now is told:
        lifecycle.enqueued(following)
    record = _read(now, item)
    return (item[METADATA], lost) if record is None else (record[METADATA], _lost(record))


def _next(
    queue: str,
    item: dict[str, Any],
    attempt: Attempt,
    due: float | None,
    *,
    number: int | None = None,
    lost: Mapping[str, str] = _NONE,
) -> tuple[Attempt | None, bytes]:
    """The attempt that follows one, and its record."""
    number = number or attempt.number + 1
    following = {**item, METADATA: {**item[METADATA], "_event_hash": attempt.event_hash, "_attempt": number}}
    stamped = lifecycle.stamp(queue, following, preprocess=False, scheduled_time=due)
    return stamped, _record(attempt, following, lost=lost)


def _record(attempt: Attempt, item: Mapping[str, Any], *, lost: Mapping[str, str] = _NONE) -> bytes:
    """An attempt as Redis keeps it beside its job; its arguments as in events, without secrets."""
    told = {"class": attempt.worker_class, "args": attempt.args, METADATA: item[METADATA]}
    return json_encoder()({**told, "lost": lost} if lost else told)


def _read(raw: bytes | None, item: Mapping[str, Any]) -> dict[str, Any] | None:
    """A record, if it is this job's."""
    try:
        record: dict[str, Any] = json.loads(raw or b"")
        wanted = read_hash(item[METADATA]) or hash_of("arq", item["job_id"])
        return record if read_hash(record[METADATA]) == wanted else None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _lost(record: Mapping[str, Any]) -> Mapping[str, str]:
    found = record.get("lost")
    return found if isinstance(found, dict) else _NONE


def _teller(metadata: Mapping[str, Any]) -> str:
    return f"{metadata.get('_hostname')}:{metadata.get('_process')}"


def _ledger_of(worker: Any) -> Ledger:
    found: Ledger | None = worker.__dict__.get("_clues_ledger")
    if found is None:
        connection = worker.pool.connection_pool.connection_kwargs
        place = ":".join(str(connection.get(key)) for key in ("host", "port", "path", "db"))
        if place not in _ledgers:
            _ledgers[place] = Ledger(lifecycle, place)
            atexit.register(_ledgers[place].leave)
        found = worker._clues_ledger = _ledgers[place]
    return found


_ledgers: dict[str, Ledger] = {}


# What our own errors come to.


async def _awaited(act: Coroutine[Any, Any, Any]) -> None:
    try:
        await act
    except Exception as error:  # noqa: BLE001 - observing must not hurt the job
        lifecycle.report(error)


def _status(error: SystemExit) -> int:
    if error.code is None:
        return 0
    return error.code if isinstance(error.code, int) else 1


_HOOKS: tuple[tuple[Any, str, Any], ...] = (
    (ArqRedis, "enqueue_job", functools.wraps(ArqRedis.enqueue_job)(_enqueue_job)),
    (ArqRedis, "pipeline", functools.wraps(ArqRedis.pipeline)(_pipeline)),
    (Worker, "run_job", functools.wraps(Worker.run_job)(_run_job)),
    (Worker, "finish_job", functools.wraps(Worker.finish_job)(_finish_job)),
    (Worker, "finish_failed_job", functools.wraps(Worker.finish_failed_job)(_finish_failed_job)),
    (Worker, "heart_beat", functools.wraps(Worker.heart_beat)(_heart_beat)),
    (connections, "serialize_job", _serialize_job),
    (worker, "deserialize_job_raw", _deserialize_job_raw),
    (worker, "serialize_result", _serialize_result),
)
