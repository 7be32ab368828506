"""The jobs as Dramatiq's actors. REDIS_HEARTBEAT is after how many milliseconds a silent worker counts as dead."""

from __future__ import annotations

import os
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from tests.conformance.apps import common

broker = RedisBroker(
    url=common.REDIS_URL,
    heartbeat_timeout=int(os.environ.get("REDIS_HEARTBEAT", "60000")),
    maintenance_chance=1_000_000,  # at every command
)
dramatiq.set_broker(broker)
common.configure()
if not common.BARE:
    from clues.adapters.dramatiq import CluesMiddleware

    broker.add_middleware(CluesMiddleware())


def actor(job: Any, **options: Any) -> Any:
    return dramatiq.actor(job, queue_name="conformance", max_retries=0, min_backoff=50, **options)


def succeed(x: int, y: int) -> None:
    common.succeed(x, y)  # without what it returns: that would want a result backend


_JOBS = {
    "succeed": actor(succeed),
    "fail": actor(common.fail),
    "fail_first": actor(common.fail_first),
    "overrun": actor(common.overrun, time_limit=1000),
    "hang": actor(common.hang),
    "mark": actor(common.mark),
}


def enqueue(job: str, *args: Any, delay: float | None = None, retries: int | None = None) -> str:
    options: dict[str, Any] = {} if delay is None else {"delay": int(delay * 1000)}
    if job == "fail_first":
        retries = 1
    if retries is not None:
        options["max_retries"] = retries
    return _JOBS[job].send_with_options(args=args, **options).message_id
