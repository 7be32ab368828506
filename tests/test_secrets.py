"""Passwords, keys and tokens in URLs and headers: whatever clues says, shows and writes, none of it holds them."""

from __future__ import annotations

import json
import logging
import pprint
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py

from clues.cli import main
from clues.cli.setup_http import Site
from clues.config import Config
from clues.errors import CluesError
from clues.plugs import publisher_from_url
from clues.publishers import CompositePublisher
from clues.publishers.choice import Choice
from clues.publishers.courier import Courier, Steering
from clues.publishers.shipped import ShippedPublisher
from clues.publishers.spool import Spool
from clues.resque.connect import connect
from tests.cli.running import clues
from tests.tree.trees import tree
from tests.waiting import wait_for

SECRET = "hunter2hunter2"
PUBLISHERS = (
    f"otlp+http://bob:{SECRET}@127.0.0.1:1/x?traces=false",
    f"otlp://127.0.0.1:1?headers=api-key%3D{SECRET}",
    f"elasticsearch://bob:{SECRET}@127.0.0.1:1",
    f"elasticsearch+https://127.0.0.1:1?api_key={SECRET}",
    f"opensearch://bob:{SECRET}@127.0.0.1:1",
    f"opensearch+https://127.0.0.1:1?api_key={SECRET}",
    "tcp://127.0.0.1:1",
)
MISTAKEN = (
    *(url.replace("127.0.0.1:1", "[127.0.0.1:1") for url in PUBLISHERS[:-1]),
    *(url.replace("127.0.0.1:1", "127.0.0.1:99999") for url in PUBLISHERS[:-1]),
    *(f"{url}{'&' if '?' in url else '?'}nonsense=1" for url in PUBLISHERS[:-1]),
    *(f"{scheme}://bob:{SECRET}@127.0.0.1" for scheme in ("tcp", "udp", "statsd", "nowhere", "stdout", "log")),
    *(f"{scheme}://bob:{SECRET}" for scheme in ("tcp", "udp", "statsd", "elasticsearch", "otlp")),
    f"elasticsearch://bob:x,{SECRET}@127.0.0.1:1",
    f"elasticsearch://bob:x/{SECRET}@127.0.0.1:1",
    f"bob:{SECRET}@127.0.0.1",
)


def shown(thing: object) -> str:
    """As much as one may see of it, and of what it is made of, by mistake."""
    return f"{thing!r} {thing!s} {thing} {pprint.pformat(thing)}"


