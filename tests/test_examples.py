"""The examples, run as their READMEs say."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_shop(tmp_path: Path, redis_url: str) -> None:
    """The shop's README: its commands run, and the events tell what its jobs did, without card numbers."""
    folder = tmp_path / "shop"
    shutil.copytree(ROOT / "examples" / "shop", folder, ignore=shutil.ignore_patterns("__pycache__"))
    commands = [
        line.removeprefix("$ ") for line in (folder / "README.md").read_text().splitlines() if line.startswith("$ ")
    ]
    assert commands.pop(0).startswith("export REDIS_URL=")
    beside = Path(sys.executable).parent
    environ = {**os.environ, "REDIS_URL": redis_url, "PATH": f"{beside}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(commands)],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    text = (folder / "events.log").read_text()
    assert "4111111111111111" not in text
    events = [json.loads(line) for line in text.splitlines()]
    ended = sorted(
        (event["worker_class"], event["event_type"])
        for event in events
        if event["metadata"]["_event_id"].endswith(":end")
    )
    assert ended == [
        ("ChargeCard", "failed"),
        ("ChargeCard", "perform_finished"),
        ("send_apology", "perform_finished"),
        ("send_receipt", "perform_finished"),
    ]
    receipt = next(event for event in events if event["worker_class"] == "send_receipt")
    charged = next(
        event for event in events if event["worker_class"] == "ChargeCard" and "order_id" in event["metadata"]
    )
    assert receipt["metadata"]["_parent_event_hash"] == charged["metadata"]["_event_hash"]
    logged = [json.loads(line) for line in done.stderr.splitlines() if '"logger": "shop"' in line]
    assert logged[0]["event_hash"] == charged["metadata"]["_event_hash"]
