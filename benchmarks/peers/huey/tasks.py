"""Huey: no results, as nobody asks for them."""

import os

import observed
import tally
from huey import RedisHuey

huey = RedisHuey("bench", url=os.environ["REDIS_URL"], results=False)

if observed.by_clues():
    from clues.adapters import huey as adapter

    adapter.install(huey)


@huey.task()
def noop(number, text):
    tally.count()
