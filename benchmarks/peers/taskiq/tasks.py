"""taskiq, tuned: a list as its queue, no results, orjson."""

import os

import observed
import tally
from taskiq.serializers import ORJSONSerializer
from taskiq_redis import ListQueueBroker

broker = ListQueueBroker(os.environ["REDIS_URL"]).with_serializer(ORJSONSerializer())

if observed.by_clues():
    from clues.adapters import taskiq as adapter

    adapter.install(broker)


@broker.task(task_name="noop")
async def noop(number: int, text: str) -> None:
    tally.count()
