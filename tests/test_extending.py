"""What others write: the examples of docs/writing-a-publisher.md and docs/writing-an-adapter.md."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("example", "chosen"),
    [("adapter", "failure or retry or worker_killed"), ("publisher", "")],  # all cells take 15 s
)
@pytest.mark.usefixtures("redis_server")
def test_its_own_tests_pass(example: str, chosen: str) -> None:
    """As docs/writing-an-adapter.md says how they are run."""
    folder = ROOT / "examples" / example
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", chosen, str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{folder}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("page", "files"),
    [
        ("writing-an-adapter", ["tinyq.py", "tinyq_clues.py", "jobs.py", "test_tinyq.py"]),
        ("writing-a-publisher", ["chat.py"]),
    ],
)
def test_the_page_shows_the_example(page: str, files: list[str]) -> None:
    text = (ROOT / "docs" / f"{page}.md").read_text()
    folder = ROOT / "examples" / page.rpartition("-")[2]
    for file in files:
        assert f"```python\n# {file}\n{(folder / file).read_text()}```" in text
