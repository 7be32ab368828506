"""What a starter writes for others to read, as its config file says: its process id, its workers, its log."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from clues.errors import ConfigError
from clues.resque.status_file import PidFile, StatusFile
from clues.resque.worker_log import write_log

log = logging.getLogger("clues.resque")

_FIXED = ("pid_file", "status_file")


class StarterFiles:
    """The files of one master, from `open` to `remove`; once it works, what can't be written is no reason to end."""

    def __init__(self, *, own_log: bool) -> None:
        """Write nothing yet.

        Args:
            own_log: whether the log is a starter's.
        """
        self._own_log = own_log
        self._settings: Mapping[str, Any] = {}
        self._pid_file: PidFile | None = None
        self._status_file: StatusFile | None = None
        self._written: Mapping[int, int] | None = None
        self._told = ""

    def open(self, settings: Mapping[str, Any]) -> None:
        """Write those that the settings name.

        Raises:
            ConfigError: one of them can't be written.
        """
        self._settings = settings
        self._open_log(settings)
        if settings.get("pid_file"):
            self._pid_file = PidFile(settings["pid_file"], newline=True)
            self._pid_file.write()
        if settings.get("status_file"):
            self._status_file = StatusFile(settings["status_file"])
            self._status_file.write({})

    def change(self, settings: Mapping[str, Any]) -> None:
        """Log where new settings say; the other files stay where they are."""
        changed = [name for name in _FIXED if settings.get(name) != self._settings.get(name)]
        if changed:
            log.warning("%s can't be changed by HUP; stop the tree and start it anew for that", ", ".join(changed))
        try:
            self._open_log(settings)
        except ConfigError as error:
            log.warning("%s", error)

    def write_status(self, workers: Mapping[int, int]) -> None:
        """Write which workers there are, process id to number, if that has changed."""
        if self._status_file is None or workers == self._written:
            return
        try:
            self._status_file.write(workers)
        except ConfigError as error:
            if str(error) != self._told:  # once, not at each fork
                log.warning("%s", error)
            self._told = str(error)
        else:
            self._written, self._told = dict(workers), ""

    def remove(self) -> None:
        """Remove them, unless a later master has taken them over; the log stays."""
        for file in (self._status_file, self._pid_file):
            if file is not None:
                file.remove()

    def _open_log(self, settings: Mapping[str, Any]) -> None:
        if self._own_log:
            write_log(settings.get("logger"))
