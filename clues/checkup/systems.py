"""The job systems that clues has adapters for: which are there, hooked, and have events that flow."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from clues.analysis.flow import Flow, flows
from clues.config import default
from clues.extras import too_old, wanted
from clues.plugs import name_of

SYSTEMS = ("celery", "rq", "dramatiq", "huey", "arq", "taskiq")


def load(modules: Iterable[str]) -> None:
    """Import an application, as ``clues work`` does.

    Raises:
        AppError: a module is not there, or raises when it is imported.
    """
    from clues.resque.application import load as load_application  # noqa: PLC0415 - and with it Redis' client
    from clues.resque.registry import Registry  # noqa: PLC0415

    load_application(modules, Registry())


def found(*, loaded: bool) -> tuple[list[dict[str, Any]], list[str]]:
    """The systems that are installed, and what is wrong with them.

    Args:
        loaded: whether an application was imported: only then can it be known what is hooked.
    """
    there_are, problems = [], []
    for name in SYSTEMS:
        try:
            there = version(name)
        except PackageNotFoundError:
            continue
        hooked = _hooked(name) if loaded else None
        there_are.append({"name": name, "version": there, "tried_with": wanted(name, name), "hooked": hooked})
        if loaded and name in sys.modules and not hooked:
            problems.append(f"the application imports {name}, and does not hook it: see clues.adapters.{name}")
        if hooked and (older := too_old(name, name)):
            problems.append(f"clues.adapters.{name} needs {older}")
    return there_are, problems


def configured() -> dict[str, Any] | None:
    """What the application that was loaded configured: its publisher, and what observers got wrong meanwhile."""
    config = default.config
    if config is None:
        return None
    return {"publisher": name_of(config.publisher), "faults": dict(config.faults.counts)}


def logs() -> list[Path]:
    """The event logs that the application's publishers write."""
    return [] if default.config is None else list(_logs(default.config.publisher))


def flowing(paths: Iterable[Path], hooked: Iterable[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """The last events in logs, by system, and what is wrong with them.

    Args:
        paths: the logs.
        hooked: systems that should have written some.
    """
    found: list[dict[str, Any]] = []
    problems: list[str] = []
    seen: set[str] = set()
    paths = list(paths)
    for path in paths:
        try:
            here: dict[str, Flow] = flows(path)
        except OSError as error:
            problems.append(f"the log {path} can't be read: {error.strerror or error}")
            continue
        seen |= here.keys()
        found += [
            {"log": str(path), "system": system, "last": flow.last, "types": flow.types}
            for system, flow in sorted(here.items())
        ]
    if paths:
        problems += [f"no event of {name} is among the last ones" for name in hooked if name not in seen]
    return found, problems


def _hooked(name: str) -> list[str]:
    """On what an adapter is installed in this process; it is not imported for that."""
    adapter = sys.modules.get(f"clues.adapters.{name}")
    told = getattr(adapter, "hooked", None)
    return [str(one) for one in told()] if callable(told) else []


def _logs(publisher: object) -> Iterable[Path]:
    path = getattr(publisher, "path", None)
    if isinstance(path, Path):
        yield path
    for child in getattr(publisher, "children", ()):
        yield from _logs(child)
