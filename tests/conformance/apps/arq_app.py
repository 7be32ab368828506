"""The jobs as arq has them. It retries what raises ``Retry``; one that retries a number of times asks its try."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from arq import Retry, create_pool, func
from arq.connections import ArqRedis, RedisSettings

from tests.conformance.apps import common

common.configure()
if not common.BARE:
    import clues.adapters.arq

    clues.adapters.arq.install()

SETTINGS = RedisSettings.from_dsn(common.REDIS_URL)
SETTINGS.conn_retries = 0
QUEUE = "conformance"


async def succeed(ctx: dict[str, Any], x: int, y: int) -> int:
    return common.succeed(x, y)


async def fail(ctx: dict[str, Any], retries: int = 0) -> None:
    try:
        common.fail()
    except common.TellingError as error:
        if ctx["job_try"] <= retries:
            raise Retry from error
        raise


async def fail_first(ctx: dict[str, Any], path: str) -> None:
    try:
        common.fail_first(path)
    except common.TellingError as error:
        raise Retry from error


async def overrun(ctx: dict[str, Any], path: str) -> None:
    await asyncio.sleep(60)


async def hang(ctx: dict[str, Any], path: str) -> None:
    await asyncio.to_thread(common.hang, path)


async def mark(ctx: dict[str, Any], path: str) -> None:
    common.mark(path)


class WorkerSettings:
    functions: ClassVar = [succeed, fail, fail_first, func(overrun, timeout=1), hang, mark]
    redis_settings = SETTINGS
    queue_name = QUEUE
    poll_delay = 0.02
    job_timeout = 4
    max_jobs = 50


def enqueue(job: str, *args: Any, delay: float | None = None, retries: int | None = None) -> str:
    given = {} if retries is None else {"retries": retries}

    async def push(pool: ArqRedis) -> str:
        made = await pool.enqueue_job(job, *args, _queue_name=QUEUE, _defer_by=delay, **given)
        assert made is not None
        return str(made.job_id)

    return _run(push)


_loop = asyncio.new_event_loop()
_pools: list[ArqRedis] = []


def _run(act: Callable[[ArqRedis], Awaitable[str]]) -> str:
    async def with_pool() -> str:
        if not _pools:
            _pools.append(await create_pool(SETTINGS))
        return await act(_pools[0])

    return _loop.run_until_complete(with_pool())
