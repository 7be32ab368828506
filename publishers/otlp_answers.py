"""What a back end's answer to an export means: taken, to be sent again, too much at once, or refused."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

ADVICE = "certificate= or OTEL_EXPORTER_OTLP_CERTIFICATE"
"""What names the authority of a back end's certificate."""


class Verdict(Enum):
    """What became of a request."""

    TAKEN = "taken"
    AGAIN = "again"  # later, the same
    TOO_LARGE = "too large"  # again, in parts
    REFUSED = "refused"  # for good


@dataclass(frozen=True, slots=True)
class Answer:
    """A back end's answer.

    Attributes:
        verdict: what became of the request.
        problem: what it said, short; for a request that was taken, what it left out of it.
        retry_after: seconds for which it asked to be left alone, or None.
    """

    verdict: Verdict
    problem: str = ""
    retry_after: float | None = None


class Line(Protocol):
    """A connection for one signal."""

    def export(self, request: bytes, timeout: float) -> Answer:
        """Send a request and wait for the answer, so many seconds at most; failures are answers too."""

    def close(self) -> None:
        """Let go of the connection."""
