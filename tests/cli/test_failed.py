"""``clues failed`` on a real Redis: what is shown, and what is retried and removed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from clues.cli import progress
from clues.resque import times
from tests.cli.running import clues, read_to_end, start_in_terminal

Redis: TypeAlias = Any  # redis-py's types allow for clients that decode, at every answer
Run: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]

FAILED = "resque:failed"
HASH = "0123456789abcdef0123456789abcdef"
NASTY = "\x1b[2J\u202e"


@pytest.fixture
def environ(redis_url: str) -> dict[str, str]:
    return {"REDIS_URL": redis_url}


@pytest.fixture
def run(environ: Mapping[str, str]) -> Run:
    """``clues failed`` with these arguments."""
    return lambda *args: clues("failed", *args, environ=environ)


def entry(number: int, *, age: float = 0, retried: bool = False, **fields: Any) -> str:
    """A failure's text."""
    at = times.failed_at(time.time() - age)
    found = {
        "failed_at": at,
        "payload": {"class": fields.pop("worker_class", "Charge"), "args": [number]},
        "exception": "CardDeclined",
        "error": "insufficient funds\nreally",
        "backtrace": ["jobs.py:1:in `perform'"],
        "worker": "web-1:42:payments",
        "queue": "payments",
        **fields,
        **({"retried_at": at} if retried else {}),
    }
    return json.dumps(found)


def left(redis: Redis, name: str = FAILED) -> list[int]:
    """Which failures a list holds."""
    return [json.loads(raw)["payload"]["args"][0] for raw in redis.lrange(name, 0, -1)]


def queued(redis: Redis, queue: str = "payments") -> list[int]:
    """Which jobs a queue holds."""
    return [json.loads(raw)["args"][0] for raw in redis.lrange(f"resque:queue:{queue}", 0, -1)]


def listed(run: Run, *args: str) -> list[dict[str, Any]]:
    """What ``list --json`` gives."""
    return [json.loads(line) for line in run("list", "--json", *args).stdout.splitlines()]


# looking


def test_the_newest_are_listed_first(run: Run, redis: Redis) -> None:
    redis.rpush(FAILED, *(entry(number) for number in range(30)))
    found = run("list")
    head, *lines = found.stdout.splitlines()
    assert found.returncode == 0
    assert head.split() == ["index", "id", "failed", "at", "class", "queue", "retried", "error"]
    assert [int(line.split()[0]) for line in lines] == list(range(29, 9, -1))
    assert lines[0].endswith("CardDeclined: insufficient funds")
    assert "10 older ones are not shown" in found.stderr
    assert len(run("list", "--all").stdout.splitlines()) == 31
    assert len(run("list", "--limit", "3").stdout.splitlines()) == 4


def test_json_has_a_line_for_each(run: Run, redis: Redis) -> None:
    redis.rpush(FAILED, entry(7, retried=True), entry(8))
    unmarked, marked = listed(run)
    assert (unmarked["index"], marked["index"]) == (1, 0)
    assert (unmarked["retried_at"], bool(marked["retried_at"])) == (None, True)
    assert {key: marked[key] for key in ("list", "class", "queue", "exception", "error", "worker", "event_hash")} == {
        "list": "failed",
        "class": "Charge",
        "queue": "payments",
        "exception": "CardDeclined",
        "error": "insufficient funds\nreally",
        "worker": "web-1:42:payments",
        "event_hash": None,
    }


@pytest.mark.parametrize(
    ("args", "found"),
    [
        (["--class", "Charge"], [3, 1, 0]),
        (["--class", "Charge", "--class", "Mail"], [3, 2, 1, 0]),
        (["--queue", "mail"], [2]),
        (["--exception", "Net::Timeout"], [3, 2]),
        (["--since", "90m"], [3, 2]),
        (["--until", "90m", "--since", "2.5h"], [1]),
        (["--until", "1w"], []),
        (["--retried"], [1]),
        (["--not-retried", "--limit", "2"], [3, 2]),
        (["--since", "2000-01-01", "--until", "2000-01-02T00:00Z"], []),
    ],
)
def test_filters(run: Run, redis: Redis, args: list[str], found: list[int]) -> None:
    redis.rpush(
        FAILED,
        entry(0, age=3 * 3600),
        entry(1, age=2 * 3600, retried=True),
        entry(2, age=3600, worker_class="Mail", queue="mail", exception="Net::Timeout"),
        entry(3, exception="Net::Timeout"),
    )
    assert [each["index"] for each in listed(run, *args)] == found
    assert run("list", *args).returncode == int(not found)


