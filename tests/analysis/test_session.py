"""Sessions: whatever ends a statement, nothing of it goes on."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from clues.analysis.session import Session

ENDLESS = "SELECT count(*) FROM range(100000) a, range(100000) b, range(100000) c"


class Deaf:
    """A connection that does not hear the first interruptions, as one whose statement is about to begin."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.interruptions = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def interrupt(self) -> None:
        self.interruptions += 1
        if self.interruptions > 2:
            self._connection.interrupt()


def test_an_interruption_that_comes_too_early_comes_again(tmp_path: Path) -> None:
    session = Session(tmp_path, memory="1GB", threads=1)
    deaf = session._connection = Deaf(session._connection)

    def stop(_share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        session.fetch(ENDLESS, lambda cursor: cursor.fetchall(), watching=stop)
    assert deaf.interruptions >= 3
    assert "clues-query" not in {thread.name for thread in threading.enumerate()}
    assert session.run("SELECT 1") == [(1,)]
    session.close()
