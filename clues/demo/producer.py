"""Enqueues a believable mix of jobs: a scripted opening that shows each kind, then chance, with rush hours."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from typing import Any

from clues.demo.customers import current_customer
from clues.demo.jobs import (
    DECLINED,
    UNREACHABLE,
    ChargeCard,
    ImportOrders,
    PdfGeneration,
    ResizeImage,
    SendWelcomeEmail,
)

Call = tuple[Any, ...]
"""``(job class, *arguments)``."""

MEAN_SECONDS = 0.2
"""What a job of the mix takes on average, its children included."""

_OPENING = 6  # jobs that are enqueued at once, so that the shortest demo shows each kind
_BUSY = 0.8  # of the workers' time, on average
_RUSH = 6.0  # seconds from one rush hour to the next
_PLANS = ("free", "free", "starter", "pro", "enterprise")


class Producer:
    """Enqueues what is due, whenever asked.

    Attributes:
        enqueued: how many jobs so far, not counting those that jobs enqueue.
    """

    def __init__(self, enqueue: Callable[..., object], *, workers: int, chance: random.Random) -> None:
        """Prepare a mix.

        Args:
            enqueue: what enqueues: ``enqueue(job, *args)``.
            workers: how many worker processes there are to keep busy.
            chance: where the mix comes from.
        """
        self._enqueue = enqueue
        self._workers = workers
        self._chance = chance
        self._calls = self._mix()
        self.enqueued = 0

    def catch_up(self, elapsed: float) -> None:
        """Enqueue what is due by now.

        Args:
            elapsed: seconds since the demo began.
        """
        while self.enqueued < due(elapsed, self._workers):
            self._enqueue_one(next(self._calls))

    def _enqueue_one(self, call: Call) -> None:
        token = current_customer.set(self._customer())
        try:
            self._enqueue(*call)
        finally:
            current_customer.reset(token)
        self.enqueued += 1

    def _customer(self) -> dict[str, Any]:
        customer = self._chance.randint(1, 40)
        return {"customer_id": customer, "plan": _PLANS[customer % len(_PLANS)]}

    def _mix(self) -> Iterator[Call]:
        yield from self._opening()
        makers = [self._email, self._image, self._charge, self._pdf, self._import]
        while True:
            yield self._chance.choices(makers, weights=[36, 26, 20, 13, 5])[0]()

    def _opening(self) -> Iterator[Call]:
        yield self._email()
        yield self._charge(DECLINED)
        yield self._pdf()
        yield self._import()
        yield self._image()
        yield self._charge()

    def _email(self) -> Call:
        return SendWelcomeEmail, f"customer-{self._chance.randint(1, 400)}@example.com"

    def _image(self) -> Call:
        return ResizeImage, f"products/{self._chance.randint(100, 999)}.jpg", self._chance.choice([160, 480, 1200])

    def _pdf(self) -> Call:
        return PdfGeneration, self._chance.randint(1, 9999)

    def _import(self) -> Call:
        first = self._chance.randint(1000, 9000)
        return ImportOrders, f"orders-{first}.csv", list(range(first, first + self._chance.randint(3, 6)))

    def _charge(self, token: str | None = None) -> Call:
        token = token or self._chance.choices(["tok_visa", DECLINED, UNREACHABLE], weights=[88, 8, 4])[0]
        return ChargeCard, self._chance.randint(1000, 9999), {"amount": self._amount(), "card_token": token}

    def _amount(self) -> float:
        return self._chance.randint(500, 20_000) / 100


def due(elapsed: float, workers: int) -> int:
    """How many jobs should have been enqueued by now: a steady rate with rush hours, in which queues build up."""
    rate = workers * _BUSY / MEAN_SECONDS
    wave = 2 * math.pi / _RUSH
    # The integral of rate * (1 - 0.9 cos(wave t)): never falls, begins gently.
    return math.ceil(rate * (elapsed - 0.9 * math.sin(wave * elapsed) / wave)) + _OPENING