def test_nothing_harms_the_terminal(run: Run, redis: Redis) -> None:
    odd = entry(1, exception=NASTY, error=NASTY + "password=hunter2", queue=NASTY, worker=NASTY, mail=NASTY).replace(
        "mail", "\\u001b[2J"
    )
    redis.rpush(FAILED, odd, f"no JSON {NASTY}", b"\xff", "[]", json.dumps({"payload": 7, "backtrace": 7, "error": 7}))
    shown = [run("list"), *(run("show", str(index)) for index in range(5))]
    for found in shown:
        assert found.returncode == 0
        assert not any(character in found.stdout + found.stderr for character in NASTY if not character.isprintable())
    assert "hunter2" not in shown[0].stdout
    assert "no JSON" in shown[2].stdout


def test_all_of_one(run: Run, redis: Redis) -> None:
    payload = {"class": "Charge", "args": [1], "clues_metadata": {"_event_hash": HASH}}
    redis.rpush(FAILED, entry(1, payload=payload, age=3700))
    shown = run("show", "0").stdout
    for part in ("Charge", "CardDeclined: insufficient funds\nreally", "jobs.py:1:in `perform'", HASH, "1h01m ago"):
        assert part in shown
    told = json.loads(run("show", "0", "--json").stdout)
    assert told["entry"] == json.loads(redis.lindex(FAILED, 0))
    assert told == json.loads(run("show", told["id"], "--json").stdout)


def test_what_there_is_not(run: Run, redis: Redis) -> None:
    for args in (["list"], ["show", "0"], ["show", "bcdfghjk"], ["show", HASH], ["show", "9" * 40], ["list", "--json"]):
        found = run(*args)
        assert (found.returncode, found.stdout) == (1, "")
        assert found.stderr.startswith("clues: ")


# several lists


@pytest.fixture
def by_queue(redis: Redis) -> None:
    """What Resque's multi-queue backend makes."""
    redis.sadd("resque:failed_queues", "a_failed", "b_failed")
    redis.rpush("resque:a_failed", entry(1, age=300), entry(2, age=100))
    redis.rpush("resque:b_failed", entry(3, age=200))


@pytest.mark.usefixtures("by_queue")
def test_lists_by_queue_are_found(run: Run, redis: Redis) -> None:
    """And shown together, by age."""
    found = listed(run)
    assert [(each["list"], each["index"]) for each in found] == [("a_failed", 1), ("b_failed", 0), ("a_failed", 0)]
    assert "a_failed" in run("list").stdout
    assert [each["list"] for each in listed(run, "--list", "b")] == ["b_failed"]
    assert [each["list"] for each in listed(run, "--list", "b_failed")] == ["b_failed"]
    assert run("list", "--list", "c").returncode == 2


@pytest.mark.usefixtures("by_queue")
def test_an_index_that_could_mean_two_is_refused_and_an_id_is_not(run: Run, redis: Redis) -> None:
    assert run("retry", "0").returncode == 2
    assert "a_failed, b_failed" in run("show", "0").stderr.replace("\n", "")
    assert run("retry", "0", "--list", "b").returncode == 0
    assert run("remove", listed(run, "--list", "a")[0]["id"]).stdout == "removed 1\n"
    assert queued(redis) == [3]
    assert left(redis, "resque:a_failed") == [1]


@pytest.mark.usefixtures("by_queue")
def test_all_lists_are_retried_and_cleared(run: Run, redis: Redis) -> None:
    assert run("retry", "--all").stdout == "retried 3\n"
    assert queued(redis) == [1, 3, 2]
    assert run("clear", "--yes").stdout == "removed 3\n"
    assert not redis.exists("resque:a_failed", "resque:b_failed")


# retrying


