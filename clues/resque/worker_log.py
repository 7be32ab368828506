"""A worker's own log: as Resque's variables say, or as resque_starter writes it."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping

from clues.errors import ConfigError

_PLAIN = "*** %(message)s"
_WITH_TIME = "** [%(asctime)s] %(process)d: %(message)s"


def log_as_resque(environ: Mapping[str, str]) -> None:
    """Set up logging: warnings only, all that happens with VERBOSE or LOGGING, details too with VVERBOSE.

    As in Resque a variable counts once it is there, empty or not. Where the application has set up logging itself, its
    handlers are left alone.
    """
    detailed = "VVERBOSE" in environ
    verbose = detailed or "VERBOSE" in environ or "LOGGING" in environ
    if verbose:
        logging.getLogger("clues").setLevel(logging.DEBUG if detailed else logging.INFO)
    logging.basicConfig(format=_WITH_TIME if detailed else _PLAIN, datefmt="%H:%M:%S %Y-%m-%d")


class _StarterFormatter(logging.Formatter):
    """``2026-11-20T15:21:19+00:00 [INFO] text`` (resque_starter ``logger.rb``)."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s [%(levelname)s] %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802 - logging's
        at = time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(record.created))
        return f"{at[:-2]}:{at[-2:]}"


def log_as_starter(path: str | None = None) -> None:
    """Set up clues' logging as resque_starter's: all that happens, on standard output or in a file.

    Args:
        path: the file; it is appended to.

    Raises:
        ConfigError: the file can't be written.
    """
    try:
        handler = logging.FileHandler(path) if path else logging.StreamHandler(sys.stdout)
    except OSError as error:
        msg = f"can't write the log {path}: {error.strerror or error}"
        raise ConfigError(msg) from error
    handler.setFormatter(_StarterFormatter())
    logger = logging.getLogger("clues")
    logger.handlers[:] = [handler]
    logger.propagate = False
    logger.setLevel(logging.INFO)
