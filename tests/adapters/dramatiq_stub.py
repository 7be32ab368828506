"""Scenarios with Dramatiq's StubBroker, in one process; prints what each has told, as one JSON object.

Started as ``python -m tests.adapters.dramatiq_stub`` in an environment that has Dramatiq.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import dramatiq
from dramatiq.brokers.stub import StubBroker
from dramatiq.common import current_millis
from dramatiq.encoder import PickleEncoder
from dramatiq.errors import ActorNotFound
from dramatiq.middleware import (
    AgeLimit,
    Callbacks,
    CurrentMessage,
    Interrupt,
    Middleware,
    MiddlewareError,
    Pipelines,
    Retries,
    ShutdownNotifications,
    SkipMessage,
    TimeLimit,
)

import clues
from clues import clues_metadata, config
from clues.adapters import dramatiq as adapter
from clues.testing import RecordingPublisher

SCENARIOS: dict[str, Callable[[], Any]] = {}
NO_RETRY: dict[str, Any] = {"max_retries": 0}


class Stage:
    """A broker, a worker, and a recorder of events."""

    def __init__(self, *others: Middleware, adopt: bool = False, configured: bool = True) -> None:
        self.recorder = RecordingPublisher()
        config.reset()
        if configured:
            clues.configure(self.recorder, item_preprocessor=_customer, adopt_unstamped=adopt)
        retries = Retries(max_retries=1, min_backoff=10, max_backoff=20)
        self.broker = StubBroker(
            [AgeLimit(), TimeLimit(interval=50), ShutdownNotifications(), Callbacks(), Pipelines(), retries]
        )
        dramatiq.set_broker(self.broker)
        adapter.install()
        self.broker.add_middleware(CurrentMessage())
        for other in others:
            self.broker.add_middleware(other)
        self.broker.emit_after("process_boot")
        self.worker = dramatiq.Worker(self.broker, worker_timeout=20, worker_threads=2)

    def actor(self, job: Callable[..., Any], **options: Any) -> Any:
        return dramatiq.actor(job, broker=self.broker, **options)

    def run(self, *, fail_fast: bool = False) -> None:
        """Work all that was enqueued."""
        self.worker.start()
        self.broker.join("default", fail_fast=fail_fast, timeout=20000)
        self.worker.join()

    def close(self) -> None:
        self.worker.stop()
        self.broker.close()
        adapter.uninstall()
        config.reset()


def _customer(queue: str, item: dict[str, Any]) -> None:
    item["clues_metadata"]["customer_id"] = 4711


def scenario(*others: Callable[[], Middleware], **options: Any) -> Callable[[Any], Any]:
    """A function to be called with a stage that has these middlewares besides."""

    def taken(play: Callable[[Stage], Any]) -> Callable[[], Any]:
        def played() -> Any:
            stage = Stage(*(other() for other in others), **options)
            try:
                said = play(stage)
            finally:
                stage.close()
            return {"said": said, "events": [json.loads(event.line) for event in stage.recorder.events]}

        SCENARIOS[play.__name__] = played
        return played

    return taken


def works() -> None:
    clues_metadata["here"] = True


def fails() -> None:
    raise ValueError("no")


@scenario()
def returns(stage: Stage) -> None:
    stage.actor(works).send()
    stage.run()


@scenario()
def keywords(stage: Stage) -> None:
    def named(x: int, *, y: int) -> None:
        pass

    stage.actor(named).send(1, y=2)
    stage.run()


@scenario()
def fails_and_is_retried(stage: Stage) -> None:
    stage.actor(fails).send()
    stage.run()


@scenario()
def delayed(stage: Stage) -> None:
    stage.actor(works).send_with_options(delay=100)
    stage.run()


@scenario()
def delayed_by_eta(stage: Stage) -> None:
    stage.actor(works).send_with_options(eta=current_millis() + 100)
    stage.run()


@scenario()
def retried_when_it_says(stage: Stage) -> None:
    def again() -> None:
        raise dramatiq.Retry("later", delay=100)

    stage.actor(again).send()
    stage.run()


@scenario()
def throws(stage: Stage) -> None:
    stage.actor(fails, throws=(ValueError,)).send()
    stage.run()


@scenario()
def too_old(stage: Stage) -> None:
    stage.actor(works, max_age=50).send_with_options(delay=100)
    stage.run()


@scenario()
def unknown(stage: Stage) -> list[str]:
    stage.actor(works)
    stage.broker.enqueue(dramatiq.Message("default", "nobody", (), {}, {}))
    stage.run()
    assert len(stage.broker.dead_letters) == 1
    return [ActorNotFound.__name__]


@scenario()
def over_its_time_limit(stage: Stage) -> None:
    def slow() -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            time.sleep(0.01)

    stage.actor(slow, time_limit=50, **NO_RETRY).send()
    stage.run()


@scenario()
def cancelled(stage: Stage) -> None:
    class Abort(Interrupt):
        """As dramatiq-abort raises it from another thread."""

    def aborted() -> None:
        raise Abort

    stage.actor(aborted, **NO_RETRY).send()
    stage.run()


class Skips(Middleware):
    def before_process_message(self, broker: Any, message: Any) -> None:
        raise SkipMessage("not today")


class Rejects(Middleware):
    def before_process_message(self, broker: Any, message: Any) -> None:
        message.fail()
        raise SkipMessage("never")


class Marks(Middleware):
    def before_process_message(self, broker: Any, message: Any) -> None:
        message.fail()


class Breaks(Middleware):
    def before_process_message(self, broker: Any, message: Any) -> None:
        raise MiddlewareError("broken")


@scenario(Skips)
def skipped(stage: Stage) -> None:
    stage.actor(works).send()
    stage.run()


@scenario(Rejects)
def skipped_and_failed(stage: Stage) -> None:
    stage.actor(works).send()
    stage.run()


@scenario(Marks)
def marked_by_middleware(stage: Stage) -> None:
    stage.actor(works).send()
    stage.run()


@scenario(Breaks)
def broken_by_middleware(stage: Stage) -> None:
    stage.actor(works, **NO_RETRY).send()
    stage.run()


@scenario(Breaks)
def broken_by_middleware_and_retried(stage: Stage) -> None:
    stage.actor(works).send()
    stage.run()


@scenario()
def marked_by_itself(stage: Stage) -> None:
    def gives_up() -> None:
        message: Any = CurrentMessage.get_current_message()
        message.fail()

    stage.actor(gives_up).send()
    stage.run()


@scenario()
def enqueues_itself(stage: Stage) -> None:
    def again(left: int) -> None:
        message: Any = CurrentMessage.get_current_message()
        if message.args[0]:
            stage.broker.enqueue(message.copy(args=(left - 1,)))
            fails()

    stage.actor(again, max_retries=0).send(1)
    stage.run()


@scenario()
def enqueued_twice(stage: Stage) -> None:
    stage.actor(works)
    message = stage.broker.actors["works"].message()
    stage.broker.enqueue(message)
    stage.broker.enqueue(message)
    stage.run()


@scenario()
def copied_to_another(stage: Stage) -> None:
    stage.actor(works)
    message = stage.broker.enqueue(stage.broker.actors["works"].message())
    stage.broker.enqueue(message.copy(message_id="another"))
    stage.run()


@scenario()
def sends_another(stage: Stage) -> None:
    stage.actor(works)

    def parent() -> None:
        stage.broker.actors["works"].send()

    stage.actor(parent).send()
    stage.run()


@scenario()
def a_pipeline(stage: Stage) -> None:
    def add(x: int, y: int) -> int:
        return x + y

    add_ = stage.actor(add)
    (add_.message(1, 2) | add_.message(3) | add_.message(4)).run()
    stage.run()


@scenario()
def calls_back(stage: Stage) -> None:
    def hears(message: Any, what: Any) -> None:
        pass

    stage.actor(hears)
    stage.actor(fails, on_failure="hears", **NO_RETRY).send()
    stage.run()


@scenario()
def lost_its_connection_while_enqueued(stage: Stage) -> None:
    """As RabbitMQ's broker does it: it asks before each try."""
    message = stage.actor(works).message()
    for _ in range(3):
        stage.broker.emit_before("enqueue", message, None)
    stage.broker.enqueue(message)
    stage.run()


