"""How much memory a process has for itself: its share of what it has in common with others included (PSS)."""

from __future__ import annotations

from pathlib import Path


def pss(pid: int) -> int | None:
    """A process' proportional set size in bytes; None where the system does not tell (Linux does)."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    sizes = (line.split()[1] for line in lines if line.startswith("Pss:"))
    return next((int(size) * 1024 for size in sizes), None)
