"""A log's rotated siblings."""

from __future__ import annotations

from pathlib import Path

from clues.analysis.rotation import rotate, siblings


def test_siblings_come_oldest_first(tmp_path: Path) -> None:
    names = ["events.log.10.gz", "events.log.2.gz", "events.log.1", "events.log"]
    for name in [*names, "events.log.bak", "other.log.1", "events.log.1.swp"]:
        (tmp_path / name).touch()
    assert [found.name for found in siblings(tmp_path / "events.log")] == names


def test_dated_siblings_come_oldest_first(tmp_path: Path) -> None:
    names = ["events.log-20261118.gz", "events.log-20261119", "events.log"]
    for name in names:
        (tmp_path / name).touch()
    assert [found.name for found in siblings(tmp_path / "events.log")] == names


def test_without_files_there_are_none(tmp_path: Path) -> None:
    assert siblings(tmp_path / "nowhere" / "events.log") == []
    assert rotate(tmp_path / "events.log") is None


def test_rotating_keeps_every_former_file(tmp_path: Path) -> None:
    log = tmp_path / "events.log"
    for run in "abc":
        log.write_text(run)
        rotate(log)
    assert not log.exists()
    assert [(tmp_path / f"events.log.{number}").read_text() for number in (1, 2, 3)] == ["c", "b", "a"]
