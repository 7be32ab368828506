"""What is particular to arq: workers with settings of their own, each with its queue; jobs that await."""

# ruff: noqa: ASYNC110, ASYNC240 - files are quick, and the ones to wait for are written by tests

from __future__ import annotations

import asyncio
import contextvars
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from arq import Retry, create_pool, cron, func
from arq.connections import RedisSettings
from arq.jobs import Job

import clues
from clues import clues_metadata
from clues.publishers import TCPPublisher
from tests.conformance.apps import common

if port := os.environ.get("ARQ_TCP_PORT"):
    clues.configure(TCPPublisher("127.0.0.1", int(port), spool=os.environ["ARQ_SPOOL"]))
else:
    common.configure(adopt_unstamped=bool(os.environ.get("ARQ_ADOPTS")))
if not common.BARE:
    import clues.adapters.arq

    clues.adapters.arq.install()

SETTINGS = RedisSettings.from_dsn(common.REDIS_URL)


def strict(data: dict[str, Any]) -> bytes:
    """A serialiser that takes what it knows."""
    unknown = data.keys() - set(os.environ.get("ARQ_FIELDS", "t f a k et clues_metadata s r st ft q id").split())
    if unknown:
        raise TypeError(f"unknown fields {unknown}")
    return json.dumps(data, default=str).encode()


async def mark(ctx: dict[str, Any], path: str) -> None:
    common.mark(path)


async def add(ctx: dict[str, Any], x: int, y: int = 0) -> int:
    return common.succeed(x, y)


async def retry_later(ctx: dict[str, Any], path: str) -> None:
    if not Path(path).exists():
        Path(path).touch()
        raise Retry(defer=1)


async def retry_always(ctx: dict[str, Any]) -> None:
    raise Retry


async def wait(ctx: dict[str, Any], path: str) -> None:
    clues_metadata["waits"] = True
    first = Path(path).with_suffix(".tmp")
    first.write_text(str(os.getpid()))
    first.rename(path)
    while not Path(path).with_suffix(".go").exists():
        await asyncio.sleep(0.02)


async def own_timeout(ctx: dict[str, Any]) -> None:
    await asyncio.wait_for(asyncio.sleep(60), 0.01)


async def cancel_itself(ctx: dict[str, Any], path: str) -> None:
    if not Path(path).exists():
        Path(path).touch()
        raise asyncio.CancelledError


async def heed_no_limit(ctx: dict[str, Any]) -> str:
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        return "done all the same"
    return ""


async def leave(ctx: dict[str, Any]) -> None:
    sys.exit(3)


class Odd:
    def __repr__(self) -> str:
        raise ValueError("no words for it")


async def odd(ctx: dict[str, Any]) -> Any:
    return Odd()


async def family(ctx: dict[str, Any]) -> None:
    await ctx["redis"].enqueue_job("add", 1, _queue_name="main")


_gate: list[asyncio.Event] = []
_arrived: list[int] = []


async def together(ctx: dict[str, Any], number: int, of: int) -> None:
    """Goes on when all are there; each kind of concurrency that keeps the context writes a field."""
    if not _gate:
        _gate.append(asyncio.Event())
    clues_metadata["number"] = number
    _arrived.append(number)
    if len(_arrived) == of:
        _gate[0].set()
    await _gate[0].wait()

    async def child() -> None:
        await asyncio.sleep(0)
        clues_metadata["child"] = clues_metadata["number"]

    def thread() -> None:
        clues_metadata["thread"] = clues_metadata["number"]

    def executor() -> None:
        clues_metadata["executor"] = clues_metadata["number"]

    await asyncio.gather(child(), asyncio.create_task(child()))
    await asyncio.to_thread(thread)
    copied: Callable[..., Any] = contextvars.copy_context().run
    await asyncio.get_running_loop().run_in_executor(None, copied, executor)


async def tick(ctx: dict[str, Any]) -> None:
    clues_metadata["ticked"] = True


async def refuse_to_start(ctx: dict[str, Any]) -> None:
    if not Path(os.environ["ARQ_SIGN"]).exists():
        Path(os.environ["ARQ_SIGN"]).touch()
        raise RuntimeError("no job is started here")


_COMMON: dict[str, Any] = {
    "functions": [
        mark, add, retry_later, retry_always, wait, own_timeout, cancel_itself, leave, odd, family, together,
        func(heed_no_limit, timeout=0.2), func(wait, name="wait_a_second", timeout=1),
    ],
    "redis_settings": SETTINGS,
    "poll_delay": 0.02,
    "max_tries": 3,
    "max_jobs": 600,
    "job_timeout": 60,
}  # fmt: skip

WorkerSettings = {**_COMMON, "queue_name": "main", "allow_abort_jobs": True}
StrictSettings = {**_COMMON, "queue_name": "strict", "job_serializer": strict, "job_deserializer": json.loads}
CronSettings = {**_COMMON, "queue_name": "cron", "cron_jobs": [cron(tick, second=set(range(60)), keep_result=5)]}
NoRetrySettings = {**_COMMON, "queue_name": "no-retry", "retry_jobs": False}
FragileSettings = {**_COMMON, "queue_name": "fragile", "on_job_start": refuse_to_start}

_loop = asyncio.new_event_loop()


def enqueue(job: str, *args: Any, queue: str = "main", pickled: bool = False, **options: Any) -> Any:
    """Enqueue a job with arq's own options; ``abort`` aborts the one of this id."""

    async def push() -> Any:
        own = {} if queue != "strict" or pickled else {"job_serializer": strict, "job_deserializer": json.loads}
        pool = await create_pool(SETTINGS, **own)
        try:
            if job == "abort":
                return await Job(args[0], pool, _queue_name=queue).abort(timeout=0)
            made = await pool.enqueue_job(job, *args, _queue_name=queue, **options)
            return None if made is None else made.job_id
        except TimeoutError:
            return "asked to"
        finally:
            await pool.aclose(close_connection_pool=True)

    return _loop.run_until_complete(push())
