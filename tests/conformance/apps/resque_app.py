"""The jobs as clues' own Resque has them. It retries nothing by itself, and knows no delay."""

from __future__ import annotations

from typing import Any, ClassVar

from clues import resque
from clues.resque import Resque
from tests.conformance.apps import common

common.configure()
_client = Resque(common.REDIS_URL)


@resque.job(queue="conformance")
def succeed(x: int, y: int) -> None:
    common.succeed(x, y)


@resque.job(queue="conformance")
def fail() -> None:
    common.fail()


@resque.job(queue="conformance")
def fail_first(path: str) -> None:
    common.fail_first(path)


class Overrun:
    queue: ClassVar = "conformance"
    timeout: ClassVar = 1

    @classmethod
    def perform(cls, path: str) -> None:
        common.overrun(path)


@resque.job(queue="conformance")
def hang(path: str) -> None:
    common.hang(path)


@resque.job(queue="conformance")
def mark(path: str) -> None:
    common.mark(path)


_JOBS: dict[str, Any] = {
    "succeed": succeed,
    "fail": fail,
    "fail_first": fail_first,
    "overrun": Overrun,
    "hang": hang,
    "mark": mark,
}


def enqueue(job: str, *args: Any) -> str:
    _client.enqueue(_JOBS[job], *args)
    return ""
