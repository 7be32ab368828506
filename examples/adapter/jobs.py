import os

from tinyq import Queue
from tinyq_clues import install

import clues
from clues.publishers import LogPublisher

clues.configure(LogPublisher("events.log"))
queue = Queue("mailers", os.environ.get("REDIS_URL", "redis://localhost:6379/0"))
install(queue)


@queue.job
def send_welcome(address):
    clues.clues_metadata["template"] = "welcome"
    if "@" not in address:
        raise ValueError(f"{address} is no address")
