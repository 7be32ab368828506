"""Which events a destination wants: by type, and a share of the jobs, failures always."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from clues.errors import ConfigError
from clues.event import EventType

_TYPE = re.compile(rb'\A\{"event_type": ?"([a-z_]+)"')
_HASH = re.compile(rb'"_?event_hash": ?"([^"\\]{1,512})"')
_FAILED = EventType.FAILED.value.encode()
_ALL = 1 << 32


@dataclass(frozen=True, slots=True)
class Choice:
    """Which events a destination gets.

    Attributes:
        events: the event types, or None for all.
        sample: the share of jobs whose events it gets, from 0 to 1: all events of a job, or none, on every host. Failed
            ones always.
    """

    events: frozenset[bytes] | None = None
    sample: float = 1.0

    @classmethod
    def of(cls, events: Iterable[str] | None, sample: float) -> Self:
        """Check what was given.

        Raises:
            ConfigError: there is no such event type, or no such share.
        """
        try:
            share = float(sample)
        except (TypeError, ValueError):
            share = -1.0
        if not 0.0 <= share <= 1.0:
            msg = f"sample must be a share from 0 to 1, not {sample!r}"
            raise ConfigError(msg)
        if isinstance(events, str):
            events = events.split(",")
        try:
            kinds = None if events is None else frozenset(EventType(name.strip()).value.encode() for name in events)
        except (ValueError, AttributeError, TypeError) as error:
            msg = f"events must be event types, of {', '.join(EventType)}: {error}"
            raise ConfigError(msg) from None
        return cls(kinds, share)

    @property
    def everything(self) -> bool:
        """Whether it gets all events."""
        return self.events is None and self.sample == 1.0

    def wants(self, line: bytes) -> bool:
        """Whether a line's event is among them; a line that is no event is, so that it is not passed over silently."""
        if self.everything:
            return True
        found = _TYPE.match(line)
        if found is None:
            return True
        kind = found[1]
        if self.events is not None and kind not in self.events:
            return False
        return self.sample == 1.0 or kind == _FAILED or self._is_sampled(line)

    def _is_sampled(self, line: bytes) -> bool:
        found = _HASH.search(line)
        return found is None or zlib.crc32(found[1]) < self.sample * _ALL
