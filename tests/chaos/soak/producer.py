"""Enqueues jobs until TERM, and notes of each what it was told.

``python -m tests.chaos.soak.producer resque|celery RATE SEED``. Each line of its notes is ``asked NUMBER KIND`` before
a job is pushed, and then ``pushed NUMBER HASH``, or ``refused NUMBER ERROR``: then it may have been pushed or not.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.chaos.soak.jobs import FOLDER
from tests.chaos.soak.jobs_numbers import CELERY_FROM

MOST_WAITING = 200
_RETRY_EVERY = 3.0

RESQUE_KINDS = {
    "Work": 60, "Fail": 8, "Again": 5, "Hang": 1, "Exit": 1, "Resume": 5, "Shelf": 3, "Calm": 30, "CalmFail": 3,
}  # fmt: skip
CELERY_KINDS = {"work": 70, "fail": 10, "again": 6, "hang": 1, "leave": 1}


def main(system: str, rate: float, seed: int) -> None:
    notes = FOLDER / f"notes.{system}"
    chance = random.Random(seed + os.getpid())
    first = last_number(notes, CELERY_FROM if system == "celery" else 0) + 1
    fd = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(*words: object) -> None:
        os.write(fd, (" ".join(map(str, words)) + "\n").encode())

    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(1))
    kinds, push, waiting, retry = (celery_side if system == "celery" else resque_side)()
    next_retry = 0.0
    for number in itertools.count(first):
        if stopping:
            return
        kind = chance.choices(list(kinds), list(kinds.values()))[0]
        seconds = chance.choice((0.0, 0.01, 0.03, 0.06, 1.0 if chance.random() < 0.2 else 0.1))
        note("asked", number, kind)
        try:
            note("pushed", number, push(kind, number, seconds, note))
        except Exception as error:
            note("refused", number, type(error).__name__)
        if time.monotonic() > next_retry:
            next_retry = time.monotonic() + _RETRY_EVERY
            guarded(retry)
        pause(chance.expovariate(rate), stopping)
        while not stopping and guarded(waiting) > MOST_WAITING:
            pause(1.0, stopping)


def resque_side() -> tuple[dict[str, int], Callable[..., object], Callable[[], int], Callable[[], None]]:
    from clues.resque import Resque
    from tests.chaos.soak import resque_app

    client = Resque(os.environ["REDIS_URL"])

    def push(kind: str, number: int, seconds: float, note: Callable[..., None]) -> str:
        job: Any = getattr(resque_app, kind)
        receipt = client.enqueue(job, number, seconds)
        assert receipt is not None
        if kind == "Shelf":
            note("removed", number, client.dequeue(job, number, seconds))
        return str(receipt.event_hash)

    def retry() -> None:
        for failure in itertools.islice(client.failed.found(), 50):
            payload = failure.entry["payload"]
            fresh = "retried_at" not in failure.entry and payload["clues_metadata"]["_attempt"] < 3
            if payload["class"] == "Again" and fresh:
                client.failed.retry_found(failure)

    return RESQUE_KINDS, push, lambda: client.size("storm") + client.size("calm"), retry


def celery_side() -> tuple[dict[str, int], Callable[..., object], Callable[[], int], Callable[[], None]]:
    import redis

    from tests.chaos.soak import celery_app

    client = redis.Redis.from_url(os.environ["SOAK_CELERY_REDIS"], socket_timeout=10)

    def push(kind: str, number: int, seconds: float, note: Callable[..., None]) -> str:
        return str(celery_app.app.tasks[kind].apply_async((number, seconds)).id)

    return CELERY_KINDS, push, lambda: int(client.llen("celery")), lambda: None


def last_number(notes: Path, least: int) -> int:
    """The last job that was asked for before this program was started again."""
    if not notes.exists():
        return least
    asked = [line.split() for line in notes.read_text().splitlines() if line.startswith("asked ")]
    return max([least, *(int(words[1]) for words in asked)])


def guarded(ask: Callable[[], Any]) -> Any:
    """What Redis answers; 0 where it does not."""
    try:
        return ask()
    except Exception:
        return 0


def pause(seconds: float, stopping: list[int]) -> None:
    until = time.monotonic() + seconds
    while not stopping and (left := until - time.monotonic()) > 0:
        time.sleep(min(left, 0.2))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
