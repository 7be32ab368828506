"""``clues enqueue`` and ``clues work``, together, on a real Redis."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest
import redis as redis_py

from tests.cli.running import clues, start
from tests.waiting import wait_for

APP = """
from clues import resque

@resque.job(queue="notes")
def Note(path, *words):
    with open(path, "a") as out:
        print(*map(repr, words), file=out)

class Broken:
    queue = "notes"

    @classmethod
    def perform(cls):
        raise ValueError("not today")

    @classmethod
    def before_enqueue_maybe(cls, *args):
        return False if args else True
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A folder with an application's module, and room for what its jobs write."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "jobs.py").write_text(APP)
    return tmp_path


@pytest.fixture
def environ(app: Path, redis_url: str) -> dict[str, str]:
    """Redis, and a log for the events."""
    return {"REDIS_URL": redis_url, "CLUES_PUBLISHERS": f"log://{app}/events.log"}


def kinds(app: Path) -> list[str]:
    """What happened, in order."""
    log = app / "events.log"
    return [json.loads(line)["event_type"] for line in log.read_text().splitlines()] if log.exists() else []


def test_enqueue_prints_the_hash_that_the_events_carry(
    app: Path, environ: Mapping[str, str], redis: redis_py.Redis
) -> None:
    found = clues("enqueue", "Remote::Job", "42", "two", '{"a": [null]}', "NaN", "-q", "far", environ=environ, cwd=app)
    assert (found.returncode, found.stderr) == (0, "")
    (raw,) = redis.lrange("resque:queue:far", 0, -1)
    item = json.loads(raw)
    assert item["class"] == "Remote::Job"
    assert item["args"] == [42, "two", {"a": [None]}, "NaN"]
    assert item["clues_metadata"]["_event_hash"] == found.stdout.strip()
    assert kinds(app) == ["enqueued"]


def test_arguments_as_one_json_array(app: Path, environ: Mapping[str, str], redis: redis_py.Redis) -> None:
    found = clues("enqueue", "Job", "-q", "far", "--json-args", '[1, "2"]', "--json", environ=environ, cwd=app)
    (raw,) = redis.lrange("resque:queue:far", 0, -1)
    assert json.loads(raw)["args"] == [1, "2"]
    assert json.loads(found.stdout)["queue"] == "far"
    for mistaken in ("{}", "[1", "1"):
        assert clues("enqueue", "Job", "-q", "far", "--json-args", mistaken, environ=environ).returncode == 2
    assert clues("enqueue", "Job", "1", "-q", "far", "--json-args", "[]", environ=environ).returncode == 2


def test_a_job_of_the_application_knows_its_queue_and_hooks(
    app: Path, environ: Mapping[str, str], redis: redis_py.Redis
) -> None:
    assert clues("enqueue", "Note", "x", "--app", "shop.jobs", environ=environ, cwd=app).returncode == 0
    assert redis.llen("resque:queue:notes") == 1
    found = clues("enqueue", "Broken", "x", "--app", "shop.jobs", environ=environ, cwd=app)
    assert found.returncode == 1
    assert "vetoed" in found.stderr


def test_unconfigured_it_enqueues_and_says_that_there_is_no_hash(
    app: Path, redis_url: str, redis: redis_py.Redis
) -> None:
    found = clues("enqueue", "Job", "-q", "far", "--redis", redis_url, "--namespace", "app", cwd=app)
    assert (found.returncode, found.stdout) == (0, "")
    assert "not configured" in found.stderr
    assert redis.llen("app:queue:far") == 1


def test_an_interval_of_0_ends_when_all_is_done(app: Path, environ: Mapping[str, str]) -> None:
    out = app / "out"
    for word in ("one", "two"):
        clues("enqueue", "Note", str(out), word, "-q", "notes", environ=environ, cwd=app)
    clues("enqueue", "Broken", "-q", "notes", environ=environ, cwd=app)
    found = clues("work", "--app", "shop.jobs", environ={**environ, "QUEUES": "notes", "INTERVAL": "0"}, cwd=app)
    assert found.returncode == 0
    assert out.read_text().splitlines() == ["'one'", "'two'"]
    assert kinds(app).count("perform_finished") == 2
    assert kinds(app).count("failed") == 1


def test_queues_beats_queue_and_the_flag_beats_both(app: Path, environ: Mapping[str, str]) -> None:
    for queue in ("a", "b", "c"):
        clues("enqueue", "Note", str(app / queue), "x", "-q", queue, environ=environ, cwd=app)
    resque = {**environ, "INTERVAL": "0", "QUEUE": "c", "QUEUES": "b"}
    clues("work", "--app", "shop.jobs", environ=resque, cwd=app)
    assert [queue for queue in "abc" if (app / queue).exists()] == ["b"]
    clues("work", "--app", "shop.jobs", "--queues", "a", environ=resque, cwd=app)
    assert [queue for queue in "abc" if (app / queue).exists()] == ["a", "b"]


