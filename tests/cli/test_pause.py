"""``clues pause`` and ``clues resume`` on a real Redis."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

import pytest

from tests.cli.running import clues

Redis: TypeAlias = Any  # redis-py's types allow for clients that decode, at every answer


@pytest.fixture
def environ(redis_url: str) -> dict[str, str]:
    return {"REDIS_URL": redis_url}


def test_all_workers(environ: Mapping[str, str], redis: Redis) -> None:
    found = clues("pause", environ=environ)
    assert (found.returncode, found.stderr) == (0, "")
    assert "all workers are paused" in found.stdout
    assert redis.get("resque:pause-all-workers") == b"true"
    found = clues("resume", environ=environ)
    assert (found.returncode, found.stdout, found.stderr) == (0, "workers take jobs again\n", "")
    assert not redis.exists("resque:pause-all-workers")
    assert clues("resume", environ=environ).stdout == "workers were not paused\n"


def test_single_queues(environ: Mapping[str, str], redis: Redis) -> None:
    redis.sadd("resque:queues", "a", "b")
    found = clues("pause", "a", "b", environ=environ)
    assert (found.returncode, found.stdout, found.stderr) == (0, "paused: a, b\n", "")
    assert redis.smembers("resque:paused-queues") == {b"a", b"b"}
    assert clues("resume", "a", environ=environ).stdout == "no longer paused: a\n"
    found = clues("resume", "a", environ=environ)
    assert (found.returncode, found.stdout) == (0, "not paused: a\n")


def test_what_stays_paused_is_told(environ: Mapping[str, str], redis: Redis) -> None:
    redis.sadd("resque:queues", "a", "b")
    clues("pause", environ=environ)
    clues("pause", "a", "b", environ=environ)
    found = clues("resume", "a", environ=environ)
    assert "all workers are still paused" in found.stderr
    found = clues("resume", environ=environ)
    assert found.stdout == "workers take jobs again\n"
    assert "still paused: b" in found.stderr


def test_every_pause(environ: Mapping[str, str], redis: Redis) -> None:
    for queues in ([], ["a", "b"]):
        clues("pause", *queues, environ=environ)
    found = clues("resume", "--all", environ=environ)
    assert (found.stdout, found.stderr) == ("workers take jobs again; no longer paused: a, b\n", "")
    assert not redis.keys("*")
    assert clues("resume", "--all", environ=environ).stdout == "workers were not paused\n"


def test_a_name_that_no_queue_has_is_told_and_paused(environ: Mapping[str, str], redis: Redis) -> None:
    """It may come; or it is a slip, which must not go unseen."""
    found = clues("pause", "mail_*", environ=environ)
    assert found.returncode == 0
    assert "no queue has this name so far: mail_*" in found.stderr


def test_workers_that_go_on_are_told(environ: Mapping[str, str], redis: Redis) -> None:
    redis.sadd("resque:queues", "a")
    redis.sadd("resque:workers", "host:1:a", "host:2:a")
    redis.hset("resque:workers:tree", "host:2:a", "{}")
    assert "1 of 2 workers are not clues'" in clues("pause", "a", environ=environ).stderr
    assert clues("pause", environ=environ).stderr == ""


def test_as_json(environ: Mapping[str, str], redis: Redis) -> None:
    redis.sadd("resque:paused-queues", b"caf\xe9\x1b")
    found = clues("pause", "--json", environ=environ)
    assert json.loads(found.stdout) == {"all": True, "queues": ["caf\\xe9\x1b"]}
    found = clues("resume", "--json", environ=environ)
    assert json.loads(found.stdout) == {"all": False, "queues": ["caf\\xe9\x1b"]}
    assert "\x1b" not in found.stderr


@pytest.mark.parametrize("args", [["pause", ""], ["pause", "heartbeat"], ["resume", "a", "--all"]])
def test_mistaken_usage(args: list[str], environ: Mapping[str, str], redis: Redis) -> None:
    found = clues(*args, environ=environ)
    assert found.returncode == 2
    assert not redis.keys("*")


def test_redis_that_is_away() -> None:
    found = clues("pause", "--redis", "redis://127.0.0.1:1")
    assert found.returncode == 1
    assert found.stderr.startswith("clues: error: Redis:")
