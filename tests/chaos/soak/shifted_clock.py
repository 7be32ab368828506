"""The clock of programs under fire, which jumps: a library that is preloaded, made with the machine's C compiler."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path


def lacking() -> str:
    """What this machine lacks for it; empty if nothing."""
    return "" if shutil.which("cc") else "there is no C compiler (cc)"


class ShiftedClock:
    """A file that says how many seconds a clock is off, and the library that has programs go by it."""

    def __init__(self, folder: Path) -> None:
        """Make both; the clock is right at first."""
        self._off = folder / "clock"
        self._library = folder / "shifted_clock.so"
        self._off.write_bytes(struct.pack("@d", 0.0))
        source = Path(__file__).with_suffix(".c")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", self._library, source, "-ldl"], check=True)

    @property
    def environ(self) -> dict[str, str]:
        """What makes a program go by it."""
        return {"LD_PRELOAD": str(self._library), "SOAK_CLOCK": str(self._off)}

    def shift(self, seconds: float) -> None:
        """Have it be off by so many seconds, from now on."""
        with self._off.open("r+b", buffering=0) as file:
            file.write(struct.pack("@d", seconds))
