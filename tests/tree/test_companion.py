"""The tree's shipper: kept alive, renewed with the code, and the last to leave."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from tests.tree.trees import JOBS, Tree, tree
from tests.waiting import wait_for

ROOT = Path(__file__).parents[2]
SHIPPING = (
    JOBS
    + """
from pathlib import Path
from clues.publishers import CompositePublisher
from tests.publishers.destinations import Appending, Shipping

clues.configure(publisher=CompositePublisher(
    LogPublisher("events.log"), Shipping(Appending(Path("delivered").absolute()), Path("spool").absolute())
))
"""
)
HERE = {"PYTHONPATH": str(ROOT)}


def delivered(made: Tree) -> list[tuple[int, str]]:
    """What came: the process that shipped, and the event's id."""
    path = made.folder / "delivered"
    found = []
    for line in path.read_bytes().splitlines() if path.exists() else []:
        pid, _, text = line.partition(b" ")
        found.append((int(pid), json.loads(text)["metadata"]["_event_id"]))
    return found


def shipper(made: Tree) -> int:
    """Its process id."""
    (pid,) = wait_for(lambda: made.find(": Shipper"), "the shipper")
    return pid


def test_every_event_is_delivered_by_it(tmp_path: Path, redis_url: str) -> None:
    """With a process for each job; TERM ends the tree, and what came last is delivered by then."""
    with tree(tmp_path / "app", redis_url, jobs=SHIPPING, WORKER_COUNT="2", **HERE) as made:
        pid = shipper(made)
        made.enqueue("Noop", times=40)
        wait_for(lambda: made.stats() == (40, 0))
        made.begin("a")
        assert made.end(signal.SIGTERM) == 0
        found = delivered(made)
        assert {who for who, _ in found} == {pid}
        assert sorted(name for _, name in found) == sorted(event["metadata"]["_event_id"] for event in made.events())
        assert len(found) == 41 * 3
        assert sum(path.stat().st_size for path in (made.folder / "spool").glob("*.jsonl")) == 0


def test_it_is_killed(tmp_path: Path, redis_url: str) -> None:
    """Another one takes its place, and what came meanwhile is delivered."""
    with tree(tmp_path / "app", redis_url, jobs=SHIPPING, **HERE) as made:
        first = shipper(made)
        made.enqueue("Noop")
        wait_for(lambda: len(delivered(made)) == 3)
        os.kill(first, signal.SIGKILL)
        made.enqueue("Noop")
        # What the first had sent and not noted yet comes again.
        wait_for(lambda: len({event_id for _, event_id in delivered(made)}) == 6, "the events of both jobs")
        assert {pid for pid, _ in delivered(made)} == {first, shipper(made)}
        assert made.end() == 0


def test_new_code(tmp_path: Path, redis_url: str) -> None:
    """HUP: the old one delivers what it can, and the new code's takes over."""
    with tree(tmp_path / "app", redis_url, jobs=SHIPPING, **HERE) as made:
        first = shipper(made)
        made.send(signal.SIGHUP)
        wait_for(lambda: made.find(": Shipper") not in ([], [first]) and len(made.find(": Shipper")) == 1)
        made.enqueue("Noop")
        wait_for(lambda: len(delivered(made)) == 3)
        assert {pid for pid, _ in delivered(made)} == {shipper(made)}
        assert made.end() == 0


def test_platform_signals(tmp_path: Path, redis_url: str) -> None:
    """TERM to it alone, as to any process of a group, does nothing."""
    with tree(tmp_path / "app", redis_url, jobs=SHIPPING, **HERE) as made:
        pid = shipper(made)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
            os.kill(pid, number)
        made.enqueue("Noop")
        wait_for(lambda: len(delivered(made)) == 3)
        assert [who for who, _ in delivered(made)] == [pid] * 3
        assert made.end() == 0


def test_the_master_is_killed(tmp_path: Path, redis_url: str) -> None:
    """The shipper goes within its time; what is left stands in the journal, and the next tree's delivers it."""
    with tree(tmp_path / "app", redis_url, jobs=SHIPPING, **HERE) as made:
        shipper(made)
        made.begin("a")
        made.send(signal.SIGKILL)
        wait_for(lambda: not made.find(": Shipper"), "its end")
        made.let_go("a")
        wait_for(lambda: not made.titles(), "the end of the orphans")
    with tree(tmp_path / "app", redis_url, jobs=SHIPPING, **HERE) as made:
        wait_for(lambda: len(delivered(made)) == 3)
        assert made.end() == 0


def test_no_companion_without_need(tmp_path: Path, redis_url: str) -> None:
    """A log needs none."""
    with tree(tmp_path / "app", redis_url) as made:
        made.enqueue("Sleep", 0, "a")
        made.wait_for_note("ended a")
        assert made.find(": Shipper") == []
        assert made.end() == 0
