# ruff: noqa: ARG003 - they only pretend to use their arguments
"""The jobs of a small shop, as an application would write them: fast, slow, failing, and enqueueing others.

They sleep where real ones would wait for a mail server, a bank or a disk.
"""

from __future__ import annotations

import random
import time
from typing import Any

import clues
from clues import resque

DECLINED = "tok_declined"
UNREACHABLE = "tok_bank_down"
"""Card tokens with which charging always fails, as in payment providers' sandboxes."""

_USUALLY = 0.9


class CardDeclined(Exception):  # noqa: N818 - as payment libraries call theirs
    """The bank said no."""


class BankUnavailable(Exception):  # noqa: N818
    """The bank said nothing."""


class SendWelcomeEmail:
    """Fast, and there are many."""

    queue = "mail"

    @classmethod
    def perform(cls, address: str) -> None:
        """Talk to the mail server."""
        _take(0.02, 0.09)


class ResizeImage:
    """Fast mostly, with a long tail."""

    queue = "images"

    @classmethod
    def perform(cls, image: str, width: int) -> None:
        """Scale an image down."""
        _take(0.05, 0.2 if random.random() < _USUALLY else 0.8)


class PdfGeneration(clues.Runtime):
    """Slow, and tells about itself."""

    queue = "pdf"

    @classmethod
    def perform(cls, document: int) -> None:
        """Lay a document out; how, and how long it became, goes into its events."""
        pages = 1 + document % 40
        cls.clues_metadata["pages"] = pages
        cls.clues_metadata["strategy"] = "fast" if pages < 20 else "thorough"  # noqa: PLR2004 - a demo
        _take(0.15 + pages * 0.01, 0.3 + pages * 0.02)


class ImportOrders(clues.Runtime):
    """Enqueues a job for each order that it finds."""

    queue = "orders"

    @classmethod
    def perform(cls, file: str, orders: list[int]) -> None:
        """Read a file of orders."""
        _take(0.1, 0.3)
        for order in orders:
            resque.enqueue(IndexOrder, order)
        cls.clues_metadata["orders"] = len(orders)


class IndexOrder:
    """Enqueued by `ImportOrders` only."""

    queue = "search"

    @classmethod
    def perform(cls, order: int) -> None:
        """Make an order findable."""
        _take(0.03, 0.12)


class ChargeCard:
    """Fails now and then, as life has it."""

    queue = "payments"

    @classmethod
    def perform(cls, order: int, payment: dict[str, Any]) -> None:
        """Ask the bank."""
        _take(0.1, 0.25)
        _charge(order, payment)


def _charge(order: int, payment: dict[str, Any]) -> None:
    token = payment["card_token"]
    if token == DECLINED:
        msg = f"order {order}: insufficient funds for {payment['amount']:.2f} EUR"
        raise CardDeclined(msg)
    try:
        _ask_bank(token)
    except TimeoutError as error:
        msg = f"order {order}: try again later"
        raise BankUnavailable(msg) from error


def _ask_bank(token: str) -> None:
    if token == UNREACHABLE:
        msg = "no answer from bank.example within 250 ms"
        raise TimeoutError(msg)


def _take(shortest: float, longest: float) -> None:
    time.sleep(random.uniform(shortest, longest))
