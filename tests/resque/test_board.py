"""Scoreboards' files: what is left of a tree that died as it made its own."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path

import pytest

from clues.errors import ConfigError
from clues.resque.board import Board, dead_ones, has_dead_ones
from tests.forks import forked


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_no_room_for_a_board(tmp_path: Path) -> None:
    """It is an error, and nothing is left behind."""

    def make() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, 1))
        with pytest.raises(ConfigError, match="can't make the scoreboard"):
            Board.create(str(tmp_path), "redis://here", "token", capacity=2, threads=2)

    assert forked(make) == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [0, 8192])
def test_a_board_that_was_never_written(tmp_path: Path, size: int) -> None:
    """Its master was killed before it could: it is removed, and costs no descriptor."""
    Board.create(str(tmp_path), "redis://here", "token", capacity=2, threads=2).close()
    (made,) = tmp_path.glob("*.board")
    made.write_bytes(bytes(size))
    before = descriptors()
    assert not has_dead_ones(str(tmp_path), "redis://here")
    assert list(tmp_path.iterdir()) == []
    assert descriptors() == before


def test_a_board_of_another_version(tmp_path: Path) -> None:
    """It is left alone: who can read it may finish its stories."""
    Board.create(str(tmp_path), "redis://here", "token", capacity=2, threads=2).close()
    (made,) = tmp_path.glob("*.board")
    made.write_bytes(b"clues board 9\n" + bytes(8192))
    before = descriptors()
    assert list(dead_ones(str(tmp_path), "redis://here")) == []
    assert made.exists()
    assert descriptors() == before


def test_no_room_for_a_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told before its memory is touched, which would kill; who looks at all slots touches none that is unused."""

    def full(_fd: int, _start: int, _size: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    board = Board.create(str(tmp_path), "redis://here", "token", capacity=4, threads=2)
    board.reserve(0)
    board.record(0, 1).pid = 4711
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space"):
        board.reserve(1)
    assert [record.pid for record in board.records(0)] == [0, 4711]
    assert [len(board.records(slot)) for slot in range(4)] == [2, 0, 0, 0]
    board.close()
    for left in dead_ones(str(tmp_path), "redis://here"):
        assert [slot for slot in range(4) if left.is_used(slot)] == [0]
        left.remove()
    assert list(tmp_path.iterdir()) == []
