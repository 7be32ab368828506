"""Write the dashboards anew: ``python -m clues.dashboards_source [FOLDER]``, or ``make dashboards``."""

from __future__ import annotations

import sys
from pathlib import Path

from clues.dashboards_source.files import files


def main(folder: Path) -> None:
    """Write all files."""
    for place, text in files():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "dashboards"))
