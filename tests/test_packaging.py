"""What a wheel and an sdist hold, and that an installed wheel works without the checkout."""

from __future__ import annotations

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


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist, built from a copy of the checkout."""
    source = tmp_path_factory.mktemp("source") / "clues"
    shutil.copytree(ROOT, source, symlinks=True, ignore=LEFT_OUT)
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


def _wheel_names(out: Path) -> set[str]:
    (wheel,) = out.glob("*.whl")
    return set(zipfile.ZipFile(wheel).namelist())


def test_wheel(built: Path) -> None:
    """The wheel has one top-level package, with the publishers inside it as real files, and all its data."""
    names = _wheel_names(built)
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"clues"}
    scripts = {path.name for path in (ROOT / "clues/resque/scripts").glob("*.lua")}
    assert scripts
    expected = {
        "clues/__init__.py",
        "clues/py.typed",
        "clues/publishers/__init__.py",
        "clues/publishers/log.py",
        "clues/dashboards/README.md",
        *(f"clues/resque/scripts/{name}" for name in scripts),
    }
    assert expected <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    (entry_points,) = (name for name in names if name.endswith("entry_points.txt"))
    (wheel,) = built.glob("*.whl")
    declared = zipfile.ZipFile(wheel).read(entry_points).decode()
    assert "clues = clues.cli:main" in declared
    assert "log = clues.publishers.log:LogPublisher" in declared
    assert not [name for name in names if "__pycache__" in name or name.startswith("tests/")]


def test_sdist_builds_the_same_wheel(built: Path, tmp_path: Path) -> None:
    """A wheel built from the sdist holds what the wheel from the checkout holds."""
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    assert (source / "publishers" / "log.py").is_file()
    assert not (source / "clues" / "publishers").exists()
    _build(source, tmp_path / "again", "--wheel")
    assert _wheel_names(tmp_path / "again") == _wheel_names(built)


def test_installed_wheel_imports(built: Path, tmp_path: Path) -> None:
    """In an environment of its own, with no dependency at all, clues and its publishers import."""
    (wheel,) = built.glob("*.whl")
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check", wheel]
    subprocess.run(install, check=True)
    program = "import clues, clues.publishers, clues.testing; print(clues.__file__)"
    done = subprocess.run([python, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert str(tmp_path) in done.stdout
