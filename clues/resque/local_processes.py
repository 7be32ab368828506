"""Which processes of this host are Resque's, as Ruby's pruning sees it: by their titles (resque ``worker.rb``)."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

_RESQUE = re.compile(rb"resque:work|resque:\sStarting|resque-[0-9]")


def resque_processes() -> set[int]:
    """The process ids of the local processes whose titles are those of Resque workers, Ruby's or ours."""
    return {pid for pid, title in _titles() if _RESQUE.search(title) and b"resque-web" not in title}


def _titles() -> Iterator[tuple[int, bytes]]:
    if not Path("/proc/self/cmdline").exists():
        yield from _by_ps()
        return
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                yield int(entry.name), (entry / "cmdline").read_bytes().replace(b"\0", b" ")
            except OSError:  # it has just ended
                continue


def _by_ps() -> Iterator[tuple[int, bytes]]:
    listed = subprocess.run(["ps", "-A", "-o", "pid,command"], capture_output=True, check=False).stdout  # noqa: S607
    for line in listed.splitlines():
        pid, _, title = line.strip().partition(b" ")
        if pid.isdigit():
            yield int(pid), title
