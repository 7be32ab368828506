"""RQ."""

import os

import redis
import tally
from rq import Queue

queue = Queue("bench", connection=redis.Redis.from_url(os.environ["REDIS_URL"]))


def noop(number, text):
    tally.count()
