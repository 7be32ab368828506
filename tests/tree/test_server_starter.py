"""The documented dance under Server::Starter's own start_server, with real masters, under load."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from clues.resque import Resque
from tests.requirements import lacking
from tests.tree.trees import JOBS
from tests.waiting import wait_for

EXAMPLE = Path(__file__).parents[2] / "examples" / "starter" / "server_starter.conf.py"


def test_a_restart_under_load(tmp_path: Path, redis_url: str) -> None:
    """HUP to start_server: a new master takes over, worker by worker; each job runs once, to its end."""
    program = shutil.which("start_server") or lacking("start_server", "Debian has it in libserver-starter-perl")
    (tmp_path / "jobs.py").write_text(JOBS)
    config = EXAMPLE.read_text()
    for name, value in (("app", '"jobs"'), ("queues", '["q"]'), ("concurrency", "2\njobs_per_fork = 20")):
        config = re.sub(rf"(?m)^{name} = .*$", f"{name} = {value}", config)
    (tmp_path / "c.py").write_text(config)
    client, count = Resque(redis_url), 200
    files = ["--pid-file=pid", "--status-file=stat"]
    how = ["--interval=1", "--signal-on-hup=CONT", "--signal-on-term=QUIT"]
    environ = {
        **os.environ,
        "REDIS_URL": redis_url,
        "CLUES_RUN_DIR": str(tmp_path / "run"),
        "START_SERVER_STATUS_FILE": "stat",
        "RESTART_PAUSE": "0.4",
    }
    command = [program, *files, *how, "--", sys.executable, "-m", "clues", "start", "-c", "c.py"]
    with (tmp_path / "log").open("wb") as log:
        started = subprocess.Popen(command, cwd=tmp_path, env=environ, stderr=log, stdout=log, start_new_session=True)
    try:
        wait_for(lambda: len(client.workers()) == 2 and (tmp_path / "stat").exists(), "the first master")
        first = _masters(client)
        client.enqueue_many((("Sleep", 0.02, "a") for _ in range(count)), queue="q")
        restart = [program, "--restart", *files]
        subprocess.run(restart, cwd=tmp_path, check=True, timeout=60)
        wait_for(lambda: client.stat("processed") == count, "the end of the jobs")
        wait_for(lambda: len(client.workers()) == 2 and not _masters(client) & first, "the second master alone")
        assert (tmp_path / "notes").read_text().count("ended") == count
        assert client.failed.count() == 0
        assert (tmp_path / "clues.pid").read_text() == f"{next(iter(_masters(client)))}\n"
        started.terminate()
        assert started.wait(60) == 0
        assert client.workers() == []
    finally:
        os.killpg(started.pid, signal.SIGKILL) if started.poll() is None else None
        started.wait(60)


def _masters(client: Resque) -> set[int]:
    return {int(name.split(":")[1]) for name in client.workers()}
