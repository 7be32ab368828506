"""The release's script, in repositories of its own; what it builds is tried by `tests.test_packaging`."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from packaging.version import Version

ROOT = Path(__file__).parents[1]
CHANGES = "# Changelog\n\n## Unreleased\n\n### Added\n\n- A thing.\n"


def _loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("clues_release", ROOT / "tools" / "release.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tool = _loaded()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """One with what a package needs to be built, on main, all committed."""
    root = tmp_path / "clues"
    (root / "clues").mkdir(parents=True)
    (root / "clues" / "__init__.py").write_text('"""clues."""\n\n__version__ = "0.1.0.dev0"\n')
    (root / "CHANGELOG.md").write_text(CHANGES)
    (root / ".gitignore").write_text("dist/\n")
    (root / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "clues"\ndynamic = ["version"]\nrequires-python = ">=3.11"\n'
        '[tool.hatch.version]\npath = "clues/__init__.py"\n'
    )
    git(root, "init", "--quiet", "--initial-branch", "main")
    git(root, "config", "user.name", "somebody")
    git(root, "config", "user.email", "somebody@example.com")
    commit(root)
    return root


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True).stdout.strip()


def commit(root: Path) -> None:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "something")


def test_a_release(repository: Path) -> None:
    """Wheel and sdist are tried before anything is committed; the tag is the release, the branch is after it."""
    tried: list[tuple[set[str], str]] = []

    def try_out(dist: Path, version: str) -> None:
        assert git(repository, "tag") == ""
        tried.append(({path.name for path in dist.iterdir()}, version))

    tool.release(repository, "1.0.0", try_out=try_out)
    assert tried == [({"clues-1.0.0-py3-none-any.whl", "clues-1.0.0.tar.gz"}, "1.0.0")]
    assert git(repository, "status", "--porcelain") == ""
    assert git(repository, "log", "--format=%s").splitlines() == [
        "After 1.0.0 comes 1.1.0.dev0",
        "Release 1.0.0",
        "something",
    ]
    assert git(repository, "show", "v1.0.0:clues/__init__.py").endswith('__version__ = "1.0.0"')
    assert git(repository, "show", "main:clues/__init__.py").endswith('__version__ = "1.1.0.dev0"')
    changelog = (repository / "CHANGELOG.md").read_text()
    released = r"# Changelog\n\n## Unreleased\n\n## 1\.0\.0 - \d{4}-\d\d-\d\d\n\n### Added\n\n- A thing\.\n"
    assert re.fullmatch(released, changelog)
    with pytest.raises(tool.RefusedError, match="says nothing under Unreleased"):
        tool.release(repository, "1.0.1", try_out=try_out)


def test_a_package_that_is_no_good_leaves_the_repository_as_it_was(repository: Path) -> None:
    def try_out(dist: Path, version: str) -> None:
        raise tool.RefusedError("the wheel does not work")

    with pytest.raises(tool.RefusedError, match="the wheel does not work"):
        tool.release(repository, "1.0.0", try_out=try_out)
    assert git(repository, "status", "--porcelain") == ""
    assert git(repository, "log", "--format=%s") == "something"
    assert git(repository, "tag") == ""


def on_a_branch(root: Path) -> None:
    git(root, "switch", "--quiet", "--create", "mine")


def with_changes(root: Path) -> None:
    (root / "new.py").write_text("")


def nothing_new(root: Path) -> None:
    (root / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n\n### Added\n\n## 0.9.0 - 2026-01-01\n\n- Old.\n")
    commit(root)


def released(*versions: str) -> Callable[[Path], None]:
    def tag(root: Path) -> None:
        for version in versions:
            git(root, "tag", f"v{version}")

    return tag


@pytest.mark.parametrize(
    ("make", "version", "words"),
    [
        (on_a_branch, "1.0.0", ["made on main", "mine", "git switch main"]),
        (with_changes, "1.0.0", ["not committed", "new.py", "git status"]),
        (nothing_new, "1.0.0", ["nothing under Unreleased", "CHANGELOG.md"]),
        (released("1.0.0"), "1.0.0", ["not after 1.0.0"]),
        (released("1.0.0", "1.2.0", "vendored"), "1.1.5", ["not after 1.2.0"]),
        (released("1.0.0"), "1.0.1", ["1.0.1 is no minor version"]),
        (released(), "1.0", ["as 1.0.0"]),
        (released(), "1.0.0.dev1", ["as 1.0.0"]),
        (released(), "v1.0.0", ["as 1.0.0"]),
        (released(), "one", ["no version", "as 1.0.0"]),
    ],
)
def test_why_there_is_no_release(
    repository: Path, make: Callable[[Path], None], version: str, words: list[str]
) -> None:
    """Each says what to do; nothing has happened."""
    make(repository)
    before = git(repository, "rev-parse", "HEAD")
    with pytest.raises(tool.RefusedError) as caught:
        tool.release(repository, version)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert git(repository, "rev-parse", "HEAD") == before
    assert not (repository / "dist").exists()


@pytest.mark.parametrize(
    ("last", "wanted", "heading", "lacking"),
    [
        ("1.0.0", "1.0.1", "Fixed", ""),
        ("1.0.0", "1.0.1", "Added", "minor"),
        ("1.0.0", "1.1.0", "Added", ""),
        ("1.0.0", "1.1.0", "Removed", "major"),
        ("1.0.0", "2.0.0", "Removed", ""),
        ("0.9.0", "0.9.1", "Removed", "minor"),
        ("0.9.0", "0.10.0", "Removed", ""),
        ("0.9.0", "1.0.0", "Removed", ""),
        ("1.0.0rc1", "1.0.0", "Added", ""),
        ("2.0.0rc1", "2.0.0", "Removed", ""),
    ],
)
def test_the_version_fits_what_has_changed(last: str, wanted: str, heading: str, lacking: str) -> None:
    assert tool.too_small(Version(last), Version(wanted), f"### {heading}\n\n- x\n") == lacking


def test_a_rehearsal_leaves_nothing(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It goes all the way, in a copy."""
    monkeypatch.setattr(tool, "try_packages", lambda dist, version: None)
    tool.rehearse(repository, "1.0.0")
    assert "Release 1.0.0" in capsys.readouterr().out
    assert git(repository, "log", "--format=%s") == "something"
    assert git(repository, "tag") == ""
    assert not (repository / "dist").exists()


def test_the_command_says_why_there_is_none(tmp_path: Path) -> None:
    """In one line, with an exit status."""
    copy = tmp_path / "tools"
    copy.mkdir()
    shutil.copy(ROOT / "tools" / "release.py", copy)
    done = subprocess.run(
        [sys.executable, copy / "release.py", "one"], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 1
    assert done.stderr == "no release: 'one' is no version: it should be as 1.0.0, or 1.0.0rc1\n"
