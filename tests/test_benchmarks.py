"""The benchmarks run, and say what they measured; how long it took is no test's business."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_a_quick_run_prints_a_table_and_writes_figures(tmp_path: Path) -> None:
    """Every group, every figure with its spread."""
    path = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--json", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = json.loads(path.read_text())
    assert found["quick"] is True
    assert len(found["figures"]) == 4
    for title, figures in found["figures"].items():
        assert title in done.stdout
        for figure in figures:
            assert figure["name"] in done.stdout
            assert 0 < figure["low"] <= figure["seconds"] <= figure["high"]
