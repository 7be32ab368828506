"""Messages between the master and a mould: JSON objects, one to a line, over a pair of sockets."""

from __future__ import annotations

import json
import socket
from typing import Any


class Channel:
    """One end."""

    def __init__(self, end: socket.socket) -> None:
        """Talk over this socket."""
        self._socket = end
        self._rest = b""
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether the other end is gone, or this one was hung up."""
        return self._closed

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._socket.fileno()

    def send(self, **message: Any) -> bool:
        """Send a message; gives whether there was still somebody to take it. That nobody is there `receive` tells."""
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            return False
        return True

    def receive(self) -> list[dict[str, Any]]:
        """Wait for messages; none when the other end is gone, and `closed` is set."""
        try:
            found = self._socket.recv(65536)
        except OSError:
            found = b""
        if not found:
            self._closed = True
            return []
        *lines, self._rest = (self._rest + found).split(b"\n")
        return [json.loads(line) for line in lines]

    def close(self) -> None:
        """Hang up."""
        self._closed = True
        self._socket.close()
