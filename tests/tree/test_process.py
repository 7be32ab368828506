"""A worker's process, before it is forked."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

from clues.resque import Resque
from clues.resque.board import Board
from clues.resque.options import Options
from clues.resque.process import Place, WorkerProcess


@pytest.mark.parametrize("threads", [1, 3])
def test_what_is_made_for_a_child_is_let_go_of(tmp_path: Path, redis_url: str, threads: int) -> None:
    """At once, in the process that forks: nothing of it stays open until a garbage collection."""
    client, options = Resque(redis_url), Options(queues=("q",), thread_count=threads)
    board = Board.create(str(tmp_path), "redis", "token", capacity=1, threads=threads, base_id="h:1:q")
    reader, writer = os.pipe()
    gc.disable()
    try:
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(3):
            WorkerProcess(client, options, Place(0, board, "h:1:q", reader, writer)).let_go()
        assert len(list(Path("/proc/self/fd").iterdir())) == before
    finally:
        gc.enable()
        os.close(reader)
        os.close(writer)
        board.close()
