"""``clues demo``: see it work, on a Redis of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clues.cli.manual import BEGIN, Manual, command, variables

_MANUAL = Manual(
    ("clues demo", "clues demo --seconds 8 --dir out --workers 2"),
    notes="""\
Nothing else is needed: it brings a Redis (clues[demo], or redis-server on PATH), and leaves nothing
running. At its end it names the commands that dig into what it wrote.""",
    environment=variables("CLUES_REDIS_SERVER", "NO_COLOR"),
    files={"events.log": "the event log, in the folder of --dir"},
    exit_status={1: "no Redis could be started, or a worker fell"},
)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, demo, _MANUAL, BEGIN)


def demo(
    *,
    seconds: Annotated[
        float, typer.Option("--seconds", "-s", min=0.5, max=86_400, help="How long to enqueue jobs.")
    ] = 20,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--dir",
            metavar="DIR",
            help="Where to write events.log; a new temporary folder if left out. The log of an earlier run becomes "
            "events.log.1.",
        ),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", "-w", min=1, max=64, help="How many worker processes.")] = 3,
) -> None:
    """Watch a small shop's jobs being worked, on a Redis of its own."""
    from clues.cli.console import console
    from clues.cli.demo_screen import screen
    from clues.cli.demo_summary import print_summary
    from clues.cli.output import quiet_pipe
    from clues.demo.session import Session

    place = _made(folder)
    with quiet_pipe():
        with screen() as shown:
            outcome = Session(place, seconds=seconds, workers=workers, screen=shown).run()
        print_summary(outcome, console())


def _made(folder: Path | None) -> Path:
    import os
    import tempfile

    if folder is None:
        return Path(tempfile.mkdtemp(prefix="clues-demo-"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"can't make the folder {folder}: {error.strerror}"
        raise typer.BadParameter(msg, param_hint="--dir") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        msg = f"can't write into the folder {folder}"
        raise typer.BadParameter(msg, param_hint="--dir")
    return folder
