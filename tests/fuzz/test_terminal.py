"""What the commands print of hostile logs, a hostile Redis and mistaken arguments: nothing that steers a terminal."""

# ruff: noqa: E501, RUF001 - tables of samples read best as wide as they are; some digits are not what they seem
from __future__ import annotations

import io
import json
import os
import re
import sys
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from unittest import mock

import pytest
import redis as redis_py

from clues.cli import main
from clues.sanitize import UNSAFE
from tests.cli.running import read_to_end, start_in_terminal
from tests.fuzz.hostile import DEEP, EVIL, KEYS, MANY, RAW, log

EVIL_BYTES = EVIL.encode("utf-8", "surrogatepass")
ARGUMENT = EVIL.replace("\0", "").replace("\ud800", "\udcff")  # what a shell can pass
_STYLES = re.compile(r"\x1b\[[0-9;]*m")


def printed(*args: str | Path) -> tuple[str, int]:
    """Run a command here; gives what it said on both streams, and its exit code."""
    said = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="")
    with mock.patch.object(sys, "stdout", said), mock.patch.object(sys, "stderr", said):
        code = main([*map(str, args)])
    said.flush()
    buffer = said.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode(), code


def assert_safe(*args: str | Path) -> str:
    said, code = printed(*args)
    found = UNSAFE.search(said)
    assert found is None, said[max(found.start() - 80, 0) : found.end() + 20]
    assert "Traceback" not in said, said[-2000:]
    assert code in {0, 1, 2}
    return said


@pytest.fixture(scope="module")
def hostile_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hostile") / "events.log"
    path.write_bytes(log())
    return path


HASH = f"{1:032x}"


