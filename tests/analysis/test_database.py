"""Event logs as a database: what the tables hold, whatever the files do."""

from __future__ import annotations

import gzip
import json
import os
import random
import threading
from pathlib import Path
from typing import Any

import pytest

from clues.analysis.database import Database
from clues.analysis.needs import EVERYTHING, needs
from clues.analysis.reader import Reader
from clues.analysis.sources import found
from clues.errors import ConfigError, LogFileError, QueryError
from clues.event import Event
from tests.analysis.made import HASH, a_life, event, lines, ruby_event
from tests.analysis.many import BAD_LINES, PASSED_OVER

pytestmark = pytest.mark.usefixtures("duckdb")


def ask(query: str, *paths: Path, needed: frozenset[str] | None = None) -> list[tuple[Any, ...]]:
    """What a query finds in files."""
    with Database() as database:
        database.load(paths, needed=needs(query) if needed is None else needed)
        return database.run(query)


def written(path: Path, *parts: bytes) -> Path:
    """A file of these."""
    path.write_bytes(b"".join(parts))
    return path


# the tables


def test_a_job_that_ends_well(tmp_path: Path) -> None:
    log = written(tmp_path / "x.log", lines(*a_life(customer={"id": 7}, _system="celery", _job_id="c-1")))
    columns = (
        "event_hash attempt system job_id worker_class queue outcome state retrying time_in_queue time_to_perform "
        "hostname process"
    )
    query = f"SELECT {', '.join(columns.split())}, metadata, args, ended_at - started_at FROM jobs"
    ((*values, metadata, args, ran),) = ask(query, log)
    assert dict(zip(columns.split(), values, strict=True)) == {
        "event_hash": HASH,
        "attempt": 1,
        "system": "celery",
        "job_id": "c-1",
        "worker_class": "PdfGeneration",
        "queue": "pdf",
        "outcome": "finished",
        "state": "finished",
        "retrying": False,
        "time_in_queue": 0.5,
        "time_to_perform": 0.998,
        "hostname": "web-1",
        "process": 7,
    }
    assert json.loads(metadata) == {"customer": {"id": 7}, "pages": 3}
    assert json.loads(args) == [42]
    assert ran.total_seconds() == pytest.approx(0.999)


@pytest.mark.parametrize(
    ("events", "state", "outcome"),
    [
        ([event("enqueued")], "waiting", None),
        ([event("enqueued"), event("dequeued", 1)], "taken", None),
        ([event("enqueued"), event("dequeued", 1), event("started", 1)], "running", None),
        ([event("failed", 1, _exception="E")], "failed", "failed"),
        ([event("failed", 1, _exception="E", _retrying=True)], "retrying", "failed"),
        ([event("enqueued"), event("destroyed", 1)], "destroyed", "destroyed"),
        ([event("finished"), event("dequeued", 2, _redelivered=True)], "finished", "finished"),
    ],
)
def test_how_far_an_attempt_is(events: list[Event], state: str, outcome: str | None, tmp_path: Path) -> None:
    log = written(tmp_path / "x.log", lines(*events))
    assert ask("SELECT state, outcome FROM jobs", log) == [(state, outcome)]


def test_copies_are_left_out(tmp_path: Path) -> None:
    """Also where they are in different files, or their ids were never written."""
    bare = [
        Event(e.event_type, e.timestamp, e.queue, {k: v for k, v in e.metadata.items() if k != "_event_id"}, "C", [])
        for e in a_life()
    ]
    first = written(tmp_path / "1.log", lines(*a_life(), *a_life()))
    second = written(tmp_path / "2.log", lines(*bare))
    with Database() as database:
        database.load([first, second])
        assert (database.read.events, database.read.copies) == (4, 8)
        assert database.run("SELECT count(*), count(DISTINCT event_type) FROM events") == [(4, 4)]


def test_what_is_delivered_again_is_no_copy(tmp_path: Path) -> None:
    again = [event("started", 5, _redelivered=True)] * 2
    log = written(tmp_path / "x.log", lines(*a_life()[:3], *again))
    assert ask("SELECT count(*), count(*) FILTER (redelivered) FROM events", log) == [(4, 1)]


