"""Whose Redis a command works with."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from clues import resque
from clues.resque.application import client_of

FLAG, OWN, VARIABLE = 1, 2, 3
"""Databases, to tell them apart."""


@pytest.fixture
def at(redis_url: str) -> Callable[[int], str]:
    return lambda database: urlsplit(redis_url)._replace(path=f"/{database}").geturl()


@pytest.fixture(autouse=True)
def undone(monkeypatch: pytest.MonkeyPatch, at: Callable[[int], str]) -> Iterator[None]:
    monkeypatch.setattr(resque._Default, "client", None)
    monkeypatch.setenv("REDIS_URL", at(VARIABLE))
    monkeypatch.setattr(sys, "path", sys.path[:])
    yield
    sys.modules.pop("the_application", None)


def database_of(client: resque.Resque) -> int:
    with client.store.client as connected:  # which was asked for its version
        return int(connected.connection_pool.connection_kwargs["db"])


def test_by_the_environment() -> None:
    assert database_of(client_of([], redis=None, namespace=None)) == VARIABLE


@pytest.mark.parametrize(("flag", "namespace", "found"), [(None, None, OWN), (FLAG, None, FLAG), (None, "other", OWN)])
def test_the_applications_own(
    flag: int | None,
    namespace: str | None,
    found: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    at: Callable[[int], str],
) -> None:
    """A flag counts before it; the rest of what it has configured stays."""
    own = f"{at(OWN)!r}, namespace='own', failure_backends=['redis_multi_queue']"
    (tmp_path / "the_application.py").write_text(f"from clues import resque\nresque.configure({own})\n")
    monkeypatch.chdir(tmp_path)
    client = client_of(["the_application"], redis=None if flag is None else at(flag), namespace=namespace)
    assert database_of(client) == found
    assert client.store.keys.namespace == (namespace or "own")
    assert client.failure_backends == ("redis_multi_queue",)


def test_what_was_configured_before(at: Callable[[int], str]) -> None:
    """By an application that is loaded already, whose modules are not run again."""
    resque.configure(at(OWN))
    assert database_of(client_of([], redis=None, namespace=None)) == OWN
