"""Which queues a worker polls, in which order: names, patterns over the known ones, and what to leave out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clues.errors import NoQueueError, QueueNameError
from clues.resque import globs

if TYPE_CHECKING:
    from collections.abc import Iterable


def check_name(name: object) -> str:
    """Answer a queue's name, if Resque's keys can hold it; a subclass's, such as an enum's, as its plain text.

    Raises:
        QueueNameError: it is empty, ``heartbeat``, no string, or no UTF-8.
    """
    if not isinstance(name, str):
        message = f"A queue's name must be a string, not {type(name).__name__}."
        raise QueueNameError(message)
    name = str.__str__(name)
    if not _is_text(name):
        message = f"A queue's name must be text that UTF-8 can hold, not {name!r}."
        raise QueueNameError(message)
    if not name:
        message = "A queue's name is empty; name the queue, or remove the stray comma."
        raise QueueNameError(message)
    if name == "heartbeat":
        message = "A queue can't be named heartbeat: its workers' keys are taken for heartbeats. Choose another name."
        raise QueueNameError(message)
    return name


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


class QueueList:
    """A worker's queues, as Resque takes them.

    The order is the priority. As soon as one entry is a pattern, or begins with ``!`` (to leave out what it matches),
    all of them are patterns over the known queues: a plain name is then polled only while its queue is known.

    Args:
        queues: names and patterns, in a list or separated by commas.

    Raises:
        NoQueueError: nothing to poll was given.
        QueueNameError: a name that Resque's keys can't hold.
    """

    __slots__ = ("_skipped", "has_patterns", "names")

    def __init__(self, queues: str | Iterable[str]) -> None:
        entries = [check_name(name) for name in _entries(queues)]
        self.names: tuple[str, ...] = tuple(name for name in entries if not name.startswith("!"))
        self._skipped = tuple(check_name(name[1:]) for name in entries if name.startswith("!"))
        self.has_patterns: bool = bool(self._skipped) or any(globs.is_pattern(name) for name in self.names)
        if not self.names:
            message = "Please give each worker at least one queue. Name them in --queues or QUEUES; * is all queues."
            raise NoQueueError(message)

    @property
    def id_part(self) -> str:
        """The queues as they stand in the worker's id."""
        return ",".join(self.names)

    def expand(self, known: Iterable[str]) -> list[str]:
        """List the queues to poll now; `known` (the set ``queues``) matters only if there are patterns."""
        if not self.has_patterns:
            return list(self.names)
        wanted = sorted((name for name in known if not self._is_skipped(name)), key=_bytes)
        found = (name for pattern in self.names for name in wanted if _matches(pattern, name))
        return list(dict.fromkeys(found))

    def _is_skipped(self, name: str) -> bool:
        return any(_matches(pattern, name) for pattern in self._skipped)

    def __repr__(self) -> str:
        return f"QueueList({[*self.names, *(f'!{name}' for name in self._skipped)]!r})"


def _entries(queues: str | Iterable[str]) -> list[str]:
    if isinstance(queues, str):
        # Like Ruby's split: commas at the end are nothing, one in the middle is an empty name.
        queues = queues.rstrip(",").split(",") if queues.strip() else []
    return [name.strip() for name in queues]


def _matches(pattern: str, name: str) -> bool:
    return globs.compiled(pattern).fullmatch(name) is not None


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
