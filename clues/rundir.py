"""The folder for what processes of one host share with each other and leave behind: scoreboards, ledgers."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from clues.errors import ConfigError


def run_dir(environ: Mapping[str, str] = os.environ) -> str:
    """The folder: CLUES_RUN_DIR, else one of the user's own."""
    if environ.get("CLUES_RUN_DIR"):
        return environ["CLUES_RUN_DIR"]
    if environ.get("XDG_RUNTIME_DIR"):
        return str(Path(environ["XDG_RUNTIME_DIR"]) / "clues")
    import tempfile  # noqa: PLC0415 - slow to import, and seldom needed

    return str(Path(tempfile.gettempdir()) / f"clues-{os.getuid()}")


def checked_folder(folder: str) -> Path:
    """The folder, made if need be, and nobody else's to write: what stands in it is believed.

    Raises:
        ConfigError: it can't be made, or isn't ours.
    """
    path = Path(folder)
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        msg = f"can't make the folder {folder}: {error.strerror or error}; CLUES_RUN_DIR names another one"
        raise ConfigError(msg) from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        msg = f"{folder} must be a folder of this user's that no others may write; CLUES_RUN_DIR names another one"
        raise ConfigError(msg)
    return path
