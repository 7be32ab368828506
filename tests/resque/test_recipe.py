"""How a client connects, told to a process that never imports the application."""

from __future__ import annotations

import os
import pickle
import socket
import ssl
from typing import Any

import pytest
import redis as redis_py
from redis.credentials import UsernamePasswordCredentialProvider

from clues.errors import ConfigError
from clues.resque.connect import connect, describe
from clues.resque.recipe import client_by, recipe


@pytest.mark.parametrize(
    "client",
    [
        connect("redis://bob:secret@cache:1/2"),
        connect("rediss://cache:1/2?ssl_cert_reqs=none&ssl_ca_certs=/ca.pem"),
        connect("unix:///run/redis.sock?db=1"),
        connect("sentinel://bob:secret@a:1,b:2/main/3?sentinel_password=x"),
        connect("sentinels://a:1/main/0"),
        redis_py.Redis("cache", retry_on_error=[ConnectionError, redis_py.exceptions.TimeoutError]),
        redis_py.Redis("cache", ssl=True, ssl_min_version=ssl.TLSVersion.TLSv1_2, ssl_cert_reqs=ssl.CERT_REQUIRED),
        redis_py.Redis("cache", credential_provider=UsernamePasswordCredentialProvider("bob", "secret")),
    ],
    ids=describe,
)
def test_a_client_connects_as_the_other_does(client: redis_py.Redis) -> None:
    found = client_by(recipe(client))
    assert describe(found) == describe(client)
    before, after = client.connection_pool, found.connection_pool
    assert before.connection_class is after.connection_class
    for name in ("password", "username", "ssl_cert_reqs", "ssl_ca_certs", "ssl_min_version", "retry_on_error"):
        assert before.connection_kwargs.get(name) == after.connection_kwargs.get(name)


class Provider(redis_py.CredentialProvider):
    def get_credentials(self) -> tuple[str, str]:
        return "bob", "secret"


@pytest.mark.parametrize(
    "settings", [{"credential_provider": Provider()}, {"redis_connect_func": print}], ids=["class", "function"]
)
def test_what_only_the_application_knows_is_said(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="connects by code of its own"):
        recipe(redis_py.Redis("cache", **settings))


class Calling:
    """Pickled, it calls something as it is read."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.call = function, args

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call


@pytest.mark.parametrize(
    "packed",
    [
        pickle.dumps(Calling(eval, "open('ran', 'w')")),
        pickle.dumps(Calling(exec, "open('ran', 'w')")),
        pickle.dumps(Calling(open, "ran", "w")),
        pickle.dumps(Calling(getattr, "", "upper")),
        pickle.dumps(Calling(__import__, "os")),
        pickle.dumps(Calling(bytearray, 1 << 40)),
        pickle.dumps(Calling(os.system, "touch ran")),
        pickle.dumps(Calling(redis_py.from_url, "redis://127.0.0.1:1")),
        pickle.dumps(Calling(socket.create_connection, ("127.0.0.1", 1))),
        b"\x80\x04\x8c\x06socket\x8c\x09os.system\x93\x8c\x09touch ran\x85R.",
        b"\x80\x04\x8c\x10redis.connection\x8c\x09os.system\x93\x8c\x09touch ran\x85R.",
        b"\x80\x04\x8c\x04evil\x8c\x03run\x93.",
    ],
)
def test_no_function_is_called(packed: bytes, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(pickle.UnpicklingError, match="no setting of a Redis client"):
        client_by(packed)
    assert not list(tmp_path.iterdir())
