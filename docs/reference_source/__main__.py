"""Write the reference's pages anew: ``python -m docs.reference_source [FOLDER]``, or ``make reference``."""

from __future__ import annotations

import sys
from pathlib import Path

from docs.reference_source.pages import pages

HERE = Path(__file__).parents[1] / "reference"


def main(folder: Path) -> None:
    """Write all pages."""
    for name, text in pages():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
