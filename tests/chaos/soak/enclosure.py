"""Where a soak runs: apart from the rest of the machine, as far as the machine allows that.

With ``unshare``, as root or as anybody who may have a user namespace, it has process ids and mounts of its own: what it
kills can't be anybody else's, its small disks vanish with it, and so do its processes, however it ends. Without, it
adopts what its programs leave behind, and disks are filled by a limit on files' sizes instead.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_INSIDE = "SOAK_ENCLOSED"
_PR_SET_CHILD_SUBREAPER = 36


def enter(arguments: Sequence[str]) -> None:
    """Start this program again inside, where that can be had; returns inside, or where it can't."""
    unshare = shutil.which("unshare")
    if os.environ.get(_INSIDE) or unshare is None:
        return
    asked = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if os.getuid():
        asked = ["--user", "--map-root-user", *asked]
    if subprocess.run([unshare, *asked, "true"], capture_output=True, check=False).returncode == 0:
        os.environ[_INSIDE] = "1"
        os.execv(unshare, [unshare, *asked, sys.executable, "-m", "tests.chaos.soak", *arguments])


def is_inside() -> bool:
    """Whether there are process ids and mounts of our own."""
    return bool(os.environ.get(_INSIDE))


def adopt() -> None:
    """Be the parent of all that lose theirs, so that nothing gets out of sight."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap(ours: set[int]) -> None:
    """Wait for adopted processes that have ended; not for those that somebody here waits for."""
    with suppress(ChildProcessError):
        while found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if found.si_pid in ours:
                return  # its program's own affair, and soon seen to; then comes the next
            os.waitpid(found.si_pid, os.WNOHANG)


def small_disk(folder: Path, megabytes: int) -> bool:
    """Make a folder a disk of its own; gives whether it is one."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not is_inside():
        return False
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
