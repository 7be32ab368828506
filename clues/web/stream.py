"""The live stream: what the history hears, to every page that listens; one that is slow misses events, and is told."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from clues.event import Event
from clues.web.history import row_of

_MOST = 500  # events that wait for one page
_EVERY = 0.25  # seconds between two messages
_ALIVE = 15.0  # seconds of silence after which a comment is sent, lest a proxy hangs up


@dataclass(frozen=True, slots=True)
class Choice:
    """What a page wants to hear.

    Attributes:
        types: what happened, without ``perform_``; empty for all.
        text: what class, queue, hash, exception or message hold.
    """

    types: Collection[str] = ()
    text: str = ""

    def wants(self, event: Event) -> bool:
        """Whether the event is to be told."""
        if self.types and event.event_type.value.removeprefix("perform_") not in self.types:
            return False
        return not self.text or self.text in event.line.decode("utf-8", "replace").lower()


class Listener:
    """One page that listens."""

    def __init__(self, choice: Choice, loop: asyncio.AbstractEventLoop) -> None:
        """Listen.

        Args:
            choice: for what.
            loop: the page's.
        """
        self._choice = choice
        self._loop = loop
        self._rows: deque[dict[str, Any]] = deque()
        self._missed = 0
        self._something = asyncio.Event()

    def hear(self, events: Sequence[Event]) -> None:
        """Take events, from any thread."""
        rows = [row_of(event) for event in events[-4 * _MOST :] if self._choice.wants(event)]
        missed = max(len(rows) - _MOST, 0) + max(len(events) - 4 * _MOST, 0) * (not self._choice.text)
        if rows:
            with suppress(RuntimeError):  # the page's loop has ended
                self._loop.call_soon_threadsafe(self._add, rows[-_MOST:], missed)

    async def messages(self, stopping: asyncio.Event) -> AsyncIterator[bytes]:
        """Server-sent events, until the server stops."""
        yield b"retry: 2000\n\n"  # milliseconds
        while not stopping.is_set():
            try:
                await asyncio.wait_for(self._something.wait(), _ALIVE)
            except TimeoutError:
                yield b": still here\n\n"
                continue
            self._something.clear()
            rows, missed = list(self._rows), self._missed
            self._rows.clear()
            self._missed = 0
            if rows:
                yield _message(rows, missed)
            await asyncio.sleep(_EVERY)

    def wake(self) -> None:
        """Have the stream look whether the server stops."""
        self._something.set()

    def _add(self, rows: Sequence[dict[str, Any]], missed: int) -> None:
        self._rows.extend(rows)
        self._missed += missed
        while len(self._rows) > _MOST:
            self._rows.popleft()
            self._missed += 1
        self._something.set()


def _message(rows: Sequence[dict[str, Any]], missed: int = 0) -> bytes:
    return f"data: {json.dumps({'events': rows, 'missed': missed})}\n\n".encode()


class Stream:
    """All that listen."""

    def __init__(self) -> None:
        """Begin with none."""
        self._listeners: set[Listener] = set()
        self.stopping = asyncio.Event()

    def hear(self, events: Sequence[Event]) -> None:
        """Tell events to all, from any thread."""
        for listener in list(self._listeners):
            listener.hear(events)

    async def listen(self, choice: Choice, first: Sequence[Event] = ()) -> AsyncIterator[bytes]:
        """What one page hears.

        Args:
            choice: which events.
            first: those that it begins with.
        """
        if first:
            yield _message([row_of(event) for event in first])
        listener = Listener(choice, asyncio.get_running_loop())
        self._listeners.add(listener)
        try:
            async for message in listener.messages(self.stopping):
                yield message
        finally:
            self._listeners.discard(listener)

    def stop(self) -> None:
        """End all streams; in the loop's own thread."""
        self.stopping.set()
        for listener in self._listeners:
            listener.wake()
