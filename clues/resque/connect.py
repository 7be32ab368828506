"""Clients for Redis from what users give: a URL, or a client of their own.

A command whose reply was lost may have been done; repeating it blindly could take or count a job twice. So no client
here retries commands by itself, whatever its library's default is.
"""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.connection import (
    BlockingConnectionPool,
    ConnectionPool,
    SSLConnection,
    UnixDomainSocketConnection,
    parse_url,
)
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool, SentinelManagedSSLConnection

from clues.errors import ClusterError, ConfigError, RedisVersionError

if TYPE_CHECKING:
    from collections.abc import Mapping

RedisLike: TypeAlias = "str | redis.Redis | None"
"""A URL, a client, or None for DEFAULT_URL."""

DEFAULT_URL = "redis://localhost:6379/0"
OLDEST = (6, 2)
"""The oldest server that clues supports."""

_SENTINEL_PORT = 26379
_SENTINEL_URL = re.compile(r"(sentinels?):(?://)?([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#.*)?", re.DOTALL)
_TIMEOUTS = {"socket_connect_timeout": 5.0, "socket_timeout": 30.0}
_SHORT_TIMEOUTS = {"socket_connect_timeout": 5.0, "socket_timeout": 5.0}
_CLUSTER = "Redis Cluster can't serve Resque, whose keys span slots; give a single Redis, or Sentinel"


def default_url(environ: Mapping[str, str]) -> str:
    """Answer the URL that the environment gives in REDIS_URL, else DEFAULT_URL."""
    return environ.get("REDIS_URL") or DEFAULT_URL


def connect(given: RedisLike = None) -> redis.Redis:
    """Make a client that answers bytes and repeats nothing by itself; it connects at its first command.

    Args:
        given: ``redis://``, ``rediss://`` (TLS) or ``unix://`` with redis-py's query options, or
            ``sentinel://[user:password@]host:port,host:port/service/db`` (``sentinels://`` for TLS; what Sentinel
            itself wants goes in ``?sentinel_username=…&sentinel_password=…``), or a client. A client that decodes
            its replies or retries commands stays as it is: a twin with its other settings takes its place.

    Raises:
        ConfigError: the URL is mistaken, or what was given is no client.
        ClusterError: it is a client for Redis Cluster.
    """
    if isinstance(given, redis.RedisCluster):
        raise ClusterError(_CLUSTER)
    if isinstance(given, redis.Redis):
        return _twin(given) if _decodes(given) or _retries(given) else given
    if given is None or isinstance(given, str):
        return _from_url(given or DEFAULT_URL)
    raise ConfigError(f"expected a Redis URL or a redis.Redis, not {type(given).__module__}.{type(given).__name__}")


def describe(client: redis.Redis) -> str:
    """Tell where a client connects to, as a URL without user, password or options."""
    pool = client.connection_pool
    settings = pool.connection_kwargs
    database = settings.get("db") or 0
    if isinstance(pool, SentinelConnectionPool):
        scheme = "sentinels" if issubclass(pool.connection_class, SentinelManagedSSLConnection) else "sentinel"
        return f"{scheme}://{','.join(map(_address, pool.sentinel_manager.sentinels))}/{pool.service_name}/{database}"
    if issubclass(pool.connection_class, UnixDomainSocketConnection):
        return f"unix://{quote(settings.get('path', ''))}?db={database}"
    scheme = "rediss" if issubclass(pool.connection_class, SSLConnection) else "redis"
    return f"{scheme}://{_address(client)}/{database}"


def check_server(client: redis.Redis) -> None:
    """Refuse a server that can't serve us; one that doesn't tell what it is goes through.

    Raises:
        ClusterError: it is part of a Redis Cluster.
        ConfigError: it is a Sentinel, not a Redis.
        RedisVersionError: it is older than OLDEST.
    """
    try:
        info: dict[str, Any] = client.info()
    except redis.exceptions.ResponseError:
        return
    if info.get("cluster_enabled"):
        raise ClusterError(_CLUSTER)
    if "sentinel" in {info.get("redis_mode"), info.get("server_mode")}:  # Valkey says server_mode
        raise ConfigError(f"{describe(client)} is a Sentinel; write sentinel://host:port/service/db")
    version = str(info.get("redis_version", ""))
    if (numbers := _version(version)) and numbers < OLDEST:
        raise RedisVersionError(f"{describe(client)} is Redis {version}; clues needs {'.'.join(map(str, OLDEST))}")


def push_connection(client: redis.Redis) -> Any:
    """Make a connection beside the client's own, with its settings, that speaks RESP3; it is not connected yet."""
    return _connection(client, {**_SHORT_TIMEOUTS, "protocol": 3, "health_check_interval": 0}, "parser_class")


def own_connection(client: redis.Redis, **changed: Any) -> Any:
    """Make a connection beside the client's own, with its settings but for some; it is not connected yet."""
    return _connection(client, changed)


def may_be_shared(client: redis.Redis) -> bool:
    """Whether processes can use a connection of this client's one after the other: it is a mere socket."""
    pool = client.connection_pool
    plain = pool.connection_class in {redis.Connection, UnixDomainSocketConnection}
    return plain and pool.connection_kwargs.get("credential_provider") is None


def _connection(client: redis.Redis, changed: Mapping[str, Any], *left_out: str) -> Any:
    pool = client.connection_pool
    settings = {**_untangled(pool), **_no_retry(), **changed}
    for name in left_out:
        settings.pop(name, None)
    if isinstance(pool, SentinelConnectionPool):
        settings["connection_pool"] = pool.proxy
    return pool.connection_class(**settings)


