"""Event logs as a source for couriers: files that were written long ago, rotated or gzipped, and dead letters."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from clues.event import Event, Publisher
from clues.lines import LONGEST_LINE, is_event, opened
from clues.publishers.delivery import Refusal, Sent
from clues.publishers.tail import Batch

_HEAD = 4096


class FiledLines:
    """The lines of files, from where a destination is in each. A file is known by how it begins, not by its name.

    Blank lines and comments are passed over; a dead letter's lines give the events that they hold. A last line that is
    still being written is left for later.

    Attributes:
        unreadable: the files that could not be read to their end, and why.
    """

    def __init__(self, paths: Sequence[Path], progress: Callable[[int], object] = lambda _size: None) -> None:
        """Read nothing yet.

        Args:
            paths: the files, plain or gzipped, in order.
            progress: called with the number of bytes that were read, gzipped ones unpacked.

        Raises:
            OSError: one can't be read.
        """
        self._files = {_identity(path): path for path in paths}
        self._progress = progress
        self.unreadable: dict[Path, Exception] = {}
        self._over: set[int] = set()
        self._stream: IO[bytes] | None = None
        self._at = (0, 0)

    def read(self, positions: dict[int, int], max_events: int, max_bytes: int) -> Batch:
        """What stands after these positions; all of it is there already."""
        batch = Batch(positions=dict(positions))
        for number, path in self._files.items():
            if number not in self._over:
                try:
                    self._read(number, path, batch, max_events, max_bytes)
                except (EOFError, OSError, zlib.error) as error:
                    self.unreadable[path] = error
                    self._over.add(number)
                    self.close()
            if len(batch.lines) >= max_events or batch.size >= max_bytes:
                break
        return batch

    def _read(self, number: int, path: Path, batch: Batch, max_events: int, max_bytes: int) -> None:
        stream = self._at_position(number, path, batch.positions.get(number, 0))
        while len(batch.lines) < max_events and batch.size < max_bytes:
            line = stream.readline(LONGEST_LINE)
            if not line.endswith(b"\n") and not is_event(
                _unwrapped(line.strip())
            ):  # the end, or a line that is still being written
                self._over.add(number)
                self.close()
                return
            self._take(line, number, batch)

    def close(self) -> None:
        """Close the file that is being read."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _take(self, line: bytes, number: int, batch: Batch) -> None:
        batch.positions[number] = batch.positions.get(number, 0) + len(line)
        batch.size += len(line)
        self._at = (number, batch.positions[number])
        self._progress(len(line))
        text = line.strip()
        if text and not text.startswith(b"#"):
            batch.lines.append(_unwrapped(text))

    def _at_position(self, number: int, path: Path, offset: int) -> IO[bytes]:
        if self._stream is None or self._at != (number, offset):
            self.close()
            self._stream = opened(path)
            self._stream.seek(offset)
            self._at = (number, offset)
        return self._stream


class Direct:
    """A publisher that sends at once, as a destination."""

    max_events = 1000
    max_bytes = 1024 * 1024

    def __init__(self, publisher: Publisher, name: str) -> None:
        """Wrap one."""
        self.name = name
        self._publisher = publisher

    def send(self, batch: Sequence[bytes], /) -> Sent:
        """Publish each event."""
        refused = []
        for line in batch:
            try:
                event = Event.from_line(line)
            except ValueError as error:
                refused.append(Refusal(line, str(error)))
                continue
            self._publisher.publish(event)
        return Sent(refused=refused)

    def close(self) -> None:
        """Close it, if it can be."""
        close = getattr(self._publisher, "close", None)
        if close is not None:
            close()


def _identity(path: Path) -> int:
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(errno.ESPIPE, "it can be read only once; write it to a file first", str(path))
    with opened(path) as stream:
        for line in iter(lambda: stream.readline(_HEAD), b""):
            if (text := line.strip()) and not text.startswith(b"#"):  # many logs begin with the same comment
                return int.from_bytes(hashlib.sha256(text).digest()[:7])
    return int.from_bytes(hashlib.sha256(os.fsencode(path)).digest()[:7])


def _unwrapped(line: bytes) -> bytes:
    """The event in a line of a dead letter; any other line as it is."""
    if not line.startswith(b'{"destination":'):
        return line
    try:
        event = json.loads(line)["event"]
        text = event if isinstance(event, str) else json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    except (ValueError, KeyError, TypeError, RecursionError):
        return line
    return text.encode("utf-8", "backslashreplace")
