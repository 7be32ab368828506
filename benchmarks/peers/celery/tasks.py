"""Celery: no results, as nobody asks for them."""

import os

import observed
import tally
from celery import Celery

app = Celery("bench", broker=os.environ["REDIS_URL"])
app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True, worker_hijack_root_logger=False)

if observed.by_clues():
    from clues.adapters import celery as adapter

    adapter.install(app)


@app.task(name="noop")
def noop(number, text):
    tally.count()
