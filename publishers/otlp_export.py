"""Sending a batch of one signal: halved where it is too large, and what became of each event."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from clues.faults import describe
from clues.publishers.otlp_answers import Answer, Line, Verdict
from clues.publishers.otlp_batch import Told


@dataclass(slots=True)
class Exported:
    """What became of a batch of one signal.

    Attributes:
        done: taken.
        again: to be sent again.
        refused: refused for good, with the reason.
        problem: why some are to be sent again.
        retry_after: seconds for which the back end asked to be left alone.
        left_out: what the back end said of records that it left out of what it took.
    """

    done: list[Told] = field(default_factory=list)
    again: list[Told] = field(default_factory=list)
    refused: list[tuple[Told, str]] = field(default_factory=list)
    problem: str = ""
    retry_after: float | None = None
    left_out: str = ""


def export(line: Line, write: Callable[[Sequence[Told]], bytes], told: Sequence[Told], timeout: float) -> Exported:
    """Send events as one signal.

    Args:
        line: where to.
        write: makes a request of some of them.
        told: the events.
        timeout: seconds, for all requests together.
    """
    found = Exported()
    deadline = time.monotonic() + timeout
    waiting = [list(told)] if told else []
    while waiting:
        part = waiting.pop()
        left = deadline - time.monotonic()
        if found.again or left <= 0:  # what could not be sent now is not tried with the next part
            found.again += part
            found.problem = found.problem or f"not all was sent within {timeout:.1f} s"
            continue
        try:
            request = write(part)
        except Exception as error:  # noqa: BLE001 - one event that can't be written must not hold up the others for ever
            answer = Answer(Verdict.TOO_LARGE, describe(error))
        else:
            answer = line.export(request, left)
        if answer.verdict is Verdict.TAKEN:
            found.done += part
            found.left_out = answer.problem or found.left_out
        elif answer.verdict is Verdict.AGAIN:
            found.again += part
            found.problem, found.retry_after = answer.problem, answer.retry_after
        elif answer.verdict is Verdict.TOO_LARGE and len(part) > 1:
            half = len(part) // 2
            waiting += [part[half:], part[:half]]
        else:
            found.refused += [(one, answer.problem) for one in part]
    return found
