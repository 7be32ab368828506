"""Two trees of one name, as containers give (process 1 of one host name): none is let in while the other lives."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from tests.tree.trees import JOBS
from tests.waiting import wait_for

QUICK = {"HEARTBEAT_INTERVAL_SECONDS": "0.2", "HEARTBEATS_BEFORE_DEAD": "10"}
PROGRAM = "echo $$ > pid; while [ ! -e go ]; do sleep 0.01; done; exec {} -m clues work --app jobs --queues q"


@pytest.fixture
def program(tmp_path: Path, redis_url: str) -> Iterator[subprocess.Popen[bytes]]:
    """A tree that tells its process id, and starts when the file `go` is there."""
    (tmp_path / "jobs.py").write_text(JOBS)
    environ = {
        **{name: value for name, value in os.environ.items() if name not in {"QUEUE", "QUEUES"}},
        **QUICK,
        "REDIS_URL": redis_url,
        "CLUES_RUN_DIR": str(tmp_path / "run"),
        "CLUES_WORKER_HOSTNAME": "twin",
        "VERBOSE": "1",
    }
    with (tmp_path / "log").open("wb") as log:
        started = subprocess.Popen(
            ["sh", "-c", PROGRAM.format(sys.executable)], cwd=tmp_path, env=environ, stdout=log, stderr=log
        )
    wait_for((tmp_path / "pid").exists)
    yield started
    if started.poll() is None:
        started.kill()
        started.wait(30)


def test_the_other_lives(tmp_path: Path, redis: Redis, program: subprocess.Popen[bytes]) -> None:
    """It beats: the second ends, says why, and leaves the other's name and job alone."""
    name = f"twin:{program.pid}:q"
    redis.sadd("resque:workers", name)
    redis.set(f"resque:worker:{name}", '{"queue":"q"}')
    redis.set(f"resque:worker:{name.rpartition(':')[0]}:heartbeat", "another", px=60_000)
    (tmp_path / "go").touch()
    log = tmp_path / "log"
    wait_for(lambda: "waiting up to" in log.read_text() or program.poll() is not None)
    while program.poll() is None:
        redis.set(f"resque:worker:{name.rpartition(':')[0]}:heartbeat", "another", px=2000)
        wait_for(lambda: program.poll() is not None or _runs_out(redis, name))
    assert program.returncode == 1
    assert name in log.read_text()
    assert redis.smembers("resque:workers") == {name.encode()}
    assert redis.get(f"resque:worker:{name}") == b'{"queue":"q"}'


def test_the_other_is_dead(tmp_path: Path, redis: Redis, program: subprocess.Popen[bytes]) -> None:
    """Its key runs out: the second works, and ends what the first has held."""
    name = f"twin:{program.pid}:q"
    redis.sadd("resque:workers", name)
    heartbeat = f"resque:worker:{name.rpartition(':')[0]}:heartbeat"
    redis.set(heartbeat, "another", px=60_000)
    redis.rpush("resque:queue:q", '{"class":"Sleep","args":[0,"a"]}')
    (tmp_path / "go").touch()
    log, notes = tmp_path / "log", tmp_path / "notes"
    wait_for(lambda: "waiting up to" in log.read_text())
    redis.pexpire(heartbeat, 100)
    wait_for(lambda: notes.exists() and "ended a" in notes.read_text())
    program.terminate()
    assert program.wait(60) == 0


def _runs_out(redis: Redis, name: str) -> bool:
    left: int = redis.pttl(f"resque:worker:{name.rpartition(':')[0]}:heartbeat")
    return left < 1000
