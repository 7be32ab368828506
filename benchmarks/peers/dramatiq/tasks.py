"""Dramatiq, with the middleware that it brings by default."""

import os

import dramatiq
import observed
import tally
from dramatiq.brokers.redis import RedisBroker

broker = RedisBroker(url=os.environ["REDIS_URL"])
dramatiq.set_broker(broker)

if observed.by_clues():
    from clues.adapters import dramatiq as adapter

    adapter.install(broker)


@dramatiq.actor
def noop(number, text):
    tally.count()
