"""``python -m benchmarks.sinks FILE``: back ends that take all, at little cost; their ports go to the file.

One speaks OTLP over HTTP, one answers as Elasticsearch does: a bulk request with an item for each document, whole or,
where the request asks for parts of the answer only, those parts.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import zlib
from pathlib import Path
from typing import Any

_ITEM = (
    b'{"create":{"_index":".ds-logs-clues.events-default-2026.11.20-000001","_id":"0123456789abcdef0123456789abcdef:1'
    b':perform_started","_version":1,"result":"created","_shards":{"total":2,"successful":1,"failed":0},"_seq_no":12345'
    b',"_primary_term":1,"status":201}}'
)
_PART = b'{"create":{"status":201}}'


def main() -> None:
    """Serve until ended."""
    ports = {}
    for name, answer in (("otlp", otlp), ("elasticsearch", elasticsearch)):
        listener = socket.create_server(("127.0.0.1", 0))
        ports[name] = listener.getsockname()[1]
        threading.Thread(target=_serve, args=(listener, answer), daemon=True).start()
    whole = Path(f"{sys.argv[1]}.new")
    whole.write_text(json.dumps(ports))
    whole.rename(sys.argv[1])
    threading.Event().wait()


def otlp(path: bytes, body: bytes) -> bytes:
    """An answer without a word: all was taken."""
    return _response(b"application/x-protobuf", b"")


def elasticsearch(path: bytes, body: bytes) -> bytes:
    """What Elasticsearch says to a bulk request, and to whoever asks whether it is one."""
    if not path.startswith(b"/_bulk"):
        return _response(b"application/json", b"{}" if path.endswith(b"/_mapping") else b'{"version":{"number":"9"}}')
    text = zlib.decompress(body, zlib.MAX_WBITS | 16) if body.startswith(b"\x1f\x8b") else body
    item = _PART if b"filter_path=" in path else _ITEM
    items = b",".join([item] * (text.count(b"\n") // 2))
    return _response(b"application/json", b'{"errors":false,"took":30,"items":[' + items + b"]}")


def _response(kind: bytes, body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nx-elastic-product: Elasticsearch\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n"
    return head % (kind, len(body)) + body


def _serve(listener: socket.socket, answer: object) -> None:
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_converse, args=(connection, answer), daemon=True).start()


def _converse(connection: socket.socket, answer: object) -> None:
    with connection, connection.makefile("rb", 1 << 20) as requests:
        while request := requests.readline():
            body = requests.read(_length(requests))
            connection.sendall(answer(request.split()[1], body))  # type: ignore[operator]


def _length(requests: Any) -> int:
    """The body's, from the headers, of which nothing else counts."""
    found = 0
    while (line := requests.readline()) not in {b"\r\n", b""}:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            found = int(value)
    return found


if __name__ == "__main__":
    main()
