"""A TCP proxy between a client and its server, which can keep a reply from arriving."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from typing import Self


class Proxy:
    """Passes bytes on both ways; `drop_reply_to` makes it lose one reply, and the connection with it."""

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.dropped = 0
        self._marks: list[bytes] = []
        self._lock = threading.Lock()
        self._closing = False

    @property
    def url(self) -> str:
        """Where Redis is for those who go through here."""
        return f"redis://127.0.0.1:{self.port}/0"

    def drop_reply_to(self, *marks: bytes) -> None:
        """Let the next command that holds the first of these be done, and its reply never arrive; then the next."""
        with self._lock:
            self._marks = [*marks]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while not self._closing:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with (
            client,
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self._server_port)) as server,
        ):
            self._pass_on(client, server)

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(client, selectors.EVENT_READ)
            selector.register(server, selectors.EVENT_READ)
            losing = False
            while not self._closing:
                for key, _ in selector.select(0.2):
                    data = key.fileobj.recv(1 << 16)  # type: ignore[union-attr]
                    if not data or (losing and key.fileobj is server):
                        self.dropped += losing
                        return
                    if key.fileobj is client:
                        losing = losing or self._is_marked(data)
                        server.sendall(data)
                    else:
                        client.sendall(data)

    def _is_marked(self, data: bytes) -> bool:
        with self._lock:
            if self._marks and self._marks[0] in data:
                self._marks.pop(0)
                return True
            return False
