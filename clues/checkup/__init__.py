"""What ``clues doctor`` finds out: whether clues is configured, hooked in, and its events get where they should."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from clues import __version__
from clues.checkup import delivery, systems
from clues.publishers.spool import Spool


def examined(spool: Spool, modules: Iterable[str], logs: Iterable[Path], environ: Mapping[str, str]) -> dict[str, Any]:
    """All findings, as plain JSON values; ``problems`` has a sentence for each that is wrong.

    Args:
        spool: where events wait for delivery.
        modules: the application's; imported, to see what it hooks.
        logs: event logs; those that the application writes, or the environment names, if none is given.
        environ: whose CLUES_PUBLISHERS is looked at.

    Raises:
        ConfigError: the spool is no folder.
        AppError: a module is not there, or raises when it is imported.
    """
    waiting, problems = delivery.looked_at(spool)
    publishers, mistaken = delivery.configured(environ)
    found = {"version": __version__, "fast": _fast(), "publishers": publishers, **waiting}
    modules = list(modules)
    if modules:
        systems.load(modules)
    found["systems"], unhooked = systems.found(loaded=bool(modules))
    found["configured"] = systems.configured() if modules else None
    if modules and found["configured"] is None:
        unhooked.append(f"{', '.join(modules)} does not configure clues, nor does CLUES_PUBLISHERS")
    hooked = [one["name"] for one in found["systems"] if one["hooked"]]
    found["flow"], silent = systems.flowing(list(logs) or systems.logs() or delivery.logs(environ), hooked)
    return {**found, "problems": [*mistaken, *problems, *unhooked, *silent]}


def _fast() -> dict[str, bool]:
    """Whether the libraries of the extra ``fast`` are there."""
    return {name: find_spec(name) is not None for name in ("orjson", "hiredis")}
