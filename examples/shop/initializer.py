"""What the application loads first: where events go, what every job carries, and logs that name the running job."""

import logging

import clues
from clues.logging import JobFormatter
from clues.publishers import LogPublisher


def add_customer(queue, item):
    """Run for each job that is enqueued; in a web application, the customer is the request's."""
    item["clues_metadata"]["customer_id"] = 4711


clues.configure(
    publisher=LogPublisher("events.log"),
    item_preprocessor=add_customer,
    redact_args={"ChargeCard": [1]},
)

handler = logging.StreamHandler()
handler.setFormatter(JobFormatter())
logging.basicConfig(level=logging.INFO, handlers=[handler])
