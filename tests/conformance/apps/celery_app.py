"""The jobs as Celery has them."""

from __future__ import annotations

from typing import Any

from celery import Celery

from clues.adapters import celery as adapter
from tests.conformance.apps import common

app = Celery("conformance", broker=common.REDIS_URL, backend=common.REDIS_URL)
app.conf.update(
    task_default_queue="conformance",
    broker_connection_retry_on_startup=True,
    result_backend_transport_options={"retry_policy": {"max_retries": 1}},  # 20 s otherwise, where Redis is away
)
common.configure()
if not common.BARE:
    adapter.install(app)

_SOON = {"max_retries": 1, "countdown": 0}

succeed = app.task(name="succeed")(common.succeed)
fail = app.task(name="fail")(common.fail)
fail_again = app.task(name="fail_again", autoretry_for=(common.TellingError,), retry_kwargs=_SOON)(common.fail)
fail_first = app.task(name="fail_first", autoretry_for=(common.TellingError,), retry_kwargs=_SOON)(common.fail_first)
overrun = app.task(name="overrun", time_limit=1)(common.overrun)
hang = app.task(name="hang")(common.hang)
mark = app.task(name="mark")(common.mark)


def enqueue(job: str, *args: Any, delay: float | None = None, retries: int | None = None) -> str:
    task = app.tasks[f"{job}_again" if retries else job]
    return str(task.apply_async(args, countdown=delay).id)
