"""The publisher beside a chat of our own that is away, too busy, and then there."""

import json
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from chat import ChatPublisher

import clues
from clues import resque
from clues.config import reset


class Chat(BaseHTTPRequestHandler):
    answers = (503, 429)
    told = ()

    def do_POST(self):
        kind = type(self)
        text = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"]
        status, *rest = (*kind.answers, HTTPStatus.OK)
        kind.answers = tuple(rest[:-1])
        if status == HTTPStatus.OK:
            kind.told += (text,)
        self.send_response(status)
        self.end_headers()

    def log_message(self, *args):
        """Not a word."""


@pytest.fixture
def webhook():
    server = HTTPServer(("127.0.0.1", 0), Chat)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/T01/secret"
    server.shutdown()
    server.server_close()


@resque.job(queue="mailers")
def send_welcome(address):
    raise ValueError(f"{address} is no address")


def test_a_failure_is_told_when_the_chat_is_there(webhook, tmp_path):
    publisher = ChatPublisher(webhook, spool=tmp_path)
    clues.configure(publisher)
    try:
        with resque.inline():
            with pytest.raises(ValueError, match="nobody"):
                resque.enqueue(send_welcome, "nobody")
            assert publisher.flush(timeout=30)
    finally:
        reset()
    (text,) = Chat.told
    assert text.startswith("send_welcome failed: nobody is no address (clues trace ")
    assert "secret" not in "".join(path.name for path in tmp_path.rglob("*"))