def test_rubys_events(tmp_path: Path) -> None:
    """What follows an end is another attempt; twins of system keys are no metadata of the user's."""
    life = [
        ruby_event("enqueued", "01", customer=7),
        ruby_event("started", "01", customer=7),
        ruby_event("failed", "02", _exception="E", exception="E", _message="m", message="m", customer=7),
        ruby_event("enqueued", "05", message="own"),
        ruby_event("finished", "06", _time_to_perform=1.0, time_to_perform=1.0),
        ruby_event("finished", "06", _time_to_perform=1.0, time_to_perform=1.0),
    ]
    log = written(tmp_path / "x.log", lines(*life))
    query = "SELECT attempt, outcome, exception, time_to_perform, metadata FROM jobs ORDER BY attempt"
    assert ask(query, log) == [
        (1, "failed", "E", None, '{"customer":7}'),
        (2, "finished", None, 1.0, "{}"),
        (3, "finished", None, 1.0, "{}"),
    ]


def test_values_that_are_none(tmp_path: Path) -> None:
    """As the other commands read them: what is no time is no time."""
    odd: dict[str, Any] = {
        "_time_to_perform": "NaN",
        "_time_in_queue": -3,
        "_process": "x",
        "_retrying": "yes",
        "_enqueued_time": 1e99,
    }
    log = written(tmp_path / "x.log", lines(event("failed", **odd)))
    assert ask("SELECT time_to_perform, time_in_queue, process, retrying, enqueued_at FROM jobs", log) == [
        (None, None, None, False, None)
    ]


def test_clocks_that_differ(tmp_path: Path) -> None:
    """By how many seconds, as the event says it; of the others nothing."""
    log = written(tmp_path / "x.log", lines(event("enqueued", 0), event("dequeued", -2, _clock_skew=2.5)))
    query = "SELECT event_type, hostname, clock_skew FROM events WHERE clock_skew > 0"
    assert ask(query, log) == [("dequeued", "web-1", 2.5)]


def test_times_are_in_utc(tmp_path: Path) -> None:
    line = a_life()[0].line
    for old, new in (
        (b"2020-09-13T12:26:40.000000Z", at) for at in (b"2020-09-13T14:26:40+02:00", b"20200913T122640Z")
    ):
        log = written(tmp_path / "x.log", line.replace(old, new), b"\n")
        assert ask("SELECT timestamp::VARCHAR FROM events", log) == [("2020-09-13 12:26:40",)]


def test_nothing_is_loaded_that_no_query_names(tmp_path: Path) -> None:
    assert needs("DESCRIBE jobs") == frozenset()
    assert "metadata" not in needs("SELECT count(*) FROM jobs WHERE queue = 'pdf' AND time_in_queue > 3")
    assert {"queue", "time_in_queue"} <= needs("SELECT count(*) FROM jobs WHERE queue = 'pdf' AND time_in_queue > 3")
    assert "metadata" in needs("SELECT e FROM events AS e")
    assert needs("FROM events") >= EVERYTHING - {"identity", "event_hash"}
    log = written(tmp_path / "x.log", lines(*a_life(customer=7)))
    for query in ("SELECT metadata ->> 'customer' FROM jobs", "SELECT e.metadata ->> 'customer' FROM (FROM jobs) AS e"):
        assert ask(query, log) == [("7",)]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT count(*) FROM events e WHERE EXISTS (FROM jobs j WHERE j.job_id = e.job_id AND j.hostname = 'web-1')",
        "SELECT max(process) FROM events WHERE queue = 'pdf' AND worker_class LIKE 'P%' AND time_to_perform > 0.5",
        "WITH a AS MATERIALIZED (FROM jobs) SELECT x.message, y.reason FROM a x JOIN a y USING (queue) ORDER BY ALL",
        "SELECT j FROM jobs AS j ORDER BY event_hash",
        "SELECT COLUMNS('.*time.*') FROM jobs ORDER BY ALL",
        "SELECT event_hash FROM jobs ORDER BY time_to_perform DESC NULLS LAST LIMIT 1",
        "SELECT (SELECT max(exception) FROM jobs), (SELECT min(source) FROM events)",
        "SELECT worker_class, row_number() OVER (PARTITION BY queue ORDER BY ended_at) FROM jobs ORDER BY ALL",
        "SELECT queue FROM jobs UNION ALL SELECT hostname FROM events ORDER BY ALL",
        "SELECT metadata ->> 'customer' AS c FROM jobs GROUP BY ALL HAVING count(DISTINCT job_id) < 9 ORDER BY ALL",
        "PIVOT jobs ON state USING count(*) GROUP BY queue",
        "SUMMARIZE jobs",
        "FROM jobs SELECT event_hash, unnest([started_at, ended_at]) AS moment ORDER BY ALL",
    ],
)
def test_what_is_loaded_is_enough(query: str, tmp_path: Path) -> None:
    """The same rows as if all columns were."""
    failed = event("failed", 9, event_hash="f" * 32, _exception="E", _message="m", _reason="lost", customer=8)
    log = written(tmp_path / "x.log", lines(*a_life(customer=7, _job_id="a"), failed))
    assert ask(query, log) == ask(query, log, needed=EVERYTHING) != []


