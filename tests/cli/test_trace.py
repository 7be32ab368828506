"""``clues trace``."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.analysis.made import HASH, a_life, event, lines, ruby_event
from tests.cli.running import clues

CHILD = "1" * 32


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log with two jobs."""
    path = tmp_path / "events.log"
    failed = event(
        "failed",
        3,
        attempt=2,
        _exception="shop.CardDeclined",
        _message="no funds\nat \x1b[2Jall",
        _backtrace=["/app/jobs.py:3:in `charge'", "caused by TimeoutError: slow"],
        _reason="lost",
        _reporter="pruner",
        _time_to_perform=0.5,
    )
    path.write_bytes(
        lines(
            *a_life(customer_id=7, _parent_event_hash="e" * 32),
            event("started", 2.5, attempt=2),
            failed,
            failed,
            event("enqueued", 1, event_hash=CHILD, worker_class="IndexOrder", _parent_event_hash=HASH),
        )
    )
    return path


def test_the_whole_story(log: Path) -> None:
    found = clues("trace", HASH[:8], log)
    assert found.returncode == 0
    assert [line.rstrip() for line in found.stdout.splitlines()] == [
        f"PdfGeneration  {HASH}",
        "  queue   pdf",
        "  args    [42]",
        f"  parent  enqueued by job eeeeeeee  {'e' * 32}",
        "",
        "attempt 1  finished  waited 500ms  ran 998ms",
        "  2020-09-13 12:26:40.000Z             enqueued   web-1:7",
        "             12:26:40.500Z     +500ms  dequeued   web-1:7",
        "             12:26:40.501Z     +1.0ms  started    web-1:7",
        "             12:26:41.500Z     +999ms  finished   web-1:7",
        "  added while it ran  pages=3",
        "",
        "attempt 2  failed  ran 500ms",
        "  2020-09-13 12:26:42.500Z             started    web-1:7",
        "             12:26:43.000Z     +500ms  failed     web-1:7",
        "  shop.CardDeclined: no funds",
        "    at \\x1b[2Jall",
        "    ended by lost, found by the pruner",
        "    /app/jobs.py:3:in `charge'",
        "    caused by TimeoutError: slow",
        "",
        "enqueued 1 job",
        "  11111111  IndexOrder  waiting",
        "",
        "1 copy of these events is not shown",
    ]
    assert found.stderr == f"read 8 events from {log}\n"


def test_a_job_of_another_system(tmp_path: Path) -> None:
    """Named by that system's id; attempts that are retried have not failed for good; its jobs are found by its hash."""
    log = tmp_path / "events.log"
    known: dict[str, Any] = {"_system": "celery", "_job_id": "3f2b8c1e-11"}
    log.write_bytes(
        lines(
            event("enqueued", 0, _scheduled_time=1_600_000_060.0, **known),
            event("dequeued", 60, _time_in_queue=0.0, **known),
            event("dequeued", 90, _redelivered=True, **known),
            event("failed", 91, _exception="Boom", _message="m", _retrying=True, _redelivered=True, **known),
            event("failed", 92, attempt=2, _exception="Boom", _message="m", **known),
            event("enqueued", 1, event_hash=CHILD, worker_class="IndexOrder", _parent_event_hash=HASH),
        )
    )
    found = clues("trace", "3f2b8c1e-11", log)
    assert [line.rstrip() for line in found.stdout.splitlines()] == [
        f"PdfGeneration  {HASH}",
        "  queue   pdf",
        "  celery  3f2b8c1e-11",
        "  args    [42]",
        "",
        "attempt 1  failed, will be retried  waited 0.0ms",
        "  2020-09-13 12:26:40.000Z             enqueued   web-1:7  due 12:27:40.000Z",
        "             12:27:40.000Z     +1m00s  dequeued   web-1:7",
        "             12:28:10.000Z     +30.0s  dequeued   web-1:7  delivered again",
        "             12:28:11.000Z     +1.00s  failed     web-1:7  will be retried",
        "  Boom: m",
        "",
        "attempt 2  failed",
        "  2020-09-13 12:28:12.000Z             failed     web-1:7",
        "  Boom: m",
        "",
        "enqueued 1 job",
        "  11111111  IndexOrder  waiting",
    ]
    assert found.stderr == f"read 6 events from {log}\n"
    assert json.loads(clues("trace", HASH, log, "--json").stdout)["job_id"] == "3f2b8c1e-11"


def test_the_story_as_json(log: Path) -> None:
    found = json.loads(clues("trace", HASH, log, "--json").stdout)
    assert [attempt["outcome"] for attempt in found["attempts"]] == ["finished", "failed"]
    assert found["attempts"][1]["failure"]["reason"] == "lost"
    assert found["children"] == [{"event_hash": CHILD, "worker_class": "IndexOrder", "outcome": "waiting"}]
    assert found["read"] == {"files": [str(log)], "events": 8, "bad_lines": 0}


def test_the_default_logs_rotated_siblings_are_read_too(log: Path) -> None:
    life = a_life()
    log.with_name("events.log.2.gz").write_bytes(gzip.compress(lines(*life[:2])))
    log.with_name("events.log.1").write_bytes(lines(life[2]) + b"torn\n")
    log.write_bytes(lines(life[3]))
    found = clues("trace", HASH[:6], environ={"CLUES_PUBLISHERS": f"log://{log}"})
    assert "attempt 1  finished" in found.stdout
    assert found.stdout.count("web-1:7") == 4
    assert f"read 4 events from {log}.2.gz, {log}.1, {log}, 1 line was no event" in found.stderr
    assert f"{log}.1:2: torn" in found.stderr


def test_rubys_whole_seconds_are_not_made_exact(tmp_path: Path) -> None:
    log = tmp_path / "ruby.log"
    log.write_bytes(lines(ruby_event("enqueued", "35"), ruby_event("dequeued", "37", _time_in_queue=1.6)))
    found = clues("trace", HASH[:8], log)
    assert "~2s  dequeued" in found.stdout
    assert "attempt 1  taken  waited 1.60s" in found.stdout


def test_an_unknown_hash_is_1(log: Path) -> None:
    found = clues("trace", "ffffff", log)
    assert found.returncode == 1
    assert "begins with 'ffffff'" in found.stderr
    assert found.stdout == ""


def test_an_ambiguous_hash_names_the_jobs(log: Path) -> None:
    other = HASH[:10] + "f" * 22
    log.write_bytes(lines(event("enqueued"), event("enqueued", event_hash=other)))
    found = clues("trace", HASH[:8], log)
    assert found.returncode == 1
    assert HASH in found.stderr
    assert other in found.stderr


def test_too_short_a_prefix_is_2(log: Path) -> None:
    assert clues("trace", HASH[:5], log).returncode == 2
