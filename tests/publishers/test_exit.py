"""The exit of a program whose back end is a black hole; gunicorn's and uWSGI's prefork workers."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from clues.publishers.health import Health
from clues.publishers.spool import Spool
from tests.publishers.proxy import Proxy
from tests.publishers.receivers import Lines, free_port
from tests.requirements import lacking
from tests.waiting import wait_for

ROOT = Path(__file__).parents[2]

SCRIPT = """
import sys, time
import clues
from clues.publishers.shipped import ShippedPublisher
from clues import config
from tests.publishers.destinations import event

clues.configure(environ={"CLUES_PUBLISHERS": sys.argv[1], "HOME": "/nonexistent"})
publisher = config.default.config.publisher
for number in range(100):
    publisher.publish(event(number))
shipper = publisher.outbox._shipper
while not shipper._couriers:
    time.sleep(0.01)
time.sleep(0.3)  # it is at it
print(time.monotonic(), flush=True)
"""


@pytest.mark.parametrize("taken", [True, False], ids=["never answers", "is away"])
@pytest.mark.parametrize(
    "url",
    [
        "elasticsearch://127.0.0.1:{port}/?timeout=120",
        "otlp://127.0.0.1:{port}?timeout=120&insecure=true",
        "otlp+http://127.0.0.1:{port}?timeout=120",
        "tcp://127.0.0.1:{port}?timeout=120",
    ],
)
def test_a_black_hole(tmp_path: Path, url: str, taken: bool) -> None:
    """The exit does not wait for the back end's 120 s; the events stand in the journal."""
    with Proxy(free_port()) as proxy:
        proxy.black_hole = True
        if not taken:
            proxy.down()
        where = f"{url.format(port=proxy.port)}{'&' if '?' in url else '?'}spool={tmp_path}"
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, where], cwd=ROOT, check=True, capture_output=True, text=True, timeout=100
        )
        took = time.monotonic() - float(done.stdout)
    assert took < 60
    (progress,) = Health(Spool(tmp_path)).progress()
    # What a TCP peer's kernel has taken counts as delivered.
    assert progress.lag_events == (100 if not (taken and url.startswith("tcp")) else 0)


WEB = """
import os
import clues
from clues import config
from clues.publishers import TCPPublisher
from tests.publishers.destinations import event

clues.configure(publisher=TCPPublisher("127.0.0.1", {port}, spool="spool"))

def app(environ, start_response):
    number = int(environ["PATH_INFO"].strip("/"))
    config.default.config.publisher.publish(event(number))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""


def _programs() -> list[tuple[str, list[str]]]:
    python = Path(sys.executable).parent
    return [
        ("gunicorn", [str(python / "gunicorn"), "--workers=3", "--preload", "--bind=127.0.0.1:{port}", "web:app"]),
        ("gunicorn", [str(python / "gunicorn"), "--workers=3", "--bind=127.0.0.1:{port}", "web:app"]),
        (
            "uwsgi",
            [
                str(python / "uwsgi"), "--http-socket=127.0.0.1:{port}", "--master", "--processes=3",
                "--enable-threads", "--module=web:app", "--die-on-term", f"--virtualenv={sys.prefix}",
            ],
        ),
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "command"), _programs(), ids=["gunicorn preload", "gunicorn", "uwsgi"])
def test_prefork_servers(tmp_path: Path, name: str, command: list[str]) -> None:
    """Each request's event is delivered, whichever process took the request, and whichever ships; also the last."""
    if shutil.which(command[0]) is None:
        lacking(name, f"pip install {'pyuwsgi' if name == 'uwsgi' else name}")
    port = free_port()
    with Lines() as receiver:
        (tmp_path / "web.py").write_text(WEB.format(port=receiver.port))
        environ = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
        with (tmp_path / "log").open("wb") as log:
            server = subprocess.Popen(
                [part.format(port=port) for part in command], cwd=tmp_path, env=environ, stdout=log, stderr=log
            )
        try:

            def ask(number: int) -> bytes:
                try:
                    with urlopen(f"http://127.0.0.1:{port}/{number}", timeout=30) as answer:
                        found: bytes = answer.read()
                        return found
                except OSError:
                    assert server.poll() is None, (tmp_path / "log").read_text()
                    return b""

            pids = {wait_for(lambda: ask(0), "the first answer")}
            for number in range(1, 200):
                pids.add(ask(number))
            wait_for(lambda: len(set(receiver.lines)) == 200, f"the events: {(tmp_path / 'log').read_text()[-2000:]}")
            ask(200)
            server.send_signal(signal.SIGTERM)
            server.wait(60)
            wait_for(lambda: len(set(receiver.lines)) == 201, "the last event")
            assert b"" not in pids
        finally:
            server.kill()
            server.wait(30)