# what stands in files


def test_bad_torn_and_foreign_lines_are_counted(tmp_path: Path) -> None:
    """And what a torn line holds behind its tear is found."""
    whole = lines(*a_life())
    first, second, *_ = whole.splitlines(keepends=True)
    torn = first[:50] + lines(event("enqueued", event_hash="b" * 32))
    log = written(tmp_path / "x.log", *PASSED_OVER, whole, *BAD_LINES, torn, second[:80])
    with Database() as database:
        database.load([log])
        read = database.read
        assert (read.events, read.bad) == (5, len(BAD_LINES) + 2)
        assert [line.number for line in read.samples] == [8, 9, 10, 11, 12]
        assert read.samples[0].text == "garbage"
        assert "another" in read.samples[1].text
        assert database.run("SELECT count(*) FROM jobs") == [(2,)]


@pytest.mark.parametrize("ending", [b'{"event_type":"perf', b"", b"\n"])
def test_the_last_line_of_a_log_that_is_being_written(ending: bytes, tmp_path: Path) -> None:
    """One that is whole but for its newline is an event; of one that is not, the rest is not read for its sake."""
    whole = lines(*a_life())
    log = written(tmp_path / "x.log", whole, ending) if ending else written(tmp_path / "x.log", whole.rstrip())
    for _ in range(5):
        with Database() as database:
            database.load([log])
            assert (database.read.events, database.read.bad) == (4, int(len(ending) > 1))


@pytest.mark.parametrize("seed", range(6))
def test_any_lines_are_read_as_by_the_reader(seed: int, tmp_path: Path) -> None:
    """The same events, the same number of bad lines, whatever they are."""
    chosen = random.Random(seed)
    base = lines(*a_life())
    pieces = []
    for number in range(400):
        life = lines(
            *a_life(n=number, odd=chosen.choice(["\ud800", "\x00", float("nan"), "é", 10**30, {"_a": None}, [[]]]))
        )
        life = life.replace(HASH.encode(), f"{number:032x}".encode())
        noise = chosen.choice(
            [
                *BAD_LINES,
                *PASSED_OVER,
                b"",
                b"",
                base[: chosen.randrange(len(base))],
                os.urandom(20),
                b"\x0b\n",
                b"\x00\n",
            ]
        )
        pieces.append(life if chosen.random() < 0.6 else noise)
        if chosen.random() < 0.2:
            pieces[-1] = pieces[-1].replace(
                b'"args":[42]', chosen.choice([b'"args":{}', b'"arg":1', b'"args":[42],"more":1'])
            )
    log = written(tmp_path / "x.log", *pieces)
    reader = Reader()
    events = list(reader.read(log))
    with Database() as database:
        database.load([log])
        assert (database.read.events + database.read.copies, database.read.bad) == (len(events), reader.bad)
        assert database.read.samples == reader.samples
        times = sorted(e.metadata["_time_to_perform"] for e in events if "_time_to_perform" in e.metadata)
        assert database.run("SELECT count(*) FROM events WHERE time_to_perform IS NOT NULL")[0][0] <= len(times)


def test_many_bad_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clues.analysis.loading._MANY", 10)
    log = written(tmp_path / "x.log", b"foreign\n" * 50, lines(*a_life()), b"foreign\n" * 50)
    with Database() as database:
        database.load([log])
        assert (database.read.events, database.read.bad) == (4, 100)


