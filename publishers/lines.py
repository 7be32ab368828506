"""Lines read back as events, the quick way where orjson is installed: of the shipper's work a good part."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from clues.event import Event, EventType

Values = tuple[EventType, str, str | None, Mapping[str, Any], str | None, Sequence[Any]]
"""An event's type, timestamp, queue, metadata, worker class and args: what `Event` takes, in its order."""

_TYPES = {kind.value: kind for kind in EventType}
_DIGITS = bytes(ord("0") if chr(byte).isdecimal() and byte < 128 else ord(" ") for byte in range(256))  # noqa: PLR2004
_MANY = b"0" * 19  # digits, which the least integer of 64 bits has
_POINT = ord(".")


def event_of(line: bytes) -> Event:
    """The event of a line, just as `Event.from_line` reads it.

    Raises:
        ValueError: the line is no event.
    """
    return Event(*reader()(line))


@functools.cache
def reader() -> Callable[[bytes], Values]:
    """What reads lines: orjson, and where that finds anything unusual, the standard library.

    Returns:
        A function from a line to its event's values; it raises ValueError for a line that is no event.
    """
    try:
        import orjson  # noqa: PLC0415 - an extra
    except ImportError:
        return _plainly
    loads = orjson.loads

    def read(line: bytes) -> Values:
        try:
            found = loads(line)
            at, metadata, args = found["timestamp"], found["metadata"], found["args"]
            if type(at) is str and type(metadata) is dict and type(args) is list and not has_long_number(line):
                return _TYPES[found["event_type"]], at, found["queue"], metadata, found["worker_class"], args
        except (KeyError, TypeError, ValueError):
            pass  # it is no event, and why is said below; or one with half a character, say, that orjson does not take
        return _plainly(line)

    return read


@functools.cache
def object_reader() -> Callable[[bytes], dict[str, Any] | None]:
    """What reads objects.

    Returns:
        A function that gives None for what is no object, and for what the two libraries may read differently.
    """
    try:
        import orjson  # noqa: PLC0415 - an extra
    except ImportError:
        loads: Callable[[bytes], Any] = json.loads
    else:
        loads = orjson.loads

    def read(text: bytes) -> dict[str, Any] | None:
        try:
            found = loads(text)
        except (ValueError, RecursionError):
            return None
        return found if type(found) is dict and not has_long_number(text) else None

    return read


def _plainly(line: bytes) -> Values:
    event = Event.from_line(line)
    return event.event_type, event.timestamp, event.queue, event.metadata, event.worker_class, event.args


def has_long_number(line: bytes) -> bool:
    """Whether there may be an integer beyond 64 bits, of which orjson makes a float."""
    # A regular expression costs ten times as much, and digits after a point are all that is found on most lines.
    digits = line.translate(_DIGITS)
    at = digits.find(_MANY)
    while at > 0 and line[at - 1] == _POINT:
        at = digits.find(_MANY, digits.find(b" ", at))
    return at >= 0
