"""Which numbers are Celery's."""

from __future__ import annotations

CELERY_FROM = 10_000_000
"""The number of Celery's first job."""


def is_celery(number: int) -> bool:
    """Whether a job is Celery's."""
    return number >= CELERY_FROM
