"""A report as tables of texts: what it says in a terminal, in Markdown and in HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clues.analysis.report import Report
from clues.cli.output import clean
from clues.cli.report_rows import age, class_row, failure_row, oldest_row, queue_row, slow_row, worker_row
from clues.cli.report_words import each, moment, name, number, percentiles, share, span


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
            [class_row(row) for row in report.classes],
        ),
        Section(
            "queues",
            "Queues",
            "How long attempts waited, the slowest queue first.",
            ("queue", ">attempts", ">wait p50", ">p95", ">p99", ">max", ">still waiting", "oldest since"),
            [queue_row(row) for row in report.queues],
        ),
        Section(
            "failures",
            "Failures",
            "By class and exception, the latest message of each.",
            ("class", "exception", "reason", ">count", ">retried", "latest", "message", "job"),
            [failure_row(row) for row in report.failures],
            "no attempt failed",
        ),
        Section(
            "slowest",
            "Slowest",
            "The attempts that took longest.",
            ("class", ">run time", "outcome", "ended", "queue", "host", "job"),
            [slow_row(row) for row in report.slowest],
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
                    age(report, row),
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
            [oldest_row(report, row) for row in report.oldest],
            "every story has an end",
        ),
        Section(
            "workers",
            "Workers",
            "By host. Busy is the sum of run times, and how many ran at once on average.",
            ("host", ">processes", ">attempts", ">failed", ">busy", ">at once", "first", "last"),
            [worker_row(row) for row in report.workers],
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
                *each(row["time_to_perform"]),
                *each(row["time_in_queue"]),
            )
            for row in report.spans
        ],
        "nothing happened",
    )
