"""The application that a command works with, and its Redis."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from redis.exceptions import RedisError

from clues.errors import RedisUnavailableError
from clues.publishers.delivery import with_advice
from clues.resque import Resque
from clues.resque.application import client_of as found_by

__all__ = ["client_of", "folder", "reaching_redis"]


def client_of(modules: Iterable[str], *, redis: str | None, namespace: str | None) -> Resque:
    """The application's client, or one for what flags name; see `clues.resque.application`.

    Raises:
        CluesError: the application can't be loaded, or Redis can't be reached.
    """
    with reaching_redis():
        return found_by(modules, redis=redis, namespace=namespace)


def folder() -> str:
    """The current folder by the shell's name for it, with its links as they are; empty if it has none."""
    named = os.environ.get("PWD", "")
    with suppress(OSError):
        if named and Path(named).samefile("."):
            return named
    return ""


@contextmanager
def reaching_redis() -> Iterator[None]:
    """Tell in one line when Redis can't be reached, or refuses.

    Raises:
        RedisUnavailableError: that.
    """
    try:
        yield
    except RedisError as error:
        reason = str(error).split(" : <")[0]  # Sentinel's errors show redis-py's inside
        said = f"Redis: {reason}"
        msg = with_advice(said, "ssl_ca_certs= in its URL")
        if msg == said:
            msg += "; say where it is, and how to log in, with --redis or REDIS_URL"
        raise RedisUnavailableError(msg) from error
