"""Status and pid files: their bytes, who may write and remove them, and what stands in the way."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from clues.errors import ConfigError
from clues.resque.status_file import PidFile, StatusFile
from tests.forks import forked
from tests.requirements import lacking

Writer = Callable[[Path], object]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file is to be."""
    return tmp_path / "file"


@pytest.mark.parametrize(
    ("workers", "text"),
    [({4711: 0, 815: 1}, "---\nold_workers:\n  4711: 0\n  815: 1\n"), ({}, "---\nold_workers: {}\n")],
)
def test_as_ruby_writes_it(path: Path, workers: dict[int, int], text: str) -> None:
    """The bytes of resque_starter's own."""
    StatusFile(path).write(workers)
    assert path.read_text() == text
    ruby = shutil.which("ruby") or lacking("ruby", "no ruby on PATH")
    given = "{" + ",".join(f"{pid}=>{number}" for pid, number in workers.items()) + "}"
    script = f"print({{'old_workers' => {given}}}.to_yaml)"
    assert subprocess.run([ruby, "-ryaml", "-e", script], capture_output=True, check=True).stdout.decode() == text


def test_the_status_file_is_replaced_whole(path: Path) -> None:
    """A reader that has it open goes on to read what it opened; nothing else is left in the folder."""
    file = StatusFile(path)
    file.write({1: 0})
    with path.open() as reader:
        file.write({2: 0})
        assert "1: 0" in reader.read()
    assert "2: 0" in path.read_text()
    assert list(path.parent.iterdir()) == [path]


def test_everybody_may_read_the_status_file(path: Path) -> None:
    """Whatever the mask."""
    before = os.umask(0o077)
    try:
        StatusFile(path).write({})
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o644


def test_the_status_file_goes(path: Path) -> None:
    """By who wrote it; without a word if it never was, or is gone."""
    file = StatusFile(path)
    file.remove()
    file.write({1: 0})
    file.remove()
    assert not path.exists()
    file.remove()


def test_a_status_file_left_by_a_dead_master(path: Path) -> None:
    """Is replaced."""
    path.write_text("---\nold_workers:\n  1: 0\n")
    StatusFile(path).write({})
    assert path.read_text() == "---\nold_workers: {}\n"


@pytest.mark.parametrize("workers", [{1: 0}, {}])
def test_a_later_master_takes_the_status_file_over(path: Path, workers: dict[int, int]) -> None:
    """The earlier one leaves it alone from then on, until it is gone."""
    earlier, later = StatusFile(path), StatusFile(path)
    earlier.write(workers)
    later.write(workers)
    written = path.stat().st_ino
    earlier.write({3: 0})
    earlier.remove()
    assert path.stat().st_ino == written
    later.write({4: 0})
    assert "4: 0" in path.read_text()
    later.remove()
    earlier.write({5: 0})
    assert "5: 0" in path.read_text()


def test_a_touched_status_file_is_still_ours(path: Path) -> None:
    """Somebody's `touch` must not end its being kept."""
    file = StatusFile(path)
    file.write({1: 0})
    os.utime(path, (1, 1))
    file.write({2: 0})
    assert "2: 0" in path.read_text()


def test_a_child_does_not_remove_the_status_file(path: Path) -> None:
    """In Ruby's, any worker that ends by itself does."""
    file = StatusFile(path)
    file.write({1: 0})
    assert forked(file.remove) == 0
    assert path.exists()


@pytest.mark.parametrize(("newline", "end"), [(True, "\n"), (False, "")])
def test_pid_file(path: Path, newline: bool, end: str) -> None:
    """The id, with a newline or without; a longer text that was there is gone."""
    path.write_text("a longer text than any process id\n")
    PidFile(path, newline=newline).write()
    assert path.read_text() == f"{os.getpid()}{end}"


def test_the_pid_file_goes(path: Path) -> None:
    """By who wrote it; without a word if it never was, or is gone."""
    file = PidFile(path, newline=True)
    file.remove()
    file.write()
    file.remove()
    assert not path.exists()
    file.remove()


@pytest.mark.parametrize("text", ["4711\n", "", "no number"])
def test_a_pid_file_of_another(path: Path, text: str) -> None:
    """Stays."""
    file = PidFile(path, newline=True)
    file.write()
    path.write_text(text)
    file.remove()
    assert path.read_text() == text


def test_a_pid_file_that_was_there_before_us(path: Path) -> None:
    """Stays, where we have written none, even if it holds our id."""
    path.write_text(f"{os.getpid()}\n")
    PidFile(path, newline=True).remove()
    assert path.exists()


def test_a_child_does_not_remove_the_pid_file(path: Path) -> None:
    """It was its parent that wrote it."""
    file = PidFile(path, newline=True)
    file.write()
    assert forked(file.remove) == 0
    assert path.exists()


def test_a_pid_file_in_a_folder_of_another(path: Path) -> None:
    """Is written in place: its folder need not be ours to write in."""
    path.touch()
    inode = path.stat().st_ino
    PidFile(path, newline=True).write()
    assert path.stat().st_ino == inode


def test_a_pid_file_for_nobody() -> None:
    """Where there must be one, /dev/null will do, and stays."""
    file = PidFile("/dev/null", newline=False)
    file.write()
    file.remove()
    assert Path("/dev/null").is_char_device()


def status(path: Path) -> None:
    StatusFile(path).write({1: 0})


def pid(path: Path) -> None:
    PidFile(path, newline=True).write()


both = pytest.mark.parametrize("write", [status, pid])


@both
def test_a_planted_link(path: Path, write: Writer) -> None:
    """Is refused, and what it leads to is as it was."""
    target = path.with_name("target")
    target.write_text("precious")
    path.symlink_to(target)
    with pytest.raises(ConfigError, match=r"can't write the (status|pid) file .*/file: .*link"):
        write(path)
    assert target.read_text() == "precious"
    assert path.is_symlink()


@pytest.mark.parametrize("kind", ["status", "pid"])
def test_a_link_planted_meanwhile(path: Path, kind: str) -> None:
    """Is not removed, for it is not what we wrote, nor is what it leads to."""
    target = path.with_name("target")
    file: StatusFile | PidFile
    if kind == "status":
        file = StatusFile(path)
        file.write({1: 0})
    else:
        file = PidFile(path, newline=True)
        file.write()
    path.rename(target)
    path.symlink_to(target)
    file.remove()
    assert path.is_symlink()
    assert target.exists()


@both
def test_a_pipe(path: Path, write: Writer) -> None:
    """Holds nobody up."""
    os.mkfifo(path)
    with pytest.raises(ConfigError, match=r"can't write the (status|pid) file"):
        write(path)


@both
@pytest.mark.parametrize(("name", "reason"), [("none/file", "No such file or directory"), ("folder", "folder: ")])
def test_paths_that_can_not_be_written(tmp_path: Path, write: Writer, name: str, reason: str) -> None:
    """Are named with the reason, and nothing is left behind."""
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match=reason) as caught:
        write(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)
    assert [found.name for found in tmp_path.iterdir()] == ["folder"]


@both
def test_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Writer) -> None:
    """Is relative to the folder at the beginning."""
    monkeypatch.chdir(tmp_path)
    write(Path("file"))
    file = PidFile("file", newline=True)
    file.write()
    monkeypatch.chdir("/")
    file.remove()
    assert list(tmp_path.iterdir()) == []
