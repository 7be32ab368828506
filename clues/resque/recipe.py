"""How a Redis client connects, to be handed to another process: the master connects as the application does.

The master never imports the application, so it takes only what is Redis', clues' or Python's own.
"""

from __future__ import annotations

import io
import pickle
from enum import Enum
from typing import Any

import redis
from redis.connection import AbstractConnection, ConnectionPool
from redis.sentinel import Sentinel, SentinelConnectionPool

from clues.errors import ConfigError

# What a client's settings are made of, by module and name; besides, see `_is_setting`.
_READ = {
    ("builtins", "frozenset"),
    ("builtins", "object"),  # redis-py's mark for what was not given
    ("builtins", "set"),
    ("collections", "OrderedDict"),
    ("datetime", "timedelta"),
    ("redis.credentials", "UsernamePasswordCredentialProvider"),
    ("redis.driver_info", "DriverInfo"),
}
_MODULES = ("builtins", "redis", "socket", "ssl")
_ESSENTIAL = frozenset({"credential_provider", "redis_connect_func", "ssl_ca_data", "path", "host", "username"})
_TIED = frozenset({"connection_pool", "retry", "event_dispatcher", "himport_registry", "parser_class"})


class _Reader(pickle.Unpickler):
    """Reads back settings, and no function: what a pickle names, it may have called."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _READ:
            return super().find_class(module, name)
        if module.partition(".")[0] in _MODULES and "." not in name:
            found = super().find_class(module, name)
            if _is_setting(found):
                return found
        msg = f"{module}.{name} is no setting of a Redis client"
        raise pickle.UnpicklingError(msg)


def _is_setting(found: object) -> bool:
    """A kind of connection, an error to retry on, or one of the constants of sockets and TLS."""
    if isinstance(found, type):
        return issubclass(found, AbstractConnection | BaseException | Enum)
    return isinstance(found, Enum)


def recipe(client: redis.Redis) -> bytes:
    """How to connect as this client does.

    Raises:
        ConfigError: it connects by code of the application.
    """
    pool = client.connection_pool
    told: dict[str, Any] = {
        "class": pool.connection_class,
        "settings": {name: value for name, value in pool.connection_kwargs.items() if _can_be_told(name, value)},
    }
    if isinstance(pool, SentinelConnectionPool):
        manager = pool.sentinel_manager
        told["service"] = pool.service_name
        told["sentinels"] = [_address(one) for one in manager.sentinels]
        told["sentinel_settings"] = {
            name: value for name, value in manager.sentinel_kwargs.items() if _can_be_told(name, value)
        }
    packed = pickle.dumps(told)
    if not _readable(packed):
        raise ConfigError(_refusal(pool.connection_class.__name__))
    return packed


def client_by(packed: bytes) -> redis.Redis:
    """A client that connects by a recipe."""
    told = _Reader(io.BytesIO(packed)).load()
    if "sentinels" in told:
        manager = Sentinel(told["sentinels"], sentinel_kwargs=told["sentinel_settings"])  # type: ignore[no-untyped-call]
        settings = {"connection_class": told["class"], **told["settings"]}
        return redis.Redis.from_pool(SentinelConnectionPool(told["service"], manager, **settings))  # type: ignore[no-untyped-call]
    return redis.Redis.from_pool(ConnectionPool(connection_class=told["class"], **told["settings"]))


def _can_be_told(name: str, value: object) -> bool:
    if name in _TIED or name.startswith("maint_notifications"):
        return False
    try:
        if _readable(pickle.dumps(value)):
            return True
    except Exception:  # noqa: BLE001, S110 - whatever pickling foreign objects raises
        pass
    if name in _ESSENTIAL:
        raise ConfigError(_refusal(name))
    return False


def _readable(packed: bytes) -> bool:
    try:
        _Reader(io.BytesIO(packed)).load()
    except Exception:  # noqa: BLE001 - whatever foreign objects raise
        return False
    return True


def _refusal(what: str) -> str:
    return (
        f"the application's Redis client connects by code of its own ({what}), which the master can't know, as it "
        "never imports the application; say where Redis is with --redis or REDIS_URL"
    )


def _address(client: redis.Redis) -> tuple[str, int]:
    settings = client.connection_pool.connection_kwargs
    return settings.get("host", "localhost"), int(settings.get("port", 26379))
