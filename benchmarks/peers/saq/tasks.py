"""SAQ."""

import os

import tally
from saq import Queue


async def noop(context, *, number, text):
    tally.count()


queue = Queue.from_url(os.environ["REDIS_URL"])
settings = {"queue": queue, "functions": [("noop", noop)], "concurrency": 100}