def test_files_that_the_database_can_not_read(tmp_path: Path) -> None:
    """Gzip that is torn, or none; a line of many megabytes; each is read as far as it goes."""
    packed = gzip.compress(lines(*(event("enqueued", event_hash=f"{n:032x}") for n in range(5000))))
    torn = written(tmp_path / "torn.log.gz", packed[: len(packed) // 2])
    none = written(tmp_path / "none.log.gz", b"no gzip\n")
    long = written(tmp_path / "long.log", lines(event("enqueued", text="x" * 40_000_000), event("dequeued")))
    with Database() as database:
        database.load([torn, none, long])
        assert database.read.bad == 2
        assert 1000 < database.read.events < 5002
        assert database.run("SELECT count(*) FROM jobs WHERE attempt = 1 AND dequeued_at IS NOT NULL") == [(1,)]


def test_gzip_of_several_parts(tmp_path: Path) -> None:
    log = written(tmp_path / "x.log.gz", gzip.compress(lines(*a_life()[:2])), gzip.compress(lines(*a_life()[2:])))
    assert ask("SELECT count(*) FROM events", log) == [(4,)]


def test_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=[lines(*a_life())])
    writer.start()
    assert ask("SELECT count(*) FROM events", pipe) == [(4,)]
    writer.join()


def test_nothing(tmp_path: Path) -> None:
    empty = written(tmp_path / "empty.log")
    with Database() as database:
        database.load([empty])
        assert database.run("SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM jobs)") == [(0, 0)]


def test_names_that_look_like_patterns(tmp_path: Path) -> None:
    log = written(tmp_path / "a[1]*?'.log", lines(*a_life()))
    assert ask("SELECT DISTINCT source FROM events", log) == [(str(log),)]


# which files


def test_patterns_folders_and_rotated_sets(tmp_path: Path) -> None:
    names = ["x.log", "x.log.1", "x.log.2.gz", "deep/y.log"]
    (tmp_path / "deep").mkdir()
    files = {name: written(tmp_path / name) for name in names}
    assert found([tmp_path / "x.log"]) == [files["x.log"]]
    assert found([tmp_path / "x.log"], rotated=True) == [files["x.log.2.gz"], files["x.log.1"], files["x.log"]]
    assert found([tmp_path / "**/*.log", tmp_path / "x.log"]) == [files["deep/y.log"], files["x.log"]]
    spool = tmp_path / "spool"
    (spool / "destinations").mkdir(parents=True)
    assert found([spool]) == []
    segments = [written(spool / f"{number:020d}.jsonl") for number in (3, 20)]
    written(spool / "counts")
    assert found([spool]) == segments


@pytest.mark.parametrize("name", ["missing.log", "*.none", "."])
def test_files_that_are_not_there(name: str, tmp_path: Path) -> None:
    with pytest.raises(LogFileError, match="can't read the event log"):
        found([tmp_path / name])


# queries


@pytest.mark.parametrize(
    "query",
    [
        "FROM read_text('/etc/hostname')",
        "SELECT * FROM '/etc/hostname'",
        "SELECT * FROM glob('/*')",
        "COPY events TO '/tmp/out.csv'",
        "COPY (SELECT 1) TO '/tmp/out.csv'",
        "ATTACH '/tmp/x.db'",
        "INSTALL httpfs",
        "DELETE FROM loaded.lines",
        "CREATE TABLE x AS SELECT 1",
        "SET enable_external_access = true",
        "SELECT 1; SELECT 2",
        "SELECT 1) TO '/tmp/out.csv'; --",
        "",
    ],
)
def test_a_query_does_nothing_but_read_the_tables(query: str, tmp_path: Path) -> None:
    with pytest.raises(QueryError):
        needs(query)
    with Database() as database:
        database.load([written(tmp_path / "x.log")])
        with pytest.raises(QueryError):
            database.write(query, "csv")
    assert not Path("/tmp/out.csv").exists()


def test_a_query_that_fails_later_reaches_no_file_either(tmp_path: Path) -> None:
    """A name that is only known when the query runs."""
    with Database() as database:
        database.load([written(tmp_path / "x.log", lines(*a_life()))])
        for query in ("SELECT * FROM read_text((SELECT '/etc/hostname'))", "SELECT getenv('HOME')"):
            with pytest.raises(QueryError):
                database.run(query)


def test_what_is_written(tmp_path: Path) -> None:
    with Database() as database:
        database.load([written(tmp_path / "x.log", lines(*a_life(note='a, "b"\nc')))])
        query = "SELECT event_type, metadata, NULL AS nothing FROM events ORDER BY timestamp LIMIT 1 -- the first ;"
        (row,) = json.loads(database.write(query, "json").read_text())
        assert row == {"event_type": "enqueued", "metadata": {"note": 'a, "b"\nc'}, "nothing": None}
        assert database.write(query, "csv").read_text().startswith("event_type,metadata,nothing\nenqueued,")
        assert database.write(query, "parquet").read_bytes().startswith(b"PAR1")
    assert not database._folder.exists()


def test_little_memory_is_enough(tmp_path: Path) -> None:
    """What does not fit is put on disk meanwhile."""
    from tests.analysis.many import lines as many

    log = written(tmp_path / "x.log", *many(20_000))
    with Database(memory="96MB", threads=1) as database:
        database.load([log])
        assert database.run("SELECT count(*) > 20000 FROM jobs") == [(True,)]


def test_no_such_size(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="much"):
        Database(memory="much")


def test_progress(tmp_path: Path) -> None:
    files = [written(tmp_path / name, lines(*a_life())) for name in ("1.log", "2.log")]
    told: list[int] = []
    with Database() as database:
        database.load(files, progress=told.append)
    assert sum(told) == sum(file.stat().st_size for file in files)
