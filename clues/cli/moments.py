"""Moments in options: ``2h`` ago, or an ISO time."""

from __future__ import annotations

import re
import time
from datetime import datetime

import typer

_AGO = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def moment(text: str | None, option: str) -> float | None:
    """A moment in epoch seconds; None for None. An ISO time without a zone is local.

    Raises:
        typer.BadParameter: it is none.
    """
    if text is None:
        return None
    ago = _AGO.fullmatch(text.strip())
    if ago is not None:
        return time.time() - float(ago[1]) * _SECONDS[ago[2]]
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError):
        msg = f"{text!r} is no moment; write how long ago (90s, 30m, 2h, 3d, 1w) or an ISO time (2026-11-20T15:00)"
        raise typer.BadParameter(msg, param_hint=option) from None
