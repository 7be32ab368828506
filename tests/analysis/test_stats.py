"""Running statistics."""

from __future__ import annotations

import pytest

from clues.analysis.stats import Recent, Stats, Throughput, percentile
from tests.analysis.made import START, a_life, event, ruby_event


def test_counts_by_class_and_in_all() -> None:
    stats = Stats()
    for found in [*a_life(), event("started", event_hash="b" * 32, worker_class="ChargeCard"), *a_life()]:
        stats.add(found)
    assert list(stats.by_class) == ["PdfGeneration", "ChargeCard"]
    pdf = stats.by_class["PdfGeneration"]
    assert (pdf.enqueued, pdf.started, pdf.finished, pdf.failed, pdf.running, pdf.waiting) == (1, 1, 1, 0, 0, 0)
    assert stats.by_class["ChargeCard"].running == 1
    assert stats.total.running == 1
    assert stats.duplicates == 4


def test_failures_count_in_the_run_times() -> None:
    stats = Stats()
    stats.add(event("failed", _time_to_perform=3.0))
    assert stats.total.failed == 1
    assert stats.total.run_times.percentile(50) == 3.0


def test_an_attempt_that_is_retried_is_no_failed_job() -> None:
    stats = Stats()
    for attempt in (1, 2, 3):
        stats.add(event("enqueued", attempt, attempt=attempt))
        stats.add(event("started", attempt, attempt=attempt))
        stats.add(event("failed", attempt, attempt=attempt, _retrying=attempt < 3))
    assert (stats.total.failed, stats.total.retried, stats.total.started, stats.total.running) == (1, 2, 3, 0)
    assert stats.throughput(START + 3) == pytest.approx(1.0)


def test_rubys_events_have_no_copies() -> None:
    stats = Stats()
    for _ in range(2):
        stats.add(ruby_event("enqueued", "35"))
    assert stats.total.enqueued == 2


def test_waiting_is_never_negative() -> None:
    stats = Stats()
    stats.add(event("dequeued"))
    assert stats.total.waiting == 0


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([], 50, None),
        ([5.0], 95, 5.0),
        ([1, 2, 3, 4], 50, 2),
        (range(1, 101), 95, 95),
        (range(1, 101), 100, 100),
        ([2, 1], 0, 1),
    ],
)
def test_percentiles_are_of_the_values(values: list[float], percent: float, expected: float | None) -> None:
    assert percentile(list(values), percent) == expected


def test_only_the_recent_values_are_kept() -> None:
    recent = Recent(size=3)
    for value in (100.0, 1.0, 2.0, None, 3.0):
        recent.add(value)
    assert len(recent) == 3
    assert recent.percentile(100) == 3.0


def test_throughput_slides() -> None:
    ends = Throughput(window=10)
    assert ends.rate(START) == 0
    for second in range(20):
        ends.add(START + second)
    assert ends.rate(START + 19.9) == pytest.approx(1.0, abs=0.11)
    assert ends.rate(START + 60) == 0


def test_throughput_at_the_start_is_over_the_time_there_was() -> None:
    ends = Throughput(window=10)
    for _ in range(8):
        ends.add(START)
    assert ends.rate(START + 2) == pytest.approx(4.0)
