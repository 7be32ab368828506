"""Running ``clues`` as a program."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

COMMAND = [sys.executable, "-m", "clues"]

_OWN = {
    "QUEUE",
    "QUEUES",
    "INTERVAL",
    "PIDFILE",
    "VERBOSE",
    "LOGGING",
    "VVERBOSE",
    "REDIS_URL",
    "NO_COLOR",
    "FORCE_COLOR",
}


def environment(given: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment without what would change the commands' minds, and with what is given."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in _OWN and (not name.startswith("CLUES_") or name == "CLUES_REDIS_SERVER")
    }
    return {**inherited, "COLUMNS": "120", **(given or {})}


def clues(
    *args: str | Path, environ: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return subprocess.run(
        [*COMMAND, *map(str, args)],
        capture_output=True,
        text=True,
        env=environment(environ),
        cwd=cwd,
        timeout=120,
        check=False,
    )


def start(
    *args: str | Path,
    output: int = subprocess.PIPE,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start it in a process group of its own."""
    return subprocess.Popen(
        [*COMMAND, *map(str, args)],
        stdin=output if output != subprocess.PIPE else subprocess.DEVNULL,
        stdout=output,
        stderr=output if output != subprocess.PIPE else subprocess.STDOUT,
        env=environment(environ),
        cwd=cwd,
        start_new_session=True,
        preexec_fn=_obey_interrupts,  # noqa: PLW1509 - the tests have no threads
    )


def _obey_interrupts() -> None:
    """Tests that run in a shell's background inherit its ignoring of Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start_in_terminal(
    args: Sequence[str | Path], environ: Mapping[str, str] | None = None
) -> tuple[subprocess.Popen[bytes], int]:
    """Start it in a terminal; gives the terminal's other end too."""
    ours, theirs = pty.openpty()
    try:
        return start(*args, output=theirs, environ={"TERM": "xterm-256color", **(environ or {})}), ours
    finally:
        os.close(theirs)


def read_so_far(terminal: int) -> str:
    """What has come out of a terminal by now."""
    found = b""
    while select.select([terminal], [], [], 0)[0]:
        found += os.read(terminal, 65536)
    return found.decode(errors="replace")


def read_to_end(terminal: int) -> str:
    """What comes out of a terminal until its last process is gone."""
    found = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # Linux says EIO where others say end of file
            piece = b""
        if not piece:
            return found.decode(errors="replace")
        found += piece
