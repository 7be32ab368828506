"""The soak's jobs for Celery."""

from __future__ import annotations

import os
import time

from celery import Celery

from clues.adapters import celery as adapter
from tests.chaos.soak.jobs import ToldToFailError, configure, mark

configure()
URL = os.environ["SOAK_CELERY_REDIS"]
app = Celery("soak", broker=URL)
app.conf.update(
    task_default_queue="celery",
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    worker_max_tasks_per_child=200,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    # What a killed worker had received, and not begun, is given to another one after so many seconds.
    broker_transport_options={"visibility_timeout": 30, "socket_timeout": 10, "socket_connect_timeout": 5},
)
adapter.install(app)


@app.task(name="work")
def work(number: int, seconds: float) -> None:
    mark("begun", number)
    time.sleep(seconds)
    mark("ended", number)


@app.task(name="fail")
def fail(number: int, seconds: float) -> None:
    mark("begun", number)
    raise ToldToFailError("told to fail")


@app.task(name="again", autoretry_for=(ToldToFailError,), retry_kwargs={"max_retries": 2, "countdown": 0})
def again(number: int, seconds: float) -> None:
    mark("begun", number)
    raise ToldToFailError("told to fail")


@app.task(name="hang", time_limit=2)
def hang(number: int, seconds: float) -> None:
    mark("begun", number)
    time.sleep(60)


@app.task(name="leave")
def leave(number: int, seconds: float) -> None:
    mark("begun", number)
    os._exit(3)
