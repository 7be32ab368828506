"""Fixtures for all tests; plain helpers are modules of the package `tests`: ``from tests.waiting import wait_for``.

However the tests are started, pytest imports this file, and with it its package, by its place and before any test; so
the helpers are found. The folders below are no packages: their test files may have any name.
"""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py

from clues import config, faults
from tests.redis_server import RedisServer, private_server
from tests.requirements import lacking

GOLDEN = Path(__file__).parent / "wire" / "golden"
FOR_TESTS = {
    "CLUES_BUILD_COLLECTOR",
    "CLUES_BUILD_PROMETHEUS",
    "CLUES_ELASTICSEARCH_URL",
    "CLUES_OPENSEARCH_URL",
    "CLUES_OTELCOL",
    "CLUES_REDIS_SERVER",
    "CLUES_REQUIRE",
    "CLUES_TESTS_CACHE",
}


def pytest_unconfigure() -> None:
    """What tests had stand-ins get wrong is not to be said at the end."""
    faults._say_no_more()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A real Redis for the session."""
    with private_server() as server:
        yield server


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator[redis_py.Redis]:
    """A raw client on an empty database, for assertions."""
    with redis_py.Redis(port=redis_server.port) as client:
        client.flushall()
        yield client


@pytest.fixture
def redis_url(redis_server: RedisServer, redis: redis_py.Redis) -> str:
    """The URL of an empty database."""
    return redis_server.url


@pytest.fixture(scope="session")
def duckdb() -> None:
    """What reads event logs as a database, for tests that use it."""
    if importlib.util.find_spec("duckdb") is None:
        lacking("duckdb", "it is not installed (clues[analysis])")


@pytest.fixture(scope="session")
def golden() -> Callable[[str], dict[str, Any]]:
    """A capture from the Ruby programs by its name, such as ``a-enqueue-plain``."""

    def read(name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text())
        return found

    return read


@pytest.fixture(autouse=True)
def unconfigured(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test begins and ends with clues unconfigured, whatever the shell's environment says."""
    for name in [name for name in os.environ if name.startswith("CLUES_") and name not in FOR_TESTS]:
        monkeypatch.delenv(name)
    config.reset()
    yield
    config.reset()
