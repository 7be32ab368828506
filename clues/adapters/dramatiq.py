"""Dramatiq's messages as events: a middleware for its brokers.

::

    from clues.adapters import dramatiq as clues_dramatiq

    broker.add_middleware(clues_dramatiq.CluesMiddleware())     # or clues_dramatiq.install(broker)

What the events mean here:

- ``enqueued``: the broker has taken the message; one for each attempt. That a delayed message goes into the delay queue
  first and into its own queue later, is one enqueuing.
- ``dequeued`` and ``perform_started``: a worker thread begins with it. What a worker has fetched and not begun still
  waits, and that is time in queue.
- ``perform_finished`` and ``failed``: its attempt is over, told when all middleware is done with it, just before it is
  acknowledged or goes to the dead letters; ``_retrying`` when Retries has enqueued it again, which tells of both.

A worker that dies tells nothing, and nobody else can: Dramatiq's master runs none of the application's code. The
message is delivered again, as the same attempt. That it was delivered before, RabbitMQ says; on Redis the workers look
now and then what the silent ones among them hold.
"""

from __future__ import annotations

import concurrent.futures
import sys
import threading
from collections.abc import Mapping
from multiprocessing import parent_process
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any
from weakref import WeakSet

from clues.attempt import METADATA, Attempt
from clues.config import configure_from_environment
from clues.errors import MissingExtraError, let_through
from clues.lifecycle import Lifecycle, Performing
from clues.metadata import failure_of, read_attempt, read_hash
from clues.plugs import Item

try:
    import dramatiq
    import dramatiq.broker
    from dramatiq.common import current_millis, q_name
    from dramatiq.errors import ActorNotFound
    from dramatiq.middleware import Interrupt, Middleware, Shutdown, SkipMessage, TimeLimitExceeded
except ImportError as error:
    raise MissingExtraError("clues.adapters.dramatiq", "dramatiq", "dramatiq") from error

lifecycle = Lifecycle(system="dramatiq")

SLOT = METADATA
"""The message's option that carries its metadata."""

_PUSH, _WORK = "_clues_push", "_clues_work"  # attributes of messages, which no copy and no encoding takes along
_CALLERS = (str(Path(dramatiq.__file__).parent), str(Path(concurrent.futures.__file__).parent))
_AGE_LIMIT = "dramatiq.middleware.age_limit"

_MOST_SILENT = 1000  # clients that enqueue have a heartbeat too, and are silent soon
_MOST_LEFT = 100_000

let_through(Interrupt)


class _Work:
    """A message in a worker's hands.

    Attributes:
        attempt: which attempt it is; None for a message of a producer without clues.
        message_id: the message's.
        performing: entered while its actor runs.
        error: what that raised.
        reason: why it did not run, or did not run to its end.
        over: whether its actor is done.
        again: how often it was enqueued again meanwhile: by Retries, once, but its own actor may do so too.
    """

    performing: Performing | None = None
    error: BaseException | None = None
    reason: str | None = None
    over = False
    again = 0

    def __init__(self, attempt: Attempt | None, message_id: str) -> None:
        self.attempt = attempt
        self.message_id = message_id


class _Here(threading.local):
    """What this thread of a worker is at.

    Attributes:
        work: the message that it processes.
        waiting: ids of the delayed messages that it holds until their time has come.
    """

    def __init__(self) -> None:
        self.work: _Work | None = None
        self.waiting: set[str] = set()


