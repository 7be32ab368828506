"""The rows of a report's tables, as texts."""

from __future__ import annotations

from clues.analysis.report import Report, Row
from clues.cli.output import clean
from clues.cli.report_words import cut, each, moment, name, number, share
from clues.cli.words import seconds


def class_row(row: Row) -> tuple[str, ...]:
    """A class's counts and times."""
    return (
        name(row["worker_class"]),
        *map(number, (row["attempts"], row["finished"], row["failed"])),
        share(row["failure_ratio"]),
        number(row["retried"]),
        *each(row["time_to_perform"]),
        seconds(row["longest_to_perform"]),
        each(row["time_in_queue"])[1],
    )


def queue_row(row: Row) -> tuple[str, ...]:
    """A queue's waits."""
    longest, waiting = seconds(row["longest_in_queue"]), number(row["waiting"])
    return (
        name(row["queue"]),
        number(row["attempts"]),
        *each(row["time_in_queue"]),
        longest,
        waiting,
        moment(row["oldest_waiting"]),
    )


def failure_row(row: Row) -> tuple[str, ...]:
    """Failures of one kind, and the latest message."""
    told = str(row["message"] or "").strip().partition("\n")[0]
    return (
        name(row["worker_class"]),
        name(row["exception"]),
        clean(row["reason"] or ""),
        number(row["count"]),
        number(row["retried"]),
        moment(row["last_at"]),
        cut(clean(told)),
        clean(row["event_hash"]),
    )


def slow_row(row: Row) -> tuple[str, ...]:
    """An attempt that took long."""
    job = f"{clean(row['event_hash'])}{'' if row['attempt'] == 1 else ':' + str(row['attempt'])}"
    return (
        name(row["worker_class"]),
        seconds(row["time_to_perform"]),
        row["state"],
        moment(row["ended_at"]),
        name(row["queue"]),
        name(row["hostname"]),
        job,
    )


def oldest_row(report: Report, row: Row) -> tuple[str, ...]:
    """An attempt without an end."""
    return (
        row["state"],
        name(row["worker_class"]),
        name(row["queue"]),
        moment(row["since"]),
        age(report, row),
        moment(row["scheduled_at"]),
        clean(row["hostname"] or ""),
        clean("" if row["process"] is None else row["process"]),
        clean(row["event_hash"]),
    )


def worker_row(row: Row) -> tuple[str, ...]:
    """A host's work."""
    lasted = (
        (row["last"] - row["first"]).total_seconds() if row["first"] is not None and row["last"] is not None else 0.0
    )
    busy: float | None = row["busy"]
    at_once = "-" if not lasted or busy is None else f"{busy / lasted:.2f}"
    return (
        name(row["hostname"]),
        *map(number, (row["processes"], row["attempts"], row["failed"])),
        seconds(busy),
        at_once,
        moment(row["first"]),
        moment(row["last"]),
    )


def age(report: Report, row: Row) -> str:
    """How long it has been so at the end of the log."""
    if report.last is None or row["since"] is None:
        return "-"
    return seconds((report.last - row["since"]).total_seconds())
