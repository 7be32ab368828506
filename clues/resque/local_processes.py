"""Whose processes are gone from this host, as Ruby's pruning sees it: by their titles (resque ``worker.rb``)."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

_RESQUE = re.compile(rb"resque:work|resque:\sStarting|resque-[0-9]")


def gone(pids: Iterable[int]) -> set[int]:
    """Those of these processes that are not there, or are not Resque's; one that can't be seen is not gone."""
    titles = _from_proc(pids) if Path("/proc/self/cmdline").exists() else _from_ps()
    return {pid for pid in pids if not (_is_resque(titles[pid]) if pid in titles else _is_hidden(pid))}


def _is_resque(title: bytes) -> bool:
    dead = title.endswith(b"<defunct>")  # ps shows its name still
    return _RESQUE.search(title) is not None and b"resque-web" not in title and not dead


def _is_hidden(pid: int) -> bool:
    """Whether it is another user's, on a host that shows each user their own alone (hidepid)."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def _from_proc(pids: Iterable[int]) -> dict[int, bytes]:
    titles = {}
    for pid in pids:
        try:
            titles[pid] = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
        except OSError:
            continue
    return titles


def _from_ps() -> dict[int, bytes]:
    listed = subprocess.run(["ps", "-A", "-o", "pid,command"], capture_output=True, check=True).stdout  # noqa: S607
    lines = (line.split(None, 1) for line in listed.splitlines()[1:])
    return {int(pid): title for pid, title in (line for line in lines if len(line) == 2)}  # noqa: PLR2004 - two columns