class _Silent:
    """Looks what workers hold whose heartbeat is about to run out: Redis gives it to others then, and does not say so.

    Attributes:
        left: the Redis ids of their messages.
    """

    def __init__(self) -> None:
        self.left: set[str] = set()
        self._seen: set[tuple[bytes, float]] = set()

    def watch(self, broker: Any) -> threading.Event:
        """Look at once, before messages are taken, and then by a thread; gives what ends that."""
        over = threading.Event()
        self._look(broker)
        pause = broker.heartbeat_timeout / 1000 / 4
        threading.Thread(target=self._go_on, args=(broker, over, pause), name="clues silent", daemon=True).start()
        return over

    def has_left(self, message: Any) -> bool:
        """Whether a message was one of theirs."""
        known = message.options.get("redis_message_id") in self.left
        if known:
            self.left.discard(message.options["redis_message_id"])
        return known

    def _go_on(self, broker: Any, over: threading.Event, pause: float) -> None:
        while not over.wait(pause):
            self._look(broker)

    def _look(self, broker: Any) -> None:
        config = lifecycle.settings.config
        if config is None:
            return
        try:
            latest = current_millis() - broker.heartbeat_timeout / 2
            beats = f"{broker.namespace}:__heartbeats__"
            found = broker.client.zrevrangebyscore(beats, latest, 0, start=0, num=_MOST_SILENT, withscores=True)
            new = [(worker, at) for worker, at in found if (worker, at) not in self._seen]
            self._seen = {*map(tuple, found)}
            if not new:
                return
            with broker.client.pipeline(transaction=False) as pipe:
                for worker, _ in new:
                    for queue in broker.get_declared_queues():
                        pipe.smembers(f"{broker.namespace}:__acks__.{_text(worker)}.{queue}")
                held = {_text(message_id) for ids in pipe.execute() for message_id in ids}
            # Those that others were given stay; not for ever.
            self.left = held | (self.left if len(self.left) < _MOST_LEFT else set())
        except Exception as error:  # noqa: BLE001 - Redis' errors, and what other clients raise
            config.faults.report("clues", error, "whether messages were delivered before is not known")


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode()


_here = _Here()
_silent = _Silent()
_brokers: WeakSet[Any] = WeakSet()


