"""The settings that a starter's config file may make: what each must be, and how it is kept.

Kept are plain values only, texts, numbers, booleans and lists of texts, so that they can go to another process as JSON.
"""

from __future__ import annotations

import contextlib
import math
import os
import reprlib
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from clues.errors import CluesError, ConfigError
from clues.resque.connect import connect
from clues.resque.queues import QueueList

_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = 80


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Attributes:
        wanted: what it must be, in words.
        read: gives the value as it is kept; raises ValueError where it is not what is wanted.
        secret: whether what was given may hold a password.
    """

    wanted: str
    read: Callable[[Any], Any]
    secret: bool = False

    def value(self, label: str, given: object) -> Any:
        """Check what was given, and give it as it is kept.

        Raises:
            ConfigError: it is not what is wanted.
        """
        try:
            return self.read(given)
        except CluesError as error:
            reason = f": {error}"
        except (ValueError, TypeError, OverflowError):
            reason = ""
        msg = f"{label} must be {self.wanted}, not {self._shown(given)}{reason}"
        raise ConfigError(msg) from None

    def _shown(self, given: object) -> str:
        if not self.secret:
            with contextlib.suppress(ValueError):  # an integer too long to be written
                return _repr.repr(given)
        return "the one given" if isinstance(given, str) else f"of type {type(given).__qualname__}"


def _number_of(things: str, least: int, most: int = 1_000_000) -> Setting:
    def read(given: object) -> int:
        if not isinstance(given, int) or isinstance(given, bool) or not least <= given <= most:
            raise ValueError
        return int(given)

    return Setting(f"a whole number of {things} from {least} to {most}", read)


def _seconds(least: float = 0.0) -> Setting:
    def read(given: object) -> float:
        if not isinstance(given, int | float) or isinstance(given, bool):
            raise ValueError  # noqa: TRY004 - one kind of error for all that is not wanted
        if not math.isfinite(given) or given < least:
            raise ValueError
        return float(given)

    return Setting(f"a number of seconds, {least:g} or more", read)


def _flag(given: object) -> bool:
    if not isinstance(given, bool):
        raise ValueError  # noqa: TRY004 - one kind of error for all that is not wanted
    return given


def _text(given: object) -> str:
    if not isinstance(given, str) or not given.isprintable():
        raise ValueError
    return str.__str__(given)


def _host(given: object) -> str:
    name = _text(given)
    if not name.strip() or ":" in name:  # a worker's id is host:pid:queues
        raise ValueError
    return name


def _file(given: Any) -> str:
    path = os.fspath(given)
    if not isinstance(path, str) or not path or "\0" in path:
        raise ValueError
    return path


def _url(given: object) -> str:
    if not isinstance(given, str) or not given:
        raise ValueError
    connect(given)
    return given


def _queues(given: object) -> list[str]:
    if isinstance(given, str):
        given = given.rstrip(",").split(",")
    if not isinstance(given, list | tuple) or not given or not all(isinstance(name, str) for name in given):
        raise ValueError
    QueueList(given)
    return [str.__str__(name).strip() for name in given]


def _modules(given: object) -> list[str]:
    several = given if isinstance(given, list | tuple) else [given]
    if not several:
        raise ValueError
    return [_module(one) for one in several]


def _module(given: object) -> str:
    name = given.__name__ if isinstance(given, ModuleType) else given
    if not isinstance(name, str) or not all(part.isidentifier() for part in name.split(".")):
        raise ValueError
    return str.__str__(name)


SETTINGS = {
    "app": Setting("a module's name such as shop.jobs, or a list of them", _modules),
    "backoff_interval": _seconds(),
    "batch_size": _number_of("jobs", 1, 1000),
    "concurrency": _number_of("worker processes", 0),
    "dequeue_interval": _seconds(),
    "graceful_term": Setting("True or False", _flag),
    "heartbeat_interval": _seconds(least=0.1),
    "heartbeats_before_dead": _number_of("heartbeats", 1),
    "hostname": Setting("a host's name, without a colon", _host),
    "jobs_per_fork": _number_of("jobs", 0),
    "logger": Setting("a logging.Logger, or a file's path", _file),
    "max_interval": _seconds(),
    "min_interval": _seconds(),
    "namespace": Setting("a text without control characters", _text),
    "pid_file": Setting("a file's path", _file),
    "pre_shutdown_timeout": _seconds(),
    "queues": Setting("names and patterns of queues, in a list or separated by commas", _queues),
    "redis": Setting("a Redis URL such as redis://localhost:6379/0", _url, secret=True),
    "status_file": Setting("a file's path", _file),
    "term_child": Setting("True or False", _flag),
    "term_timeout": _seconds(),
    "thread_count": _number_of("threads", 1),
    "title_prefix": Setting("a text without control characters", _text),
}
"""The settings by their names in a config file."""
