"""What a worker's process does once: one worker of an id, and one process to each worker."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from clues.errors import ConfigError

_at_work: set[tuple[str, ...]] = set()
_lock = threading.Lock()


@contextmanager
def one_of_its_id(*place: str) -> Iterator[None]:
    """Let one worker of an id work at a time: a second one would take the first one's job for a dead worker's.

    Args:
        place: the Redis, the namespace, and the worker's id.

    Raises:
        ConfigError: there is one at work in this process.
    """
    with _lock:
        if place in _at_work:
            msg = (
                f"a worker {place[-1]} is already at work in this process; give this one another hostname, or a process"
            )
            raise ConfigError(msg)
        _at_work.add(place)
    try:
        yield
    finally:
        _at_work.discard(place)


class ParentOnly:
    """Ends a child that a job has forked, should it leave the job's code, which stands in a ``with`` block of this.

    It would end the job, which is its parent's, and go on as a second worker of one id. Its status is what its code
    left with.
    """

    __slots__ = ("_pid",)

    def __enter__(self) -> None:
        """Know who the parent is."""
        self._pid = os.getpid()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """End whoever is not."""
        if os.getpid() != self._pid:
            os._exit(_status(error))


def _status(error: BaseException | None) -> int:
    if isinstance(error, SystemExit):
        return error.code & 0xFF if isinstance(error.code, int) else int(error.code is not None)
    return int(error is not None)
