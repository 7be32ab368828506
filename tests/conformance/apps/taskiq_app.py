"""The jobs as taskiq has them: a list in Redis, retries by its middleware, delays by its scheduler."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from taskiq import SimpleRetryMiddleware, TaskiqEvents, TaskiqScheduler, TaskiqState
from taskiq.kicker import AsyncKicker
from taskiq_redis import ListQueueBroker

try:
    from taskiq_redis import ListRedisScheduleSource as Source
except ImportError:
    from taskiq_redis import RedisScheduleSource as Source

from clues.adapters.taskiq import CluesMiddleware
from tests.conformance.apps import common

common.configure()
broker = ListQueueBroker(common.REDIS_URL, queue_name="conformance", socket_timeout=None)
broker.add_middlewares(SimpleRetryMiddleware())
if not common.BARE:
    broker.add_middlewares(CluesMiddleware())
source = Source(common.REDIS_URL)
scheduler = TaskiqScheduler(broker, [source])
_waker: set[asyncio.Task[None]] = set()


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def wake(_state: TaskiqState) -> None:
    """taskiq's worker hears of a signal when something wakes its loop; Redis may not for five seconds."""

    async def ever() -> None:
        while True:  # noqa: ASYNC110 - there is nothing to wait for
            await asyncio.sleep(0.1)

    _waker.add(asyncio.ensure_future(ever()))


@broker.task(task_name="succeed")
async def succeed(x: int, y: int) -> int:
    return common.succeed(x, y)


@broker.task(task_name="fail")
def fail() -> None:
    common.fail()


@broker.task(task_name="fail_first", retry_on_error=True, max_retries=2)
def fail_first(path: str) -> None:
    common.fail_first(path)


@broker.task(task_name="overrun", timeout=1)
async def overrun(path: str) -> None:
    Path(path).touch()  # noqa: ASYNC240 - it is quick
    await asyncio.sleep(60)


@broker.task(task_name="hang")
def hang(path: str) -> None:
    common.hang(path)


@broker.task(task_name="mark")
def mark(path: str) -> None:
    common.mark(path)


_loop = asyncio.new_event_loop()


def enqueue(job: str, *args: Any, delay: float | None = None, retries: int | None = None) -> str:
    return _loop.run_until_complete(_enqueue(job, args, delay, retries))


async def _enqueue(job: str, args: tuple[Any, ...], delay: float | None, retries: int | None) -> str:
    task = broker.find_task(job)
    assert task is not None
    kicker: AsyncKicker[Any, Any] = task.kicker()
    if retries is not None:
        kicker = kicker.with_labels(retry_on_error=True, max_retries=retries + 1)  # taskiq counts attempts
    if delay is None:
        return (await kicker.kiq(*args)).task_id
    kicker = kicker.with_task_id(uuid.uuid4().hex)
    created = await kicker.schedule_by_time(source, datetime.now(UTC) + timedelta(seconds=delay), *args)
    return getattr(created.task, "task_id", None) or ""  # 0.11 gives the id when the job is due
