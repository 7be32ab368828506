"""``clues web`` as a program: its URL, its end, a port that is taken, a Redis that is away."""

from __future__ import annotations

import importlib.util
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from clues.errors import MissingExtraError
from clues.web.server import needs_extra
from tests.cli.running import clues
from tests.redis_server import private_server
from tests.waiting import wait_for
from tests.web.serving import serving
from tests.web.worlds import life, wait_in, write


def test_help_has_examples() -> None:
    told = clues("web", "--help").stdout
    assert "clues web --write --port 0" in told
    assert "CLUES_WEB_TOKEN" in told


@pytest.mark.parametrize("library", ["starlette", "uvicorn"])
def test_without_its_extra(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == library else find(name))
    with pytest.raises(MissingExtraError, match=rf"needs {library}: pip install 'clues\[web\]'"):
        needs_extra()


def test_ctrl_c_ends_it_at_once_and_quietly(redis_server: Any, tmp_path: Path) -> None:
    """Also while a page listens to live events."""
    with serving(redis_url=redis_server.url, log=tmp_path / "events.log") as site:
        listening = socket.create_connection(("127.0.0.1", site.port or 0))
        with listening:
            ask = f"GET /api/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {site.token}\r\n\r\n"
            listening.sendall(ask.encode())
            assert b"200 OK" in listening.recv(100)
            site.process.send_signal(signal.SIGINT)
            assert site.process.wait(30) == 130
        assert site.process.stdout is not None
        assert b"Traceback" not in site.process.stdout.read()


def test_sigterm_ends_it_too(redis_server: Any, tmp_path: Path) -> None:
    """And nothing is left behind."""
    with serving(redis_url=redis_server.url, environ={"TMPDIR": str(tmp_path)}) as site:
        assert list(tmp_path.glob("clues-web-*"))
        site.process.terminate()
        assert site.process.wait(30) == 128 + signal.SIGTERM
    assert not list(tmp_path.iterdir())


def test_a_port_that_is_taken(redis_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        found = clues("web", "--port", str(port), environ={"REDIS_URL": redis_url})
    assert found.returncode == 1
    assert f"port {port} of 127.0.0.1 is taken" in found.stderr
    assert "--port 0" in found.stderr


def test_the_token_can_be_given(redis_server: Any) -> None:
    with serving(redis_url=redis_server.url, environ={"CLUES_WEB_TOKEN": "of our own"}) as site:
        assert site.token == "of our own"
        assert site.get("state")["write"] is False


def test_the_default_log(redis_server: Any, tmp_path: Path) -> None:
    log = write(tmp_path / "events.log", life(1, 1_700_000_000))
    with serving(redis_url=redis_server.url, environ={"CLUES_PUBLISHERS": f"log://{log}"}) as site:
        site.ready()
        assert site.get("state")["history"]["files"] == [str(log)]
        assert len(site.get("jobs")["jobs"]) == 1


def test_redis_that_goes_away_and_comes_back(tmp_path: Path) -> None:
    """The page says so, and goes on: history is there without it."""
    log = write(tmp_path / "events.log", life(1, 1_700_000_000))
    with private_server() as server:
        server.kill()
        with serving(redis_url=server.url, log=log) as site:  # which begins without it, too
            site.ready()
            for name in ("glance", "queues", "workers", "running", "failures", "failure-lists"):
                answer = site.ask(f"api/{name}", headers=site.bearer)
                assert answer.status == 503, name
                assert answer.json["redis"] is True
                assert "Redis does not serve" in answer.json["error"]
            assert len(site.get("jobs")["jobs"]) == 1
            metrics = site.ask("metrics", headers=site.bearer)
            assert metrics.status == 200
            assert "messaging_client_sent_messages_total" in metrics.text
            server.start()
            import redis

            with redis.Redis(port=server.port) as client:
                wait_in(client, "pdf", 2)
            found = wait_for(lambda: _queues(site), "the queues")
            assert [queue["depth"] for queue in found] == [2]


def _queues(site: Any) -> Any:
    answer = site.ask("api/queues", headers=site.bearer)
    return answer.json["queues"] if answer.status == 200 else None
