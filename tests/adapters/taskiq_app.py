"""What is particular to taskiq: brokers, retries, acknowledgements, schedules, dependencies.

TASKIQ_BROKER is ``list`` or ``stream``; TASKIQ_RETRY is ``simple``, ``smart`` (delays by label), or ``scheduled``
(delays by a schedule source); with TASKIQ_LAST clues' middleware is the last, not the first.
"""

# ruff: noqa: ASYNC240, B008 - files are quick, and dependencies are defaults

from __future__ import annotations

import asyncio
import os
import threading
import time
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from taskiq import Context, SimpleRetryMiddleware, TaskiqDepends, TaskiqEvents, TaskiqScheduler, TaskiqState
from taskiq.exceptions import NoResultError
from taskiq.kicker import AsyncKicker
from taskiq.middlewares.smart_retry_middleware import SmartRetryMiddleware
from taskiq.schedule_sources import LabelScheduleSource
from taskiq_redis import ListQueueBroker, ListRedisScheduleSource, RedisStreamBroker

import clues
from clues.adapters.taskiq import CluesMiddleware
from tests.conformance.apps import common

if not os.environ.get("CLUES_PUBLISHERS"):  # else the middleware does it
    common.configure()
KIND = os.environ.get("TASKIQ_BROKER", "list")
source = ListRedisScheduleSource(common.REDIS_URL)
broker: Any
if KIND == "stream":
    broker = RedisStreamBroker(
        common.REDIS_URL, queue_name="stream", consumer_id="0", idle_timeout=1000, xread_block=200,
        unacknowledged_lock_timeout=2,
    )  # fmt: skip
else:
    broker = ListQueueBroker(common.REDIS_URL, queue_name="list", socket_timeout=None)
retries = {
    "simple": SimpleRetryMiddleware(),
    "smart": SmartRetryMiddleware(default_delay=0, no_result_on_retry=False),
    "scheduled": SmartRetryMiddleware(default_delay=1, schedule_source=source),
}[os.environ.get("TASKIQ_RETRY", "simple")]
both = [CluesMiddleware(), retries]
broker.add_middlewares(*(reversed(both) if os.environ.get("TASKIQ_LAST") else both))
scheduler = TaskiqScheduler(broker, [source, LabelScheduleSource(broker)])
_waker: set[asyncio.Task[None]] = set()


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def wake(_state: TaskiqState) -> None:
    """As in the conformance suite's application."""

    async def ever() -> None:
        while True:  # noqa: ASYNC110
            await asyncio.sleep(0.1)

    _waker.add(asyncio.ensure_future(ever()))


async def opened() -> AsyncIterator[str]:
    clues.clues_metadata["opened"] = True
    await asyncio.sleep(0.2)
    yield "a session"
    clues.clues_metadata["closed"] = True


def broken() -> str:
    raise ConnectionError("no session")


@broker.task(task_name="mark")
def mark(path: str) -> None:
    common.mark(path)


@broker.task(task_name="succeed")
def succeed(x: int, y: int) -> int:
    clues.clues_metadata["thread"] = threading.current_thread() is not threading.main_thread()
    clues.clues_metadata["pid"] = os.getpid()
    return common.succeed(x, y)


@broker.task(task_name="waits")
async def waits(x: int) -> None:
    clues.clues_metadata["x"] = x
    await asyncio.sleep(0.05)
    clues.clues_metadata["still"] = clues.clues_metadata["x"]
    await asyncio.create_task(_child())


async def _child() -> None:
    clues.clues_metadata["child"] = clues.clues_metadata["x"]


@broker.task(task_name="fail")
def fail() -> None:
    common.fail()


@broker.task(task_name="fail_first", retry_on_error=True, max_retries=2)
async def fail_first(path: str) -> None:
    common.fail_first(path)


@broker.task(task_name="requeued")
async def requeued(path: str, context: Context = TaskiqDepends()) -> None:
    place = Path(path)
    if not place.exists():
        place.touch()
        await context.requeue()


@broker.task(task_name="rejected")
async def rejected(context: Context = TaskiqDepends()) -> None:
    context.reject()


@broker.task(task_name="resultless")
async def resultless() -> None:
    raise NoResultError


@broker.task(task_name="cancelled")
async def cancelled() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(60)


@broker.task(task_name="sync_overrun", timeout=1)
def sync_overrun() -> None:
    time.sleep(1.5)
    clues.clues_metadata["too"] = "late"


@broker.task(task_name="own_timeout", timeout=60)
async def own_timeout() -> None:
    await asyncio.wait_for(asyncio.sleep(60), 0.01)


@broker.task(task_name="depends")
async def depends(session: str = TaskiqDepends(opened)) -> None:
    clues.clues_metadata["session"] = session


@broker.task(task_name="depends_in_thread")
def depends_in_thread(session: str = TaskiqDepends(opened)) -> None:
    clues.clues_metadata["session"] = session


@broker.task(task_name="nap")
def nap() -> None:
    time.sleep(0.1)


@broker.task(task_name="depends_in_vain")
async def depends_in_vain(session: str = TaskiqDepends(broken)) -> None:
    raise AssertionError("never run")


@broker.task(task_name="parent")
async def parent() -> None:
    await succeed.kiq(1, 1)


async def _hang(path: str) -> None:
    """As `common.hang`, without a thread, for which the process would wait."""
    place = Path(path)
    place.with_suffix(".tmp").write_text(str(os.getpid()))
    place.with_suffix(".tmp").rename(place)
    await asyncio.sleep(120)


@broker.task(task_name="hang")
async def hang(path: str) -> None:
    await _hang(path)


@broker.task(task_name="pool_hang")
def pool_hang(path: str) -> None:
    common.hang(path)


@broker.task(task_name="hang_once", ack_type="when_saved")
async def hang_once(path: str) -> None:
    """Hangs at its first delivery alone."""
    if not Path(path).exists():
        await _hang(path)


@broker.task(task_name="taken", ack_type="when_received")
async def taken(path: str) -> None:
    await _hang(path)


@broker.task(task_name="every_minute", schedule=[{"cron": "* * * * *", "args": [4, 5]}])
async def every_minute(x: int, y: int) -> None:
    common.succeed(x, y)


_loop = asyncio.new_event_loop()


def enqueue(job: str, *args: Any, **options: Any) -> str:
    return _loop.run_until_complete(_enqueue(job, args, **options))


async def _enqueue(
    job: str, args: tuple[Any, ...], *, delay: float | None = None, withdraw: bool = False, **labels: Any
) -> str:
    kicker: AsyncKicker[Any, Any] = AsyncKicker(job, broker, labels).with_task_id(uuid.uuid4().hex)
    task = broker.find_task(job)
    kicker.labels |= task.labels if task is not None else {}
    if delay is None:
        return (await kicker.kiq(*args)).task_id
    created = await kicker.schedule_by_time(source, datetime.now(UTC) + timedelta(seconds=delay), *args)
    if withdraw:
        await created.unschedule()
    assert created.kicker is kicker
    assert "clues_metadata" not in kicker.labels
    return str(created.task.task_id)
