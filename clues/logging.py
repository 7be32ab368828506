"""Joins ordinary log records to events: each record says which job it was written in.

    handler.addFilter(JobFilter())             # record.event_hash, record.queue, record.worker_class
    handler.setFormatter(JobFormatter())       # the same as fields of a JSON line (python-json-logger)

or, for every handler of a logger at once, ``clues.logging.install()``.
"""

from __future__ import annotations

import logging
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

from clues.event import Event
from clues.plain import plain
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
        self._own_encoding = not kwargs.keys().isdisjoint({"json_default", "json_encoder", "json_serializer"})
        kwargs.setdefault("json_ensure_ascii", False)
        kwargs.setdefault("reserved_attrs", [*RESERVED_ATTRS, "clues_event"])
        super().__init__(*args, **kwargs)

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line; works without the filter too."""
        mark(record)
        return super().format(record)

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """The fields as JSON can hold them: a NaN, a cycle or a broken ``__repr__`` in an extra loses no record."""
        processed = super().process_log_record(log_data)
        return processed if self._own_encoding else dict(plain(processed))


def mark(record: logging.LogRecord) -> None:
    """Put the running job's fields on a record, unless it has them already.

    A record that LogPublisher wrote gets those of its event.
    """
    fields = record.__dict__
    event = fields.get("clues_event")
    job = current_job()
    if isinstance(event, Event):
        found = (event.metadata.get("_event_hash"), event.queue, event.worker_class)
    elif job is not None:
        found = (job.event_hash, job.queue, job.worker_class)
    else:
        found = (None, None, None)
    for name, value in zip(JOB_FIELDS, found, strict=True):
        # There already: an application's own extra of that name, or marked before a QueueHandler's other thread.
        fields.setdefault(name, value)


def install(logger: logging.Logger | None = None) -> None:
    """Mark every record that the logger's handlers handle.

    Args:
        logger: the root logger if left out.
    """
    for handler in (logger or logging.getLogger()).handlers:
        if not any(isinstance(found, JobFilter) for found in handler.filters):
            handler.addFilter(JobFilter())
