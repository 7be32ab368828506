"""The pictures of the demo in a terminal: ``python -m docs.pictures`` runs it, and draws what it shows."""

from __future__ import annotations

import contextlib
import io
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from clues.cli.demo_screen import LiveScreen
from clues.cli.demo_summary import print_summary
from clues.demo.session import Progress, Session
from clues.event import Event

HERE = Path(__file__).parent / "img"
_SECONDS = 12.0
_FONT = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)  # a picture asks nothing of the network


class Still:
    """Stands in for the live screen's terminal: keeps the picture of the moment when most was going on."""

    def __init__(self) -> None:
        self.picture: Any = None

    def update(self, picture: Any, *, refresh: bool) -> None:
        """Keep it."""
        assert refresh
        self.picture = picture


class Shown:
    """The demo's screen until two thirds of its time are over."""

    def __init__(self, console: Console) -> None:
        self.still = Still()
        self._screen = LiveScreen(console, self.still)  # type: ignore[arg-type]

    def show(self, progress: Progress, events: Sequence[Event]) -> None:
        """Draw."""
        if progress.elapsed < progress.seconds * 2 / 3:
            self._screen.show(progress, events)


def main() -> None:
    """Run the demo in a folder that is gone afterwards, and draw."""
    live, summary = _console(31), _console(40)
    sys.argv[0] = "clues"
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        out = Path("out")
        out.mkdir()
        shown = Shown(live)
        outcome = Session(out, seconds=_SECONDS, workers=3, screen=shown).run()
        live.print(shown.still.picture)
        print_summary(outcome, summary)
    _draw(live, "clues demo", "demo")
    _draw(summary, "clues demo: its end", "demo-summary")


def _console(height: int) -> Console:
    return Console(
        record=True, file=io.StringIO(), width=100, height=height, force_terminal=True, color_system="truecolor",
        highlight=False, markup=False, emoji=False,
    )  # fmt: skip


def _draw(console: Console, title: str, name: str) -> None:
    picture = console.export_svg(title=title, unique_id=name)
    lines = [line.rstrip() for line in _FONT.sub("", picture).splitlines()]
    (HERE / f"{name}.svg").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
