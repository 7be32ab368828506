"""What is particular to Huey: pipelines, locks, periodic tasks, what ends a task before or while it runs.

HUEY_TCP is the port of a receiver of events; HUEY_GREEN has gevent patch the process, as an application does whose
workers are greenlets.
"""

from __future__ import annotations

import os

if os.environ.get("HUEY_GREEN"):
    from gevent import monkey

    monkey.patch_all()

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from huey import CancelExecution, PriorityRedisHuey, RedisHuey, RetryTask, chord, group
from huey.api import crontab

import clues
from clues.publishers import CompositePublisher, LogPublisher, TCPPublisher
from tests.conformance.apps import common

if port := os.environ.get("HUEY_TCP"):
    shipped = TCPPublisher("127.0.0.1", int(port), spool=os.environ["HUEY_SPOOL"])
    clues.configure(CompositePublisher(LogPublisher(common.EVENTS), shipped))
else:
    common.configure(adopt_unstamped=bool(os.environ.get("HUEY_ADOPTS")))
huey = PriorityRedisHuey("particular", url=common.REDIS_URL)
elsewhere = RedisHuey("particular", url=common.REDIS_URL)  # the same keys: knows tasks that the consumer doesn't
elsewhere.storage = huey.storage
if not common.BARE:
    from clues.adapters.huey import install

    install(huey)
    install(elsewhere)


@huey.task()
def add(x: int, y: int = 0, *, path: str | None = None) -> int:
    clues.clues_metadata["sum"] = x + y
    if path is not None:
        Path(path).write_text(str(x + y))
    return x + y


@huey.task()
def total(numbers: list[int]) -> int:
    clues.clues_metadata["total"] = sum(numbers)
    return sum(numbers)


@huey.task()
def handler(error: Exception) -> None:
    clues.clues_metadata["handled"] = str(error)


@huey.task()
def fail(path: str | None = None) -> None:
    common.fail()


@huey.task()
def hang(path: str) -> None:
    common.hang(path)


@huey.task(timeout=1)
def overrun(path: str) -> None:
    common.overrun(path)


@huey.task()
@huey.lock_task("door")
def go_in() -> None:
    clues.clues_metadata["inside"] = True


@huey.task()
@huey.rate_limit("tap", limit=1, per=3600, retry=False)
def pour() -> None:
    clues.clues_metadata["poured"] = True


@huey.task()
def give_up(path: str | None = None) -> None:
    again = path is not None and not Path(path).exists()
    if path is not None:
        Path(path).touch()
    raise CancelExecution("no more of that", retry=again)


@huey.task(context=True)
def ask_again(path: str, *, task: Any = None) -> None:
    if not Path(path).exists():
        Path(path).touch()
        raise RetryTask(delay=1)
    clues.clues_metadata["context"] = task.id


@huey.task()
def leave(status: int, *, gently: bool) -> None:
    sys.exit(status) if gently else os._exit(status)


@huey.task()
def enqueue_another() -> None:
    add(1, 2)


@huey.periodic_task(crontab() if os.environ.get("HUEY_PERIODIC") else lambda _: False)
def tick() -> None:
    clues.clues_metadata["ticked"] = True


@elsewhere.task()
def stranger(x: int) -> None:
    """Nobody but the producer knows it."""


@huey.pre_execute()
def before_it_runs(task: Any) -> None:
    if task.args == (13,):
        raise CancelExecution
    if task.args == (14,):
        common.hang(task.kwargs["path"])


def enqueue(job: str, *args: Any, **options: Any) -> str:
    """One of the tasks, or what is made of them by one of the functions below."""
    made = _MADE.get(job)
    if made is not None:
        return str(made(*args, **options))
    wanted = {name: value for name, value in options.items() if name != "kwargs"}
    task = globals()[job].s(*args, **wanted, **options.get("kwargs", {}))
    (elsewhere if job == "stranger" else huey).enqueue(task)
    return str(task.id)


def _pipeline() -> str:
    first = add.s(1, 2).then(add, 4)
    huey.enqueue(first)
    return str(first.id)


def _handled() -> str:
    task = fail.s(retries=1).error(handler)
    huey.enqueue(task)
    return str(task.id)


def _chord() -> str:
    members = [add.s(number, number) for number in range(3)]
    huey.enqueue(chord(members, total.s()))
    return str(members[0].id)


def _group() -> str:
    members = [add.s(number, 10) for number in range(3)]
    huey.enqueue(group(members))
    return str(members[0].id)


def _revoked() -> str:
    task = add.s(1, 2)
    huey.revoke(task)
    huey.enqueue(task)
    return str(task.id)


def _expired() -> str:
    task = add.s(1, 2, expires=datetime.fromtimestamp(time.time() - 60, UTC).replace(tzinfo=None))
    huey.enqueue(task)
    return str(task.id)


def _locked(**options: Any) -> str:
    lock = huey.lock_task("door")
    if not lock.is_locked():
        lock.acquire()
    task = go_in.s(**options)
    huey.enqueue(task)
    return str(task.id)


def _twice() -> str:
    task = add.s(1, 2)
    huey.enqueue(task)
    huey.enqueue(task)
    return str(task.id)


def _garbage() -> str:
    huey.storage.enqueue(b"this is no pickle")
    return ""


def _unlock() -> str:
    huey.lock_task("door").clear()
    return ""


_MADE = {
    "pipeline": _pipeline, "handled": _handled, "chord": _chord, "group": _group, "revoked": _revoked,
    "expired": _expired, "locked": _locked, "twice": _twice, "garbage": _garbage, "unlock": _unlock,
}  # fmt: skip
