"""A worker's own log on standard error, as loud and as formatted as Resque's variables say."""

from __future__ import annotations

import logging
from collections.abc import Mapping

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
