"""What the jobs of a soak have in common: where they leave their marks, and how clues is configured.

Each job has a number, and tells the soak when it begins and when it has ended: what really ran, whatever was told of
it. So does clues of each fault, where it counts that.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import clues
import clues.publishers
from clues.faults import Faults, describe
from clues.publishers import CompositePublisher
from clues.runtime import current_job

FOLDER = Path(os.environ["SOAK_FOLDER"])

# A pipe to the soak, opened once and kept by all that is forked: it needs no descriptor, no disk and no room any more.
_told = os.open(FOLDER / "told", os.O_RDWR)


class ToldToFailError(Exception):
    """What a failing job raises."""


def mark(what: str, number: int) -> None:
    """Note that a job has ``begun``, or has ``ended``."""
    job = current_job()
    event_hash = "-" if job is None else job.event_hash
    os.write(_told, f"{what} {number} {event_hash} {os.getpid()}\n".encode())


def configure() -> None:
    """As an application's initializer does."""
    count = Faults.report

    def report(self: Faults, culprit: str, error: BaseException, *args: Any, **more: Any) -> None:
        count(self, culprit, error, *args, **more)
        told = {"pid": os.getpid(), "culprit": culprit, "error": describe(error), "count": more.get("events", 1)}
        os.write(_told, f"fault {json.dumps(told)}\n".encode())

    Faults.report = report  # type: ignore[method-assign]
    urls = [urlsplit(url) for url in os.environ["CLUES_PUBLISHERS"].split(",")]
    clues.configure(CompositePublisher(*(_publisher(url) for url in urls)))


def _publisher(url: SplitResult) -> Any:
    """What a URL stands for; in environments where clues is not installed, its entry points say nothing."""
    names = {"otlp": "OTLP", "tcp": "TCP", "udp": "UDP"}
    return getattr(clues.publishers, f"{names.get(url.scheme, url.scheme.title())}Publisher").from_url(url)
