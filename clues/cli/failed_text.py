"""Failures as people read them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from rich.table import Table
from rich.text import Text

from clues.cli.failed_choice import Found
from clues.cli.output import clean
from clues.cli.tables import on_one_line, plain_table
from clues.cli.words import error_text, seconds
from clues.resque import times
from clues.resque.stored_failure import StoredFailure
from clues.sanitize import for_log

_CUT = {"class", "queue", "error"}  # where a terminal is too narrow
_NAME_WIDTH = 12
_KNOWN = {"failed_at", "payload", "exception", "error", "backtrace", "worker", "queue", "retried_at", "payload_base64"}


def table(found: list[Found]) -> Table:
    """A line for each failure; the lists' names only where there are several."""
    several = len({each.failed.name for each in found}) > 1
    rows = plain_table()
    for name in ("list",) * several + ("index", "id", "failed at", "class", "queue", "retried", "error"):
        rows.add_column(name, no_wrap=name not in _CUT, justify="right" if name == "index" else "left")
    for each in found:
        rows.add_row(*[clean(each.failed.name)] * several, *_cells(each.failure))
    return rows


def _cells(failure: StoredFailure) -> Iterator[str | Text]:
    yield str(failure.index)
    yield Text(failure.id, style="dim")
    yield local_time(failure.entry.get("failed_at"))
    yield on_one_line(Text(clean(failure.worker_class or "-"), style="bold"))
    yield on_one_line(Text(clean(failure.queue or "-")))
    yield "yes" if failure.retried else "-"
    yield on_one_line(error_text(failure.exception or "-", for_log(failure.error.strip().partition("\n")[0])))


def as_dict(found: Found) -> dict[str, Any]:
    """What a line of the table tells, for programs."""
    failure = found.failure
    return {
        "list": found.failed.name,
        "index": failure.index,
        "id": failure.id,
        "failed_at": failure.entry.get("failed_at"),
        "class": failure.worker_class,
        "queue": failure.queue,
        "exception": failure.exception,
        "error": failure.error,
        "worker": failure.entry.get("worker"),
        "event_hash": failure.event_hash,
        "retried_at": failure.entry.get("retried_at"),
    }


def details(found: Found) -> Text:
    """Everything that is known of one failure."""
    return Text("\n").join([*_head(found), *_backtrace(found.failure), *_payload(found.failure)])


def _head(found: Found) -> Iterator[Text]:
    failure, entry = found.failure, found.failure.entry
    yield Text.assemble(
        (clean(failure.worker_class or "-"), "bold"), f"  failure {failure.index} of ", clean(found.failed.name)
    )
    yield _named("id", failure.id)
    yield _named("failed at", f"{local_time(entry.get('failed_at'))}{_ago(failure.failed_at)}")
    yield _named("retried at", local_time(entry.get("retried_at")))
    yield _named("queue", failure.queue or "-")
    yield _named("worker", entry.get("worker") or "-")
    yield _named("event hash", failure.event_hash or "-")
    for name, value in entry.items():
        if name not in _KNOWN:
            yield _named(name, json.dumps(value, ensure_ascii=False))
    exception = f"{clean(failure.exception)}: " if failure.exception else ""
    yield Text.assemble((exception, "bold red"), (_lines(failure.error), "red"))


def _backtrace(failure: StoredFailure) -> Iterator[Text]:
    lines = failure.entry.get("backtrace")
    for line in lines if isinstance(lines, list) else []:
        yield Text(f"  {clean(line)}", style="dim")


def _payload(failure: StoredFailure) -> Iterator[Text]:
    if "payload" in failure.entry:
        yield Text("payload", style="dim")
        yield Text(_lines(json.dumps(failure.entry["payload"], indent=2, ensure_ascii=False)))


def local_time(text: object) -> str:
    """A time of an entry in this host's zone; one that can't be read as it stands there."""
    at = times.parse_failed_at(text) if isinstance(text, str) else None
    if at is None:
        return clean(text or "-")
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def _ago(at: float | None) -> str:
    return "" if at is None else f"  {seconds(max(time.time() - at, 0.0))} ago"


def _named(name: str, value: object) -> Text:
    return Text.assemble("  ", (clean(name).ljust(_NAME_WIDTH), "dim"), clean(value))


def _lines(text: str) -> str:
    return clean(text, lines=True)
