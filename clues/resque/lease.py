"""What a worker holds: ``{"queue":…,"run_at":…,"payload":…}`` under ``worker:<id>``, Ruby's or ours."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from clues.errors import DecodeError
from clues.resque.wire import decode, members

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
        if found is not None:
            return cls(str(decode(found[1])), found[2].decode("utf-8", "backslashreplace"), found[3])
        parts = members(raw)  # another program's, with other spaces or in another order
        queue, run_at = (decode(parts.get(name, b'""')) for name in ("queue", "run_at"))
        if "payload" not in parts or not isinstance(queue, str):
            msg = "not a worker's lease"
            raise DecodeError(msg, raw)
        return cls(queue, str(run_at), parts["payload"])

    @classmethod
    def read(cls, raw: bytes) -> Lease:
        """Read a lease; whatever else stands in its place is taken for the payload, as nothing may be lost."""
        try:
            return cls.parse(raw)
        except DecodeError:
            return cls("", "", raw)

    @classmethod
    def payloads(cls, raws: Iterable[bytes]) -> list[bytes]:
        """The payloads of leases."""
        return [cls.read(raw).payload for raw in raws]

    def shown(self) -> dict[str, Any]:
        """As Resque shows what a worker is working on; a payload that is no JSON as its text."""
        try:
            payload = decode(self.payload)
        except DecodeError:
            payload = self.payload.decode("utf-8", "backslashreplace")
        return {"queue": self.queue, "run_at": self.run_at, "payload": payload}
