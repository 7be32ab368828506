"""Huey: no results, as nobody asks for them."""

import os

import tally
from huey import RedisHuey

huey = RedisHuey("bench", url=os.environ["REDIS_URL"], results=False)


@huey.task()
def noop(number, text):
    tally.count()
