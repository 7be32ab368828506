"""Running a tree as a program: its end, its pid file, its mistakes; tests/tree tries the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import pytest

from clues.errors import ConfigError
from clues.resque import Resque
from clues.resque.moulds import Launch
from clues.resque.options import Options
from clues.resque.registry import Registry
from clues.resque.runner import run
from tests.resque.working import process, title, wait_for_title

Redis: TypeAlias = Any  # redis-py's types allow for clients that decode, at every answer

APP = """
import os, sys, time
import redis
from clues import resque

client = redis.Redis.from_url(os.environ["REDIS_URL"])

@resque.job(queue="q")
def slow(number):
    client.rpush("begun", number)
    client.blpop("go_on", 60)
    client.rpush("done", number)

@resque.job(queue="q")
def note(number):
    client.rpush("done", number)
"""


@pytest.fixture
def client(redis_url: str) -> Resque:
    """A client that knows no job."""
    return Resque(redis_url, registry=Registry())


def done(redis: Redis) -> list[int]:
    """The numbers of the jobs that ran."""
    return [int(number) for number in redis.lrange("done", 0, -1)]


def test_interval_0_ends(client: Resque, redis: Redis, redis_url: str, tmp_path: Path) -> None:
    """When the queues are empty, with status 0; the pid file is written and left, as in Resque."""
    for number in range(5):
        client.enqueue_to("q", "note", number)
    pidfile = tmp_path / "pid"
    with process(tmp_path, APP, "-q", "q", REDIS_URL=redis_url, INTERVAL="0", PIDFILE=str(pidfile)) as worker:
        assert worker.wait(60) == 0
        assert pidfile.read_text() == str(worker.pid)
    assert done(redis) == [0, 1, 2, 3, 4]


def test_a_title_of_ones_own(redis_url: str, tmp_path: Path) -> None:
    """Before Resque's words (RESQUE_PROCLINE_PREFIX)."""
    with process(tmp_path, APP, "-q", "q", REDIS_URL=redis_url, RESQUE_PROCLINE_PREFIX="shop ") as worker:
        wait_for_title(worker.pid, ": Master of 1 for q")
        assert title(worker.pid).startswith("shop resque-")


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "redis://:wrong@{}", "nonsense://"])
def test_mistakes_end_it_with_one_line(redis: Redis, redis_url: str, tmp_path: Path, url: str) -> None:
    """And a status that is not 0."""
    url = url.format(redis_url.removeprefix("redis://"))
    with process(tmp_path, APP.replace('os.environ["REDIS_URL"]', '"redis://h"'), "-q", "q", REDIS_URL=url) as worker:
        assert worker.wait(60) not in {0, None}
    told = (tmp_path / "log").read_text()
    assert "Traceback" not in told
    assert "edis" in told


def test_a_pid_file_that_can_not_be_written(tmp_path: Path) -> None:
    """Is told as what it is."""
    with pytest.raises(ConfigError, match=r"pid file .*nowhere"):
        run(Launch(), Options(), pid_file=str(tmp_path / "nowhere" / "pid"))
