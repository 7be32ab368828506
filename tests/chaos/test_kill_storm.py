"""No job is lost, none runs twice, and each has one outcome, whatever dies.

CLUES_STORM_JOBS makes the storms longer; the figures of record are those of 5,000 jobs.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import time
from pathlib import Path

import pytest
from redis.exceptions import RedisError

from clues.resque import Resque
from tests.chaos.storm import Tree, account, enqueue, is_drained, rage, tree
from tests.redis_server import private_server
from tests.waiting import wait_for

JOBS = int(os.environ.get("CLUES_STORM_JOBS", "400"))
SEED = int(os.environ.get("CLUES_STORM_SEED", "1"))

HYBRID = {"WORKER_COUNT": "2", "THREAD_COUNT": "4", "JOBS_PER_FORK": "100"}
STOCK = {"WORKER_COUNT": "1"}

pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for the tree's processes in /proc"),
    pytest.mark.timeout(900),
]


@pytest.mark.parametrize(
    ("environ", "share"),
    [
        pytest.param(HYBRID, 1.0, id="2x4"),
        pytest.param(STOCK, 0.25, id="1/1/1"),
        pytest.param({**HYBRID, "BATCH_SIZE": "32"}, 1.0, id="batches"),
    ],
)
def test_processes_are_killed(tmp_path: Path, redis_url: str, environ: dict[str, str], share: float) -> None:
    """Any process of the tree gets SIGKILL every 200 ms, the master included, and the tree is started again."""
    count, chance, client = int(JOBS * share), random.Random(SEED), Resque(redis_url)
    with tree(tmp_path / "app", redis_url, **environ) as made:
        enqueue(client, made.folder, count, chance)
        rage(made, client, chance)
        wait_for(lambda: _kept_drained(made, client), "the end of the last jobs", timeout=60)
        wait_for(lambda: _masters(client) == {made.pid}, "the dead to be forgotten", timeout=60)
        assert made.stop() == 0
        assert account(client, made.folder).problems(count) == []
    assert sum(made.killed.values()) > 0
    assert client.workers() == []


def test_redis_is_killed(tmp_path: Path) -> None:
    """Redis is killed and started again while the tree works, and one of the tree's processes every 200 ms."""
    chance, restarts = random.Random(SEED), 0

    def restart() -> None:
        nonlocal restarts
        if chance.random() < 0.2:
            restarts += 1
            server.kill()
            time.sleep(chance.random() / 2)  # how long it is away is part of the storm
            server.start()

    with private_server("--appendonly", "yes", "--appendfsync", "always") as server:
        client = Resque(server.url)
        with tree(tmp_path / "app", server.url, **HYBRID) as made:
            enqueue(client, made.folder, JOBS, chance)
            rage(made, client, chance, also=restart)
            wait_for(lambda: _kept_drained(made, client), "the end of the last jobs", timeout=60)
            # One that has only just been started knows no QUIT yet.
            wait_for(lambda: _masters(client) == {made.pid}, "the dead to be forgotten", timeout=60)
            assert made.stop() == 0
            assert account(client, made.folder).problems(JOBS) == []
        assert restarts > 0


def test_a_master_gets_no_descriptors(tmp_path: Path, redis_url: str) -> None:
    """It lives on, and so does its tree, without what it can't have; later it has it again."""
    chance, client = random.Random(SEED), Resque(redis_url)
    with tree(tmp_path / "app", redis_url, WORKER_COUNT="1") as made:
        made.supervise()
        wait_for(client.workers, "the tree")
        soft, hard = resource.prlimit(made.pid, resource.RLIMIT_NOFILE)
        highest = max(int(one.name) for one in Path(f"/proc/{made.pid}/fd").iterdir())
        resource.prlimit(made.pid, resource.RLIMIT_NOFILE, (highest + 1, hard))
        os.kill(made.pid, signal.SIGHUP)
        told = made.folder / "log"
        wait_for(lambda: b"can't start the process that loads" in told.read_bytes(), "the mould that can't be started")
        enqueue(client, made.folder, 10, chance)
        wait_for(lambda: is_drained(client), "the jobs")
        resource.prlimit(made.pid, resource.RLIMIT_NOFILE, (soft, hard))
        assert made.stop() == 0
        assert made.starts == 1
        assert account(client, made.folder).problems(10) == []


def test_a_host_is_gone(tmp_path: Path, redis_url: str) -> None:
    """All processes of a host die at once, with its scoreboard; another host prunes it."""
    chance, client = random.Random(SEED), Resque(redis_url)
    quick = {"HEARTBEAT_INTERVAL_SECONDS": "0.2", "HEARTBEATS_BEFORE_DEAD": "5"}
    for number in range(3):
        with tree(tmp_path / "app", redis_url, **HYBRID, **quick, CLUES_WORKER_HOSTNAME=f"lost-{number}") as made:
            enqueue(client, made.folder, JOBS // 4, chance) if number == 0 else None
            made.supervise()
            wait_for(client.working, "its first jobs")
            made.kill_all()
            for left in (made.folder / "run").iterdir():
                left.unlink()
    with tree(tmp_path / "app", redis_url, **HYBRID, **quick, CLUES_WORKER_HOSTNAME="other") as made:
        made.supervise()
        wait_for(lambda: is_drained(client), "the pruning of the dead, and the rest of the work", timeout=120)
        wait_for(lambda: all(name.startswith("other:") for name in client.workers()), "the dead to be forgotten")
        assert made.stop() == 0
        assert account(client, made.folder).problems(JOBS // 4) == []


def _kept_drained(made: Tree, client: Resque) -> bool:
    """Keep the tree up; whether there is nothing left to do, as far as Redis answers."""
    made.supervise()
    try:
        return is_drained(client)
    except RedisError:
        return False


def _masters(client: Resque) -> set[int]:
    return {int(name.split(":")[1]) for name in client.workers()}
