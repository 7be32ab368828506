"""docs/analysis.md and docs/questions.md: their commands run, the columns are there."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.analysis.many import lines
from tests.cli.running import clues
from tests.docs.snippets import snippets

pytestmark = pytest.mark.usefixtures("duckdb")

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "analysis.md").read_text()
TABLE = PAGE.partition("## Which question, which command")[2].partition("\n## ")[0]
_OTHERS = (
    "clues setup",
    "clues trace",
    "clues queues",
    "clues workers",
    "clues web",
    "clues doctor",
)  # tried elsewhere
COMMANDS = sorted(
    {
        found
        for found in re.findall(r"`(clues [^`]+)`", TABLE + (DOCS / "questions.md").read_text())
        if not found.startswith(_OTHERS)
    }
)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("docs") / "events.log"
    path.write_bytes(b"".join(lines(2_000)))
    return path


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 12


@pytest.mark.parametrize("command", COMMANDS)
def test_each_answer_is_one(command: str, log: Path) -> None:
    """With the log that CLUES_PUBLISHERS names; promises may be broken, nothing else."""
    _, *args = shlex.split(command)
    done = clues(*args, environ={"CLUES_PUBLISHERS": f"log://{log}"}, cwd=log.parent)
    assert done.returncode == 0 or (args[0] == "sla" and done.returncode == 1), done.stderr
    assert "error" not in done.stderr


def test_the_python_snippet(log: Path) -> None:
    [snippet] = [one for one in snippets("docs/analysis.md") if one.language == "python"]
    done = subprocess.run(
        [sys.executable, "-c", snippet.text], cwd=log.parent, capture_output=True, text=True, check=False
    )
    assert done.stdout.endswith("lines were no events\n"), done.stderr


@pytest.mark.parametrize("table", ["jobs", "events"])
def test_the_columns_are_those_of_the_page(table: str, log: Path) -> None:
    described = json.loads(clues("query", f"DESCRIBE {table}", log, "--json").stdout)
    told = PAGE.partition(f"**`{table}`**")[2].partition("\n\n**" if table == "jobs" else "\n\nRuby")[0]
    named = {name for quoted in re.findall(r"`([a-z_\s]+)`", told) for name in quoted.split()}
    assert {row["column_name"] for row in described} <= named
