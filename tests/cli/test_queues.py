"""``clues queues`` on a real Redis."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, TypeAlias

import pytest

from clues.resque import Resque
from tests.cli.running import clues

Redis: TypeAlias = Any  # redis-py's types allow for clients that decode, at every answer


@pytest.fixture
def environ(redis_url: str) -> dict[str, str]:
    return {"REDIS_URL": redis_url}


@pytest.fixture
def filled(redis_url: str, redis: Redis) -> None:
    """Three queues: one stamped, one Ruby's, one empty and paused."""
    client = Resque(redis_url)
    metadata = {"_enqueued_time": time.time() - 125}
    for _ in range(1200):
        redis.rpush("resque:queue:mail", json.dumps({"class": "A", "args": [], "clues_metadata": metadata}))
    client.push("ruby", {"class": "B", "args": []})
    redis.sadd("resque:queues", "mail", "empty")
    client.pause("empty")


@pytest.mark.usefixtures("filled")
def test_a_table(environ: Mapping[str, str]) -> None:
    found = clues("queues", environ=environ)
    assert (found.returncode, found.stderr) == (0, "")
    lines = [line.split() for line in found.stdout.splitlines()]
    assert lines[0] == ["queue", "jobs", "oldest"]
    assert lines[1] == ["empty", "0", "-", "paused"]
    assert lines[2][:2] == ["mail", "1,200"]
    assert lines[2][2].startswith("2m")
    assert lines[3] == ["ruby", "1", "?"]
    assert lines[4][:3] == ["3", "queues", "1,201"]


@pytest.mark.usefixtures("filled")
def test_as_json(environ: Mapping[str, str]) -> None:
    told = json.loads(clues("queues", "--json", environ=environ).stdout)
    assert told["all_paused"] is False
    empty, mail, ruby = told["queues"]
    assert empty == {"name": "empty", "depth": 0, "oldest_age": None, "paused": True}
    assert 125 <= mail["oldest_age"] < 240
    assert ruby == {"name": "ruby", "depth": 1, "oldest_age": None, "paused": False}
    assert told["total"] == {"queues": 3, "depth": 1201, "oldest_age": mail["oldest_age"]}


def test_none_are_known(environ: Mapping[str, str], redis: Redis) -> None:
    found = clues("queues", environ=environ)
    assert (found.returncode, found.stdout) == (1, "")
    assert "no queue is known on " in found.stderr
    found = clues("queues", "--json", environ=environ)
    assert found.returncode == 1
    assert json.loads(found.stdout)["queues"] == []


def test_a_pause_of_all_is_told(environ: Mapping[str, str], redis: Redis) -> None:
    redis.sadd("resque:queues", "a")
    redis.set("resque:pause-all-workers", "true")
    assert "all workers are paused" in clues("queues", environ=environ).stderr


def test_odd_names_and_keys(environ: Mapping[str, str], redis: Redis) -> None:
    redis.sadd("resque:queues", b"caf\xe9\x1b[2J", "odd")
    redis.set("resque:queue:odd", "x")
    found = clues("queues", environ=environ)
    assert found.returncode == 0
    assert "\x1b" not in found.stdout
    assert "caf\\xe9\\x1b[2J" in found.stdout
    assert "no list" in found.stdout
    assert json.loads(clues("queues", "--json", environ=environ).stdout)["queues"][1]["depth"] is None
