"""The soak's short form: everything at work for some seconds under fire, and nothing is unaccounted for.

``make chaos`` is the long one, as docs/soak.md tells. CLUES_SOAK_SEED makes it another one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conformance.environments import ROOT

SEED = os.environ.get("CLUES_SOAK_SEED", "11")

pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc"),
    pytest.mark.timeout(400),
]


def soak(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.chaos.soak", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=390, check=False)


def test_the_short_form(tmp_path: Path) -> None:
    """Celery is disturbed, and not killed: what a killed worker had received comes back half a minute later."""
    account = tmp_path / "account.json"
    options = ["--minutes", "0.15", "--every", "0.4", "--spare", "celery", "--without", "massacre"]
    done = soak(*options, "--seed", SEED, "--json", str(account), "--folder", str(tmp_path / "soak"))
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert json.loads(account.read_text())["figures"]["jobs of clues.resque"]["attempts ended"] > 0


def test_its_help_has_examples_and_every_disturbance() -> None:
    done = soak("--help")
    assert "make chaos ARGS=" in done.stdout
    assert "redis-crash" in done.stdout
    assert soak("--only", "rain").returncode == 2