@scenario()
def delivered_again(stage: Stage) -> None:
    """As RabbitMQ's broker says it."""
    message = stage.actor(works).message()
    stage.broker.emit_before("enqueue", message, None)
    proxy = dramatiq.MessageProxy(message)
    proxy.redelivered = True
    stage.broker.emit_before("process_message", proxy)
    stage.broker.emit_after("process_message", proxy, result=None)
    stage.broker.emit_before("ack", proxy)


@scenario()
def acknowledged_at_the_third_try(stage: Stage) -> None:
    message = stage.actor(works).message()
    stage.broker.emit_before("enqueue", message, None)
    stage.broker.emit_after("enqueue", message, None)
    proxy = dramatiq.MessageProxy(message)
    stage.broker.emit_before("process_message", proxy)
    stage.broker.emit_after("process_message", proxy, result=None)
    for _ in range(3):
        stage.broker.emit_before("ack", proxy)
    late = dramatiq.MessageProxy(message)
    late.fail()
    for _ in range(3):
        stage.broker.emit_before("nack", late)


class Late(Middleware):
    """A time limit that hits when the actor is done, and others are still told."""

    def __init__(self) -> None:
        self.hit = False

    def after_process_message(self, broker: Any, message: Any, **outcome: Any) -> None:
        if not self.hit:
            self.hit = True
            raise Interrupt("late")


