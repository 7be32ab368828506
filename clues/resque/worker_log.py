"""A worker's own log: as Resque's variables say, or as resque_starter writes it."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping
from logging.handlers import WatchedFileHandler

from clues.errors import ConfigError

_PLAIN = "*** %(message)s"
_WITH_TIME = "** [%(asctime)s] %(process)d: %(message)s"


def log_as_resque(environ: Mapping[str, str]) -> None:
    """Set up logging: warnings only, all that happens with VERBOSE or LOGGING, details too with VVERBOSE.

    As in Resque a variable counts once it is there, empty or not. Where the application has set up logging itself, its
    handlers are left alone.
    """
    detailed = "VVERBOSE" in environ
    if _is_verbose(environ):
        logging.getLogger("clues").setLevel(logging.DEBUG if detailed else logging.INFO)
    logging.basicConfig(format=_WITH_TIME if detailed else _PLAIN, datefmt="%H:%M:%S %Y-%m-%d")


def _is_verbose(environ: Mapping[str, str]) -> bool:
    return not environ.keys().isdisjoint({"VERBOSE", "VVERBOSE", "LOGGING"})


class _StarterFormatter(logging.Formatter):
    """``2026-11-20T15:21:19+00:00 [INFO] text`` (resque_starter ``logger.rb``)."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s [%(levelname)s] %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802 - logging's
        at = time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(record.created))
        return f"{at[:-2]}:{at[-2:]}"


class _HandOver(logging.Handler):
    """Has another logger write the records."""

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        if self._logger.isEnabledFor(record.levelno):
            self._logger.handle(record)


def log_as_starter(environ: Mapping[str, str], to: logging.Logger | str | None = None) -> None:
    """Set up clues' own logging as resque_starter's: what happens to the processes, on standard output.

    With VERBOSE or LOGGING also what happens to each job, with VVERBOSE all details. The application's logging is left
    alone.

    Args:
        environ: where those may be.
        to: as for `write_log`.

    Raises:
        ConfigError: the file can't be written.
    """
    logging.getLogger("clues").setLevel(logging.DEBUG if "VVERBOSE" in environ else logging.INFO)
    logging.getLogger("clues.resque.worker").setLevel(logging.NOTSET if _is_verbose(environ) else logging.WARNING)
    write_log(to)


def write_log(to: logging.Logger | str | None) -> None:
    """Write a starter's log there from now on.

    Args:
        to: the path of a file to append to, which may be moved away at any time; a logger, whose level counts too; or
            None for standard output.

    Raises:
        ConfigError: the file can't be written.
    """
    ours = logging.getLogger("clues")
    if isinstance(to, logging.Logger) and f"{to.name}.".startswith("clues."):
        return  # it gets what clues logs as it is
    handler = _handler(to)
    for before in ours.handlers:
        before.close()
    ours.handlers[:] = [handler]
    ours.propagate = False


def _handler(to: logging.Logger | str | None) -> logging.Handler:
    if isinstance(to, logging.Logger):
        return _HandOver(to)
    try:
        handler = WatchedFileHandler(to, encoding="utf-8") if to else logging.StreamHandler(sys.stdout)
    except OSError as error:
        msg = f"can't write the log {to}: {error.strerror or error}"
        raise ConfigError(msg) from error
    handler.setFormatter(_StarterFormatter())
    return handler
