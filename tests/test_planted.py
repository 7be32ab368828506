"""Nobody else's links and files are written to, where all may put them."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest

from clues.errors import ConfigError
from clues.event import Event, EventType
from clues.planted import check_way
from clues.publishers import LogPublisher
from clues.publishers.journal import Journal
from clues.publishers.spool import Checkpoint, Spool
from tests.forks import exit_code, fork

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder as ``/tmp`` is."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


@pytest.fixture
def job_event() -> Event:
    return Event(EventType.ENQUEUED, "2026-11-20T20:59:58.123456Z", "q", {"_event_hash": "00"}, "Job", [])


def given_away(path: Path) -> Path:
    os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    return path


def link(path: Path, target: Path) -> Path:
    path.symlink_to(target)
    return path


@as_root
def test_no_log_is_written_through_somebody_elses_link(shared: Path, tmp_path: Path) -> None:
    target = tmp_path / "authorized_keys"
    target.write_text("")
    planted = given_away(link(shared / "clues.log", target))
    with pytest.raises(ConfigError, match=r"somebody else|denied"):  # some kernels refuse it themselves
        LogPublisher(planted)
    assert not target.read_text()


@as_root
def test_no_log_is_written_to_somebody_elses_file(shared: Path) -> None:
    planted = shared / "clues.log"
    planted.touch()
    with pytest.raises(ConfigError, match="somebody else"):
        LogPublisher(given_away(planted))


def test_no_log_is_written_by_another_name(shared: Path, tmp_path: Path) -> None:
    target = tmp_path / "profile"
    target.touch()
    (shared / "clues.log").hardlink_to(target)
    with pytest.raises(ConfigError, match="another name"):
        LogPublisher(shared / "clues.log")


@as_root
def test_a_file_that_was_planted_later_gets_nothing(shared: Path, job_event: Event) -> None:
    publisher = LogPublisher(shared / "clues.log")
    publisher.publish(job_event)
    (shared / "clues.log").rename(shared / "clues.log.1")
    planted = given_away(link(shared / "clues.log", shared / "theirs"))
    with pytest.raises(PermissionError):
        publisher.publish(job_event)
    planted.unlink()
    publisher.publish(job_event)
    assert not (shared / "theirs").exists()
    assert (shared / "clues.log").read_bytes() == job_event.line + b"\n"


def test_ones_own_links_are_followed(tmp_path: Path, job_event: Event) -> None:
    (tmp_path / "disk").mkdir()
    LogPublisher(link(tmp_path / "clues.log", tmp_path / "disk" / "clues.log")).publish(job_event)
    assert (tmp_path / "disk" / "clues.log").read_bytes() == job_event.line + b"\n"


@as_root
def test_a_colleagues_log_outside_such_folders_is_fine(tmp_path: Path) -> None:
    path = tmp_path / "clues.log"
    path.touch()
    LogPublisher(given_away(path))


@as_root
@pytest.mark.parametrize("planted", ["", "clues"])
def test_no_spool_stands_where_somebody_else_has_put_it(shared: Path, planted: str) -> None:
    folder = shared / "clues" / "spool"
    folder.mkdir(parents=True)
    given_away(folder.parent if planted else link(shared / "other", folder))
    with pytest.raises(ConfigError, match="somebody else"):
        Spool(folder if planted else shared / "other").make()


@as_root
def test_a_spool_is_one_users(job_event: Event) -> None:
    """Two users whom a group lets write to the folder, as containers with ``fsGroup`` are: the second is told so."""
    with tempfile.TemporaryDirectory() as folder:  # others don't come into pytest's
        os.chown(folder, 0, 4711)
        Path(folder).chmod(0o2775)
        assert [_write_as(uid, folder, job_event) for uid in (1001, 1001, 1002)] == [0, 0, 3]


def _write_as(uid: int, folder: str, job_event: Event) -> int:
    """The exit code of a process that does; 3 where it is told that the spool is another user's."""

    def write() -> None:
        os.setgroups([])
        os.setresgid(4711, 4711, 4711)
        os.setresuid(uid, uid, uid)
        try:
            Journal(Path(folder)).append(job_event)
        except ConfigError as error:
            os._exit(3 if "user 1001's: programs that share a spool run as one user" in str(error) else 4)

    return exit_code(fork(write))


@pytest.mark.parametrize("name", ["destinations", "dead"])
def test_a_spools_folders_are_no_links(tmp_path: Path, name: str) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "elsewhere").mkdir()
    link(tmp_path / "spool" / name, tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="link"):
        Spool(tmp_path / "spool").make()


@pytest.mark.parametrize("name", ["00000000000000000001.jsonl", "segments.lock", "counts"])
def test_a_spools_files_are_no_links(tmp_path: Path, name: str, job_event: Event) -> None:
    (tmp_path / "spool").mkdir()
    target = tmp_path / "target"
    target.write_text("as it was")
    link(tmp_path / "spool" / name, target)
    with pytest.raises((ConfigError, OSError)):
        Journal(tmp_path / "spool").append(job_event)
    assert target.read_text() == "as it was"


def test_modes(tmp_path: Path, job_event: Event) -> None:
    """Whatever the umask allows: lines as a log's, the rest for the owner; the folders nobody else enters."""
    before = os.umask(0)
    try:
        LogPublisher(tmp_path / "clues.log").publish(job_event)
        journal = Journal(tmp_path / "spool")
        journal.append(job_event)
        journal.spool.save(Checkpoint("there"))
        journal.spool.bury("there", [(job_event.line, "too long")], "now")
    finally:
        os.umask(before)
    modes = {str(path.relative_to(tmp_path)): stat.S_IMODE(path.stat().st_mode) for path in (*tmp_path.rglob("*"),)}
    assert modes.pop("clues.log") == 0o640
    assert {mode for name, mode in modes.items() if (tmp_path / name).is_dir()} == {0o700}
    assert {mode for name, mode in modes.items() if name.endswith(".jsonl")} == {0o640}
    assert {mode for name, mode in modes.items() if name.endswith((".json", ".lock", "counts"))} == {0o600}


def test_a_way_that_is_not_there_yet_is_nobodys(tmp_path: Path) -> None:
    check_way(tmp_path / "a" / "b")
