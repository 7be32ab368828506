"""What the page knows of the past: read from logs and spools, followed, searched, counted."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clues.analysis.stats import percentile
from clues.event import Event
from clues.publishers.spool import Spool
from clues.web import charts, finding, job
from clues.web.history import History
from tests.analysis.made import ruby_event
from tests.waiting import wait_for
from tests.web.worlds import HOSTILE, life, write

AT = 1_700_000_000.0
Reading = Callable[..., History]


@pytest.fixture
def reading() -> Iterator[Reading]:
    """Reads files to their ends, then follows them."""
    begun: list[History] = []

    def read(*paths: Path, **given: Any) -> History:
        history = History(paths, **given)
        begun.append(history)
        history.start()
        wait_for(lambda: not history.standing().loading, "the files' ends")
        return history

    yield read
    for history in begun:
        history.close()


def found(history: History, query: str = "", now: float = AT + 100) -> list[str]:
    """The numbers of the jobs that a query finds."""
    wanted = finding.understood(query, now=now)
    assert not wanted.problems, wanted.problems
    return [str(int(row["hash"], 16)) for row in finding.found(history.archive, wanted)["jobs"]]


def test_a_log_with_all_that_it_was_rotated_into(reading: Reading, tmp_path: Path) -> None:
    log = tmp_path / "events.log"
    with gzip.open(tmp_path / "events.log.2.gz", "wb") as old:
        old.write(b"".join(event.line + b"\n" for event in life(1, AT)))
    write(tmp_path / "events.log.1", life(2, AT + 1))
    write(log, life(3, AT + 2))
    history = reading(log)
    assert found(history) == ["3", "2", "1"]
    assert history.standing().events == 12


def test_what_comes_is_followed_through_rotation(reading: Reading, tmp_path: Path) -> None:
    heard: list[Event] = []
    log = write(tmp_path / "events.log", life(1, AT))
    history = reading(log, heard=heard.extend)
    write(log, life(2, AT + 1))
    wait_for(lambda: found(history) == ["2", "1"], "the second job")
    log.rename(tmp_path / "events.log.1")
    write(log, life(3, AT + 2))
    wait_for(lambda: found(history) == ["3", "2", "1"], "the third job")
    assert [event.args for event in heard] == [[2]] * 4 + [[3]] * 4  # the first was there before


def test_a_log_that_comes_later(reading: Reading, tmp_path: Path) -> None:
    history = reading(tmp_path / "events.log")
    assert found(history) == []
    write(tmp_path / "events.log", life(1, AT))
    wait_for(lambda: found(history) == ["1"], "the job")


def test_a_spool_segment_after_segment(reading: Reading, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    spool.make()
    spool.begin(after=0)
    first = spool.segments()[0]
    write(first.path, life(1, AT))
    history = reading(tmp_path / "spool")
    assert found(history) == ["1"]
    spool.begin(after=first.number)
    write(spool.segments()[-1].path, life(2, AT + 1))
    wait_for(lambda: found(history) == ["2", "1"], "the next segment")


def test_lines_that_are_no_events_are_counted(reading: Reading, tmp_path: Path) -> None:
    log = write(tmp_path / "events.log", life(1, AT))
    with log.open("ab") as stream:
        stream.write(b'# a comment\nnonsense\n{"event_type":"enq' + life(2, AT)[0].line + b"\n\xff\xfe\n")
        stream.write(b'{"event_type":"enqueued","timestamp":"half')
    history = reading(log)
    assert sorted(found(history)) == ["1", "2"]
    assert history.standing().bad == 3
    assert history.standing().trouble == ""


def test_only_the_newest_events_are_kept(reading: Reading, tmp_path: Path) -> None:
    log = tmp_path / "events.log"
    write(log, (event for number in range(3000) for event in life(number, AT + number)))
    history = reading(log, most=4000)
    (row,) = history.archive.ask("SELECT count(*) AS count, min(last) AS first FROM jobs")
    assert 1000 <= row["count"] <= 1200
    assert found(history)[0] == "2999"
    told = job.told(history, f"{5:032x}", everywhere=True)  # it is in the file all the same
    assert told is not None
    assert told["args"] == "[\n  5\n]"


def test_copies_count_once(reading: Reading, tmp_path: Path) -> None:
    log = tmp_path / "events.log"
    write(log, [*life(1, AT), *life(1, AT)])
    history = reading(log)
    (row,) = charts.classes(history.archive, AT, AT + 10)
    assert (row["count"], row["finished"]) == (1, 1)
    counts = history.counts()
    assert counts is not None
    assert next(numbers for known in counts.series.values() for (numbers, *_) in known.values()) == 1


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]])
def test_events_in_any_order_make_the_same_job(reading: Reading, tmp_path: Path, order: list[int]) -> None:
    events = life(1, AT, "failed")
    history = reading(write(tmp_path / "events.log", [events[place] for place in order]))
    (row,) = finding.found(history.archive, finding.understood(""))["jobs"]
    shown = {
        name: row[name] for name in ("state", "enqueued", "started", "ended", "queue_time", "run_time", "exception")
    }
    assert shown == {
        "state": "failed", "enqueued": AT, "started": AT + 1, "ended": AT + 3, "queue_time": 1.0, "run_time": 2.0,
        "exception": "TimeoutError",
    }  # fmt: skip


def test_rubys_attempts(reading: Reading, tmp_path: Path) -> None:
    """They have no numbers: what follows an end is another."""
    events = [
        ruby_event("enqueued", "01"),
        ruby_event("failed", "02", _exception="RuntimeError"),
        ruby_event("enqueued", "03"),
        ruby_event("finished", "04"),
    ]
    history = reading(write(tmp_path / "events.log", events))
    rows = finding.found(history.archive, finding.understood(""))["jobs"]
    assert [(row["attempt"], row["state"]) for row in rows] == [(2, "finished"), (1, "failed")]


@pytest.fixture
def several(reading: Reading, tmp_path: Path) -> History:
    return reading(
        write(
            tmp_path / "events.log",
            [
                *life(1, AT, metadata={"customer_id": 42, "plan": "pro", "paid": True, "a b": 'x "y" \\z'}),
                *life(2, AT + 10, "failed", worker_class="ChargeCard", queue="payments", ran=30.0),
                *life(3, AT + 20, "retrying", worker_class="Billing::Charge", metadata={"_job_id": "task-17"}),
                *life(4, AT + 30, "running", waited=9.0, metadata={"customer_id": 4200, "note": "100% _sure_"}),
                *life(
                    5, AT + 40, worker_class=HOSTILE, queue=HOSTILE, metadata={"x": HOSTILE, HOSTILE: 1, "s": "\ud800"}
                ),
            ],
        )
    )


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "5 2 4 3 1"),
        ("class:ChargeCard", "2"),
        ("class:Charge*", "2"),
        ("class:Billing::Charge", "3"),
        ("queue:payments", "2"),
        ("state:failed", "2"),
        ("state:running", "4"),
        ("customer_id:42", "1"),
        ("customer_id:4200", "4"),
        ("plan:pro paid:true", "1"),
        ("plan:free", ""),
        ('"a b:x \\"y\\" \\\\z"', ""),
        ("error:timeout", "2 3"),
        ("error:slow", "2 3"),
        ("slower:10s", "2"),
        ("waited:5s", "4"),
        ("since:75s", "5 2 4"),
        ("until:2023-11-14T22:13:25+00:00", "1"),
        ("id:task-17", "3"),
        ("task-17", "3"),
        (f"hash:{2:032x}", "2"),
        ("charge", "2 3"),
        ("100%", "4"),
        ("_sure_", "4"),
        ("onerror", "5"),
        ("' OR 1=1 --", ""),
        ("x':1", ""),
        ("*", ""),
        ('"unclosed', ""),
        ("nothing-like-it", ""),
    ],
)
def test_what_is_looked_for(several: History, query: str, expected: str) -> None:
    assert found(several, query) == expected.split()


@pytest.mark.parametrize("query", ["state:nonsense", "since:nonsense", "slower:x", "until:2026-99-99"])
def test_what_is_not_understood_is_said(query: str) -> None:
    assert finding.understood(query).problems


def test_pages_follow_each_other(reading: Reading, tmp_path: Path) -> None:
    """Also where many jobs ended at the same moment."""
    log = tmp_path / "events.log"
    write(log, (event for number in range(120) for event in life(number, AT + number // 100)))
    history = reading(log)
    rows: list[dict[str, Any]] = []
    page = finding.found(history.archive, finding.understood(""))
    while True:
        rows.extend(page["jobs"])
        if page["next"] is None:
            break
        last, _, number = page["next"].partition(",")
        page = finding.found(history.archive, finding.understood(""), (float(last), int(number)))
    assert len({row["hash"] for row in rows}) == len(rows) == 120


def test_a_job_with_all_that_it_enqueued(reading: Reading, tmp_path: Path) -> None:
    def child(number: int, of: int, kind: str = "finished", attempt: int = 1) -> list[Event]:
        return life(number, AT + number, kind, attempt=attempt, metadata={"_parent_event_hash": f"{of:032x}"})

    history = reading(
        write(
            tmp_path / "events.log",
            [*life(1, AT), *child(2, 1, "retrying"), *child(2, 1, attempt=2), *child(3, 2), *child(4, 1), *child(1, 3)],
        )
    )
    told = job.told(history, f"{1:032x}")
    assert told is not None
    assert [(int(one["hash"], 16), one["depth"]) for one in told["descendants"]] == [(2, 1), (3, 2), (4, 1)]
    assert [(one["attempt"], one["state"]) for one in told["descendants"][:2]] == [(2, "finished"), (1, "finished")]
    assert [one["state"] for one in told["descendants"][0]["attempts"]] == ["retrying", "finished"]
    assert [step["type"] for step in told["attempts"][0]["steps"]] == ["enqueued", "dequeued", "started", "finished"]
    assert job.told(history, "f" * 32) is None


def test_numbers_that_a_browser_can_not_hold_are_shown_whole(reading: Reading, tmp_path: Path) -> None:
    args = [12345678901234567890123, 1e400, "\ud800"]
    line = life(1, AT, args=[1])[0].line.replace(b'"args":[1]', b'"args":[12345678901234567890123,1e400,"\\ud800"]')
    log = tmp_path / "events.log"
    log.write_bytes(line + b"\n")
    told = job.told(reading(log), f"{1:032x}")
    assert told is not None
    assert str(args[0]) in told["args"]


def test_charts_are_what_an_independent_computation_gives(reading: Reading, tmp_path: Path) -> None:
    dice = random.Random(7)
    ended: list[tuple[float, str, float, float]] = []

    def lives() -> Iterator[Event]:
        for number in range(2000):
            at, waited, ran = AT + dice.random() * 3000, round(dice.expovariate(1), 6), round(dice.expovariate(0.2), 6)
            kind = dice.choice(["finished"] * 8 + ["failed", "retrying"])
            ended.append((at + waited + ran, kind, waited, ran))
            yield from life(number, at, kind, waited=waited, ran=ran, worker_class=dice.choice("AB"))

    history = reading(write(tmp_path / "events.log", lives()))
    series = charts.charts(history.archive, AT, AT + 3600)
    width, start = series["width"], series["start"]
    assert sum(series["enqueued"]) == 2000
    for slot, begin in enumerate(series["times"]):
        assert begin == start + slot * width
        there = [one for one in ended if begin <= round(one[0], 6) < begin + width]
        for kind in ("finished", "failed", "retrying"):
            assert series[kind][slot] == sum(one[1] == kind for one in there)
        for percent in (50, 95, 99):
            assert series["run_time"][f"p{percent}"][slot] == percentile([one[3] for one in there], percent)
            assert series["queue_time"][f"p{percent}"][slot] == percentile([one[2] for one in there], percent)
    rows = charts.classes(history.archive, AT, AT + 7200)
    assert sum(row["count"] for row in rows) == 2000
    only = charts.charts(history.archive, AT, AT + 3600, "A")
    assert sum(only["enqueued"]) < 2000
