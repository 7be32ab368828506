"""A worker's own log on standard error, as loud and as formatted as Resque's variables say."""

from __future__ import annotations

import logging
from collections.abc import Mapping

_PLAIN = "*** %(message)s"
_WITH_TIME = "** [%(asctime)s] %(process)d: %(message)s"


def log_as_resque(environ: Mapping[str, str]) -> None:
    """Set up logging: warnings only, all that happens with VERBOSE or LOGGING, details too with VVERBOSE.

    Where the application has set up logging itself, its handlers are left alone.
    """
    detailed = bool(environ.get("VVERBOSE"))
    verbose = detailed or bool(environ.get("VERBOSE") or environ.get("LOGGING"))
    if verbose:
        logging.getLogger("clues").setLevel(logging.DEBUG if detailed else logging.INFO)
    logging.basicConfig(format=_WITH_TIME if detailed else _PLAIN, datefmt="%H:%M:%S %Y-%m-%d")