def test_named_ones_are_retried(run: Run, redis: Redis) -> None:
    """Again too, if they are named."""
    redis.rpush(FAILED, *(entry(number) for number in range(5)))
    (name,) = (each["id"] for each in listed(run) if each["index"] == 3)
    found = run("retry", "1", name, "1", "3")
    assert (found.returncode, found.stdout, found.stderr) == (0, "retried 2\n", "")
    assert queued(redis) == [1, 3]
    assert [each["index"] for each in listed(run, "--retried")] == [3, 1]
    assert run("retry", "1").returncode == 0
    assert queued(redis) == [1, 3, 1]


def test_an_id_is_good_after_others_have_removed(run: Run, redis: Redis) -> None:
    redis.rpush(FAILED, *(entry(number) for number in range(5)))
    (name,) = (each["id"] for each in listed(run) if each["index"] == 3)
    redis.lpop(FAILED, 2)
    assert run("retry", name).returncode == 0
    assert queued(redis) == [3]


def of_job(number: int, event_hash: str, **fields: Any) -> str:
    return entry(
        number, payload={"class": "A", "args": [number], "clues_metadata": {"_event_hash": event_hash}}, **fields
    )


def test_a_hash_names_the_jobs_latest_failure(run: Run, redis: Redis) -> None:
    """As clues trace and clues tail show it; the earlier one was retried, and the job is not to run twice."""
    other = HASH[:16] + HASH[:16][::-1]
    alike = [of_job(1, HASH, age=60, retried=True), of_job(2, HASH), of_job(3, other), of_job(4, "12345678" * 4)]
    redis.rpush(FAILED, *alike)
    assert json.loads(run("show", HASH, "--json").stdout)["index"] == 1
    assert run("retry", HASH).stdout == "retried 1\n"
    assert run("retry", "12345678").stdout == "retried 1\n"
    assert queued(redis) == [2, 4]
    found = run("remove", HASH[:8])
    assert found.returncode == 2
    assert "begin with '01234567'" in " ".join(found.stderr.replace("│", " ").split())
    assert run("remove", other[:20]).stdout == "removed 1\n"
    assert left(redis) == [1, 2, 4]


def test_what_was_retried_is_left_out_unless_asked_for(run: Run, redis: Redis) -> None:
    redis.rpush(FAILED, entry(0), entry(1, retried=True), entry(2, worker_class="Mail"))
    assert run("retry", "--class", "Charge").stdout == "retried 1\n"
    assert queued(redis) == [0]
    found = run("retry", "--class", "Charge")
    assert (found.returncode, found.stdout) == (1, "retried 0\n")
    assert "--retried" in found.stderr
    assert run("retry", "--all").stdout == "retried 1\n"
    assert run("retry", "--retried", "--limit", "2").stdout == "retried 2\n"
    assert queued(redis) == [0, 2, 1, 2]


def test_missing_ones_do_not_keep_the_others(run: Run, redis: Redis) -> None:
    redis.rpush(FAILED, entry(0))
    found = run("retry", "0", "7")
    assert (found.returncode, found.stdout) == (1, "retried 1\n")
    assert "no failure 7" in found.stderr


def test_what_names_no_job_can_not_be_retried(run: Run, redis: Redis) -> None:
    redis.rpush(FAILED, "{}", entry(1), entry(2, queue="heartbeat"))
    found = run("retry", "--all")
    assert (found.returncode, found.stdout) == (1, "retried 1\n")
    assert "it can only be removed" in found.stderr
    assert "2 can't be retried" in found.stderr
    assert queued(redis) == [1]


def test_a_retry_is_an_event_of_the_application(
    run: Run, redis: Redis, environ: Mapping[str, str], tmp_path: Path
) -> None:
    """With its publisher, and the attempt counted."""
    (tmp_path / "shop.py").write_text(
        "import clues\nfrom clues.publishers import LogPublisher\nclues.configure(LogPublisher('events.log'))\n"
    )
    metadata = {"_event_hash": HASH, "_attempt": 1}
    redis.rpush(FAILED, entry(1, payload={"class": "A", "args": [1], "clues_metadata": metadata}))
    done = clues("failed", "retry", "0", "--app", "shop", environ=environ, cwd=tmp_path)
    assert done.returncode == 0
    (event,) = map(json.loads, (tmp_path / "events.log").read_text().splitlines())
    assert (event["event_type"], event["metadata"]["_event_id"]) == ("enqueued", f"{HASH}:2:enqueued")


