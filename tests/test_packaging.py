"""What a wheel and an sdist hold, and that an installed wheel works without the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", "dist", "build", "out", ".hypothesis")
TRY_IT = """
import clues, clues.publishers, clues.testing, importlib.metadata
for entry_point in importlib.metadata.entry_points(group="clues.publishers"):
    entry_point.load()
print(clues.__file__, clues.__version__ == importlib.metadata.version("clues"))
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout's files as they are now: those that git knows, so that what nobody added is missed."""
    copy = tmp_path_factory.mktemp("source") / "clues"
    if not (ROOT / ".git").exists():  # an unpacked sdist
        shutil.copytree(ROOT, copy, symlinks=True, ignore=LEFT_OUT)
        return copy
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(os.path.lexists, (ROOT / name for name in listed.stdout.strip("\0").split("\0"))):
        place = copy / name.relative_to(ROOT)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(name, place, follow_symlinks=False)
    return copy


@pytest.fixture(scope="module")
def built(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built from it."""
    out = tmp_path_factory.mktemp("dist")
    _build(source, out)
    return out


def _build(source: Path, out: Path, *what: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", out, *what, source],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def _wheel_files(out: Path) -> dict[str, bytes]:
    (wheel,) = out.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_wheel(built: Path) -> None:
    """The wheel has one top-level package, with the publishers inside it as real files, and all its data."""
    names = set(_wheel_files(built))
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"clues"}
    scripts = {path.name for path in (ROOT / "clues/resque/scripts").glob("*.lua")}
    assert scripts
    expected = {
        "clues/__init__.py",
        "clues/py.typed",
        "clues/publishers/__init__.py",
        "clues/publishers/log.py",
        "clues/dashboards/README.md",
        *(f"clues/cli/page/report.{kind}" for kind in ("css", "js")),
        *(f"clues/vendor/uplot/{name}" for name in ("LICENSE", "uPlot.iife.min.js", "uPlot.min.css")),
        "clues/dashboards/grafana/clues-overview.json",
        "clues/dashboards/kibana/clues.ndjson",
        "clues/dashboards/prometheus/rules.yml",
        *(f"clues/resque/scripts/{name}" for name in scripts),
    }
    assert expected <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    (declared,) = (text.decode() for name, text in _wheel_files(built).items() if name.endswith("entry_points.txt"))
    assert "clues = clues.cli:main" in declared
    assert "log = clues.publishers.log:LogPublisher" in declared
    assert not [name for name in names if "__pycache__" in name or name.startswith("tests/")]


def test_sdist(built: Path) -> None:
    """The sdist holds each publisher once, and the tests."""
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names >= {"publishers/log.py", "tests/conftest.py", "tests/wire/golden/a-enqueue-plain.json", "Makefile"}
    assert not [name for name in names if name.startswith("clues/publishers")]


def test_sdist_builds_the_same_wheel(source: Path, built: Path, tmp_path: Path) -> None:
    """A wheel built from the sdist holds what the wheel from the checkout holds."""
    _build(source, tmp_path, "--wheel")
    assert _wheel_files(built) == _wheel_files(tmp_path)


def test_installed_wheel_imports(built: Path, tmp_path: Path) -> None:
    """In an environment of its own, with no dependency at all, clues and its publishers import."""
    (wheel,) = built.glob("*.whl")
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    options = ["--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
    subprocess.run([python, "-m", "pip", "install", *options, wheel], check=True)
    done = subprocess.run([python, "-I", "-c", TRY_IT], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    place, same_version = done.stdout.split()
    assert Path(place).is_relative_to(tmp_path)
    assert same_version == "True"
