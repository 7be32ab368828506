"""What a worker holds: ``{"queue":…,"run_at":…,"payload":…}`` under ``worker:<id>``, Ruby's or ours."""

from __future__ import annotations

import re
from dataclasses import dataclass

from clues.errors import DecodeError
from clues.resque.wire import decode

# Read by its shape, not as JSON: a payload that is no JSON stands in it as it came.
_SHAPE = re.compile(rb'\{"queue":("(?:[^"\\]|\\.)*"),"run_at":"([^"]*)","payload":(.*)\}\s*', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Lease:
    """A job that a worker has taken and not ended.

    Attributes:
        queue: where it came from.
        run_at: when it was taken, as written (UTC, whole seconds).
        payload: the item's bytes.
    """

    queue: str
    run_at: str
    payload: bytes

    @classmethod
    def parse(cls, raw: bytes) -> Lease:
        """Read a lease.

        Raises:
            DecodeError: it is none.
        """
        found = _SHAPE.fullmatch(raw)
        if found is None:
            msg = "not a worker's lease"
            raise DecodeError(msg, raw)
        return cls(str(decode(found[1])), found[2].decode(), found[3])