def _from_url(url: str) -> redis.Redis:
    try:
        return _from_sentinel_url(url) if url.startswith(("sentinel:", "sentinels:")) else _from_plain_url(url)
    except ConfigError as error:
        raise ConfigError(f"mistaken Redis URL: {error}") from None
    except ValueError:
        # The libraries' own words may quote a piece of the password.
        raise ConfigError(
            "mistaken Redis URL: check its port and options, and percent-encode what is special in the password"
        ) from None


def _from_plain_url(url: str) -> redis.Redis:
    kind = urlsplit(url)
    if kind.scheme not in {"redis", "rediss", "unix"}:
        raise ConfigError("it must begin with redis://, rediss://, unix://, sentinel:// or sentinels://")
    if kind.scheme != "unix" and not re.fullmatch(r"/?\d*", kind.path):
        raise ConfigError("its path must be the number of the database, as in /0")
    pool = ConnectionPool.from_url(url, **_settings(unix=kind.scheme == "unix"))
    _try_settings(pool)
    return redis.Redis.from_pool(pool)


def _from_sentinel_url(url: str) -> redis.Redis:
    # Not by urlsplit, which refuses an IPv6 address among several hosts.
    scheme, place, path, query = _SENTINEL_URL.fullmatch(url).groups()  # type: ignore[union-attr] # it matches all
    user, _, hosts = place.rpartition("@")
    service, _, database = path.strip("/").partition("/")
    if not hosts or not service or not re.fullmatch(r"\d*", database):
        raise ConfigError("it must be sentinel://host:port,host:port/service/db")
    # Read by redis-py as for one host, so that its query options mean the same.
    settings = parse_url(f"redis://{user}@host/{database}?{query}")  # type: ignore[no-untyped-call]
    settings.pop("host")
    own = {name: settings.pop(f"sentinel_{name}", None) for name in ("username", "password")}
    secure = {name: value for name, value in settings.items() if name.startswith("ssl_")}
    secure |= {"ssl": True} if scheme == "sentinels" else {}
    manager = Sentinel(  # type: ignore[no-untyped-call]
        [_host_and_port(host) for host in hosts.split(",")],
        sentinel_kwargs={**_no_retry(), **_SHORT_TIMEOUTS, **_keepalive(), **own, **secure},
    )
    wanted = {**_settings(unix=False), **settings, **secure}
    pool = SentinelConnectionPool(service, manager, **wanted)  # type: ignore[no-untyped-call]
    _try_settings(pool)
    return redis.Redis.from_pool(pool)


def _host_and_port(text: str) -> tuple[str, int]:
    place = urlsplit(f"//{text}")
    if not place.hostname:
        raise ConfigError("one of its hosts is empty")
    return place.hostname, place.port or _SENTINEL_PORT


def _settings(*, unix: bool) -> dict[str, Any]:
    shared = {**_no_retry(), "protocol": 2, "health_check_interval": 30, **_TIMEOUTS}
    return shared if unix else {**shared, **_keepalive()}


def _no_retry() -> dict[str, Any]:
    return {"retry": Retry(NoBackoff(), 0), "retry_on_error": [], "decode_responses": False}


def _keepalive() -> dict[str, Any]:
    """Notice within two minutes a peer that went without a word."""
    wanted = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}
    options = {getattr(socket, name): value for name, value in wanted.items() if hasattr(socket, name)}
    return {"socket_keepalive": True, "socket_keepalive_options": options}


def _try_settings(pool: ConnectionPool) -> None:
    """Make a connection without connecting, as only that looks at the options."""
    try:
        pool.connection_class(**pool.connection_kwargs)
    except TypeError:
        raise ConfigError("one of its options is unknown to redis-py") from None


def _twin(client: redis.Redis) -> redis.Redis:
    pool = client.connection_pool
    settings = {"connection_class": pool.connection_class, "max_connections": pool.max_connections}
    settings |= _untangled(pool) | _no_retry()
    if isinstance(pool, SentinelConnectionPool):
        settings |= {"is_master": pool.is_master, "check_connection": pool.check_connection}
        settings |= {"service_name": pool.service_name, "sentinel_manager": pool.sentinel_manager}
        return redis.Redis.from_pool(SentinelConnectionPool(**settings))  # type: ignore[no-untyped-call]
    if isinstance(pool, BlockingConnectionPool):
        settings["timeout"] = pool.timeout
        return redis.Redis.from_pool(BlockingConnectionPool(**settings))  # type: ignore[no-untyped-call]
    return redis.Redis.from_pool(ConnectionPool(**settings))


def _untangled(pool: ConnectionPool) -> dict[str, Any]:
    """Copy a pool's settings without what ties them to that pool, or says to retry."""
    tied = {
        "connection_pool",
        "event_dispatcher",
        "himport_registry",
        "maint_notifications_config",
        "maint_notifications_pool_handler",
        "retry_on_timeout",
    }
    return {name: value for name, value in pool.connection_kwargs.items() if name not in tied}


def _decodes(client: redis.Redis) -> bool:
    return bool(client.connection_pool.connection_kwargs.get("decode_responses"))


def _retries(client: redis.Redis) -> bool:
    settings = client.connection_pool.connection_kwargs
    retry = settings.get("retry")
    by_itself = retry is not None and retry._retries != 0  # noqa: SLF001 - get_retries is not in redis-py 5
    return bool(by_itself or settings.get("retry_on_error") or settings.get("retry_on_timeout"))


def _address(client: redis.Redis) -> str:
    settings = client.connection_pool.connection_kwargs
    host = settings.get("host", "localhost")
    return f"[{host}]:{settings.get('port', 6379)}" if ":" in host else f"{host}:{settings.get('port', 6379)}"


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text)[:2])
