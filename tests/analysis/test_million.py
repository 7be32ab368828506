"""The figures of reports and promises, against a computation of its own on a log of a million events."""

from __future__ import annotations

import gzip
import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from clues.analysis.database import Database
from clues.analysis.needs import needs
from clues.analysis.promises import parse
from clues.analysis.report import Report, gathering, report
from clues.analysis.selecting import Chosen
from clues.analysis.sla import gathering as promised
from clues.analysis.sla import judge
from tests.analysis.many import lines

pytestmark = pytest.mark.usefixtures("duckdb")

JOBS = 260_000
PERCENTS = (50, 95, 99)


@dataclass
class Attempt:
    """What the computation knows of an attempt."""

    worker_class: str = ""
    queue: str = ""
    steps: set[str] = field(default_factory=set)
    time_in_queue: float | None = None
    time_to_perform: float | None = None
    retrying: bool = False
    system: str = "resque"
    host: str | None = None
    exception: str | None = None
    customer: int | None = None

    @property
    def outcome(self) -> str | None:
        ends = self.steps & {"perform_finished", "failed", "destroyed"}
        return ends.pop() if ends else None


@dataclass
class Truth:
    """What the logs hold, found out in pure Python."""

    attempts: dict[tuple[str, int], Attempt]
    events: int
    copies: int
    bad: int

    def times(self, which: str, **of: Any) -> list[float]:
        return [
            value
            for attempt in self.attempts.values()
            if all(getattr(attempt, key) == wanted for key, wanted in of.items())
            and (value := getattr(attempt, which)) is not None
        ]


def computed(files: Iterable[Path]) -> Truth:
    attempts: dict[tuple[str, int], Attempt] = defaultdict(Attempt)
    seen: set[str] = set()
    copies = bad = 0
    for file in files:
        content = file.read_bytes()
        for line in (gzip.decompress(content) if file.suffix == ".gz" else content).split(b"\n"):
            text = line.strip()
            if not text or text.startswith(b"#"):
                continue
            try:
                event = json.loads(text)
                metadata = event["metadata"]
            except (ValueError, KeyError, TypeError):
                bad += 1
                continue
            if metadata["_event_id"] in seen:
                copies += 1
                continue
            seen.add(metadata["_event_id"])
            attempt = attempts[metadata["_event_hash"], metadata["_attempt"]]
            attempt.worker_class, attempt.queue = event["worker_class"], event["queue"]
            attempt.steps.add(event["event_type"])
            attempt.time_in_queue = metadata.get("_time_in_queue", attempt.time_in_queue)
            attempt.time_to_perform = metadata.get("_time_to_perform", attempt.time_to_perform)
            attempt.retrying = metadata.get("_retrying", False)
            attempt.system = metadata.get("_system", "resque")
            attempt.exception = metadata.get("_exception")
            attempt.customer = metadata["customer_id"]
            if event["event_type"] == "perform_started":
                attempt.host = metadata["_hostname"]
    return Truth(attempts, len(seen), copies, bad)


