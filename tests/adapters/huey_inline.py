"""Huey within one process: what is told in immediate mode, with other storages and serializers, and after `uninstall`.

Prints one JSON object: the events of each scenario below.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import huey as library
from huey import CancelExecution, FileHuey, Huey, MemoryHuey, SqliteHuey
from huey.serializer import SignedSerializer

import clues
from clues.adapters.huey import hooked, install, uninstall
from clues.testing import RecordingPublisher, capture_events

logging.getLogger("huey").setLevel(logging.CRITICAL)
_place = tempfile.mkdtemp()


def _add_customer(queue: str, item: dict[str, Any]) -> None:
    item["clues_metadata"]["customer_id"] = 4711


class _Tasks:
    """An instance's tasks."""

    def __init__(self, huey: Huey) -> None:
        self.huey = huey
        install(huey)
        self.add = huey.task(name="add")(self._add)
        self.fail = huey.task(name="fail")(self._fail)
        self.outer = huey.task(name="outer")(self._outer)
        self.cancel = huey.task(name="cancel")(self._cancel)

    def _add(self, x: int, y: int = 0) -> int:
        clues.clues_metadata["sum"] = x + y
        return x + y

    def _fail(self, *args: Any) -> None:
        raise ValueError("told to fail")

    def _outer(self) -> int:
        clues.clues_metadata["before"] = True
        result = self.add(1, 2)
        clues.clues_metadata["after"] = result()
        return 1

    def _cancel(self) -> None:
        raise CancelExecution

    def work(self) -> None:
        """What a worker does, until the queue is empty."""
        while (task := self.huey.dequeue()) is not None:
            self.huey.execute(task)


def immediate(kit: _Tasks) -> None:
    kit.huey.immediate = True
    kit.add(1, 2)
    kit.huey.enqueue(kit.fail.s(retries=1))
    kit.outer()
    kit.huey.enqueue(kit.add.s(1, 2).then(kit.add, 3))
    kit.cancel()


def call_local(kit: _Tasks) -> None:
    kit.add.call_local(1, 2)


def stored(kit: _Tasks) -> None:
    """A task, one with a retry, one that follows."""
    kit.add(1, y=2)
    kit.huey.enqueue(kit.fail.s(retries=1))
    kit.huey.enqueue(kit.add.s(1, 2).then(kit.add, 3))
    kit.work()


def sqlite(kit: _Tasks) -> None:
    stored(_Tasks(SqliteHuey("sqlite", filename=f"{_place}/huey.db")))


def files(kit: _Tasks) -> None:
    stored(_Tasks(FileHuey("files", path=f"{_place}/huey")))


def compressed_and_signed(kit: _Tasks) -> None:
    stored(_Tasks(MemoryHuey("signed", serializer=SignedSerializer("secret", compression=True))))


def local_time(kit: _Tasks) -> None:
    here = _Tasks(MemoryHuey("local", utc=False))
    here.add.schedule((1, 2), delay=1000)
    here.work()


def scheduled(kit: _Tasks) -> None:
    """What the worker, and later the scheduler, do with a task that is due later."""
    kit.add.schedule((1, 2), delay=1000)
    kit.work()
    due = kit.huey._get_timestamp() + timedelta(seconds=2000)
    for task in kit.huey.read_schedule(due):
        kit.huey.enqueue(task)
        kit.huey.execute(kit.huey.dequeue(), due)


def peeked(kit: _Tasks) -> None:
    """To look at what is pending is no event."""
    kit.add(1, 2)
    assert [task.args for task in kit.huey.pending()] == [(1, 2)]
    assert [type(task.kwargs) for task in kit.huey.pending()] == [dict]
    kit.work()


