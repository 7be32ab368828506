"""arq: no results, as nobody asks for them."""

import os

import observed
import tally
from arq.connections import RedisSettings

if observed.by_clues():
    from clues.adapters import arq as adapter

    adapter.install()


async def noop(context, number, text):
    tally.count()


class WorkerSettings:
    functions = (noop,)
    redis_settings = RedisSettings.from_dsn(os.environ["REDIS_URL"])
    keep_result = 0
    max_jobs = 100
