"""The benchmarks run, and say what they measured; how long it took is no test's business."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_a_quick_run_prints_a_table_and_writes_figures(tmp_path: Path) -> None:
    """Every figure with its spread, and what must hold."""
    path = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks", "core", "--quick", "--json", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = json.loads(path.read_text())["groups"]["core"]
    assert found["quick"] is True
    assert len(found["figures"]) > 10
    for figure in found["figures"]:
        assert figure["name"] in done.stdout
        assert 0 < figure["low"] <= figure["median"] <= figure["high"]
    assert "import clues, over a bare interpreter" in done.stdout
    assert "not measured: drain" in done.stdout
