"""Clerks: what they do when they can't."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from clues.resque.board import Board
from clues.resque.clerk import Clerk
from clues.resque.client import Resque
from clues.resque.options import Options
from tests.forks import forked
from tests.publishers.receivers import free_port


@pytest.mark.parametrize("task", [{"task": "prune"}, {"task": "open", "ids": ["here:1:q"]}])
def test_without_redis(tmp_path: Path, task: dict[str, object], capfd: pytest.CaptureFixture[str]) -> None:
    """It says so in a line, and by its status, by which the master knows that it is to be done again."""
    board = Board.create(str(tmp_path), "redis://here", "token", capacity=1, threads=1, base_id="here:1:q")
    away = Resque(f"redis://:secret@127.0.0.1:{free_port()}")
    read, write = os.pipe()
    clerk = Clerk(away, Options(queues=("q",), run_dir=str(tmp_path)), board, read)

    def errand() -> None:
        logging.getLogger("clues.resque").addHandler(logging.StreamHandler())
        clerk.do(task)

    assert forked(errand) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("Redis does not serve (ConnectionError: ")
    assert line.endswith(f"the clerk's errand is done later: {task['task']}")
    assert "secret" not in line
    os.close(read)
    os.close(write)
    board.close()