def nearest_rank(values: list[float], percent: float) -> float:
    return sorted(values)[max(math.ceil(len(values) * percent / 100), 1) - 1]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The log and what it was rotated into; one is gzipped, the last line of the last is half-written."""
    folder = tmp_path_factory.mktemp("million")
    log, older, oldest = folder / "events.log", folder / "events.log.1", folder / "events.log.2.gz"
    made = list(lines(JOBS))
    third = len(made) // 3
    with gzip.open(oldest, "wb", compresslevel=1) as target:
        target.writelines(made[:third])
    older.write_bytes(b"".join(made[third : 2 * third]))
    log.write_bytes(b"".join(made[2 * third :]) + made[0][:100])
    return [oldest, older, log]


@pytest.fixture(scope="module")
def truth(files: list[Path]) -> Truth:
    found = computed(files)
    assert found.events > 1_000_000
    return found


@pytest.fixture(scope="module")
def made(files: list[Path]) -> Report:
    with Database() as database:
        database.load(files, needed=needs(gathering(Chosen())))
        return report(database, Chosen(), top=100)


def test_what_was_read(made: Report, truth: Truth) -> None:
    assert (made.read.events, made.read.copies, made.read.bad) == (truth.events, truth.copies, truth.bad)
    assert truth.bad == JOBS // 1000 + 1
    assert len(made.read.samples) == 5


def test_counts(made: Report, truth: Truth) -> None:
    found = Counter((attempt.outcome, attempt.retrying) for attempt in truth.attempts.values())
    total = made.total
    assert total["attempts"] == len(truth.attempts)
    assert total["jobs"] == len({event_hash for event_hash, _ in truth.attempts})
    assert total["finished"] == found["perform_finished", False]
    assert total["failed"] == found["failed", False]
    assert total["retried"] == found["failed", True]
    assert total["destroyed"] == found["destroyed", False]
    assert total["waiting"] + total["unfinished"] == found[None, False]
    assert total["waiting"] == sum(attempt.steps == {"enqueued"} for attempt in truth.attempts.values())
    assert total["failure_ratio"] == total["failed"] / (total["failed"] + total["finished"])


def test_percentiles_by_class(made: Report, truth: Truth) -> None:
    assert {row["worker_class"] for row in made.classes} == {found.worker_class for found in truth.attempts.values()}
    for row in made.classes:
        for key in ("time_in_queue", "time_to_perform"):
            values = truth.times(key, worker_class=row["worker_class"])
            assert row[key] == [nearest_rank(values, percent) for percent in PERCENTS]
        assert row["longest_to_perform"] == max(truth.times("time_to_perform", worker_class=row["worker_class"]))


def test_percentiles_by_queue(made: Report, truth: Truth) -> None:
    assert {row["queue"] for row in made.queues} == {found.queue for found in truth.attempts.values()}
    for row in made.queues:
        values = truth.times("time_in_queue", queue=row["queue"])
        assert row["time_in_queue"] == [nearest_rank(values, percent) for percent in PERCENTS]


def test_spans_add_up(made: Report) -> None:
    """Each attempt that ended is in one span, and in one field of the heat map."""
    for key in ("finished", "failed", "retried"):
        assert sum(row[key] for row in made.spans) == made.total[key]
    assert sum(row["count"] for row in made.heat) == sum(made.total[key] for key in ("finished", "failed", "retried"))


def test_lists(made: Report, truth: Truth) -> None:
    slowest = sorted(truth.times("time_to_perform"), reverse=True)[:100]
    assert [row["time_to_perform"] for row in made.slowest] == slowest
    failed = Counter(found.worker_class for found in truth.attempts.values() if found.outcome == "failed")
    assert {row["worker_class"]: row["count"] for row in made.failures} == failed
    assert sum(row["count"] for row in made.gaps) == made.total["waiting"] + made.total["unfinished"]
    by_host = Counter(found.host for found in truth.attempts.values() if found.host)
    assert {row["hostname"]: row["attempts"] for row in made.workers if row["hostname"] in by_host} == by_host


PROMISES: dict[str, Callable[[Truth], float]] = {
    "time_to_perform p50 < 1s": lambda truth: nearest_rank(truth.times("time_to_perform"), 50),
    "time_to_perform p99.9 < 1s": lambda truth: nearest_rank(truth.times("time_to_perform"), 99.9),
    "queue=mailers time_in_queue p95 < 30s": lambda truth: nearest_rank(
        truth.times("time_in_queue", queue="mailers"), 95
    ),
    "class=Import time_to_perform p99 <= 2m": lambda truth: nearest_rank(
        truth.times("time_to_perform", worker_class="Import"), 99
    ),
    "system=celery time_in_queue max < 1h": lambda truth: max(truth.times("time_in_queue", system="celery")),
    "metadata.customer_id=4711 time_to_perform p95 < 9s": lambda truth: nearest_rank(
        truth.times("time_to_perform", customer=4711), 95
    ),
    "host=worker-3 time_to_perform p95 < 9s": lambda truth: nearest_rank(
        truth.times("time_to_perform", host="worker-3"), 95
    ),
}


def test_promises(files: list[Path], truth: Truth) -> None:
    promises = [parse(text) for text in PROMISES]
    with Database() as database:
        database.load(files, needed=needs(promised(promises, Chosen())))
        verdicts = judge(database, promises, Chosen())
    assert {found.promise.text: found.value for found in verdicts} == {
        text: compute(truth) for text, compute in PROMISES.items()
    }
