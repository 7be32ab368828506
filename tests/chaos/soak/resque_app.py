"""The soak's jobs for clues' own workers. Queue ``storm`` is worked under fire, ``calm`` by a tree that is spared."""

from __future__ import annotations

import os
import time
from typing import ClassVar

from tests.chaos.soak.jobs import ToldToFailError, configure, mark

configure()


class Work:
    """Succeeds, after so many seconds."""

    queue: ClassVar = "storm"

    @classmethod
    def perform(cls, number: int, seconds: float) -> None:
        mark("begun", number)
        time.sleep(seconds)
        mark("ended", number)


class Fail(Work):
    """Fails by itself."""

    @classmethod
    def perform(cls, number: int, seconds: float) -> None:
        mark("begun", number)
        raise ToldToFailError("told to fail")


class Again(Fail):
    """Fails, and is retried by the producer: it fails again."""


class Hang(Work):
    """Exceeds its time limit."""

    timeout: ClassVar = 1

    @classmethod
    def perform(cls, number: int, seconds: float) -> None:
        mark("begun", number)
        while True:
            time.sleep(0.05)


class Exit(Work):
    """Ends its process."""

    @classmethod
    def perform(cls, number: int, seconds: float) -> None:
        mark("begun", number)
        os._exit(3)


class Resume(Work):
    """Goes back to its queue when its worker is stopped."""

    requeue_on_shutdown: ClassVar = True


class Shelf(Work):
    """Is never worked: the producer takes it out of its queue again."""

    queue: ClassVar = "shelf"


class Calm(Work):
    """For the tree that is spared."""

    queue: ClassVar = "calm"


class CalmFail(Fail):
    """The same, failing."""

    queue: ClassVar = "calm"
