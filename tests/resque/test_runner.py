"""Real worker processes, real signals."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from clues.errors import ConfigError
from clues.resque import Resque
from clues.resque.registry import Registry
from clues.resque.runner import run
from tests.resque.working import process, signalled, title, wait_for_title
from tests.waiting import wait_for

Redis: TypeAlias = Any  # redis-py's types allow for clients that decode, at every answer

STOPPING = [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT]

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


@pytest.mark.parametrize("number", STOPPING)
def test_an_idle_worker_stops_at_once(
    client: Resque, redis: Redis, redis_url: str, tmp_path: Path, number: signal.Signals
) -> None:
    """With status 0, leaving nothing behind; its title said that it waited."""
    with process(tmp_path, APP, "--queues", "q,low", "--interval", "600", REDIS_URL=redis_url) as worker:
        wait_for_title(worker.pid, ": Waiting for q,low")
        assert title(worker.pid).startswith("resque-")
        assert signalled(worker, number) == 0
    assert client.workers() == []
    assert redis.keys("resque:worker*") == []


@pytest.mark.parametrize("number", STOPPING)
def test_a_busy_worker_stops_after_its_job(
    client: Resque, redis: Redis, redis_url: str, tmp_path: Path, number: signal.Signals
) -> None:
    """With status 0; the next job stays in the queue. More signals change nothing."""
    client.enqueue_to("q", "slow", 1)
    client.enqueue_to("q", "slow", 2)
    with process(tmp_path, APP, "--queues", "q", "--interval", "600", REDIS_URL=redis_url) as worker:
        wait_for_title(worker.pid, ": Processing q since ")
        assert "[slow]" in title(worker.pid)
        wait_for(lambda: redis.llen("begun") == 1)
        for _ in range(3):
            worker.send_signal(number)
        redis.rpush("go_on", 1)
        assert worker.wait(60) == 0
    assert done(redis) == [1]
    assert client.size("q") == 1
    assert (client.stat("processed"), client.stat("failed"), client.workers()) == (1, 0, [])


def test_interval_0_ends(client: Resque, redis: Redis, redis_url: str, tmp_path: Path) -> None:
    """When the queues are empty, with status 0; the pid file is written and left, as in Resque."""
    for number in range(5):
        client.enqueue_to("q", "note", number)
    pidfile = tmp_path / "pid"
    with process(tmp_path, APP, "-q", "q", REDIS_URL=redis_url, INTERVAL="0", PIDFILE=str(pidfile)) as worker:
        assert worker.wait(60) == 0
        assert pidfile.read_text() == str(worker.pid)
    assert done(redis) == [0, 1, 2, 3, 4]


def test_a_title_of_ones_own(redis: Redis, redis_url: str, tmp_path: Path) -> None:
    """Before Resque's words (RESQUE_PROCLINE_PREFIX); a paused worker says so."""
    redis.set("resque:pause-all-workers", "true")
    with process(tmp_path, APP, "-q", "q", REDIS_URL=redis_url, RESQUE_PROCLINE_PREFIX="shop ") as worker:
        wait_for_title(worker.pid, ": Paused")
        assert title(worker.pid).startswith("shop resque-")
        redis.delete("resque:pause-all-workers")
        wait_for_title(worker.pid, ": Waiting for q")


def test_a_killed_worker(client: Resque, redis: Redis, redis_url: str, tmp_path: Path) -> None:
    """Leaves its lease; whoever prunes later finds the job in it."""
    client.enqueue_to("q", "slow", 1)
    with process(tmp_path, APP, "-q", "q", REDIS_URL=redis_url) as worker:
        wait_for(lambda: redis.llen("begun") == 1)
        worker.kill()
        worker.wait(60)
    assert [held["payload"]["args"] for held in client.working().values()] == [[1]]


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "redis://:wrong@{}", "nonsense://"])
def test_mistakes_end_it_with_one_line(redis: Redis, redis_url: str, tmp_path: Path, url: str) -> None:
    """And a status that is not 0."""
    url = url.format(redis_url.removeprefix("redis://"))
    with process(tmp_path, APP.replace('os.environ["REDIS_URL"]', '"redis://h"'), "-q", "q", REDIS_URL=url) as worker:
        assert worker.wait(60) not in {0, None}
    told = (tmp_path / "log").read_text()
    assert "Traceback" not in told
    assert "edis" in told


def test_a_pid_file_that_can_not_be_written(client: Resque, tmp_path: Path) -> None:
    """Is told as what it is."""
    with pytest.raises(ConfigError, match=r"pid file .*nowhere"):
        run(client, "q", pidfile=str(tmp_path / "nowhere" / "pid"))


STORM = """
import os, random, signal, sys, time
from clues.resque import Resque
from clues.resque.registry import Registry
from clues.resque.runner import run
from clues.resque.signals import STOP
import redis

url, cycles, chance = sys.argv[1], int(sys.argv[2]), random.Random(int(sys.argv[3]))

def child(tell):
    own = redis.Redis.from_url(url)
    registry = Registry()
    def note(number):
        own.hincrby("ran", number, 1)
        os.write(tell, b".")
    registry.job(queue="q", name="note")(note)
    for number in STOP:  # until the runner has its handlers: a signal before is no test
        signal.signal(number, signal.SIG_IGN)
    os.write(tell, b".")
    os._exit(run(Resque(url, registry=registry), "q", interval=600))

statuses = []
for cycle in range(cycles):
    heard, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            child(tell)
        finally:
            os._exit(99)
    os.close(tell)
    jobs = chance.choice([0, 1, 2, 5])
    for _ in range(1 + jobs):
        os.read(heard, 1)
    deadline = time.monotonic() + chance.uniform(0, 0.002 if jobs else 0.03)
    while time.monotonic() < deadline:
        pass
    ended = 0
    while not ended:
        os.kill(pid, chance.choice(STOP))
        ended, status = os.waitpid(pid, os.WNOHANG)
        time.sleep(0.002)
    os.close(heard)
    statuses.append(os.waitstatus_to_exitcode(status))
print(statuses)
"""


def test_a_storm_of_starts_and_stops(client: Resque, redis: Redis, redis_url: str) -> None:
    """200 processes against a full queue, each told to stop again and again, wherever it is.

    In the middle of taking, of the job, of ending, of starting up and of shutting down: every job runs once, none is
    lost.
    """
    jobs = 20_000
    client.enqueue_many((("note", number) for number in range(jobs)), queue="q")
    storms = [
        subprocess.Popen([sys.executable, "-c", STORM, redis_url, "100", str(seed)], stdout=subprocess.PIPE)
        for seed in (1, 2)
    ]
    for storm in storms:
        out, _ = storm.communicate(timeout=100)
        assert storm.returncode == 0
        assert set(eval(out)) == {0}
    ran = redis.hgetall("ran")
    waiting = client.size("q")
    assert len(ran) > 200
    assert set(ran.values()) == {b"1"}
    assert len(ran) + waiting == jobs
    assert 0 < waiting < jobs
    assert client.stat("processed") == len(ran)
    assert (client.stat("failed"), client.failed.count()) == (0, 0)
    assert redis.keys("resque:worker*") == []
    assert redis.keys("resque:stat:*:*") == []
