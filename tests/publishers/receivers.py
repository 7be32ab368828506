"""Who listens on loopback: for lines over TCP, with TLS or without, and for datagrams."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.waiting import wait_for


def free_port(kind: int = socket.SOCK_STREAM, host: str = "127.0.0.1") -> int:
    """A port that nobody listens at."""
    with socket.socket(socket.AF_INET, kind) as found:
        found.bind((host, 0))
        return int(found.getsockname()[1])


class Lines:
    """Takes lines over TCP.

    Attributes:
        lines: those that came whole, oldest first.
        connections: how many there were.
    """

    def __init__(self, *, port: int = 0, context: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self.lines: list[bytes] = []
        self.connections = 0
        self._context = context
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        self._listener.bind((host, port))
        self._listener.listen()
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def numbers(self) -> list[int]:
        """The events' numbers."""
        return [json.loads(line)["metadata"]["n"] for line in self.lines]

    def wait_for_numbers(self, *numbers: int) -> None:
        """Wait until these have come, in this order."""
        wait_for(lambda: len(self.lines) >= len(numbers), f"lines {numbers}")
        assert self.numbers == list(numbers)

    def hang_up(self) -> None:
        """Read what has come, and close all connections, in order."""
        opened, self._open = self._open, []
        for one in opened:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(one, socket.SHUT_RDWR)  # wakes its reader
        for thread in self._threads:
            thread.join(30)
        for one in opened:
            one.close()

    def close(self) -> None:
        """Stop listening, and end all connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(30)
        self.hang_up()

    def _accept(self) -> None:
        while True:
            try:
                opened, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(opened)
            thread = threading.Thread(target=self._serve, args=(opened,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, opened: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError):
            if self._context is not None:
                index = self._open.index(opened)
                opened = self._open[index] = self._context.wrap_socket(opened, server_side=True)
            self._read(opened)

    def _read(self, opened: socket.socket) -> None:
        rest = b""
        while data := opened.recv(1 << 16):
            *whole, rest = (rest + data).split(b"\n")
            self.lines.extend(whole)
        opened.close()


class Packets:
    """Takes datagrams, over UDP or a Unix socket.

    Attributes:
        address: where it listens: host and port, or a path.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0, *, path: Path | None = None) -> None:
        if path is not None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.bind(str(path))
        else:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._socket = socket.socket(family, socket.SOCK_DGRAM)
            self._socket.bind((host, port))
            self.port = int(self._socket.getsockname()[1])
        self._socket.settimeout(30)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def next(self) -> bytes:
        """The next datagram; waits for it."""
        return self._socket.recv(1 << 16)

    def rest(self) -> list[bytes]:
        """All that have come, and were not asked for yet."""
        self._socket.settimeout(0)
        found: list[bytes] = []
        try:
            while True:
                found.append(self._socket.recv(1 << 16))
        except BlockingIOError:
            return found
        finally:
            self._socket.settimeout(30)


class Authority:
    """Makes certificates, with openssl.

    Attributes:
        ca: the file of the authority's own.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.ca = folder / "ca.pem"
        self._key = folder / "ca.key"
        self._openssl(
            "req", "-x509", *self._new_key(self._key), "-days", "2", "-subj", "/CN=test authority",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign", "-out", self.ca,
        )  # fmt: skip

    def issue(self, name: str, *alternatives: str) -> tuple[Path, Path]:
        """A certificate and its key, for ``DNS:localhost``, ``IP:127.0.0.1`` and the like."""
        certificate, key, request = (self._folder / f"{name}.{end}" for end in ("pem", "key", "csr"))
        extensions = self._folder / f"{name}.ext"
        named = f"subjectAltName={','.join(alternatives)}\n" if alternatives else ""
        # Python 3.13 is strict about these.
        extensions.write_text(f"authorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n{named}")
        self._openssl("req", *self._new_key(key), "-subj", f"/CN={name}", "-out", request)
        self._openssl(
            "x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self._key, "-CAcreateserial", "-days", "2",
            "-extfile", extensions, "-out", certificate,
        )  # fmt: skip
        return certificate, key

    def server(self, *, wants_certificate: bool = False) -> ssl.SSLContext:
        """What a server at 127.0.0.1 goes by."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue("server", "IP:127.0.0.1", "DNS:logs.example.com"))
        if wants_certificate:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.ca)
        return context

    def _new_key(self, path: Path) -> Iterator[str | Path]:
        yield from ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path)

    def _openssl(self, *args: str | Path) -> None:
        subprocess.run(["openssl", *args], check=True, capture_output=True, timeout=60)
