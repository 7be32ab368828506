"""Commands straight over a connection, for the steps that every job takes.

What redis-py does around a command (looking up its pool, retries, callbacks, its own telemetry) costs more CPU than the
command itself. Here a connection is kept, used by one thread at a time, and the command's bytes go over it as they are.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections import deque
from typing import TYPE_CHECKING, Any, cast

import redis

from clues.resque.connect import may_be_shared, own_connection

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def _writer() -> Callable[[tuple[Any, ...]], bytes] | None:
    """What hiredis writes commands by; without that extra, redis-py has a slower way."""
    try:
        from hiredis import pack_command  # noqa: PLC0415 - an extra
    except ImportError:
        return None
    return cast("Callable[[tuple[Any, ...]], bytes]", pack_command)


pack_command = _writer()

_PATIENCE = 0.5  # seconds for a connection that is made for a child, while nothing else can be done
_LATER = 5.0  # seconds after which one is tried again
_QUIET = 0.001  # seconds from which on a connection is looked at before it is used: its server may have closed it


class Direct:
    """Runs commands over connections of its own, with a client's settings. Any number of threads may call it.

    As many connections are made as threads call it at once. A command whose connection is lost is not repeated: it
    may have been done. A forked child makes its own connections.

    Args:
        client: the client whose settings to connect with.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._free: deque[tuple[Any, float]] = deque()
        self._pid = os.getpid()

    def run(self, *commands: Sequence[Any]) -> list[Any]:
        """Send commands at once, and give their replies.

        Args:
            commands: each one's words: bytes, strings or numbers.

        Raises:
            RedisError: Redis can't be reached, or refuses one of them; the others were done.
        """
        connection = self._connection()
        try:
            connection.send_packed_command(_packed(connection, commands))
            replies = [_reply(connection) for _ in commands]
        except BaseException:
            connection.disconnect()  # what is left to be read on it belongs to this call
            raise
        self._free.append((connection, time.monotonic()))
        for reply in replies:
            if isinstance(reply, redis.ResponseError):
                raise reply
        return replies

    @property
    def connected(self) -> bool:
        """Whether there is a connection that nobody uses just now."""
        return self._pid == os.getpid() and bool(self._free)

    def adopt(self, connection: Any) -> None:
        """Use a connection that the parent has made, once it is sure that nothing is left to be read on it.

        Raises:
            RedisError: it is lost.
        """
        connection.pid = os.getpid()  # so that ending it ends it for the parent, too
        token = os.urandom(8)
        connection.send_packed_command(connection.pack_command("ECHO", token), check_health=False)
        if connection.read_response() == token:
            self._free = deque([(connection, time.monotonic())])
            self._pid = os.getpid()
        else:  # what a process before us has asked for
            connection.disconnect()

    def close(self) -> None:
        """Close the connections that nobody uses just now; the next command makes another."""
        with contextlib.suppress(IndexError):
            while True:
                self._free.pop()[0].disconnect()

    def _connection(self) -> Any:
        if self._pid != os.getpid():  # the parent still uses them
            self._free = deque()
            self._pid = os.getpid()  # last: another thread may look meanwhile
        with contextlib.suppress(IndexError):
            while True:
                connection, used = self._free.pop()
                if time.monotonic() - used < _QUIET or not _is_gone(connection):
                    return connection
                connection.disconnect()
        connection = own_connection(self._client)
        connection.connect()  # not left to the first command, which would ask no Sentinel where to
        return connection


class Lent:
    """Connections that a process makes for those that it forks, so that not each has to connect.

    On each there is one child at a time; when one has ended well, the next may have its connection. Nothing is ever
    sent here. Only plain sockets are lent, as encryption has a state that processes can't share.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._free: list[Any] = []
        self._lent: dict[int, Any] = {}
        self._not_before = 0.0

    def next(self) -> Any:
        """A connection for the child that is forked next; None where it has to connect by itself."""
        while self._free:
            connection = self._free.pop()
            if not _is_gone(connection):
                return connection
            connection.disconnect()
        if time.monotonic() < self._not_before or not may_be_shared(self._client):
            return None
        connection = own_connection(self._client, socket_connect_timeout=_PATIENCE)
        try:
            connection.connect()
        except (redis.RedisError, OSError):
            self._not_before = time.monotonic() + _LATER
            return None
        return connection

    def to(self, pid: int, connection: Any) -> None:
        """A child has it."""
        if connection is not None:
            self._lent[pid] = connection

    def ended(self, pid: int, *, well: bool) -> None:
        """A child has ended: in the middle of a command, for all we know, unless it ended well."""
        connection = self._lent.pop(pid, None)
        if connection is not None and well:
            self._free.append(connection)
        elif connection is not None:
            connection.disconnect()

    def forget(self) -> None:
        """In a child: the others' connections are none of its business."""
        for connection in (*self._free, *self._lent.values()):
            connection._sock.close()  # noqa: SLF001 - redis-py has no other way to the socket


class Script:
    """A script in Redis, run by its digest.

    Args:
        script: its source; bytes, as a client's own encoding, which may be any, must not change them.

    Attributes:
        script: its source.
        sha: its digest.
    """

    def __init__(self, script: bytes) -> None:
        self.script = script
        self.sha = hashlib.sha1(script, usedforsecurity=False).hexdigest()

    def run(self, direct: Direct, keys: Sequence[bytes], args: Sequence[Any]) -> Any:
        """Run it, once more with its text where Redis doesn't know it.

        Raises:
            RedisError: Redis can't be reached, or the script fails.
        """
        rest = (len(keys), *keys, *args)
        try:
            return direct.run(("EVALSHA", self.sha, *rest))[0]
        except redis.exceptions.NoScriptError:
            return direct.run(("EVAL", self.script, *rest))[0]


def _packed(connection: Any, commands: Sequence[Sequence[Any]]) -> list[bytes]:
    if pack_command is not None:
        return [b"".join([pack_command(tuple(command)) for command in commands])]
    return connection.pack_commands(commands)  # type: ignore[no-any-return]


def _reply(connection: Any) -> Any:
    try:
        return connection.read_response()
    except redis.ResponseError as error:
        return error


def _is_gone(connection: Any) -> bool:
    """Whether its server has closed it, or has said what nobody asked for."""
    try:
        return bool(connection.can_read(0))
    except (redis.ConnectionError, redis.TimeoutError, OSError):
        return True
