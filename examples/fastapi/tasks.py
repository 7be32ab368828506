"""The tasks, and the initializer: the web application imports this module, and so does Celery's worker."""

import os

from celery import Celery

import clues
from clues.adapters.celery import install
from clues.publishers import LogPublisher

clues.configure(publisher=LogPublisher("events.log"), redact_args={"tasks.charge": [1]})

celery = Celery("shop", broker=os.environ.get("REDIS_URL", "redis://localhost:6379/0"))
install(celery)


@celery.task
def charge(total, card_number):
    clues.clues_metadata["total"] = total
