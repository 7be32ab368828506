"""Restarts by Server::Starter, with its own start_server, as the example's hooks do them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from tests.requirements import lacking
from tests.resque.configs import EXAMPLES
from tests.waiting import wait_for

MASTER = """
import os, signal, sys, time
from dataclasses import replace
from clues.resque.starter import Starter, StarterWorker, read_config

heard = []
signal.signal(signal.SIGCONT, signal.SIG_IGN)
for name in ("TTOU", "QUIT", "TERM"):
    signal.signal(getattr(signal, f"SIG{name}"), lambda number, frame: heard.append(signal.Signals(number).name[3:]))

def note(text):
    with open("notes", "a") as file:
        file.write(f"{os.environ['SERVER_STARTER_GENERATION']} {text}\\n")

if os.path.exists("fail"):
    os.remove("fail")
    sys.exit(3)
config = read_config(sys.argv[1])
starter = Starter(pid=os.getpid(), config=config.settings, num_workers=3)
for nr in (0, 1, 1, 2, 2):  # 1 and 2 are replaced once
    worker = StarterWorker(nr=nr, id="h:1:q", queues=("q",))
    config.before_fork(starter, worker, nr)
    if not (pid := os.fork()):
        config.after_fork(starter, replace(worker, pid=os.getpid()), nr)
        os._exit(0)
    starter.old_workers[pid] = nr
    os.waitpid(pid, 0)
note("up")
while not {"QUIT", "TERM"} & set(heard):
    time.sleep(0.01)
time.sleep(0.3)
note(f"heard {heard.count('TTOU')} TTOU, then {heard[-1]}")
"""


def test_restarts_by_server_starter(tmp_path: Path) -> None:
    """The new master's workers have the old one give up its own, one by one; also after a failed start."""
    start_server = shutil.which("start_server")
    if start_server is None:
        lacking("start_server", "Debian has it in libserver-starter-perl")
    (tmp_path / "master.py").write_text(MASTER)
    notes = tmp_path / "notes"
    notes.touch()
    files = ["--pid-file=pid", "--status-file=stat"]
    how = ["--interval=1", "--signal-on-hup=CONT", "--signal-on-term=QUIT"]
    environ = {**os.environ, "START_SERVER_STATUS_FILE": "stat", "RESTART_PAUSE": "0.4"}
    command = [start_server, *files, *how, "--", sys.executable, "master.py", str(EXAMPLES / "server_starter.conf.py")]
    with (tmp_path / "log").open("wb") as log:
        started = subprocess.Popen(command, cwd=tmp_path, env=environ, stderr=log)
    restart = [start_server, "--restart", *files]
    try:
        wait_for(lambda: (tmp_path / "stat").exists() and "1 up" in notes.read_text(), "the first generation")
        subprocess.run(restart, cwd=tmp_path, check=True, timeout=60)
        assert notes.read_text().splitlines() == ["1 up", "2 up", "1 heard 2 TTOU, then QUIT"]
        (tmp_path / "fail").touch()
        started.send_signal(signal.SIGHUP)
        wait_for(lambda: "2 heard" in notes.read_text() and "4 up" in notes.read_text(), "the fourth generation")
        assert "2 heard 2 TTOU, then QUIT" in notes.read_text()
        started.terminate()
        assert started.wait(60) == 0
        assert notes.read_text().splitlines()[-1] == "4 heard 0 TTOU, then QUIT"
    finally:
        started.kill()
        started.wait(60)
