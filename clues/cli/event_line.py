"""One event as one line of text."""

from __future__ import annotations

from datetime import UTC, date, datetime

from rich.text import Text

from clues.analysis.facts import (
    attempt_of,
    has_ended,
    hash_of,
    is_redelivered,
    is_retried,
    moment_of,
    scheduled_of,
    time_in_queue,
    time_to_perform,
    users_fields,
)
from clues.cli.output import clean
from clues.cli.words import LABELS, error_text, fields, label, seconds, short
from clues.event import Event, EventType

_CLASS_WIDTH, _QUEUE_WIDTH, _LABEL_WIDTH = 16, 8, 9


def event_line(event: Event, *, today: date | None = None) -> Text:
    """``20:59:58.123Z  finished  PdfGeneration  pdf  0695f49c  waited 310ms  ran 1.20s  customer_id=7``.

    Args:
        event: what to show.
        today: the day, in UTC, whose events are shown without a date.
    """
    columns = [
        Text(time_of_day(event, today), style="dim"),
        label(LABELS[event.event_type], width=_LABEL_WIDTH, retrying=is_retried(event)),
        Text(clean(event.worker_class or "-").ljust(_CLASS_WIDTH), style="bold"),
        Text(clean(event.queue or "-").ljust(_QUEUE_WIDTH)),
        Text(short(hash_of(event)), style="dim"),
        *_details(event),
    ]
    return Text("  ").join(columns)


def time_of_day(event: Event, today: date | None = None) -> str:
    """When, to the millisecond, in UTC; with the date unless it was today. A timestamp that is none is shown as is."""
    moment = moment_of(event)
    return clean(event.timestamp) if moment is None else _spelled(moment, today)


def remark(event: Event, today: date | None = None) -> Text:
    """What is out of the ordinary: ``due 20:59:58.000Z``, ``delivered again``, ``will be retried``; mostly nothing."""
    if event.event_type is EventType.ENQUEUED and (due := scheduled_of(event)) is not None:
        return Text(f"due {_spelled(due, today)}", style="yellow")
    if event.event_type is EventType.DEQUEUED and is_redelivered(event):
        return Text("delivered again", style="yellow")
    return Text("will be retried" if is_retried(event) else "", style="yellow")


def _spelled(moment: datetime, today: date | None) -> str:
    day = "" if moment.date() == (today or datetime.now(UTC).date()) else f"{moment:%Y-%m-%d} "
    return f"{day}{moment:%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def _details(event: Event) -> list[Text]:
    return [
        found
        for found in (_attempt(event), remark(event), *_times(event), _error(event), fields(_fields(event)))
        if found
    ]


def _attempt(event: Event) -> Text:
    number = attempt_of(event) or 1
    return Text(f"attempt {number}" if number > 1 else "", style="yellow")


def _times(event: Event) -> list[Text]:
    waited, ran = time_in_queue(event), time_to_perform(event)
    told = []
    if waited is not None and (event.event_type is EventType.DEQUEUED or has_ended(event)):
        told.append(Text(f"waited {seconds(waited)}"))
    if ran is not None:
        told.append(Text(f"ran {seconds(ran)}"))
    return told


def _error(event: Event) -> Text:
    if event.event_type is not EventType.FAILED:
        return Text()
    metadata = event.metadata
    return error_text(metadata.get("_exception", "failed"), metadata.get("_message"), metadata.get("_reason"))


def _fields(event: Event) -> dict[str, object]:
    return users_fields(event.metadata)