class CluesMiddleware(Middleware):
    """Tells clues of a broker's messages. Where it is added makes no difference: in a worker it takes the last place.

    There it is the last that is asked before an actor runs, when no other can skip the message any more, and the first
    to learn that it is done.
    """

    def __init__(self) -> None:
        """Make it for one broker.

        Raises:
            ConfigError: clues is to be configured by the environment alone, and that is mistaken.
        """
        configure_from_environment()
        self._watching: list[threading.Event] = []

    # Of the program's processes.

    def after_process_boot(self, broker: Any) -> None:
        """In each of the worker program's processes, which leaves without what is registered with atexit."""
        _brokers.add(broker)
        if parent_process() is not None:
            Finalize(None, _flush, exitpriority=0)

    def before_worker_boot(self, broker: Any, worker: Any) -> None:  # noqa: ARG002 - the hook's signature
        """Take the last place."""
        _brokers.add(broker)
        # Another list, for this one is being run through.
        broker.middleware = [*(other for other in broker.middleware if other is not self), self]
        redis = sys.modules.get("dramatiq.brokers.redis")
        if redis is not None and isinstance(broker, redis.RedisBroker):
            self._watching.append(_silent.watch(broker))

    def after_worker_shutdown(self, broker: Any, worker: Any) -> None:  # noqa: ARG002 - the hook's signature
        """Look no more who is silent."""
        while self._watching:
            self._watching.pop().set()

    def after_declare_queue(self, broker: Any, queue_name: str) -> None:  # noqa: ARG002 - the hook's signature
        """Remember the broker, for `hooked`; all those that know a queue come here."""
        _brokers.add(broker)

    # Of messages that are enqueued.

    @lifecycle.guarded
    def before_enqueue(self, broker: Any, message: Any, delay: int | None) -> None:  # noqa: ARG002 - the hook's signature
        """Stamp the message; it is encoded next."""
        if delay is None and message.message_id in _here.waiting:
            return  # its time has come: from the delay queue into its own
        work = _here.work
        known, again = _known(message, work)
        if again and known is None:
            return  # it has no events, for its producer was without clues
        item = _item(message)
        if known:
            item[METADATA] = known
        eta = message.options.get("eta")
        due = eta / 1000 if isinstance(eta, (int, float)) else None
        attempt = lifecycle.stamp(q_name(message.queue_name), item, preprocess=not again, scheduled_time=due)
        if attempt is None:
            return
        # Whose it is: an application may make another message of this one, with all its options.
        message.options[SLOT] = item[METADATA] | {"_job_id": message.message_id}
        vars(message)[_PUSH] = attempt

    @lifecycle.guarded
    def after_enqueue(self, broker: Any, message: Any, delay: int | None) -> None:  # noqa: ARG002 - the hook's signature
        """The broker has taken it."""
        attempt = vars(message).pop(_PUSH, None)
        work = _here.work
        if work is None or work.message_id != message.message_id:
            if delay is None and _here.waiting:
                _here.waiting.discard(message.message_id)
            lifecycle.enqueued(attempt)
            return
        work.again += 1
        if work.over and work.error is not None:
            _fail(work, work.error, retrying=True)
        lifecycle.enqueued(attempt)

    # Of messages in a worker.

    @lifecycle.guarded
    def before_delay_message(self, broker: Any, message: Any) -> None:  # noqa: ARG002 - the hook's signature
        """This thread of a worker holds a message until its time has come, and enqueues it then."""
        _here.waiting.add(message.message_id)

    @lifecycle.guarded
    def before_process_message(self, broker: Any, message: Any) -> None:  # noqa: ARG002 - the hook's signature
        """A worker thread begins with it; its actor runs next."""
        mine = message.__dict__
        if _WORK in mine or message.failed:
            return
        told = mine.get("_message", message)
        queue, item = q_name(told.queue_name), _item(told, stamped=True)
        redelivered = mine.get("redelivered") is True or (bool(_silent.left) and _silent.has_left(told))
        attempt = lifecycle.dequeued(queue, item, hold=True, redelivered=redelivered)
        work = mine[_WORK] = _here.work = _Work(attempt, told.message_id)
        performing = Performing(lifecycle, attempt, queue, item)
        performing.__enter__()
        work.performing = performing

    @lifecycle.guarded
    def after_process_message(
        self,
        broker: Any,  # noqa: ARG002 - the hook's signature
        message: Any,
        *,
        result: object = None,  # noqa: ARG002 - the hook's signature
        exception: BaseException | None = None,
    ) -> None:
        """Its actor is done; what becomes of it, the other middleware decides now."""
        mine = vars(message)
        work = mine.get(_WORK)
        if work is None and exception is not None:  # raised by other middleware, before its actor could run
            work = mine[_WORK] = _here.work = _taken(message)
        if work is not None:
            _leave(work, exception)

    @lifecycle.guarded
    def after_skip_message(self, broker: Any, message: Any) -> None:  # noqa: ARG002 - the hook's signature
        """Some middleware does not want it to run."""
        error = sys.exc_info()[1]
        mine = vars(message)
        work = mine.get(_WORK)
        if work is None:
            work = mine[_WORK] = _taken(message)
        _leave(work, error)
        work.reason = "expired" if _is_too_old(error) else "rejected" if message.failed else "revoked"

    @lifecycle.guarded
    def before_ack(self, broker: Any, message: Any) -> None:  # noqa: ARG002 - the hook's signature
        """It is over; a message that has only moved from its delay queue was never begun."""
        work = vars(message).get(_WORK)
        if work is not None:
            _settle(message, work)

    @lifecycle.guarded
    def before_nack(self, broker: Any, message: Any) -> None:
        """It is over, and goes to the dead letters; perhaps it was never begun."""
        mine = vars(message)
        work = mine.get(_WORK)
        if work is None:
            work = mine[_WORK] = _taken(message)
            work.error = mine.get("_exception")
            if message.actor_name not in broker.actors:
                work.error, work.reason = work.error or ActorNotFound(message.actor_name), "unknown"
        _settle(message, work)


def install(broker: Any = None) -> None:
    """Add the middleware to a broker, unless it is there.

    Args:
        broker: which; left out, Dramatiq's global one, which must have been set before.
    """
    broker = dramatiq.get_broker() if broker is None else broker
    if not _installed(broker):
        broker.add_middleware(CluesMiddleware())
    _brokers.add(broker)


def uninstall(broker: Any = None) -> None:
    """Take it away again.

    Args:
        broker: where from; left out, from all.
    """
    for one in _found() if broker is None else [broker]:
        one.middleware = [other for other in one.middleware if not isinstance(other, CluesMiddleware)]


def hooked() -> list[str]:
    """The brokers of this process that have the middleware, by their classes' names."""
    return sorted(type(broker).__name__ for broker in _found() if _installed(broker))


def _found() -> set[Any]:
    default = dramatiq.broker.global_broker
    return {*_brokers, *([] if default is None else [default])}


def _installed(broker: Any) -> bool:
    return any(isinstance(other, CluesMiddleware) for other in broker.middleware)


