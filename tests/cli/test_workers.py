"""``clues workers`` on a real Redis: the table, JSON, and watching."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Mapping
from typing import Any, TypeAlias

import pytest

from clues.resque import times
from tests.cli.running import clues, read_to_end, start, start_in_terminal

Redis: TypeAlias = Any  # redis-py's types allow for clients that decode, at every answer

BASE = "web-1:42:critical,default"


@pytest.fixture
def environ(redis_url: str) -> dict[str, str]:
    return {"REDIS_URL": redis_url}


@pytest.fixture
def at_work(redis: Redis) -> None:
    """A tree of two threads, one busy, one dead; a tree of one; a worker of Ruby's."""
    now = time.time()
    for thread, mark in enumerate(("", ",~0.1")):
        told = {"host": "web-1", "master": 42, "slot": 0, "thread": thread, "process": 50, "pss": 95 << 20}
        redis.hset("resque:workers:tree", BASE + mark, json.dumps(told))
        redis.sadd("resque:workers", BASE + mark)
        redis.set(f"resque:stat:processed:{BASE}{mark}", 1000 + thread)
    redis.set("resque:worker:web-1:42:heartbeat", "t", ex=1000)
    redis.set(
        f"resque:worker:{BASE}",
        f'{{"queue":"critical","run_at":"{times.run_at(now - 75)}","payload":{{"class":"ChargeCard","args":[]}}}}',
    )
    redis.hset("resque:workers:tree", "web-2:43:mail", json.dumps({"paused": True, "process": 44}))
    redis.set("resque:worker:web-2:43:heartbeat", "t", ex=1000)
    redis.sadd("resque:workers", "web-2:43:mail", "ruby:7:*")
    redis.hset("resque:workers:heartbeat", "ruby:7:*", times.heartbeat(now - 30))


@pytest.mark.usefixtures("at_work")
def test_the_table(environ: Mapping[str, str]) -> None:
    found = clues("workers", environ=environ)
    assert (found.returncode, found.stderr) == (0, "")
    head, master, busy, dead, small, ruby, total = [line.split() for line in found.stdout.splitlines()]
    assert head == ["worker", "queues", "runs", "for", "beat", "key", "processed", "failed", "memory"]
    assert master == ["web-1:42", "critical,default", "1", "slot,", "2", "threads", "2,001", "0", "95", "MiB"]
    assert busy[:4] == ["0.0", "50", "ChargeCard", "critical"]
    assert busy[4].startswith("1m")
    assert busy[5:] == ["?", "yes", "1,000", "0", "95", "MiB"]
    assert dead == ["0.1", "50", "dead", "?", "gone", "1,001", "0"]
    assert small == ["web-2:43", "mail", "idle", "?", "yes", "0", "0", "paused"]
    assert ruby[:4] == ["ruby:7", "Ruby", "*", "idle"]
    assert ruby[5:] == ["-", "0", "0"]
    assert " ".join(total) == "4 workers, 3 alive, 1 busy"


@pytest.mark.usefixtures("at_work")
def test_as_json(environ: Mapping[str, str]) -> None:
    told = json.loads(clues("workers", "--json", environ=environ).stdout)
    assert [worker["id"] for worker in told["workers"]] == [BASE, f"{BASE},~0.1", "web-2:43:mail", "ruby:7:*"]
    first = told["workers"][0]
    assert first["alive"]
    assert first["running"]["worker_class"] == "ChargeCard"
    assert 75 <= first["running"]["seconds"] < 200
    assert [worker["ours"] for worker in told["workers"]] == [True, True, True, False]
    assert told["paused"] == {"all": False, "queues": []}


@pytest.mark.usefixtures("at_work")
def test_pauses(environ: Mapping[str, str], redis: Redis) -> None:
    clues("pause", environ=environ)
    clues("pause", "mail", environ=environ)
    said = clues("workers", environ=environ).stdout
    assert said.count("paused") == 4 + 2
    assert said.endswith("all workers are paused  paused: mail\n")


def test_nobody(environ: Mapping[str, str], redis: Redis) -> None:
    found = clues("workers", environ=environ)
    assert (found.returncode, found.stdout) == (1, "")
    assert "no workers on" in found.stderr
    found = clues("workers", "--json", environ=environ)
    assert (found.returncode, json.loads(found.stdout)["workers"]) == (1, [])


def test_nothing_harms_the_terminal(environ: Mapping[str, str], redis: Redis) -> None:
    odd = b"h\x1b[2J:1:caf\xe9\x1b[2J"
    redis.sadd("resque:workers", odd)
    redis.set(b"resque:worker:" + odd, b'{"queue":"\\u001b[2J","run_at":"","payload":{"class":"\\u001b[2J"}}')
    found = clues("workers", environ=environ)
    assert found.returncode == 0
    assert "\x1b" not in found.stdout
    (worker,) = json.loads(clues("workers", "--json", environ=environ).stdout)["workers"]
    assert worker["queues"] == "caf\\xe9\x1b[2J"


@pytest.mark.usefixtures("at_work")
def test_watching_on_a_terminal_until_interrupted(environ: Mapping[str, str], redis: Redis) -> None:
    """It redraws, and what it drew last stays there."""
    process, terminal = start_in_terminal(["workers", "--watch", "0.1"], {**environ, "NO_COLOR": "1"})
    said = b""
    while b"5 workers" not in said:
        if b"4 workers" in said:
            redis.sadd("resque:workers", "ruby:8:*")
        said += os.read(terminal, 4096)
    process.send_signal(signal.SIGINT)
    rest = read_to_end(terminal)
    os.close(terminal)
    assert process.wait(30) == 0
    assert b"Ctrl-C ends" in said
    assert "Traceback" not in rest
    assert rest.endswith("\x1b[?25h")  # the cursor is shown again


def test_watching_in_a_pipe(environ: Mapping[str, str], redis: Redis) -> None:
    """Page after page, from nobody on."""
    with start("workers", "--watch", "0.1", environ=environ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"-- 20")
        redis.sadd("resque:workers", "ruby:8:*")
        lines = iter(process.stdout.readline, b"")
        assert any(line.startswith(b"1 worker, 1 alive") for line in lines)
        process.send_signal(signal.SIGINT)
        process.stdout.read()
    assert process.returncode == 0


def test_a_redis_that_goes_away_may_come_back(environ: Mapping[str, str], redis: Redis) -> None:
    """Here it is a key that nobody can read."""
    with start("workers", "--watch", "0.05", "--json", environ=environ) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, b"")
        assert json.loads(next(lines))["workers"] == []
        redis.set("resque:workers", "x")
        assert any(b"Redis does not serve (" in line and b"WRONGTYPE" in line for line in lines)
        redis.delete("resque:workers")
        assert any(line.startswith(b"{") for line in lines)
        process.send_signal(signal.SIGINT)
        process.stdout.read()
    assert process.returncode == 0


@pytest.mark.parametrize("args", [["3"], ["--watch", "0"], ["--watch", "nan"], ["--watch", "soon"]])
def test_mistaken_usage(args: list[str], environ: Mapping[str, str]) -> None:
    assert clues("workers", *args, environ=environ).returncode == 2