@pytest.mark.parametrize("url", PUBLISHERS)
def test_publishers_and_their_destinations(url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What they are called, what goes wrong with them, what stands in the spool."""
    caplog.set_level(logging.DEBUG)
    publisher = publisher_from_url(f"{url}{'&' if '?' in url else '?'}spool={tmp_path}")
    assert isinstance(publisher, ShippedPublisher)
    destination = publisher.destination()
    both = CompositePublisher(publisher)
    told = [shown(one) for one in (publisher, destination, both, Config(publisher), publisher.name, destination.name)]
    told += [shown(value) for one in (publisher, destination) for value in vars(one).values()]
    spool = Spool(tmp_path)
    spool.begin(after=0)
    spool.segments()[-1].path.write_bytes(json.dumps(EVENT).encode() + b"\n")
    steering = Steering()
    steering.stop.set()
    courier = Courier(spool, destination, Choice(), steering)
    courier.step()
    assert courier.checkpoint.problem
    destination.close()
    told += [courier.checkpoint.problem, shown(courier.checkpoint), caplog.text]
    told += [path.read_text("utf-8", "replace") + path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert SECRET not in "\n".join(told)


EVENT: dict[str, Any] = {
    "event_type": "enqueued",
    "timestamp": "2026-11-20T20:59:58.123456Z",
    "queue": "q",
    "metadata": {"_event_hash": "0" * 32, "_event_id": f"{'0' * 32}:1:enqueued", "_attempt": 1},
    "worker_class": "Job",
    "args": [],
}


@pytest.mark.parametrize("url", MISTAKEN)
def test_mistaken_urls(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In errors, and in the tracebacks that an application would print of them."""
    monkeypatch.setattr("clues.publishers.spool.Spool.make", lambda _: None)
    for read in (publisher_from_url, connect, Site.of):
        try:
            read(url)
        except CluesError as error:
            said = "".join(traceback.format_exception(error))
        else:
            said = ""
        assert SECRET not in said, read


@pytest.mark.parametrize("url", [MISTAKEN[0], MISTAKEN[8], *MISTAKEN[-3:-1]])
def test_mistaken_arguments(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """And what stands in the environment."""
    monkeypatch.setenv("CLUES_SPOOL", str(tmp_path))
    log = tmp_path / "events.log"
    log.write_text(json.dumps(EVENT) + "\n")
    for args in (
        ("ship", str(log), "--to", url, "--timeout", "0"),
        ("setup", "elasticsearch", "--to", url),
        ("setup", "grafana", "--url", url),
        ("setup", "kibana", "--url", url),
        ("queues", "--redis", url),
    ):
        assert main(list(args)) in {1, 2}
        assert SECRET not in "".join(capsys.readouterr()), args
    monkeypatch.setenv("CLUES_PUBLISHERS", url)
    monkeypatch.setenv("REDIS_URL", url)
    for command in ("doctor", "queues", "tail"):
        main([command])
        assert SECRET not in "".join(capsys.readouterr()), command


@pytest.fixture
def secret_redis(redis: redis_py.Redis, redis_url: str) -> Iterator[str]:
    """A Redis that wants a password."""
    redis.acl_setuser("bob", enabled=True, passwords=[f"+{SECRET}"], keys=["*"], channels=["*"], commands=["+@all"])
    yield redis_url.replace("redis://", f"redis://bob:{SECRET}@")
    redis.acl_deluser("bob")


def test_commands(secret_redis: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """What they say, right and wrong, of a Redis and publishers with passwords."""
    environ = {
        "CLUES_PUBLISHERS": ",".join(PUBLISHERS),
        "CLUES_SPOOL": str(tmp_path),
        "OTEL_EXPORTER_OTLP_HEADERS": f"api-key={SECRET}",
        "CLUES_SETUP_API_KEY": SECRET,
        "REDIS_URL": secret_redis,
    }
    done = clues("enqueue", "Job", "--queue", "q", "--json", environ=environ)
    assert done.returncode == 0
    assert SECRET not in done.stdout + done.stderr
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    away = f"redis://bob:{SECRET}@127.0.0.1:1/0"
    for args, code in (
        (["queues", "--redis", secret_redis], 0),
        (["queues", "--json", "--redis", secret_redis.replace(f":{SECRET}@", f":{SECRET}no@")], 1),
        (["workers", "--redis", away], 1),
        (["workers", "--json", "--redis", secret_redis], 1),
        (["pause", "--redis", secret_redis], 0),
        (["resume", "--json", "--redis", secret_redis], 0),
        (["doctor"], 1),
        (["doctor", "--json"], 1),
        (["setup", "grafana", "--url", "http://127.0.0.1:1"], 1),
        (["setup", "kibana", "--url", "http://127.0.0.1:1"], 1),
        (["setup", "elasticsearch", "--to", PUBLISHERS[2]], 1),
    ):
        found = main(args)
        said = "".join(capsys.readouterr())
        assert found == code, (args, said)
        assert SECRET not in said
        assert "bug in clues" not in said


def test_a_tree(tmp_path: Path, secret_redis: str, redis: redis_py.Redis) -> None:
    """Its processes' titles, its log, its files, and what it tells to Redis."""
    app = tmp_path / "shop.py"
    app.write_text(
        "class Job:\n    queue = 'q'\n\n    @classmethod\n    def perform(cls):\n        raise ValueError('no')\n"
    )
    environ = {"CLUES_PUBLISHERS": ",".join(PUBLISHERS), "CLUES_SPOOL": str(tmp_path / "spool")}
    command = ("work", "--app", "shop", "--queues", "q")
    with tree(tmp_path, secret_redis, command=command, **environ) as made:
        made.enqueue("Job")
        wait_for(lambda: redis.llen("resque:failed"), "a failure")
        made.wait_for_log("are sent again")
        titles = [text.encode() for text in made.titles().values()]
        in_redis = [redis.dump(key) or b"" for key in redis.keys("*")]
        files = [_read(path) for path in tmp_path.rglob("*")]
    assert len(titles) >= 3
    assert not any(SECRET.encode() in text for text in (*titles, *files, *in_redis))


def _read(path: Path) -> bytes:
    """What a file holds; nothing where it is none, or gone: checkpoints are replaced all the time."""
    try:
        return path.read_bytes()
    except OSError:
        return b""
