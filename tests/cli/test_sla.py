"""``clues sla``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.analysis.made import event, lines
from tests.cli.running import clues

pytestmark = pytest.mark.usefixtures("duckdb")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A hundred jobs, that ran 1 … 100 seconds; one failed."""
    path = tmp_path / "events.log"
    ends = [
        event("failed" if n == 100 else "finished", n, event_hash=f"{n:032x}", _time_to_perform=float(n), plan="pro")
        for n in range(1, 101)
    ]
    path.write_bytes(lines(*ends))
    return path


@pytest.mark.parametrize(
    ("promise", "code", "found"),
    [
        ("time_to_perform p95 <= 95s", 0, "1m35s"),
        ("time_to_perform p95 < 95s", 1, "1m35s"),
        ("time_to_perform p99.5 <= 1.7m", 0, "1m40s"),
        ("class=Pdf* queue=pdf system=resque time_to_perform max < 2m", 0, "1m40s"),
        ("metadata.plan=pro time_to_perform mean <= 50.5", 0, "50.5s"),
        ("metadata.plan!=pro time_to_perform mean <= 50.5", 1, "-"),
        ("failure_ratio < 1%", 1, "1.000%"),
        ("failure_ratio <= 0.01", 0, "1.000%"),
        ("failed < 2", 0, "1"),
        ("finished >= 99", 0, "99"),
    ],
)
def test_verdicts(promise: str, code: int, found: str, log: Path) -> None:
    done = clues("sla", promise, log)
    assert done.returncode == code
    assert done.stdout.splitlines()[1].split()[-2] == found


def test_no_data_keeps_no_promise_unless_it_may(log: Path) -> None:
    promise = "queue=mailers time_in_queue p95 < 30s"
    done = clues("sla", promise, log, "--json")
    assert done.returncode == 1
    (verdict,) = json.loads(done.stdout)["promises"]
    assert (verdict["outcome"], verdict["value"], verdict["jobs"]) == ("no data", None, 0)
    assert clues("sla", promise, log, "--allow-no-data").returncode == 0


def test_json(log: Path) -> None:
    done = clues("sla", "time_to_perform p50 < 1m", "failed < 1", log, "--since", "2020-09-13T12:26:50Z", "--json")
    told = json.loads(done.stdout)
    assert told["kept"] is False
    assert [(one["outcome"], one["value"], one["jobs"]) for one in told["promises"]] == [
        ("kept", 55.0, 91),
        ("broken", 1.0, 91),
    ]
    assert told["read"]["events"] == 100


@pytest.mark.parametrize(
    ("promise", "told", "place"),
    [
        ("que=mailers failed < 1", "no field 'que'", "que"),
        ("time_in_queue < 30s", "which of the times?", "< 30s"),
        ("time_in_queue p0 < 30s", "which of the times?", "p0"),
        ("time_in_queue p95 < 30 seconds", "the promise ends before this", "seconds"),
        ("time_in_queue p95 < 30w", "no unit of time 'w'", "w"),
        ("time_in_queue p95 30s < 3", "a comparison", "30s"),
        ("failure_ratio < 200%", "is a share", "200%"),
        ("failed < 3s", "a number of jobs", "s"),
        ('queue="mailers failed < 1', "a quote that is not closed", '"mailers'),
        ("queue= failed < 1", "is to be what?", " failed"),
        ("time_in_queue p95 <", "a number is to follow", ""),
        ("< 3", "what is measured?", "< 3"),
        ("speed < 3", "what is measured?", "speed"),
    ],
)
def test_mistakes_point_at_the_place(promise: str, told: str, place: str) -> None:
    done = clues("sla", promise)
    assert done.returncode == 2
    message, shown, mark = done.stderr.splitlines()
    assert told in message
    assert shown == f"  {promise}"
    assert shown[mark.index("^") :].startswith(place)


def test_only_files(log: Path) -> None:
    assert clues("sla", log).returncode == 2
