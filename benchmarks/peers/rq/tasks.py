"""RQ."""

import os

import observed
import redis
import tally
from rq import Queue, SimpleWorker

queue = Queue("bench", connection=redis.Redis.from_url(os.environ["REDIS_URL"]))
Worker = SimpleWorker

if observed.by_clues():
    from clues.adapters import rq as adapter

    adapter.install()
    Worker = adapter.CluesSimpleWorker


def noop(number, text):
    tally.count()
