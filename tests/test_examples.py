"""The examples, run as their READMEs say: the shop and the starter here, the others where `ELSEWHERE` says."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from clues.resque import Resque
from tests.docs.snippets import snippets
from tests.waiting import wait_for

ROOT = Path(__file__).parents[1]
ELSEWHERE = {
    "adapter": "tests/test_extending.py",
    "django": "tests/initializers/test_django.py",
    "fastapi": "tests/initializers/test_fastapi.py",
    "flask": "tests/initializers/test_flask.py",
    "heroku": "tests/tree/test_platform.py",
    "publisher": "tests/test_extending.py",
}
SHOPS_ENDS = [
    ("ChargeCard", "failed"),
    ("ChargeCard", "perform_finished"),
    ("send_apology", "perform_finished"),
    ("send_receipt", "perform_finished"),
]


def copied(example: str, folder: Path) -> Path:
    return Path(shutil.copytree(ROOT / "examples" / example, folder / example, ignore=shutil.ignore_patterns("__py*")))


def commands(example: str) -> list[str]:
    """What the first console of an example's README has to be typed."""
    first = next(one for one in snippets(f"examples/{example}/README.md") if one.language == "console")
    return first.commands.splitlines()


def environ(redis_url: str, folder: Path) -> dict[str, str]:
    beside = Path(sys.executable).parent
    own = {"REDIS_URL": redis_url, "PATH": f"{beside}:{os.environ['PATH']}", "CLUES_RUN_DIR": str(folder / "run")}
    return {**os.environ, **own}


def ends(log: Path) -> list[tuple[str, str]]:
    """The jobs' classes, and how each ended."""
    events: list[dict[str, Any]] = [json.loads(line) for line in log.read_text().splitlines()]
    return sorted(
        (event["worker_class"], event["event_type"])
        for event in events
        if event["metadata"]["_event_id"].endswith(":end")
    )


def test_each_example_is_run() -> None:
    """Here, or by the test that names it."""
    folders = {path.name for path in (ROOT / "examples").iterdir() if path.is_dir()}
    assert folders == {"shop", "starter", *ELSEWHERE}
    assert all(example in (ROOT / test).read_text() for example, test in ELSEWHERE.items())


def test_shop(tmp_path: Path, redis_url: str) -> None:
    """The shop's README: its commands run, and the events tell what its jobs did, without card numbers."""
    folder = copied("shop", tmp_path)
    export, *typed = commands("shop")
    assert export.startswith("export REDIS_URL=")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(typed)],
        cwd=folder,
        env=environ(redis_url, tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    text = (folder / "events.log").read_text()
    assert "4111111111111111" not in text
    events = [json.loads(line) for line in text.splitlines()]
    assert ends(folder / "events.log") == SHOPS_ENDS
    receipt = next(event for event in events if event["worker_class"] == "send_receipt")
    charged = next(
        event for event in events if event["worker_class"] == "ChargeCard" and "order_id" in event["metadata"]
    )
    assert receipt["metadata"]["_parent_event_hash"] == charged["metadata"]["_event_hash"]
    logged = [json.loads(line) for line in done.stderr.splitlines() if '"logger": "shop"' in line]
    assert logged[0]["event_hash"] == charged["metadata"]["_event_hash"]


def test_starter(tmp_path: Path, redis_url: str) -> None:
    """The config file, as its README starts it: four workers of the shop's jobs, until a signal ends them."""
    copied("shop", tmp_path)
    folder = copied("starter", tmp_path)
    into, start = commands("starter")
    assert into == "cd ../shop"
    client = Resque(redis_url)
    with (tmp_path / "log").open("wb") as log:
        master = subprocess.Popen(
            ["bash", "-c", f"{into} && exec {start}"],
            cwd=folder,
            env=environ(redis_url, tmp_path),
            stdout=log,
            stderr=log,
        )
    shop = tmp_path / "shop"
    try:
        wait_for(lambda: len(client.workers()) == 4, "the four workers")
        assert (shop / "clues.pid").read_text() == f"{master.pid}\n"
        subprocess.run(
            [sys.executable, "place_orders.py"], cwd=shop, env=environ(redis_url, tmp_path), check=True, timeout=60
        )
        wait_for(lambda: ends(shop / "events.log") == SHOPS_ENDS, "the ends of the shop's jobs")
    finally:
        master.send_signal(signal.SIGQUIT)
        assert master.wait(60) == 0
    assert client.workers() == []
    assert not (shop / "clues.pid").exists()
    assert "worker 3 of 4 is " in (tmp_path / "log").read_text()  # its after_fork