@scenario(Late)
def interrupted_when_it_was_done(stage: Stage) -> None:
    stage.actor(works).send()
    stage.run()


@scenario()
def pickled(stage: Stage) -> None:
    before = dramatiq.get_encoder()
    dramatiq.set_encoder(PickleEncoder())
    try:
        stage.actor(fails).send_with_options(delay=50)
        stage.run()
    finally:
        dramatiq.set_encoder(before)


@scenario()
def garbage_in_its_slot(stage: Stage) -> None:
    job = stage.actor(works)
    for garbage in (7, [1], "x", {"_event_hash": 3, "_attempt": "x", 5: 6}, {"mine": 1}):
        job.send_with_options(clues_metadata=garbage)
    stage.run()


def _foreign(stage: Stage, name: str, **options: Any) -> None:
    """A message of a producer without clues."""
    message = dramatiq.Message("default", name, (), {}, options, message_id=f"foreign-{name}")
    stage.broker.queues["default.DQ" if "eta" in options else "default"].put(message.encode())


@scenario()
def of_others(stage: Stage) -> None:
    stage.actor(works)
    stage.actor(fails)
    for name in ("works", "fails", "nobody"):
        _foreign(stage, name)
    stage.run()


@scenario(adopt=True)
def of_others_adopted(stage: Stage) -> None:
    stage.actor(works)
    stage.actor(fails)
    _foreign(stage, "works", eta=current_millis() + 50)
    _foreign(stage, "fails")
    stage.run()


@scenario(configured=False)
def unconfigured(stage: Stage) -> list[str]:
    messages = [stage.actor(works).send(), stage.actor(fails).send_with_options(delay=20)]
    stage.run()
    return [key for message in messages for key in message.options if "clues" in key]


@scenario()
def installed(stage: Stage) -> list[Any]:
    def ours() -> int:
        return sum(isinstance(other, adapter.CluesMiddleware) for other in stage.broker.middleware)

    said: list[Any] = [adapter.hooked(), ours()]
    adapter.install(stage.broker)
    said.append(ours())
    adapter.uninstall(stage.broker)
    said += [ours(), "StubBroker" in adapter.hooked()]
    stage.broker.add_middleware(adapter.CluesMiddleware())
    stage.broker.add_middleware(adapter.CluesMiddleware())  # twice, by mistake: events come once
    stage.actor(fails).send()
    stage.run()
    return said


@scenario()
def takes_the_last_place(stage: Stage) -> list[str]:
    """Before what a worker itself adds, and without moving the others."""
    before = [type(other).__name__ for other in stage.broker.middleware]
    stage.worker.start()
    after = [type(other).__name__ for other in stage.broker.middleware]
    before.remove("CluesMiddleware")
    assert after[: len(before)] == before
    return after[len(before) :]


def main() -> None:
    told: dict[str, Any] = {}
    for name, play in SCENARIOS.items():
        told[name] = play()
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