def _item(message: Any, *, stamped: bool = False) -> Item:
    """A message as an item; with its metadata, if that is its own."""
    job_id, args = message.message_id, [*message.args]
    if message.kwargs:
        args.append(message.kwargs)
    item: Item = {"class": message.actor_name, "args": args, "job_id": job_id}
    if stamped and (given := _own(message.options, job_id)) is not None:
        item[METADATA] = given
    return item


def _own(options: Mapping[str, Any], message_id: str) -> Mapping[str, Any] | None:
    """The metadata that a message brings, unless there is none, or it was copied from another message."""
    given = options.get(SLOT)
    if type(given) is not dict and not isinstance(given, Mapping):
        return None
    return given if given.get("_job_id", message_id) == message_id else None


def _known(message: Any, work: _Work | None) -> tuple[dict[str, Any] | None, bool]:
    """What is known of a message that is about to be enqueued, and whether its job was enqueued before."""
    given = dict(_own(message.options, message.message_id) or {})
    if vars(message).get(_PUSH) is not None:
        return given, True  # the connection was lost before it was taken, so the same attempt is enqueued
    if work is not None and work.message_id == message.message_id:
        if work.attempt is None:
            return None, True
        number = work.attempt.number + 1 + work.again
        return given | {"_event_hash": work.attempt.event_hash, "_attempt": number}, True
    if "_job_id" in given and read_hash(given) is not None:
        return given | {"_attempt": read_attempt(given) + 1}, True
    if work is not None and work.over and work.attempt is not None:
        given["_parent_event_hash"] = work.attempt.event_hash  # a pipeline's next, or a callback
    return given, False


def _taken(message: Any) -> _Work:
    """A message that a worker has, and will not run."""
    queue = q_name(message.queue_name)
    redelivered = vars(message).get("redelivered") is True or _silent.has_left(message)
    attempt = lifecycle.dequeued(queue, _item(message, stamped=True), redelivered=redelivered)
    return _Work(attempt, message.message_id)


def _leave(work: _Work, error: BaseException | None) -> None:
    """The actor is done; called again if an Interrupt arrives while the others are told."""
    performing, work.performing = work.performing, None
    if performing is not None:
        if error is None:
            performing.__exit__(None, None, None)
        else:
            performing.__exit__(type(error), error, error.__traceback__)
    work.over = True
    work.error = error


def _settle(message: Any, work: _Work) -> None:
    """Tell the end, unless it is told."""
    if _here.work is work:
        _here.work = None
    if work.error is not None:
        _fail(work, work.error, retrying=work.again > 0 and not message.failed)
    elif message.failed:
        marked = failure_of(SkipMessage("the message was marked as failed, and nothing was raised"))
        lifecycle.failed(work.attempt, marked, reason="rejected", reporter="adapter")
    else:
        lifecycle.perform_finished(work.attempt)
    work.error = None  # as Dramatiq does: a message is kept longer than what it raised


def _fail(work: _Work, error: BaseException, *, retrying: bool) -> None:
    if work.attempt is None or work.attempt.ended:
        return
    failure = failure_of(error, callers=_CALLERS)
    reason = work.reason or _reason_of(error)
    lifecycle.failed(work.attempt, failure, reason=reason, reporter="adapter", retrying=retrying)


def _reason_of(error: BaseException) -> str | None:
    """Why an actor was interrupted, if it was."""
    if isinstance(error, RuntimeError) and isinstance(error.__cause__, Interrupt):
        error = error.__cause__  # a coroutine that took its time to end
    if isinstance(error, TimeLimitExceeded):
        return "timeout"
    if isinstance(error, Shutdown):
        return "shutdown"
    return "cancelled" if isinstance(error, Interrupt) else None


def _is_too_old(error: BaseException | None) -> bool:
    trace = error.__traceback__ if isinstance(error, SkipMessage) else None
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_globals.get("__name__") == _AGE_LIMIT


def _flush() -> None:
    """At the end of a worker process: let what it has published be delivered, as far as that is quickly done."""
    config = lifecycle.settings.config
    flush = getattr(config and config.publisher, "flush", None)
    if config is None or flush is None:
        return
    try:
        flush()
    except Exception as error:  # noqa: BLE001 - user code
        config.faults.report("clues", error)
