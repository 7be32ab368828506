"""A report as tables of texts: what it says in a terminal, in Markdown and in HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clues.analysis.report import Report, Row
from clues.cli.output import clean
from clues.cli.words import seconds


@dataclass(frozen=True, slots=True)
class Section:
    """A table of the report.

    Attributes:
        name: a short one, for links.
        title: its heading.
        about: what it shows, in a sentence.
        headings: of its columns; those that begin with ``>`` hold numbers.
        rows: its rows.
        empty: what is said where there are none.
    """

    name: str
    title: str
    about: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    empty: str = "none"


def headline(report: Report) -> list[tuple[str, str]]:
    """The most important figures, each with its name."""
    total = report.total
    return [
        ("jobs", number(total["jobs"])),
        ("attempts", number(total["attempts"])),
        ("finished", number(total["finished"])),
        ("failed", number(total["failed"])),
        ("failure ratio", share(total["failure_ratio"])),
        ("retried", number(total["retried"])),
        ("waiting", number(total["waiting"])),
        ("without an end", number(total["unfinished"])),
        ("run time p50 / p95 / p99", percentiles(total["time_to_perform"])),
        ("time in queue p50 / p95 / p99", percentiles(total["time_in_queue"])),
    ]


def period(report: Report) -> str:
    """From when to when it is."""
    return "no jobs" if report.first is None else f"{moment(report.first)} – {moment(report.last)} UTC"


def what_was_read(report: Report) -> str:
    """The files and their lines."""
    read = report.read
    copies = f", {read.copies:,} copies left out" if read.copies else ""
    bad = (
        f", {read.bad:,} line{'s were' if read.bad != 1 else ' was'} no event{'s' if read.bad != 1 else ''}"
        if read.bad
        else ""
    )
    return f"{read.events:,} events from {', '.join(map(clean, read.files)) or 'no file'}{copies}{bad}"


def choice(report: Report) -> str:
    """Which attempts it is about; empty for all."""
    chosen = report.chosen.as_dict()
    return ", ".join(
        f"{name} {', '.join(map(clean, value)) if isinstance(value, list) else value}"
        for name, value in chosen.items()
        if value
    )


def sections(report: Report) -> list[Section]:
    """All tables."""
    return [
        Section(
            "classes",
            "Classes",
            "Run times are of all attempts that ended, failures included.",
            (
                "class",
                ">attempts",
                ">finished",
                ">failed",
                ">ratio",
                ">retried",
                ">run p50",
                ">p95",
                ">p99",
                ">max",
                ">queue p95",
            ),
            [_class(row) for row in report.classes],
        ),
        Section(
            "queues",
            "Queues",
            "How long attempts waited, the slowest queue first.",
            ("queue", ">attempts", ">wait p50", ">p95", ">p99", ">max", ">still waiting", "oldest since"),
            [_queue(row) for row in report.queues],
        ),
        Section(
            "failures",
            "Failures",
            "By class and exception, the latest message of each.",
            ("class", "exception", "reason", ">count", ">retried", "latest", "message", "job"),
            [_failure(row) for row in report.failures],
            "no attempt failed",
        ),
        Section(
            "slowest",
            "Slowest",
            "The attempts that took longest.",
            ("class", ">run time", "outcome", "ended", "queue", "host", "job"),
            [_slow(row) for row in report.slowest],
        ),
        Section(
            "retries",
            "Retries",
            "Attempts that failed, and that another followed by itself.",
            ("class", ">retried", ">jobs", ">most attempts"),
            [
                (
                    name(row["worker_class"]),
                    number(row["retried"]),
                    number(row["jobs"]),
                    number(row["most_attempts"] + 1),
                )
                for row in report.retries
            ],
        ),
        Section(
            "gaps",
            "Gaps",
            "Attempts without an end: enqueued and never taken (waiting), taken and never begun (taken), begun and "
            "never ended (running). Those at the end of the log may just be going on.",
            ("state", "class", "queue", ">count", "since", ">age at the end"),
            [
                (
                    row["state"],
                    name(row["worker_class"]),
                    name(row["queue"]),
                    number(row["count"]),
                    moment(row["since"]),
                    _age(report, row),
                )
                for row in report.gaps
            ],
            "every story has an end",
        ),
        Section(
            "oldest",
            "Oldest without an end",
            "The first of them.",
            ("state", "class", "queue", "since", ">age at the end", "due", "host", "process", "job"),
            [_old(report, row) for row in report.oldest],
            "every story has an end",
        ),
        Section(
            "workers",
            "Workers",
            "By host. Busy is the sum of run times, and how many ran at once on average.",
            ("host", ">processes", ">attempts", ">failed", ">busy", ">at once", "first", "last"),
            [_worker(row) for row in report.workers],
        ),
        Section(
            "bad-lines",
            "Lines that were no events",
            f"{report.read.bad:,} in all; the first of them.",
            ("file", ">line", "begins", "why"),
            [
                (
                    clean(line.source),
                    "" if line.number is None else number(line.number),
                    clean(line.text),
                    clean(line.reason),
                )
                for line in report.read.samples
            ],
        ),
    ]


def over_time(report: Report) -> Section:
    """The figures over time."""
    return Section(
        "over-time",
        "Over time",
        f"In spans of {span(report.width)}.",
        ("from", ">finished", ">failed", ">retried", ">run p50", ">p95", ">p99", ">queue p50", ">p95", ">p99"),
        [
            (
                moment(row["start"]),
                *map(number, (row["finished"], row["failed"], row["retried"])),
                *_each(row["time_to_perform"]),
                *_each(row["time_in_queue"]),
            )
            for row in report.spans
        ],
        "nothing happened",
    )


def moment(found: datetime | None) -> str:
    """A moment, to the second."""
    return "-" if found is None else found.strftime("%Y-%m-%d %H:%M:%S")


def number(found: int | None) -> str:
    """A count."""
    return "-" if found is None else f"{found:,}"


def share(found: float | None) -> str:
    """A share in percent."""
    return "-" if found is None else f"{found:.2%}"


def name(found: str | None) -> str:
    """A name from a log, ``?`` where there is none."""
    return "?" if found is None else clean(found)


def span(width: int) -> str:
    """How long a span is, in its largest unit."""
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if width % size == 0:
            return f"{width // size} {unit}{'s' if width > size else ''}"
    return f"{width} second{'s' if width > 1 else ''}"


def percentiles(found: Iterable[float] | None) -> str:
    """Three of them."""
    return " / ".join(_each(found))


def _each(found: Iterable[float] | None) -> tuple[str, ...]:
    return tuple(map(seconds, found)) if found is not None else ("-", "-", "-")


def _class(row: Row) -> tuple[str, ...]:
    return (
        name(row["worker_class"]),
        *map(number, (row["attempts"], row["finished"], row["failed"])),
        share(row["failure_ratio"]),
        number(row["retried"]),
        *_each(row["time_to_perform"]),
        seconds(row["longest_to_perform"]),
        _each(row["time_in_queue"])[1],
    )


def _queue(row: Row) -> tuple[str, ...]:
    longest, waiting = seconds(row["longest_in_queue"]), number(row["waiting"])
    return (
        name(row["queue"]),
        number(row["attempts"]),
        *_each(row["time_in_queue"]),
        longest,
        waiting,
        moment(row["oldest_waiting"]),
    )


def _failure(row: Row) -> tuple[str, ...]:
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


def cut(text: str, most: int = 120) -> str:
    """No more than so many characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _slow(row: Row) -> tuple[str, ...]:
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


def _old(report: Report, row: Row) -> tuple[str, ...]:
    return (
        row["state"],
        name(row["worker_class"]),
        name(row["queue"]),
        moment(row["since"]),
        _age(report, row),
        moment(row["scheduled_at"]),
        clean(row["hostname"] or ""),
        clean("" if row["process"] is None else row["process"]),
        clean(row["event_hash"]),
    )


def _worker(row: Row) -> tuple[str, ...]:
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


def _age(report: Report, row: dict[str, Any]) -> str:
    if report.last is None or row["since"] is None:
        return "-"
    return seconds((report.last - row["since"]).total_seconds())