# removing


def test_removing(run: Run, redis: Redis) -> None:
    redis.rpush(FAILED, *(entry(number, retried=number == 4) for number in range(6)))
    assert run("remove", "0", "2").stdout == "removed 2\n"
    assert left(redis) == [1, 3, 4, 5]
    assert run("remove", "--retried").stdout == "removed 1\n"
    assert run("remove", "--all", "--limit", "1").stdout == "removed 1\n"
    assert left(redis) == [1, 3]
    found = run("remove", "9")
    assert (found.returncode, found.stdout) == (1, "removed 0\n")
    assert run("remove", "--class", "Mail").returncode == 1
    assert run("remove", "--all").stdout == "removed 2\n"


def test_clearing_what_filters_select(run: Run, redis: Redis) -> None:
    redis.rpush(FAILED, entry(0, age=7200), entry(1), entry(2, age=7200))
    assert run("clear", "--until", "1h", "--yes").stdout == "removed 2\n"
    assert left(redis) == [1]
    found = run("clear", "--until", "1h", "--yes")
    assert (found.returncode, found.stdout) == (0, "")


def test_nobody_is_asked_where_there_is_no_terminal(run: Run, redis: Redis) -> None:
    redis.rpush(FAILED, entry(0))
    found = run("clear")
    assert found.returncode == 2
    assert "--yes" in found.stderr
    assert left(redis) == [0]


@pytest.mark.parametrize(
    ("answer", "code", "kept"), [(b"y\n", 0, [2]), (b"n\n", 1, [0, 1, 2]), (b"\x04", 1, [0, 1, 2])]
)
def test_a_terminal_is_asked(
    environ: Mapping[str, str], redis: Redis, answer: bytes, code: int, kept: list[int]
) -> None:
    """And what fails while it is asked stays."""
    redis.rpush(FAILED, entry(0), entry(1))
    process, terminal = start_in_terminal(["failed", "clear"], environ)
    said = b""
    while b"Remove 2 failures" not in said:
        said += os.read(terminal, 1000)
    redis.rpush(FAILED, entry(2))
    os.write(terminal, answer)
    read_to_end(terminal)
    os.close(terminal)
    assert process.wait(30) == code
    assert left(redis) == kept


def test_a_terminal_gets_lines_that_fit(environ: Mapping[str, str], redis: Redis) -> None:
    redis.rpush(FAILED, *(entry(number, error="long " * 100) for number in range(3)))
    process, terminal = start_in_terminal(["failed", "list"], {**environ, "NO_COLOR": "1"})
    said = read_to_end(terminal)
    os.close(terminal)
    assert process.wait(30) == 0
    assert all(len(line.rstrip()) <= 120 for line in said.splitlines())
    assert "…" in said


@pytest.mark.parametrize(
    "args",
    [
        ["retry"],
        ["remove"],
        ["remove", "--limit", "3"],
        ["retry", "1", "--all"],
        ["retry", "1", "--class", "A"],
        ["retry", "-1"],
        ["retry", "one"],
        ["show"],
        ["list", "--since", "yesterday"],
        ["list", "--since", "1h", "--until", "2h"],
        ["list", "--limit", "0"],
        [],
    ],
)
def test_mistaken_usage(run: Run, redis: Redis, args: list[str]) -> None:
    redis.rpush(FAILED, entry(0))
    assert run(*args).returncode == 2
    assert left(redis) == [0]


@pytest.mark.parametrize("command", ["list", "show", "retry", "remove", "clear"])
def test_every_command_has_an_example(run: Run, command: str) -> None:
    found = run(command, "--help")
    assert found.returncode == 0
    assert f"clues failed {command}" in found.stdout.partition("Examples:")[2]


# progress


def test_progress_is_counted_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "WORTH_COUNTING", 3)
    assert list(progress.counted(range(4), 4, "reading")) == [0, 1, 2, 3]
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert list(progress.counted(range(4), 4, "[reading]")) == [0, 1, 2, 3]
    assert "[reading]" in capsys.readouterr().err
