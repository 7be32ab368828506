"""``emit.py CASE COUNT FILE``: one library tells of events; prints the CPU seconds of each, caller's and all."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

ARGS = [42, "quarterly-report", {"format": "pdf", "pages": [1, 2, 3], "customer": "Jürgen"}]
FIELDS: dict[str, Any] = {
    "event_type": "dequeued",
    "timestamp": "2026-11-20T20:59:58.123456Z",
    "queue": "mail",
    "metadata": {
        "_event_hash": "0123456789abcdef0123456789abcdef",
        "_event_id": "0123456789abcdef0123456789abcdef:1:dequeued",
        "_attempt": 1,
        "_hostname": "web-1",
        "_process": 4711,
        "_enqueued_time": 1795265743.238703,
        "customer_id": 42,
        "tier": "gold",
        "host_hint": "eu-1",
        "_time_in_queue": 0.2143383026123047,
    },
    "worker_class": "Report",
    "args": ARGS,
}


def main() -> None:
    case, count, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    emit, finish = CASES[case](path)
    for _ in range(200):
        emit()
    whole, caller = time.process_time(), time.thread_time()
    for _ in range(count):
        emit()
    caller = time.thread_time() - caller
    finish()
    whole = time.process_time() - whole
    print(json.dumps({"caller": caller / count, "whole": whole / count}))


def json_logger(path: str, kind: str) -> tuple[Callable[[], object], Callable[[], object]]:
    """python-json-logger, through the standard library's logging, to a file."""
    module, name = {"json": ("json", "JsonFormatter"), "orjson": ("orjson", "OrjsonFormatter")}[kind]
    handler = logging.FileHandler(path)
    handler.setFormatter(getattr(import_module(f"pythonjsonlogger.{module}"), name)("%(message)s"))
    logger = logging.getLogger("events")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    extra = {key: value for key, value in FIELDS.items() if key != "args"} | {"job_args": ARGS}
    return lambda: logger.info("dequeued", extra=extra), handler.close


def with_structlog(path: str) -> tuple[Callable[[], object], Callable[[], object]]:
    """Structlog as its page on performance advises: no wrapper, orjson, bytes to a file."""
    import orjson  # noqa: PLC0415
    import structlog  # noqa: PLC0415

    file = Path(path).open("ab")  # noqa: SIM115 - closed in the end
    structlog.configure(
        cache_logger_on_first_use=True,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(serializer=orjson.dumps),
        ],
        logger_factory=structlog.BytesLoggerFactory(file),
    )
    log = structlog.get_logger()
    return lambda: log.info("dequeued", **FIELDS), file.close


def sdk(path: str) -> tuple[Callable[[], object], Callable[[], object]]:
    """OpenTelemetry's SDK: a log record, batched; its exporter throws all away, so its encoding isn't counted."""
    from opentelemetry._logs import LogRecord, SeverityNumber  # noqa: PLC0415
    from opentelemetry.sdk._logs import LoggerProvider  # noqa: PLC0415
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, InMemoryLogRecordExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415

    class Nowhere(InMemoryLogRecordExporter):
        def export(self, batch: Any) -> Any:
            found = super().export(batch)
            self.clear()
            return found

    provider = LoggerProvider(Resource.create({"service.name": "shop"}))
    provider.add_log_record_processor(BatchLogRecordProcessor(Nowhere()))
    logger = provider.get_logger("events")
    flat = {f"clues.{key}": value for key, value in FIELDS["metadata"].items()}
    attributes = {
        "messaging.system": "resque",
        "messaging.destination.name": "mail",
        "clues.job.class": "Report",
        "clues.args": json.dumps(ARGS),
        **flat,
    }

    def emit() -> None:
        logger.emit(
            LogRecord(
                timestamp=time.time_ns(),
                severity_number=SeverityNumber.INFO,
                severity_text="INFO",
                body="Report was taken from mail",
                attributes=attributes,
                event_name="clues.job.dequeued",
            )
        )

    return emit, provider.shutdown


CASES: dict[str, Callable[[str], tuple[Callable[[], object], Callable[[], object]]]] = {
    "json-logger": lambda path: json_logger(path, "json"),
    "json-logger-orjson": lambda path: json_logger(path, "orjson"),
    "structlog": with_structlog,
    "sdk": sdk,
}

if __name__ == "__main__":
    main()
