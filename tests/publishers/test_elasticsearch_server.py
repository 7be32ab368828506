"""The client that reaches a cluster."""

from __future__ import annotations

import pytest

from clues.publishers.elasticsearch_server import ELASTICSEARCH, Server

pytest.importorskip("elasticsearch")


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        (b'{"errors":false,"items":[]}', {"errors": False, "items": []}),
        (b'{"reason":"can not parse [\\ud83d]"}', {"reason": "can not parse [\ud83d]"}),
    ],
    ids=["an answer", "one that quotes half a character"],
)
def test_answers(answer: bytes, read: object) -> None:
    """Are read, whatever the server quotes of what it was sent."""
    client = Server(ELASTICSEARCH, ("http://127.0.0.1:9",)).connect()._client  # type: ignore[attr-defined]
    assert client.transport.serializers.loads(answer, "application/json") == read
    client.close()
