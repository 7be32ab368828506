"""Which event logs a command reads when none is named."""

from __future__ import annotations

import os
import string
from collections.abc import Mapping
from pathlib import Path

from clues.analysis.rotation import siblings
from clues.errors import ConfigError
from clues.plugs import logs_named


def default_log(environ: Mapping[str, str] = os.environ) -> Path:
    """The file of the first ``log://`` URL in ``CLUES_PUBLISHERS``.

    Raises:
        ConfigError: there is none, or one of them is no URL.
    """
    for path in logs_named(environ):
        return path
    msg = "which event log? name a file, or set CLUES_PUBLISHERS=log:///path/to/events.log"
    raise ConfigError(msg)


def as_hash(given: str) -> str:
    """A hash, or its beginning, as events have it: hex digits in lower case; a foreign system's id as it is."""
    found = given.strip()
    return found.lower() if set(found) <= set(string.hexdigits) else found


def logs_to_read(given: list[Path] | None) -> list[Path]:
    """The files that were named, else the default log with all that it was rotated into, oldest first."""
    if given:
        return given
    path = default_log()
    return siblings(path) or [path]
