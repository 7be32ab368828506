"""Follows a log as it grows, through rotation and truncation."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from clues.analysis.rotation import siblings
from clues.errors import LogFileError
from clues.lines import LONGEST_LINE

INTERVAL = 0.1
"""Seconds between two looks at a file."""

_CHUNK = 256 * 1024


class Follower:
    """Yields a log's whole lines as they come.

    A line without its newline is half-written, and waited for. When the path leads to another file, the old one is
    read to its end first; files that came and went in between are found among the log's rotated siblings. A file
    that has become shorter is read from its start. A file that isn't there yet is waited for.
    """

    def __init__(self, path: Path, *, offset: int = 0) -> None:
        """Follow a file.

        Args:
            path: where the log is written.
            offset: where in it to begin, in bytes.

        Raises:
            LogFileError: it is there but can't be opened.
        """
        self._path = path
        self._stream: IO[bytes] | None = None
        self._rest = b""
        self._left = False
        self._open(path, offset)

    def __enter__(self) -> Self:
        """Follow within a ``with`` block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def poll(self) -> Iterator[bytes]:
        """The whole lines that have come since the last look; never waits."""
        if self._stream is None:
            self._open(self._path, 0)
        yield from self._new_lines()
        if self._has_moved():
            yield from self._move_on()

    def _move_on(self) -> Iterator[bytes]:
        # A writer that looked at the path just before the rename still writes to the old file: so it is left only
        # when a second look, one interval later, finds it moved too.
        if not self._left:
            self._left = True
            return
        yield from self._new_lines()
        rest, self._rest = self._rest, b""
        if rest:
            yield rest
        self._open(self._next_file(), 0)
        yield from self._new_lines()

    def _new_lines(self) -> Iterator[bytes]:
        if self._stream is None:
            return
        self._rewind_if_truncated(self._stream)
        while chunk := self._stream.read(_CHUNK):
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            yield from lines
            if len(self._rest) > LONGEST_LINE:
                yield self._rest
                self._rest = b""

    def _rewind_if_truncated(self, stream: IO[bytes]) -> None:
        if os.fstat(stream.fileno()).st_size < stream.tell():
            stream.seek(0)
            self._rest = b""

    def _has_moved(self) -> bool:
        """Whether the path leads to another file by now; while it leads nowhere, the old one may still grow."""
        try:
            return self._stream is not None and not _same(os.fstat(self._stream.fileno()), self._path.stat())
        except OSError:
            return False

    def _next_file(self) -> Path:
        """The file that was begun after ours: usually the path's own, after several rotations a sibling of it."""
        if self._stream is None:
            return self._path
        ours = os.fstat(self._stream.fileno())
        line = siblings(self._path)
        followers = [after for found, after in pairwise(line) if _is(found, ours)]
        plain = [found for found in followers if found.suffix != ".gz"]
        return plain[0] if plain else self._path

    def _open(self, path: Path, offset: int) -> None:
        self.close()
        self._left = False
        try:
            self._stream = path.open("rb", buffering=0)
        except FileNotFoundError:
            return
        except OSError as error:
            raise LogFileError(path, error) from error
        self._stream.seek(offset)


def follow(
    follower: Follower, *, interval: float = INTERVAL, wait: Callable[[float], object] = time.sleep
) -> Iterator[bytes]:
    """Lines as they come, for ever."""
    while True:
        yield from follower.poll()
        wait(interval)


def _is(path: Path, ours: os.stat_result) -> bool:
    try:
        return _same(path.stat(), ours)
    except OSError:
        return False


def _same(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
