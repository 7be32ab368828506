"""What an event may show: redaction, caps, and values that JSON can't hold, decided before any publisher sees it.

Its encoded size is bounded, whatever came in. No input or output here.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from clues.plain import ELLIPSIS, MARK_SIZE, MAX_KEY, PLAIN_SIZE, UNREADABLE, Walk, calm_copy, encoded_size, text_of
from clues.redaction import NO_SECRETS, REDACTED, SECRET_WORDS, SecretNames

_LINES_MARK_SIZE = 48  # the line that says how many lines were left out
_MAX_LINE = 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest encoded size of each part of an event, in bytes. Together they bound the event.

    The sizes are ours: enough to recognise a job by, small enough for a UDP packet or two and a Kibana row.

    Attributes:
        args: a job's arguments.
        metadata: the user's fields, those that the job writes included.
        message: an error's message.
        backtrace: its backtrace.
    """

    args: int = 2048
    metadata: int = 8192
    message: int = 2048
    backtrace: int = 8192


@dataclass(frozen=True, slots=True)
class Sanitizer:
    """Makes values fit for an event.

    Attributes:
        limits: the size caps.
        words: words that make a key a secret's name; empty switches redaction off.
        args_of: positions of secret arguments by job class.
    """

    limits: Limits = field(default_factory=Limits)
    words: tuple[str, ...] = tuple(SECRET_WORDS)
    args_of: Mapping[str, Collection[int]] = field(default_factory=dict)
    _names: SecretNames = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compile the words once."""
        object.__setattr__(self, "_names", SecretNames(self.words))

    def args(self, worker_class: str | None, args: Any) -> tuple[list[Any], bool]:
        """A job's arguments, and whether anything of them was cut."""
        if type(args) not in {list, tuple}:
            args = _listed(args)
        if self.args_of and (secret := self.args_of.get(worker_class or "")) and self.words:
            args = [REDACTED if position in secret else value for position, value in enumerate(args)]
        copied = calm_copy(args, self.limits.args, self._names)
        if copied is not None:
            return copied, False
        cleaned, cut = self._walked(args, self.limits.args)
        return (cleaned if isinstance(cleaned, list) else [cleaned]), cut

    def metadata(self, metadata: Mapping[Any, Any], *, spent: int = 0) -> tuple[dict[str, Any], bool]:
        """The user's metadata, and whether anything of it was cut.

        Args:
            metadata: the fields.
            spent: bytes of the cap that other fields of the same event have used.
        """
        if type(metadata) is dict and not metadata:
            return {}, False
        room = self.limits.metadata - spent
        if room < 2 * MARK_SIZE:
            return {}, True
        if type(metadata) is dict and (copied := calm_copy(metadata, room, self._names)) is not None:
            return copied, False
        cleaned, cut = self._walked(metadata, room)
        return (cleaned, cut) if isinstance(cleaned, dict) else ({}, True)

    def message(self, text: str) -> tuple[str, bool]:
        """An error's message, and whether it was cut."""
        walk = Walk(self._names, self.limits.message)
        return walk.text(text_of(text)), walk.cut

    def backtrace(self, lines: Collection[str]) -> tuple[list[str], bool]:
        """A backtrace, and whether it was cut: then its head and its tail are kept, for both tell something."""
        all_lines = list(lines)
        size = self.limits.backtrace - 2
        kept, cut = self._fitting(all_lines, size)
        if len(kept) == len(all_lines):
            return kept, cut
        size -= _LINES_MARK_SIZE
        head, _ = self._fitting(all_lines, size * 2 // 3)
        tail, _ = self._fitting(reversed(all_lines[len(head) :]), size // 3)
        left_out = len(all_lines) - len(head) - len(tail)
        return [*head, f"{ELLIPSIS} {left_out} lines left out {ELLIPSIS}", *reversed(tail)], True

    def name(self, text: Any) -> str | None:
        """A queue's or class's name: short and valid Unicode, as foreign items may hold anything."""
        if type(text) is not str:
            if text is None:
                return None
            text = str.__str__(text_of(text))
        return _name(text) if len(text) <= MAX_KEY else _name.__wrapped__(text)

    def id(self, given: Any) -> str:
        """A foreign system's id of a job: as a name, though there are too many to remember."""
        text = given if type(given) is str else text_of(given)
        calm = len(text) <= MAX_KEY and text.isascii() and text.isprintable()
        return text if calm else Walk(NO_SECRETS, MAX_KEY).text(text)

    def _walked(self, value: Any, size: int) -> tuple[Any, bool]:
        walk = Walk(self._names, size)
        try:
            return walk.value(value), walk.cut
        except Exception:  # noqa: BLE001 - close to the recursion limit, or changed by another thread: the event goes on
            return UNREADABLE, True

    def _fitting(self, lines: Iterable[str], size: int) -> tuple[list[str], bool]:
        """The lines that fit into a size, and whether one of them was cut."""
        kept = []
        cut = False
        for line in lines:
            walk = Walk(self._names, _MAX_LINE)
            text = walk.text(text_of(line))
            size -= encoded_size(text) + 1
            if size < 0:
                break
            kept.append(text)
            cut |= walk.cut
        return kept, cut


@functools.lru_cache(1024)
def _name(text: str) -> str:
    # An application has few queues and classes, and asks for them at every event.
    return Walk(NO_SECRETS, MAX_KEY).text(text)


def _listed(args: Any) -> list[Any]:
    try:
        return list(islice(args, PLAIN_SIZE)) if isinstance(args, list | tuple) else [] if args is None else [args]
    except Exception:  # noqa: BLE001 - foreign classes may raise from any method
        return [UNREADABLE]


UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Control characters but tab and newline, and those that turn the direction of text: data must not steer a terminal."""

_LAYOUT = re.compile("[\t\n]")


def one_line(text: str) -> str:
    """Text as a log or a terminal may show it: control characters, and those that turn its direction, spelled out."""
    return _LAYOUT.sub(spell_out, UNSAFE.sub(spell_out, text))


def spell_out(found: re.Match[str]) -> str:
    """A character as Python's escape of it."""
    return ascii(found[0])[1:-1]


def for_terminal(line: bytes) -> bytes:
    """A line as a terminal may get it: what would steer it is escaped in JSON's way, so an event is the same still."""
    return UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", line.decode("utf-8", "replace")).encode()


def for_log(text: str, sanitizer: Sanitizer | None = None) -> str:
    """What somebody else wrote as our own log may show it: capped, without secrets, on one line."""
    shown, _ = (sanitizer or _STANDARD).message(text)
    return one_line(shown)


_STANDARD = Sanitizer()
