"""The README's own snippets, run as a reader would: in order, in one folder, against a real Redis."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\w+\.py)\n")


def blocks() -> list[tuple[str, str]]:
    """The README's fenced blocks: language and text."""
    return FENCE.findall((ROOT / "README.md").read_text())


@pytest.mark.usefixtures("duckdb")
def test_snippets(tmp_path: Path, redis_url: str) -> None:
    """Python blocks run, one that names a file is that file; so do the console's lines that begin with $."""
    beside = Path(sys.executable).parent
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("CLUES_")},
        "REDIS_URL": redis_url,
        "PATH": f"{beside}:{os.environ['PATH']}",
        "PYTHONPATH": str(tmp_path),
    }
    ran = 0
    for language, text in blocks():
        named = FILE.match(text)
        if language == "python" and named:
            (tmp_path / named[1]).write_text(text)
            continue
        commands: list[list[str]] = []
        if language == "python":
            commands = [[sys.executable, "-W", "error", "-c", text]]
        elif language == "console":
            lines = [line.removeprefix("$ ") for line in text.splitlines() if line.startswith("$ ")]
            commands = [["bash", "-euo", "pipefail", "-c", line] for line in lines]
        for command in commands:
            done = subprocess.run(
                command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False, timeout=90
            )
            assert done.returncode == 0, f"{command[-1]}\n{done.stdout}\n{done.stderr}"
            ran += 1
    assert ran >= 8
    events = [json.loads(line) for line in (tmp_path / "events.log").read_text().splitlines()]
    assert {event["event_type"] for event in events} >= {
        "enqueued",
        "dequeued",
        "perform_finished",
        "failed",
        "destroyed",
    }
    assert all(event["metadata"]["customer_id"] == 4711 for event in events if event["event_type"] == "failed")


def test_event_example_is_an_event() -> None:
    """The event that the README shows has the shape and key order of the real ones."""
    (example,) = (json.loads(text) for language, text in blocks() if language == "json")
    assert list(example) == ["event_type", "timestamp", "queue", "metadata", "worker_class", "args"]


def test_commands_are_targets() -> None:
    """Every `make` that the README names is a target."""
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert named <= targets
    assert {"demo", "test", "check", "bench"} <= named


def test_links_lead_somewhere() -> None:
    """Every relative link of the README and the docs names a file of the checkout."""
    pages = [ROOT / "README.md", ROOT / "publishers" / "README.md", *(ROOT / "docs").glob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert target.startswith("http") or (page.parent / target).exists(), f"{page.name}: {target}"
