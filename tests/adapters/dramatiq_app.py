"""Actors for what is Dramatiq's own: pipelines, groups, coroutines, limits. DELIVER_TO sends events there besides."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AsyncIO, CurrentMessage, GroupCallbacks
from dramatiq.rate_limits.backends import RedisBackend as Limits
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

import clues
from clues import clues_metadata
from clues.adapters.dramatiq import CluesMiddleware
from clues.publishers import CompositePublisher, LogPublisher, TCPPublisher
from tests.conformance.apps import common

broker = RedisBroker(
    url=common.REDIS_URL,
    heartbeat_timeout=int(os.environ.get("REDIS_HEARTBEAT", "60000")),
    maintenance_chance=1_000_000,  # at every command
)
dramatiq.set_broker(broker)
common.configure()
if port := os.environ.get("DELIVER_TO"):
    clues.configure(
        CompositePublisher(
            LogPublisher(common.EVENTS), TCPPublisher("127.0.0.1", int(port), spool=os.environ["SPOOL"])
        ),
        item_preprocessor=common.add_customer,
    )
broker.add_middleware(CluesMiddleware())  # first, where the others come after it
broker.add_middleware(AsyncIO())
broker.add_middleware(CurrentMessage())
broker.add_middleware(GroupCallbacks(Limits(client=broker.client)))
broker.add_middleware(Results(backend=RedisBackend(client=broker.client)))


def actor(job: Any, **options: Any) -> Any:
    return dramatiq.actor(job, queue_name="conformance", max_retries=0, min_backoff=50, **options)


def add(x: int, y: int) -> int:
    return x + y


def busy(number: int) -> None:
    clues_metadata["number"] = number
    time.sleep(0.01)
    clues_metadata["same"] = clues_metadata["number"] == number
    clues_metadata["thread"] = threading.get_ident()


async def coroutine(number: int) -> int:
    async def child() -> None:
        await asyncio.sleep(0.01)
        clues_metadata["child"] = number

    clues_metadata["number"] = number
    await asyncio.gather(child(), asyncio.sleep(0.02))
    clues_metadata["same"] = clues_metadata["number"] == clues_metadata["child"] == number
    clues_metadata["elsewhere"] = CurrentMessage.get_current_message() is not None
    return number


async def coroutine_fails() -> None:
    await asyncio.sleep(0)
    common.fail()


async def coroutine_overruns() -> None:
    clues_metadata["began"] = True
    await asyncio.sleep(60)


async def sends_from_coroutine(path: str) -> None:
    actors["mark"].send(path)


def later(path: str) -> None:
    """To be retried when it says."""
    if not Path(path).exists():
        Path(path).touch()
        raise dramatiq.Retry("not yet", delay=700)


def until_shutdown(path: str) -> None:
    if not Path(path).exists():
        common.hang(path)


actors = {
    "add": actor(add, store_results=True),
    "busy": actor(busy),
    "numbered": actor(busy, actor_name="numbered"),
    "coroutine": actor(coroutine),
    "coroutine_fails": actor(coroutine_fails),
    "coroutine_overruns": actor(coroutine_overruns, time_limit=1000),
    "sends_from_coroutine": actor(sends_from_coroutine),
    "later": actor(later),
    "until_shutdown": actor(until_shutdown, notify_shutdown=True),
    "too_old": actor(common.succeed, actor_name="too_old", max_age=100),
    "mark": actor(common.mark),
}


def enqueue(job: str, *args: Any, **options: Any) -> str:
    """An actor's message, or one of these: ``pipeline``, ``group``, ``nobody``, ``many``."""
    if job == "pipeline":
        return _pipeline(*args)
    if job == "group":
        return _group(*args)
    if job == "nobody":
        return broker.enqueue(dramatiq.Message("conformance", "nobody", (), {}, {})).message_id
    if job == "many":
        for number in range(args[1]):
            actors[args[0]].send(number)
        return ""
    return actors[job].send_with_options(args=args, **options).message_id


def _pipeline(*numbers: int) -> str:
    first, *others = numbers
    pipe = dramatiq.pipeline([actors["add"].message(first, 0), *(actors["add"].message(other) for other in others)])
    return str(pipe.run().get_result(block=True, timeout=20000))


def _group(path: str) -> str:
    group = dramatiq.group([actors["add"].message(number, 1) for number in range(3)])
    group.add_completion_callback(actors["mark"].message(path))
    return str(list(group.run().get_results(block=True, timeout=20000)))