@pytest.mark.parametrize(
    "command",
    [
        ("tail", "--all"), ("tail", "--all", "--json"), ("tail", "--hash", "0000"), ("trace", HASH), ("trace", "--json", HASH),
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_hostile_log(
    hostile_log: Path, command: Sequence[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLUES_SPOOL", str(tmp_path / "spool"))
    assert len(assert_safe(*command, hostile_log)) > 100


@pytest.mark.parametrize(
    "command",
    [
        ("report",), ("report", "--json"), ("report", "--markdown"), ("query", "FROM jobs"), ("query", "FROM events"),
        ("query", "--json", "FROM events"), ("query", "--json", "FROM jobs"), ("sla", "queue=q failed < 1"), ("sla", "--json", "queue=q failed < 1"),
        ("compare", "--split", "2026-11-20T20:59:58"), ("compare", "--json", "--split", "2026-11-20T20:59:58"),
    ],
    ids=" ".join,
)  # fmt: skip
@pytest.mark.usefixtures("duckdb")
def test_a_hostile_log_analysed(hostile_log: Path, command: Sequence[str]) -> None:
    said = assert_safe(*command, hostile_log)
    assert len(said) > 100
    assert "error:" not in said


@pytest.mark.usefixtures("duckdb")
def test_a_hostile_logs_page(hostile_log: Path, tmp_path: Path) -> None:
    """Every field is text: no tag, no attribute and no script comes from the log."""
    target = tmp_path / "report.html"
    assert_safe("report", "--html", target, hostile_log)
    seen = Tags()
    seen.feed(target.read_text())
    assert "onerror" not in seen.attributes
    assert "img" not in seen.names
    assert seen.scripts
    for script in seen.scripts:
        assert "<" not in script.replace("<=", "").replace("< ", "").replace("<<", "") or "alert(1)" not in script


class Tags(HTMLParser):
    """Which elements and attributes a page has."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.scripts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes.update(name for name, _ in attrs)
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.lasttag == "script":
            self.scripts[-1] += data


def failure(**changed: object) -> bytes:
    told = {
        "failed_at": "2026/11/20 10:19:40 EST", "payload": {"class": "Job", "args": [1]}, "exception": "E", "error": "m",
        "backtrace": ["a:1"], "worker": "h:1:q", "queue": "q",
    }  # fmt: skip
    return json.dumps({**told, **changed}).encode()


FAILURES = (
    *RAW,
    *(
        failure(**{key: value})
        for key in ("failed_at", "payload", "exception", "error", "backtrace", "worker", "queue", "x")
        for value in MANY[::3]
    ),
    b'{"failed_at":"x","payload":{"class":"Job","args":[' + b"9" * 6000 + b"]}}",
)
WORKERS = (
    b"h:1:q", b"h", b"", b":::", EVIL_BYTES, b"h:1:q,~0.1", b"h:1:q,~" + b"9" * 30 + b".1", "h:x:q,~١.²".encode(), b"\xff:1:q",
)  # fmt: skip


@pytest.fixture
def hostile_redis(redis: redis_py.Redis, redis_url: str) -> str:
    """One in which somebody has written everywhere."""
    with redis.pipeline() as pipe:
        for queue in (b"q", EVIL_BYTES, b"heartbeat", b"", b"a:b"):
            pipe.sadd("resque:queues", queue)
            pipe.rpush(b"resque:queue:" + queue, *RAW, json.dumps({"class": EVIL, "args": [EVIL]}))
        pipe.sadd("resque:queues", "no list")
        pipe.set("resque:queue:no list", "x")
        pipe.rpush("resque:failed", *FAILURES)
        pipe.sadd("resque:failed_queues", EVIL_BYTES)
        pipe.rpush(b"resque:" + EVIL_BYTES, *FAILURES)
        for place, worker in enumerate(WORKERS):
            pipe.sadd("resque:workers", worker)
            pipe.hset("resque:workers:heartbeat", worker, (EVIL_BYTES, b"\xff", b"9" * 5000)[place % 3])
            pipe.hset(
                "resque:workers:tree",
                worker,
                (DEEP, EVIL_BYTES, json.dumps({"slot": 10**400, "host": EVIL}))[place % 3],
            )
            pipe.set(
                b"resque:worker:" + worker,
                (json.dumps({"queue": EVIL, "run_at": EVIL, "payload": {"class": EVIL}}), *RAW)[place],
            )
            pipe.set(b"resque:worker:" + worker + b":started", EVIL_BYTES)
            pipe.set(b"resque:stat:processed:" + worker, (b"5", b"x", b"9" * 5000)[place % 3])
        pipe.execute()
    return redis_url


def test_a_hostile_redis(hostile_redis: str) -> None:
    for command in (
        ("queues",), ("queues", "--json"), ("workers",), ("workers", "--json"), ("failed", "list", "--all"),
        ("failed", "list", "--all", "--json"), ("failed", "list", "--since", "2h"), ("pause", ARGUMENT), ("pause",), ("resume", "--all"),
        ("enqueue", "Job", ARGUMENT, "--queue", "q"), ("queues", "--namespace", ARGUMENT),
        *(("failed", "show", str(place)) for place in range(0, len(FAILURES), 5)),
        *(("failed", "show", "--json", str(place)) for place in range(2, len(FAILURES), 5)),
        ("failed", "retry", "--all"), ("failed", "clear", "--yes"),
    ):  # fmt: skip
        assert_safe(*command, "--redis", hostile_redis)


def test_mistaken_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUES_PUBLISHERS", f"tcp://bob:hunter2@[{ARGUMENT}")
    monkeypatch.setenv("CLUES_SPOOL", str(tmp_path / "spool"))
    monkeypatch.setenv("REDIS_URL", "redis://:hunter2@127.0.0.1:1/0")
    for command in (
        "tail",
        "trace",
        "report",
        "query",
        "sla",
        "compare",
        "ship",
        "work",
        "start",
        "enqueue",
        "pause",
        "failed",
        "doctor",
    ):
        for args in (
            (ARGUMENT,),
            (f"--{ARGUMENT}",),
            ("--since", ARGUMENT),
            ("--redis", ARGUMENT),
            ("--app", ARGUMENT),
            (),
        ):
            if args or command in {"pause", "doctor"}:
                assert "hunter2" not in assert_safe(command, *args)
    assert_safe(ARGUMENT)


@pytest.mark.parametrize(
    "command",
    [
        ("tail", "--all"), ("tail", "--all", "--json"), ("trace", HASH), ("ship", "--to", "stdout://"),
        ("query", "FROM events"), ("query", "--json", "FROM events"), ("query", "--format", "csv", "FROM events"),
        ("query", "--out", "/dev/stdout", "--format", "csv", "FROM events"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_terminal(hostile_log: Path, command: Sequence[str], tmp_path: Path) -> None:
    """The bytes that a real one gets: colours, and no other sequence."""
    process, terminal = start_in_terminal([*command, hostile_log], {"CLUES_SPOOL": str(tmp_path)})
    try:
        said = read_to_end(terminal)
    finally:
        process.wait(60)
        os.close(terminal)
    assert len(said) > 100
    rest = re.sub(r"\x1b\[\?25[lh]|\x1b\[\d*[AK]|\r", "", _STYLES.sub("", said))  # progress hides the cursor
    assert not UNSAFE.search(rest)


def test_every_key_is_tried() -> None:
    """The hostile log has a line for each key and value; what is added to either is tried too."""
    assert log().count(b"\n") > len(KEYS) * len(MANY)
