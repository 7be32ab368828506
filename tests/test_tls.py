"""Whoever speaks TLS wants to see a certificate that is good, and says what to do about one that is not."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from clues.cli import main
from clues.errors import CluesError
from clues.plugs import publisher_from_url
from clues.publishers.shipped import ShippedPublisher
from tests.cli.running import clues
from tests.fuzz.hostile import event
from tests.publishers.receivers import Authority, Lines
from tests.requirements import lacking

LINE = json.dumps(event(1)).encode()
FAILED = "certificate verify failed"
ADVICE = "if its authority is your own, name that one's file by "


class Https:
    """A server that has a certificate of an authority that nobody knows, and answers all that comes.

    Attributes:
        requests: what came, by method and path; none may, from who does not trust it.
        port: where it is.
    """

    def __init__(self, authority: Authority) -> None:
        self.requests: list[str] = []
        told = self.requests

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                told.append(f"{self.command} {self.path}")
                body = json.dumps(_answer(self.command, self.path)).encode()
                self.send_response(200)
                self.send_header("x-elastic-product", "Elasticsearch")
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = handle_any

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                """Say nothing of clients that do not trust it."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.socket = authority.server().wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _answer(method: str, path: str) -> object:
    if path.startswith("/_bulk"):
        return {"errors": False, "items": [{"create": {"status": 201}}]}
    if "_import" in path:
        return {"success": True}
    if path == "/":
        return {"version": {"number": "8.15.0"}}
    if method == "GET" and path.endswith("/_mapping"):
        return {"i": {"mappings": {"properties": {"clues": {"properties": {"metadata": {"type": "flattened"}}}}}}}
    if path.startswith(("/_component_template", "/_index_template")):
        kind = path.split("/")[1].strip("_")
        return {f"{kind}s": [{kind: {}}]}
    return {"dashboard": {}}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    if shutil.which("openssl") is None:
        lacking("openssl", "no openssl on PATH")
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def server(authority: Authority) -> Iterator[Https]:
    found = Https(authority)
    yield found
    found.close()


def sent(url: str, spool: Path) -> str:
    """What is wrong with sending an event; empty if nothing is."""
    publisher = publisher_from_url(f"{url}{'&' if '?' in url else '?'}spool={spool}")
    assert isinstance(publisher, ShippedPublisher)
    destination = publisher.destination()
    try:
        return destination.send([LINE]).problem
    except CluesError as error:
        return str(error)
    finally:
        destination.close()


@pytest.mark.parametrize(
    ("url", "option"),
    [
        ("otlp+https://127.0.0.1:{port}?traces=false&metrics=false&timeout=5", "certificate"),
        ("elasticsearch+https://127.0.0.1:{port}", "ca_certs"),
        ("opensearch+https://127.0.0.1:{port}", "ca_certs"),
    ],
)
def test_back_ends(server: Https, authority: Authority, url: str, option: str, tmp_path: Path) -> None:
    """They get nothing, not even a key, before they have shown who they are."""
    place = url.format(port=server.port)
    said = sent(place, tmp_path)
    assert FAILED in said.lower().replace("_", " ")
    assert f"{ADVICE}{option}=" in said
    assert server.requests == []
    assert not sent(f"{place}{'&' if '?' in place else '?'}{option}={authority.ca}", tmp_path)
    assert server.requests


def test_otlp_over_grpc(server: Https, tmp_path: Path) -> None:
    """That it works with the authority's certificate: `tests/publishers/test_otlp_export.py`."""
    said = sent(f"otlps://127.0.0.1:{server.port}?traces=false&metrics=false&timeout=5", tmp_path)
    assert "CERTIFICATE_VERIFY_FAILED" in said
    assert f"{ADVICE}certificate=" in said


def test_tcp(authority: Authority, tmp_path: Path) -> None:
    with Lines(context=authority.server()) as receiver:
        place = f"tcp+tls://127.0.0.1:{receiver.port}"
        said = sent(place, tmp_path)
        assert FAILED in said
        assert f"{ADVICE}ca_certs=" in said
        assert receiver.lines == []
        assert not sent(f"{place}?ca_certs={authority.ca}", tmp_path)


@pytest.mark.parametrize(
    "command",
    [
        ("setup", "grafana", "--api-key", "hunter2", "--url", "https://127.0.0.1:{port}"),
        ("setup", "kibana", "--user", "bob:hunter2", "--url", "https://127.0.0.1:{port}"),
    ],
    ids=lambda command: command[1],
)
def test_setup(
    server: Https,
    authority: Authority,
    command: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    args = [part.format(port=server.port) for part in command]
    assert main(args) == 1
    said = capsys.readouterr().err
    assert FAILED in said
    assert f"{ADVICE}SSL_CERT_FILE" in said
    assert "hunter2" not in said
    assert server.requests == []
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
    assert main(args) == 0, capsys.readouterr()
    assert server.requests


@pytest.mark.parametrize("scheme", ["elasticsearch+https", "opensearch+https"])
def test_setup_of_a_cluster(
    server: Https, authority: Authority, scheme: str, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["setup", "elasticsearch", "--to", f"{scheme}://bob:hunter2@127.0.0.1:{server.port}"]
    assert main(args) == 1
    said = capsys.readouterr().err
    assert f"{ADVICE}ca_certs=" in said
    assert "hunter2" not in said
    assert server.requests == []
    args[-1] += f"?ca_certs={authority.ca}"
    assert main(args) == 0, capsys.readouterr()


@pytest.mark.parametrize("command", [("queues",), ("enqueue", "Job", "--queue", "q")], ids=" ".join)
def test_redis(server: Https, command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """That it works with the authority's certificate: `tests/resque/test_connect.py`."""
    assert main([*command, "--redis", f"rediss://bob:hunter2@127.0.0.1:{server.port}/0"]) == 1
    check_redis(capsys.readouterr().err)


def test_a_workers_redis(server: Https, tmp_path: Path) -> None:
    (tmp_path / "jobs.py").write_text("class Job:\n    queue = 'q'\n    perform = print\n")
    environ = {"REDIS_URL": f"rediss://bob:hunter2@127.0.0.1:{server.port}/0", "CLUES_RUN_DIR": str(tmp_path / "run")}
    done = clues("work", "--app", "jobs", "--queues", "q", environ=environ, cwd=tmp_path)
    assert done.returncode == 1
    check_redis(done.stderr)


def check_redis(said: str) -> None:
    assert FAILED in said
    assert f"{ADVICE}ssl_ca_certs=" in said
    assert "hunter2" not in said