def storage_away(kit: _Tasks) -> None:
    """It fails when the task is taken to the schedule, when it is brought back, when it is to be tried again."""
    huey = kit.huey
    real = huey.storage.enqueue, huey.storage.add_to_schedule

    def away(*args: Any, **kwargs: Any) -> None:
        raise ConnectionError("away")

    def tried(act: Callable[[], object]) -> None:
        try:
            act()
        except ConnectionError:
            return
        raise AssertionError("it was told nothing")

    kit.add.schedule((1, 2), delay=1000)
    huey.storage.add_to_schedule = away
    tried(kit.work)
    huey.storage.add_to_schedule = real[1]
    kit.add.schedule((3, 4), delay=1000)
    kit.work()
    (task,) = huey.read_schedule(huey._get_timestamp() + timedelta(seconds=2000))
    huey.storage.enqueue = away
    tried(lambda: huey.enqueue(task))
    tried(lambda: kit.add(5, 6))
    huey.storage.enqueue = real[0]
    huey.enqueue(kit.fail.s(retries=1))
    huey.storage.enqueue = away
    tried(kit.work)
    huey.storage.enqueue = real[0]
    kit.add(7, 8)
    huey.storage.put_data = away
    tried(kit.work)


def postponed(kit: _Tasks) -> None:
    """A pre-execute hook puts the task back into the queue, and cancels this run of it."""
    times = []

    @kit.huey.pre_execute()
    def not_now(task: Any) -> None:
        times.append(task)
        if len(times) == 1:
            kit.huey.enqueue(task)
            raise CancelExecution

    kit.add(1, 2)
    kit.work()


def uninstalled(kit: _Tasks) -> None:
    kit.add(1, 2)
    uninstall()
    assert kit.huey.enqueue == Huey.enqueue.__get__(kit.huey)
    kit.work()
    kit.add(3, 4)
    kit.work()
    install(kit.huey)
    kit.add(5, 6)
    kit.work()


def patched(kit: _Tasks) -> None:
    """Somebody else has wrapped a method before, another the class after: both are called, and still are without us."""
    uninstall(kit.huey)
    seen = []
    before = kit.huey.enqueue

    def wrapped(task: Any) -> Any:
        seen.append("instance")
        return before(task)

    kit.huey.enqueue = wrapped
    install(kit.huey)
    real = Huey.execute

    def executing(self: Huey, *args: Any) -> Any:
        seen.append("class")
        return real(self, *args)

    Huey.execute = executing
    try:
        kit.add(1, 2)
        kit.work()
        assert seen == ["instance", "class"]
        uninstall(kit.huey)
        kit.add(1, 2)
        kit.work()
        assert seen == ["instance", "class"] * 2
    finally:
        Huey.execute = real


def odd_slot(kit: _Tasks) -> None:
    """Somebody else's things where ours would be."""
    from collections import OrderedDict

    for odd in (7, "x", {"_event_hash": 7}, {"_attempt": -1, 3: 4}):
        task = kit.add.s(1, 2)
        task.kwargs = OrderedDict()
        task.kwargs.clues_metadata = odd
        kit.huey.storage.enqueue(kit.huey.serializer.serialize(kit.huey._registry.create_message(task)))
    kit.work()


def unconfigured(kit: _Tasks) -> None:
    from clues.config import default

    config, default.config = default.config, None
    try:
        kit.add(1, 2)
        kit.work()
        kit.huey.enqueue(kit.fail.s(retries=1))
        kit.work()
    finally:
        default.config = config


def names(kit: _Tasks) -> None:
    assert "huey memory" in hooked()


SCENARIOS: tuple[Callable[[_Tasks], None], ...] = (
    immediate, call_local, stored, sqlite, files, compressed_and_signed, local_time, scheduled, peeked, storage_away,
    postponed, uninstalled, patched, odd_slot, unconfigured, names,
)  # fmt: skip


def main() -> None:
    found: dict[str, Any] = {"version": library.__version__}
    for scenario in SCENARIOS:
        recorder: RecordingPublisher
        with capture_events(item_preprocessor=_add_customer) as recorder:
            kit = _Tasks(MemoryHuey("memory"))
            scenario(kit)
            uninstall(kit.huey)
        found[scenario.__name__] = [json.loads(event.line) for event in recorder.events]
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    Path(_place).mkdir(exist_ok=True)
    main()
