"""The jobs as RQ has them: functions. The worker imports this module as its configuration, ``rq worker -c``."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from redis import Redis
from rq import Queue, Retry

from tests.conformance.apps import common

common.configure()
if not common.BARE:
    from clues.adapters import rq as adapter

    adapter.install()

REDIS_URL = common.REDIS_URL
QUEUES = ["conformance"]
_queue = Queue("conformance", connection=Redis.from_url(REDIS_URL))

succeed = common.succeed
fail = common.fail
fail_first = common.fail_first
overrun = common.overrun
hang = common.hang
mark = common.mark

_OPTIONS: dict[str, dict[str, Any]] = {"overrun": {"job_timeout": 1}, "fail_first": {"retry": Retry(max=2)}}


def enqueue(job: str, *args: Any, delay: float | None = None, retries: int | None = None) -> str:
    options = dict(_OPTIONS.get(job, {}))
    if retries is not None:
        options["retry"] = Retry(max=retries)
    function = f"tests.conformance.apps.rq_app.{job}"
    if delay is None:
        return _queue.enqueue(function, *args, **options).id
    return _queue.enqueue_in(timedelta(seconds=delay), function, *args, **options).id
