"""How an idle worker sleeps until there is something to do."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import select
import time
from typing import TYPE_CHECKING, Any

from clues.resque.connect import push_connection
from clues.resque.trouble import LOST, REFUSED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

_AT_ONCE = 1000
_LONGEST_HOLD = 1.0

log = logging.getLogger("clues.resque")


class Waker:
    """Sleeps until Redis tells of a change to a key with a prefix of ours, on a connection of its own.

    The caller's steps, so that no wake-up is lost:

    1. look at the queues, and find nothing;
    2. `arm`; if that answers True, look once more, as it tells of changes from now on only;
    3. `wait`, and begin again: what changed since the arming ends the wait at once;
    4. once there is work, `disarm`, lest messages pile up in Redis for as long as the job runs.

    Where Redis can't tell (an ACL, a proxy, a lost connection), the log says so once and `wait` is a plain sleep. A
    lost connection is made again at the next `arm`. One Waker belongs to one thread; a forked child makes its own
    connection.

    Args:
        client: the client whose settings to connect with.
        prefix: what the names of the keys to watch begin with; or several such, none of which begins with another.
        interval: the longest sleep, in seconds, while Redis can't tell; a connection that was lost sooner than that
            is not made again before it, or a second, is over.
        clock: a monotonic clock.
    """

    def __init__(
        self,
        client: redis.Redis,
        prefix: str | tuple[str, ...],
        interval: float = 5.0,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._prefixes = (prefix,) if isinstance(prefix, str) else prefix
        self._interval = interval
        self._clock = clock
        self._connection: Any = None
        self._pid = os.getpid()
        self._armed = False
        self._refused = False
        self._told = False
        self._made_at = self._not_before = -math.inf

    def arm(self) -> bool:
        """Have Redis tell of changes from now on; answer whether that is new, so that the caller must look again."""
        self._forget_parents_connection()
        if self._armed or self._refused or self._clock() < self._not_before:
            return False
        with self._trouble():
            self._connect()
            watched = (word for prefix in self._prefixes for word in ("PREFIX", prefix))
            self._command("CLIENT", "TRACKING", "ON", "BCAST", *watched, "NOLOOP")
            self._armed = True
        return self._armed

    def disarm(self) -> None:
        """Have Redis tell no more; what it told until now is forgotten."""
        self._forget_parents_connection()
        if self._armed:
            with self._trouble():
                self._command("CLIENT", "TRACKING", "OFF")
                self._armed = False

    def wait(self, timeout: float, *fds: int) -> None:
        """Sleep until Redis tells of a change, one of `fds` is readable, or the timeout in seconds is over.

        What Redis told is read; what is to be read from `fds` is the caller's.
        """
        self._forget_parents_connection()
        if not self._armed:
            held = self._not_before - self._clock()
            _readable(fds, min(timeout, self._interval, held) if held > 0 else min(timeout, self._interval))
            return
        with self._trouble():
            # Some of it may have been read together with the answer to a command.
            if not self._connection.can_read(0):
                _readable((*fds, _fileno(self._connection)), timeout)
            self._read_told()

    def close(self) -> None:
        """Close the connection; `arm` would make another."""
        self._armed = False
        if self._connection is not None:
            self._connection.disconnect()
            self._connection = None

    def _connect(self) -> None:
        if self._connection is None:
            self._made_at = self._clock()
            self._connection = push_connection(self._client)
            self._connection.connect()

    def _command(self, *words: str) -> None:
        """Send a command and pass over what was told before its answer."""
        self._connection.send_command(*words, check_health=False)
        while self._connection.read_response(push_request=True) != b"OK":
            pass

    def _read_told(self) -> None:
        """Read what Redis told; not without end, as it may tell faster than we read."""
        for _ in range(_AT_ONCE):
            if not self._connection.can_read(0):
                break
            self._connection.read_response(push_request=True)

    def _forget_parents_connection(self) -> None:
        """Drop what was connected before a fork: the parent still reads it."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self.close()

    @contextlib.contextmanager
    def _trouble(self) -> Iterator[None]:
        """Fall back to plain sleeping on whatever happens to the connection."""
        try:
            yield
        except LOST as error:
            self._give_up("lost the connection that wakes us", error)
        except REFUSED as error:
            self._refused = True
            self._give_up("Redis won't wake us", error)

    def _give_up(self, what: str, error: Exception) -> None:
        self.close()
        if not self._refused and self._clock() < self._made_at + self._interval:
            self._not_before = self._clock() + min(self._interval, _LONGEST_HOLD)
        if not self._told:
            self._told = True
            log.warning("%s (%s): looking at the queues at least every %g s instead", what, error, self._interval)


def _readable(fds: tuple[int, ...], timeout: float) -> None:
    """Sleep until one of the descriptors is readable or at its end."""
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    poll.poll(math.ceil(timeout * 1000))


def _fileno(connection: Any) -> int:
    fd: int = connection._sock.fileno()  # noqa: SLF001 - redis-py has no other way to the socket
    return fd