def test_a_worker_waits_for_jobs_and_stops_when_told(
    app: Path, environ: Mapping[str, str], redis: redis_py.Redis
) -> None:
    pidfile = app / "pid"
    with start(
        "work", "-a", "shop.jobs", "-q", "*", environ={**environ, "VERBOSE": "1", "PIDFILE": str(pidfile)}, cwd=app
    ) as worker:
        wait_for(lambda: redis.scard("resque:workers"), "the worker's registration")
        assert pidfile.read_text() == str(worker.pid)
        clues("enqueue", "Note", str(app / "out"), "-q", "notes", environ=environ, cwd=app)
        wait_for(lambda: "perform_finished" in kinds(app), "the end of the job")
        worker.send_signal(signal.SIGTERM)
        said, _ = worker.communicate(timeout=60)
    assert worker.returncode == 0
    assert b"*** " in said
    assert not redis.scard("resque:workers")


@pytest.mark.parametrize(
    ("module", "code", "said"),
    [
        ("shop.nowhere", 1, "there is no module 'shop.nowhere'"),
        ("shop/jobs.py", 1, "write it with dots: --app shop.jobs"),
        ("broken", 1, "ZeroDivisionError"),
        ("needy", 1, "ModuleNotFoundError"),
        ("json", 1, "has no jobs"),
        ("misconfigured", 2, "publisher"),
    ],
)
def test_an_application_that_can_not_be_loaded_is_told(
    app: Path, environ: Mapping[str, str], module: str, code: int, said: str
) -> None:
    (app / "broken.py").write_text("1 / 0\n")
    (app / "needy.py").write_text("import nothing_of_that_name\n")
    (app / "misconfigured.py").write_text("import clues\nclues.configure(publisher=7)\n")
    found = clues("work", "--app", module, "--queues", "*", environ=environ, cwd=app)
    assert found.returncode == code
    assert said in found.stderr
    assert found.stderr.splitlines()[-1].startswith("clues: error: ")


@pytest.mark.parametrize("interval", ["nan", "-1", "soon"])
def test_a_mistaken_interval_is_2(app: Path, environ: Mapping[str, str], interval: str) -> None:
    found = clues("work", "-a", "shop.jobs", "-q", "*", environ={**environ, "INTERVAL": interval}, cwd=app)
    assert found.returncode == 2


def test_without_redis_it_says_so_in_one_line(app: Path) -> None:
    found = clues("enqueue", "Job", "-q", "far", "--redis", "redis://127.0.0.1:1/0", cwd=app)
    assert found.returncode == 1
    assert found.stderr.startswith("clues: error: Redis: ")
    assert len(found.stderr.splitlines()) == 1
    assert clues("enqueue", "Job", "-q", "far", "--redis", "http://x", cwd=app).returncode == 2


def test_what_the_application_configures_counts_more_than_the_environment(
    app: Path, redis_url: str, redis: redis_py.Redis
) -> None:
    (app / "initializer.py").write_text(f"from clues import resque\nresque.configure({redis_url!r}, namespace='own')\n")
    elsewhere = {"REDIS_URL": "redis://127.0.0.1:1/0"}
    args = ["enqueue", "Job", "-q", "far", "--app", "initializer"]
    assert clues(*args, environ=elsewhere, cwd=app).returncode == 0
    assert clues(*args, "--namespace", "flag", environ=elsewhere, cwd=app).returncode == 0
    assert [redis.llen(f"{space}:queue:far") for space in ("own", "flag")] == [1, 1]


def test_a_module_that_exits_is_no_success(app: Path, environ: Mapping[str, str]) -> None:
    (app / "leaves.py").write_text("raise SystemExit(0)\n")
    done = clues("work", "--app", "leaves", "--queues", "notes", environ=environ, cwd=app)
    assert done.returncode == 1
    assert "--app leaves exited when it was imported" in done.stderr


def test_a_job_without_a_queue_asks_for_the_flag(app: Path, environ: Mapping[str, str]) -> None:
    done = clues("enqueue", "Elsewhere", "1", environ=environ, cwd=app)
    assert done.returncode == 2
    assert "--queue" in done.stderr


def test_what_items_and_errors_hold_can_not_steer_the_terminal(
    app: Path, environ: Mapping[str, str], redis: redis_py.Redis
) -> None:
    (app / "odd.py").write_text(
        "from clues import resque\n"
        "@resque.job(queue='q')\n"
        "def Odd():\n"
        "    raise ValueError('\\x1b[31mred\\nforged password=hunter2')\n"
    )
    for name in ("Odd", "Ev\x1b[31mil\n*** forged"):
        redis.rpush("resque:queue:q", json.dumps({"class": name, "args": []}))
    done = clues("work", "--app", "odd", "-q", "q", environ={**environ, "INTERVAL": "0", "VVERBOSE": ""}, cwd=app)
    assert done.returncode == 0
    assert "\x1b" not in done.stderr
    assert "hunter2" not in done.stderr
    assert not [line for line in done.stderr.splitlines() if not line.startswith("**")]
