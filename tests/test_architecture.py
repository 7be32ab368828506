"""The layers, and what `import clues` costs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NEW_MODULES = """
import sys
before = set(sys.modules)
import {module}
import json
found = {{name: getattr(sys.modules[name], "__file__", None) for name in set(sys.modules) - before}}
print(json.dumps({{name: path for name, path in found.items() if path}}))
"""


def test_layers() -> None:
    """Every import contract of pyproject.toml holds."""
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_has_the_layers_as_they_are() -> None:
    """docs/architecture.md shows most names of the contract, in its order."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    place = {name: line for line, names in enumerate(contracts[0]["layers"]) for name in names.split(" | ")}
    (shown,) = re.findall(r"```text\n(django .*?)```", (ROOT / "docs" / "architecture.md").read_text(), re.DOTALL)
    lines = [{place[name] for name in names.split(" | ")} for names in shown.splitlines()]
    assert all(len(line) == 1 for line in lines)
    found = [line.pop() for line in lines]
    assert found == sorted(found)
    assert len(found) > 10


@pytest.mark.parametrize("module", ["clues", "clues.testing"])
def test_import_brings_no_third_party(module: str) -> None:
    """Importing clues imports the standard library and clues, nothing else."""
    done = subprocess.run(
        [sys.executable, "-c", NEW_MODULES.format(module=module)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    found = json.loads(done.stdout)
    foreign = {name for name, path in found.items() if "site-packages" in path and not name.startswith("clues")}
    assert foreign == set()
    assert module in found


def test_nobody_imports_the_bare_folder() -> None:
    """The folder `publishers` is imported as `clues.publishers`, also by its own files."""
    sources = [
        path for folder in ("clues", "publishers", "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py")
    ]
    assert len(sources) > 40
    bare = re.compile(r"^\s*(?:from|import)\s+publishers\b", re.MULTILINE)
    assert [path for path in sources if bare.search(path.read_text())] == []


def test_environment_is_read_at_the_edge() -> None:
    """`os.environ` is looked at in config, in programs (CLI, demo, mould), and where a Resque client is made.

    The folder that processes share is the same for all. Publishers look at the variables of their back ends: OTEL_*,
    GRPC_*, STATSD_*; the spool at CLUES_SPOOL.
    """
    programs = {"clues/resque/mould.py", "clues/django/management/commands/clues.py"}
    back_ends = {f"publishers/{name}.py" for name in ("otlp_grpc", "otlp_resource", "otlp_settings", "spool", "statsd")}
    allowed = {"clues/config.py", "clues/resque/client.py", "clues/rundir.py", *programs, *back_ends}
    readers = {
        path.relative_to(ROOT).as_posix()
        for folder in ("clues", "publishers")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"os\.environ|getenv", path.read_text())
    }
    assert {
        path for path in readers if not path.startswith(("clues/cli/", "clues/demo/", "clues/publishers/"))
    } <= allowed


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_the_files_that_contributors_are_led_to_are_there(page: str) -> None:
    """Each by its place, or, where the paragraph says in which package, by its name."""
    named = re.findall(r"`([\w./-]+\.(?:py|lua|md|toml|yml))`", (ROOT / page).read_text())
    assert len(named) > 15
    names = {path.name for folder in ("clues", "publishers", "tests") for path in (ROOT / folder).rglob("*.*")}
    assert [name for name in named if not (ROOT / name).exists() and ("/" in name or name not in names)] == []
