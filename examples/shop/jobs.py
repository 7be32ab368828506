"""The shop's jobs."""

import logging

import clues
from clues import resque

log = logging.getLogger("shop")


class CardDeclinedError(Exception):
    """The bank said no."""


class ChargeCard(clues.Runtime):
    """A job class: its queue, its code, its hooks."""

    queue = "billing"

    @classmethod
    def perform(cls, order_id, card_number):
        """Charge a card, unless it is declined; then have the customer told."""
        cls.clues_metadata["order_id"] = order_id
        if card_number.endswith("0"):
            raise CardDeclinedError(f"order {order_id}")
        log.info("charged")
        resque.enqueue(send_receipt, order_id)

    @classmethod
    def on_failure_tell(cls, error, order_id, card_number):
        """Run once, before the failure is stored."""
        resque.enqueue(send_apology, order_id)


@resque.job(queue="mailers")
async def send_receipt(order_id):
    """An async function under ``@resque.job``."""
    clues.clues_metadata["template"] = "receipt"


@resque.job(queue="mailers")
def send_apology(order_id):
    """A plain function."""
    clues.clues_metadata["template"] = "apology"
