"""``clues query``."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import signal
from pathlib import Path

import pytest

from tests.analysis.made import a_life, event, lines
from tests.analysis.many import lines as many
from tests.cli.running import clues, read_to_end, start, start_in_terminal

pytestmark = pytest.mark.usefixtures("duckdb")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "events.log"
    path.write_bytes(lines(*a_life(order_id=4711)) + b"garbage\n")
    return path


def test_a_table_with_what_was_read(log: Path) -> None:
    done = clues("query", "SELECT worker_class, state, time_to_perform FROM jobs", log)
    assert (done.returncode, done.stdout) == (
        0,
        "worker_class   state     time_to_perform\nPdfGeneration  finished            0.998\n",
    )
    assert done.stderr.splitlines() == [f"read 4 events from {log}, 1 line was no event", f"  {log}:5: garbage"]


def test_json_and_csv(log: Path) -> None:
    query = "SELECT queue, metadata FROM jobs WHERE metadata ->> 'order_id' = '4711'"
    assert json.loads(clues("query", query, log, "--json").stdout) == [
        {"queue": "pdf", "metadata": {"order_id": 4711, "pages": 3}}
    ]
    rows = list(csv.reader(io.StringIO(clues("query", query, log, "--format", "csv").stdout)))
    assert [rows[0], rows[1][0], json.loads(rows[1][1])] == [
        ["queue", "metadata"],
        "pdf",
        {"order_id": 4711, "pages": 3},
    ]


def test_a_file(log: Path, tmp_path: Path) -> None:
    """Its name says what it is."""
    out = tmp_path / "jobs.parquet"
    assert clues("query", "FROM jobs;", log, "--out", out).returncode == 0
    assert out.read_bytes()[:4] == b"PAR1"
    assert clues("query", "FROM jobs", log, "--out", tmp_path / "jobs.txt").returncode == 2


def test_rotated_sets_patterns_and_spools(log: Path, tmp_path: Path) -> None:
    (tmp_path / "events.log.1.gz").write_bytes(gzip.compress(lines(event("enqueued", event_hash="b" * 32))))
    spool = tmp_path / "spool"
    spool.mkdir()
    (spool / f"{1:020d}.jsonl").write_bytes(lines(event("enqueued", event_hash="c" * 32)))
    count = "SELECT count(*) AS n FROM jobs"
    for given, jobs in (
        ([log], 1),
        ([log, "--rotated"], 2),
        ([f"{log}*"], 2),
        ([f"{log}*", spool], 3),
        ([tmp_path / "*.log.*.gz"], 1),
    ):
        assert json.loads(clues("query", count, *given, "--json").stdout) == [{"n": jobs}]
    done = clues("query", count, "--json", environ={"CLUES_PUBLISHERS": f"log://{log}"})
    assert json.loads(done.stdout) == [{"n": 2}]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("SELECT nonsense FROM jobs", 'Referenced column "nonsense" not found'),
        ("SELEC 1", "syntax error"),
        ("DROP VIEW jobs", "events are there to be read"),
        ("SELECT 1; SELECT 2", "give one statement, not 2"),
        ("FROM read_text('/etc/hostname')", "Cannot access file"),
        ("COPY jobs TO 'x.csv'", "events are there to be read"),
    ],
)
def test_mistakes_are_told_before_anything_is_read(query: str, told: str, tmp_path: Path) -> None:
    done = clues("query", query, tmp_path / "missing.log", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert "read 0" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_place_of_a_mistake() -> None:
    *_, line, mark = clues("query", "SELECT\n  nonsense\nFROM jobs").stderr.splitlines()
    assert line[mark.index("^") :] == "nonsense"


def test_a_failure_while_it_runs(log: Path) -> None:
    done = clues("query", "SELECT worker_class::INT FROM jobs", log)
    assert done.returncode == 1
    assert "Could not convert string 'PdfGeneration'" in done.stderr


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    done = clues("query", "FROM jobs", tmp_path / "missing.log")
    assert (done.returncode, done.stdout) == (1, "")
    assert "can't read the event log" in done.stderr


def test_a_schema_needs_no_log() -> None:
    done = clues("query", "DESCRIBE jobs", "--json", environ={"CLUES_PUBLISHERS": "log:///dev/null"})
    assert [row["column_name"] for row in json.loads(done.stdout)][:2] == ["event_hash", "attempt"]


def test_hostile_text_does_nothing_to_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "x.log").write_bytes(lines(event("enqueued", worker_class="\x1b]0;owned\x07[red]")))
    shell, terminal = start_in_terminal(["query", "SELECT worker_class FROM jobs", tmp_path / "x.log"])
    shown = read_to_end(terminal)
    shell.wait()
    assert "\x1b]0;" not in shown
    assert "\\x1b]0;owned\\x07[red]" in shown


@pytest.mark.parametrize("to", [(), ("--out", "{folder}/x.csv")], ids=["piped", "file"])
def test_csv_that_nobody_looks_at_is_as_it_is(tmp_path: Path, to: tuple[str, ...]) -> None:
    hostile = "\x1b]0;owned\x07\x9b31m\u202etxt"
    (tmp_path / "x.log").write_bytes(lines(event("enqueued", worker_class=hostile)))
    more = [part.format(folder=tmp_path) for part in to]
    done = clues("query", "SELECT worker_class FROM jobs", tmp_path / "x.log", "--format", "csv", *more)
    assert ((tmp_path / "x.csv").read_text() if to else done.stdout) == f"worker_class\n{hostile}\n"


def test_a_backtrace_that_is_a_bare_text(tmp_path: Path) -> None:
    """As others than clues may write it."""
    (tmp_path / "x.log").write_bytes(lines(event("failed", _backtrace="no list", _truncated="")))
    for table in ("events", "jobs"):
        done = clues("query", f"SELECT backtrace FROM {table}", tmp_path / "x.log", "--json")
        assert json.loads(done.stdout) == [{"backtrace": "no list"}]


def test_rows_that_are_too_wide_for_a_terminal(log: Path) -> None:
    """Column by column."""
    shell, terminal = start_in_terminal(["query", "FROM jobs", log])
    shown = read_to_end(terminal)
    shell.wait()
    assert "row 1" in shown
    assert "time_to_perform" in shown


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_an_end_by_a_signal_leaves_nothing_behind(tmp_path: Path, number: int, status: int) -> None:
    log = tmp_path / "x.log"
    log.write_bytes(b"".join(many(2_000)))
    endless = "SELECT count(*) FROM events a, events b, events c, events d"
    process = start("query", endless, log, environ={"TMPDIR": str(tmp_path)})
    assert process.stdout is not None
    assert b"read " in process.stdout.readline()
    os.kill(process.pid, number)
    assert process.wait(60) == status
    assert b"Traceback" not in process.stdout.read()
    assert [path.name for path in tmp_path.iterdir()] == ["x.log"]
    process.stdout.close()


def test_the_extra_is_named_where_it_is_missing(tmp_path: Path) -> None:
    (tmp_path / "duckdb.py").write_text("raise ImportError")
    done = clues(
        "query", "FROM jobs", environ={"PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])}
    )
    assert done.returncode == 1
    assert "pip install 'clues[analysis]'" in done.stderr


def test_help_shows_examples() -> None:
    assert "quantile_disc" in clues("query", "--help").stdout
