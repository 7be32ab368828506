"""The progress bar of long reading."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from clues.cli import progress


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_short_reading_shows_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", _Terminal())
    log = tmp_path / "events.log"
    log.write_bytes(b"x")
    with progress.reading_progress([log, tmp_path / "missing"]) as advance:
        assert advance is None


@pytest.mark.parametrize("name", ["events.log", "events.log.gz"])
def test_long_reading_on_a_terminal_shows_a_bar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    terminal = _Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr(progress, "WORTH_SHOWING", 1)
    log = tmp_path / name
    log.write_bytes(b"x" * 1000)
    with progress.reading_progress([log]) as advance:
        assert advance is not None
        advance(1000)
    assert "reading" in terminal.getvalue()


def test_long_reading_into_a_file_shows_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", io.StringIO())
    monkeypatch.setattr(progress, "WORTH_SHOWING", 1)
    log = tmp_path / "events.log"
    log.write_bytes(b"x" * 1000)
    with progress.reading_progress([log]) as advance:
        assert advance is None
