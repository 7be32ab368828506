"""Stand-ins for back ends: they take, refuse, ask again, raise or hang, as a test wants."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from clues.event import Event, EventType, Sample
from clues.publishers.delivery import Sent
from clues.publishers.shipped import ShippedPublisher


def event(number: int = 0, event_type: EventType = EventType.ENQUEUED, size: int = 0) -> Event:
    """An event of its own job, whose line has at least so many bytes."""
    metadata = {"_event_hash": f"{number:032x}", "_event_id": f"{number:032x}:1:{event_type}", "pad": "x" * size}
    return Event(event_type, "2026-11-20T20:59:58.123456Z", "q", metadata, "Job", [number])


class Recording:
    """Keeps what it gets; `answer` may say something else first.

    Attributes:
        got: the lines that it took.
        batches: the sizes of the batches that it was sent.
    """

    max_events = 1000
    max_bytes = 1024 * 1024

    def __init__(self, name: str = "recording", answer: Callable[[Sequence[bytes]], Sent] | None = None) -> None:
        self.name = name
        self.answer = answer or (lambda _batch: Sent())
        self.got: list[bytes] = []
        self.batches: list[int] = []
        self.samples: list[Sample] = []
        self.closed = threading.Event()

    def send(self, batch: Sequence[bytes], /) -> Sent:
        self.batches.append(len(batch))
        sent = self.answer(batch)
        out = {*sent.retry, *(refusal.line for refusal in sent.refused)}
        self.got.extend(line for line in batch if line not in out)
        return sent

    def send_samples(self, samples: Iterable[Sample], /) -> None:
        self.samples.extend(samples)

    def close(self) -> None:
        self.closed.set()

    def numbers(self) -> list[int]:
        """The jobs' numbers, in the order in which their events came."""
        return [Event.from_line(line).args[0] for line in self.got]


class Counting(Recording):
    """Remembers how many it took, through restarts."""

    total = 0

    def state(self) -> Mapping[str, Any]:
        return {"total": self.total + len(self.got)}

    def restore(self, state: Mapping[str, Any], /) -> None:
        self.total = int(state["total"])


class Appending:
    """Appends what it gets to a file, with the id of the process that ships."""

    max_events = 1000
    max_bytes = 1024 * 1024

    def __init__(self, path: Path) -> None:
        self.name = "appending"
        self._path = path

    def send(self, batch: Sequence[bytes], /) -> Sent:
        with self._path.open("ab") as file:
            file.write(b"".join(b"%d %s\n" % (os.getpid(), line) for line in batch))
        return Sent()

    def close(self) -> None:
        """Nothing is open."""


class Shipping(ShippedPublisher):
    """A publisher of a destination that is given."""

    def __init__(self, destination: Any, spool: Path, **options: Any) -> None:
        self._destination = destination
        super().__init__(destination.name, spool=spool, **options)

    def destination(self) -> Any:
        return self._destination
