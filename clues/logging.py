"""Joins ordinary log records to events: each record says which job it was written in.

    handler.addFilter(JobFilter())             # record.event_hash, record.queue, record.worker_class
    handler.setFormatter(JobFormatter())       # the same as fields of a JSON line (python-json-logger)

or, for every handler of a logger at once, ``clues.logging.install()``.
"""

from __future__ import annotations

import logging
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from clues.runtime import current_job

JOB_FIELDS = ("event_hash", "queue", "worker_class")


class JobFilter(logging.Filter):
    """Puts the running job's ``event_hash``, ``queue`` and ``worker_class`` on each record; lets every record pass.

    Outside a job the three are None. Add it to handlers: a logger's own filters don't see its children's records.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the fields."""
        mark(record)
        return True


class JobFormatter(JsonFormatter):
    """One JSON object a line: timestamp, level, name, message, the running job's fields, and the record's extras."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """As python-json-logger's JsonFormatter, with a format and key names that suit log collectors."""
        if not args:
            kwargs.setdefault("fmt", "%(levelname)s %(name)s %(message)s")
            kwargs.setdefault("rename_fields", {"levelname": "level", "name": "logger"})
            kwargs.setdefault("timestamp", True)
        kwargs.setdefault("json_ensure_ascii", False)
        super().__init__(*args, **kwargs)

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line; works without the filter too."""
        mark(record)
        return super().format(record)


def mark(record: logging.LogRecord) -> None:
    """Put the running job's fields on a record, unless they are there already."""
    if hasattr(record, "event_hash"):
        return  # marked where it was written: a QueueHandler formats in another thread
    job = current_job()
    record.event_hash = job.event_hash if job else None
    record.queue = job.queue if job else None
    record.worker_class = job.worker_class if job else None


def install(logger: logging.Logger | None = None) -> None:
    """Mark every record that the logger's handlers handle.

    Args:
        logger: the root logger if left out.
    """
    for handler in (logger or logging.getLogger()).handlers:
        if not any(isinstance(found, JobFilter) for found in handler.filters):
            handler.addFilter(JobFilter())
