"""The jobs as Huey has them."""

from __future__ import annotations

import os
from typing import Any

from huey import RedisHuey

from tests.conformance.apps import common

common.configure()
huey = RedisHuey("conformance", url=common.REDIS_URL)
if not common.BARE:
    from clues.adapters.huey import install

    install(huey)

HAS_TIMEOUTS = hasattr(huey, "_timeout_handler")  # from 3.0


@huey.task()
def succeed(x: int, y: int) -> None:
    common.succeed(x, y)


@huey.task()
def fail() -> None:
    common.fail()


@huey.task(retries=1)
def fail_first(path: str) -> None:
    common.fail_first(path)


@huey.task(**({"timeout": 1} if HAS_TIMEOUTS else {}))
def overrun(path: str) -> None:
    common.overrun(path)


@huey.task()
def hang(path: str) -> None:
    common.hang(path)


@huey.task()
def mark(path: str) -> None:
    common.mark(path)


@huey.task()
def leave(status: int) -> None:
    os._exit(status)


_JOBS: dict[str, Any] = {
    "succeed": succeed,
    "fail": fail,
    "fail_first": fail_first,
    "overrun": overrun,
    "hang": hang,
    "mark": mark,
    "leave": leave,
}


def enqueue(job: str, *args: Any, **options: Any) -> str:
    task = _JOBS[job].s(*args, **options)
    huey.enqueue(task)
    found: str = task.id
    return found
