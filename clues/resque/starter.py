"""A starter's config file, in Python, and what its hooks are given; resque_starter's words, and ours besides.

    concurrency = 4
    queues = ["critical", "default"]
    app = "shop.jobs"

    def after_fork(starter, worker, nr):
        starter.logger.info("worker %d is %s", nr, worker.id)

Names of the module are settings, as in gunicorn. Left out, or None: as without the file.
"""

from __future__ import annotations

import difflib
import inspect
import logging
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType, MappingProxyType, ModuleType
from typing import Any

from clues.errors import AppError, CluesError, ConfigError
from clues.resque.starter_settings import SETTINGS

MODULE = "_clues_starter_config"
"""The name of the module that a config file becomes: what it defines can be pickled, as anybody's."""

_HOOKS = ("before_fork", "after_fork")
_ALIKE = 0.82  # `interval` is no misspelt `min_interval`, `queue` is a misspelt `queues`


@dataclass
class Starter:
    """What hooks get to know of the master and its workers.

    Attributes:
        pid: the master's process id.
        config: the settings by name, as in ``starter.config["concurrency"]``.
        num_workers: how many worker processes there are to be now; TTIN and TTOU change it.
        old_workers: those there are: process id to number.
        logger: where the starter writes.
    """

    pid: int
    config: Mapping[str, Any]
    num_workers: int
    old_workers: dict[int, int] = field(default_factory=dict)
    logger: logging.Logger = field(default_factory=lambda: logging.getLogger("clues.resque"))


@dataclass(frozen=True, slots=True)
class StarterWorker:
    """What hooks get to know of the worker process that is about to be forked, or in which they run.

    Attributes:
        nr: its number, from 0 up; its successor has the same.
        id: its worker id in Redis, that of its first thread.
        queues: the names and patterns that it works.
        threads: how many threads it has.
        pid: its process id; None before the fork.
    """

    nr: int
    id: str
    queues: tuple[str, ...]
    threads: int = 1
    pid: int | None = None


Hook = Callable[[Starter, StarterWorker, int], object]
"""``(starter, worker, nr)``. What it returns is not looked at."""


@dataclass(frozen=True)
class StarterConfig:
    """What a config file says.

    Attributes:
        path: the file.
        settings: what it sets, checked, by name; plain values, which JSON can hold. A logger's path is among them, a
            logger itself is not.
        before_fork: to be called in the process that forks, before each worker process.
        after_fork: to be called in each worker process, before it takes jobs.
        logger: a logger, or the path of a log.
        module: the file as a module, for jobs that it defines or imports by their names.
    """

    path: str
    settings: Mapping[str, Any]
    before_fork: Hook | None
    after_fork: Hook | None
    logger: logging.Logger | str | None
    module: ModuleType


def read_config(path: str | os.PathLike[str]) -> StarterConfig:
    """Execute a config file, and check what it sets.

    Its folder is on the import path from then on.

    Raises:
        ConfigError: the file can't be read, a setting is mistaken, or its name seems misspelt.
        AppError: the file raised; the traceback is on standard error.
    """
    place = Path(path).absolute()
    module = _execute(place)
    given = {name: value for name, value in vars(module).items() if not name.startswith("_") and value is not None}
    _refuse_misspelt(place, given)
    settings = {
        name: setting.value(f"{place}: {name}", given[name])
        for name, setting in SETTINGS.items()
        if name in given and not _is_object(name, given[name])
    }
    return StarterConfig(
        path=str(place),
        settings=MappingProxyType(settings),
        before_fork=_hook(place, "before_fork", given),
        after_fork=_hook(place, "after_fork", given),
        logger=settings.get("logger", given.get("logger")),
        module=module,
    )


def _is_object(name: str, given: object) -> bool:
    """Whether it is no setting of text: a logger, or the library ``redis``, which a file may import for its own use."""
    return isinstance(given, {"logger": logging.Logger, "redis": ModuleType}.get(name, ()))


def _execute(place: Path) -> ModuleType:
    source = _read(place)
    folder = str(place.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    module = sys.modules[MODULE] = ModuleType(MODULE)
    module.__file__ = str(place)
    try:
        exec(compile(source, str(place), "exec", dont_inherit=True), vars(module))  # noqa: S102 - what the file is for
    except CluesError:
        raise
    except SystemExit as error:  # else a supervisor would take it for a master that has done its work
        msg = f"{place} exited (status {error.code})"
        raise AppError(msg) from error
    except Exception as error:
        raise _broken(place, error) from error
    return module


def _read(place: Path) -> bytes:
    try:
        return place.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        msg = f"can't read the config file {place}: {reason}"
        raise ConfigError(msg) from error


def _broken(place: Path, error: Exception) -> AppError:
    """The file's own error: its writer needs the traceback, which goes to standard error without our own lines."""
    own = error.__traceback__ and error.__traceback__.tb_next
    traceback.print_exception(type(error), error, own)
    return AppError(f"{place} raised {type(error).__name__}: {error}")


def _refuse_misspelt(place: Path, given: Mapping[str, object]) -> None:
    """Refuse a name that is nearly a setting's: it would do nothing, silently. Other names are the file's own."""
    known = [*SETTINGS, *_HOOKS]
    for name, value in given.items():
        if name in known or name != name.lower():
            continue
        wanted = _HOOKS if _takes_three(value) else [] if _is_code(value) else known
        for near in difflib.get_close_matches(name, wanted, n=1, cutoff=_ALIKE):
            msg = (
                f"{place}: there is no setting {name}; is {near} meant? If not, begin your own name with an underscore"
            )
            raise ConfigError(msg)


def _is_code(value: object) -> bool:
    return isinstance(value, ModuleType) or callable(value)


def _takes_three(value: object) -> bool:
    """Whether it is a function of the file's own that a hook could be."""
    return isinstance(value, FunctionType) and value.__module__ == MODULE and value.__code__.co_argcount == 3  # noqa: PLR2004 - as `Hook` says


def _hook(place: Path, name: str, given: Mapping[str, Any]) -> Hook | None:
    hook = given.get(name)
    if hook is None:
        return None
    if not callable(hook) or not _can_be_called(hook):
        msg = f"{place}: {name} must be an ordinary function that takes (starter, worker, nr), not {_described(hook)}"
        raise ConfigError(msg)
    found: Hook = hook
    return found


def _can_be_called(hook: Callable[..., object]) -> bool:
    kinds = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
    if any(is_kind(hook) for is_kind in kinds):  # a call would run none of it
        return False
    try:
        inspect.signature(hook).bind(None, None, 0)
    except TypeError:
        return False
    except ValueError:  # builtins don't tell
        pass
    return True


def _described(hook: object) -> str:
    if not isinstance(hook, FunctionType):
        return repr(hook)
    kind = "async def " if inspect.iscoroutinefunction(hook) else "def "
    return f"{kind}{hook.__name__}{inspect.signature(hook)}"
