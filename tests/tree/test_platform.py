"""The Procfile, under a process manager that sends TERM to the whole group, and KILL some seconds later."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from clues.resque import Resque
from tests.waiting import wait_for

EXAMPLE = Path(__file__).parents[2] / "examples" / "heroku"


def manage(folder: Path, url: str) -> subprocess.Popen[bytes]:
    """Start the Procfile's worker as process managers do: by a shell, in a group of its own."""
    _, _, command = (folder / "Procfile").read_text().strip().partition(": ")
    beside = Path(sys.executable).parent
    environ = {
        **os.environ,
        "PATH": f"{beside}:{os.environ['PATH']}",
        "REDIS_URL": url,
        "WAIT": "1",
        "HEED": "1",
        "CLUES_RUN_DIR": str(folder / "run"),
    }
    return subprocess.Popen(["bash", "-c", command], cwd=folder, env=environ, start_new_session=True)


def end(manager: subprocess.Popen[bytes], patience: float) -> int:
    """TERM to the group, KILL to what is left after some seconds."""
    os.killpg(manager.pid, signal.SIGTERM)
    try:
        return manager.wait(patience)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(manager.pid, signal.SIGKILL)


def test_a_deploy(tmp_path: Path, redis_url: str) -> None:
    """The import puts back its rest, the report starts all over, each row is imported once."""
    folder = tmp_path / "app"
    shutil.copytree(EXAMPLE, folder)
    client = Resque(redis_url)
    stamped = {"clues_metadata": {"_event_hash": "ab" * 16}}
    client.push("imports", {"class": "import_rows", "args": [list(range(100))], **stamped})
    client.push("reports", {"class": "report", "args": ["monday"]})
    manager = manage(folder, redis_url)
    try:
        wait_for(lambda: (folder / "imported").exists() and len(client.working()) == 2)
        end(manager, 30)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(manager.pid, signal.SIGKILL)
    done = [int(number) for number in (folder / "imported").read_text().split()]
    assert done == list(range(len(done)))
    rest = client.peek("imports")
    assert rest["args"] == [list(range(len(done), 100))]
    events = [json.loads(line) for line in (folder / "events.log").read_text().splitlines()]
    parent = next(event for event in events if event["event_type"] == "perform_finished")
    assert rest["clues_metadata"]["_parent_event_hash"] == parent["metadata"]["_event_hash"]
    assert client.peek("reports")["args"] == ["monday"]
    assert (client.failed.count(), client.working(), client.workers()) == (0, {}, [])
    assert [event["event_type"] for event in events].count("failed") == 0
