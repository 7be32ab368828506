"""The mould's side of a config file's hooks: calls them with what they are to know of the master and its workers."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from clues.resque.options import Options
from clues.resque.starter import Starter, StarterConfig, StarterWorker
from clues.resque.starter_settings import SETTINGS

log = logging.getLogger("clues.resque")


class StarterHooks:
    """Knows the settings in force, how many workers there are to be, and which there are."""

    def __init__(self, config: StarterConfig, settings: Mapping[str, Any]) -> None:
        """Know nothing of the workers yet.

        Args:
            config: the file.
            settings: what was set, by the names of the file's settings; what is left out is None.
        """
        self._config = config
        self._settings = {name: settings.get(name) for name in SETTINGS}
        self._settings["logger"] = config.logger
        self._master = self._count = 0
        self._told: dict[int, int] = {}
        self._forked: dict[int, int] = {}

    def note(self, master: int, options: Options, count: int, workers: Mapping[int, int]) -> None:
        """What the master tells: its process id, its options, how many workers there are to be, those there are."""
        self._settings |= {name: value for name, value in options.settings().items() if name in SETTINGS}
        self._master, self._count, self._told = master, count, dict(workers)

    def forked(self, pid: int, number: int) -> None:
        """A worker was forked here; the master learns of it later."""
        self._forked[pid] = number

    def ended(self, pid: int) -> None:
        """One that was forked here has ended."""
        self._forked.pop(pid, None)
        self._told.pop(pid, None)

    def before_fork(self, worker: StarterWorker) -> bool:
        """Call the hook before a worker is forked; gives whether to go on: not where it fails."""
        if self._config.before_fork is not None:
            try:
                self._config.before_fork(self._starter(), worker, worker.nr)
            except (Exception, SystemExit):
                log.exception("before_fork failed; worker %d is not forked", worker.nr)
                return False
        return True

    def after_fork(self, worker: StarterWorker) -> None:
        """Call the hook in the worker; what it raises ends the process."""
        if self._config.after_fork is not None:
            self._config.after_fork(self._starter(), worker, worker.nr)

    def _starter(self) -> Starter:
        logger = self._config.logger
        own = {"logger": logger} if isinstance(logger, logging.Logger) else {}
        return Starter(self._master, dict(self._settings), self._count, self._workers(), **own)

    def _workers(self) -> dict[int, int]:
        """One process of each number: the latest that we know of."""
        latest = set(self._forked.values())
        return {**{pid: nr for pid, nr in self._told.items() if nr not in latest}, **self._forked}
