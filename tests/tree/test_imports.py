"""Nothing is imported in a worker's process after its fork: each child would do it again, in its job's way."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tree.trees import JOBS, tree
from tests.waiting import wait_for

LOOKING = (
    JOBS
    + """
mould = os.getpid()

def look(event, args):
    if event == "import" and os.getpid() != mould:
        note("imported", args[0])

sys.addaudithook(look)

class Fails(Noop):
    @classmethod
    def perform(cls):
        clues.clues_metadata["pages"] = 12
        raise ValueError("no")

class Enqueues(Noop):
    @classmethod
    def perform(cls):
        resque.enqueue(Noop, "two")

class Waits(Noop):
    @classmethod
    async def perform(cls):
        pass

class Imports(Noop):
    @classmethod
    def perform(cls):
        import wave
"""
)


@pytest.mark.parametrize(
    "options",
    [{"JOBS_PER_FORK": "1"}, {"JOBS_PER_FORK": "3"}, {"BATCH_SIZE": "4", "THREAD_COUNT": "2", "JOBS_PER_FORK": "100"}],
    ids=" ".join,
)
def test_no_child_imports(tmp_path: Path, redis_url: str, options: dict[str, str]) -> None:
    """Not for a job that ends well, fails, enqueues another or is async, nor for its own end."""
    with tree(tmp_path / "app", redis_url, jobs=LOOKING, **options) as made:
        for name in ("Noop", "Fails", "Enqueues", "Waits", "Noop", "Imports"):
            made.enqueue(name)
        wait_for(lambda: made.stats() == (7, 1))
        assert made.end() == 0
        assert made.notes() == ["imported wave"]  # the job's own
