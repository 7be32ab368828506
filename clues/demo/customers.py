"""For whom a job is: the fields that the shop writes on each of its jobs."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from clues import clues_metadata

current_customer: ContextVar[dict[str, Any] | None] = ContextVar("current_customer", default=None)
"""Whom the shop serves just now: a web application would set it for each request."""


def add_customer(queue: str, item: Any) -> None:  # noqa: ARG001 - an item preprocessor's signature
    """The shop's item preprocessor: the customer at hand, or the one of the job that enqueues this one."""
    customer = current_customer.get()
    if customer is None:
        customer = {key: clues_metadata[key] for key in ("customer_id", "plan") if key in clues_metadata}
    item["clues_metadata"].update(customer)
