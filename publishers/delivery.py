"""What a back end is to the shipper: it takes batches of events' lines, and says what became of each."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from clues.errors import ConfigError
from clues.event import Sample
from clues.extras import too_old


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line that a back end will never take.

    Attributes:
        line: the event's line.
        reason: what the back end said, short.
    """

    line: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a batch. The lines that are in neither list were delivered.

    Attributes:
        retry: to be sent again, later.
        refused: refused for good; they go to the dead letter.
        problem: why some are to be sent again, in a few words; empty if none are.
        retry_after: seconds for which the back end asked to be left alone; None where it didn't.
    """

    retry: Sequence[bytes] = ()
    refused: Sequence[Refusal] = ()
    problem: str = ""
    retry_after: float | None = None


class Destination(Protocol):
    """A back end, as the shipper sees it. One thread at a time calls it, in a process that never forks.

    It may also have:

    - ``send_samples(samples)``: takes states, such as queue depths, every 15 s;
    - ``state() -> dict`` of plain JSON values and ``restore(state)``: what it wants to know again after a restart, kept
      in the checkpoint of the very batch after which it was asked.

    Attributes:
        name: tells it from others, and stays the same through restarts, for its checkpoint: kind, place, index;
            without secrets.
        max_events: the most events of a batch.
        max_bytes: the most bytes of a batch's lines, unless a single line is longer.
    """

    name: str
    max_events: int
    max_bytes: int

    def send(self, batch: Sequence[bytes], /) -> Sent:
        """Deliver lines, each a standard event line without its newline; those that are none are to be refused.

        It waits for the answer, no longer than its own timeout. What it raises means that nothing can be said of the
        batch: all of it is sent again.
        """

    def close(self) -> None:
        """Let go of connections, at once."""


@runtime_checkable
class TakesSamples(Protocol):
    """A destination that wants states too."""

    def send_samples(self, samples: Iterable[Sample], /) -> None:
        """Take them; raising means they are lost."""


@runtime_checkable
class HasState(Protocol):
    """A destination that has something to remember."""

    def state(self) -> Mapping[str, Any]:
        """What it wants to know again, as plain JSON values."""

    def restore(self, state: Mapping[str, Any], /) -> None:
        """What it knew, before its first batch."""


def needs(module: str, extra: str, who: str) -> None:
    """Check that a library is installed, and new enough, without importing it.

    Args:
        module: its import name.
        extra: the extra of clues that brings it.
        who: who needs it.

    Raises:
        ConfigError: it is not.
    """
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:  # not even the package that it is in
        found = None
    if found is None:
        msg = f"{who} needs {module}, which is not installed: pip install 'clues[{extra}]'"
        raise ConfigError(msg)
    if older := too_old(extra, module):
        msg = f"{who} needs {older}: pip install 'clues[{extra}]'"
        raise ConfigError(msg)


def with_advice(problem: str, how: str) -> str:
    """What went wrong, and what to do about it where it was a certificate that could not be verified.

    Args:
        problem: in the words of whichever library met it.
        how: the option that names a file of authorities.
    """
    words = problem.lower().replace("_", " ")
    if "certificate verify failed" not in words:
        return problem
    return f"{problem[:300]}; check the host's name, and if its authority is your own, name that one's file by {how}"
